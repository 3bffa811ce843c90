# Sublattices in loops, used by their parts, one that calls itself, and one that fails
import covalent as ct


@ct.electron
def identity(x):
    if x == "bad":
        raise ValueError("a bad one")
    return x


@ct.electron
def combine(a, b):
    return a, b


@ct.electron
@ct.lattice
def numbers(n, offset=0):
    found = []
    for i in range(n):
        found.append(identity(i + offset))
    return found


@ct.electron
def how_many():
    return 3


@ct.lattice
def in_a_loop():
    n = how_many()
    return [numbers(n, offset=10 * k) for k in range(3)]


assert ct.dispatch_sync(in_a_loop)().result == [[0, 1, 2], [10, 11, 12], [20, 21, 22]]


@ct.lattice
def inner(xs):
    return {"max": ct.electron(max)(xs), "items": [identity(x) for x in xs]}


@ct.lattice
def by_parts():
    part = ct.electron(inner, executor="local")([3, 1, 2])
    return combine(part["max"], part["items"][1])


assert ct.dispatch_sync(by_parts)().result == (3, 1)


@ct.electron
@ct.lattice
def fibonacci(n):
    if n < 2:
        return n
    return identity(fibonacci(n - 1) + fibonacci(n - 2))


r = ct.dispatch_sync(ct.lattice(lambda n: fibonacci(n)))(5)
assert r.result == 5, (r.result, r.error)
assert r.get_node_result(0)["sublattice_result"].result == 5

r = ct.dispatch_sync(ct.lattice(lambda: [ct.electron(inner)([1]), ct.electron(inner)([2, "bad"])]))()
assert r.status == "FAILED" and "a bad one" in r.error, r.error
assert r.partial[0] == {"max": 1, "items": [1]}
