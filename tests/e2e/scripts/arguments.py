import covalent as ct


@ct.electron
def f(a, b=2, *args, c, d=4, **kw):
    return (a, b, args, c, d, kw)


@ct.lattice
def wf(a, *more, k=1, **rest):
    return f(a, k, *more, c=rest.get("c", 0), z=rest)


r = ct.get_result(ct.dispatch(wf)(1, 2, 3, k=9, c=5, q=6), wait=True)
assert tuple(r.result[:2]) == (1, 9) and tuple(r.result[2]) == (2, 3) and r.result[3] == 5
try:
    ct.dispatch(wf)()
except ct.BuildError as error:
    assert "wf misses the argument 'a'" in str(error)
else:
    raise AssertionError("no error")
