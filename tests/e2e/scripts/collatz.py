import covalent as ct


@ct.electron
def is_even(n):
    return n % 2 == 0


@ct.electron
def half(n):
    return n // 2


@ct.electron
def triple(n):
    return 3 * n + 1


@ct.electron
@ct.lattice
def collatz(n, even, steps):
    if n == 1:
        return steps
    nxt = half(n) if even else triple(n)
    return collatz(nxt, is_even(nxt), steps + 1)


@ct.lattice
def wf(n):
    return collatz(n, is_even(n), 0)


r = ct.get_result(ct.dispatch(wf)(6), wait=True)
assert r.result == 8, (r.result, r.error)


@ct.lattice
def wrong(n):
    if is_even(n):
        return half(n)
    return triple(n)


try:
    ct.dispatch(wrong)(3)
except TypeError as error:
    assert "cannot be used as a condition" in str(error) and "ct.electron(ct.lattice(f))" in str(error)
else:
    raise AssertionError("no error")
