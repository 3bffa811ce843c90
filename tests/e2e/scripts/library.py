from math import sqrt

import covalent as ct
import numpy as np

np_sum = ct.electron(np.sum)
root = ct.electron(sqrt)
up = ct.electron(str.upper)


@ct.electron
def arr(n):
    return np.ones((n, n))


@ct.lattice
def wf(n):
    return root(np_sum(arr(n))), up("abc")


r = ct.get_result(ct.dispatch(wf)(4), wait=True)
assert list(r.result) == [4.0, "ABC"], r.result
