import covalent as ct
import numpy as np


@ct.electron
def vec(n):
    return np.arange(n)


@ct.electron
def norm(d, *rest, scale=1, **kw):
    assert isinstance(d, dict) and isinstance(d["pair"], tuple) and isinstance(d["list"][0], np.ndarray)
    return float(sum(np.linalg.norm(v) for v in [*d["list"], *d["pair"], *rest, *kw.values()])) * scale


@ct.lattice
def wf(n):
    a, b = vec(n), vec(n + 1)
    x = norm({"list": [a, b], "pair": (a, b)}, a, scale=2, extra=b)
    return {"x": x, "items": [a[1], b.shape, (a + a)[2]], "sum": a * 2 + 1}


r = ct.get_result(ct.dispatch(wf)(3), wait=True)
assert r.result["x"] > 0 and list(r.result["sum"]) == [1, 3, 5] and r.result["items"] == [1, (4,), 4]
