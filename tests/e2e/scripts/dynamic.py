# "Dynamic workflows": sublattice for a loop over an electron's result
import covalent as ct


@ct.electron
def numbers(n):
    return list(range(n))


@ct.electron
def square(x):
    return x**2


@ct.electron
def add_all(xs):
    return sum(xs)


@ct.electron
@ct.lattice
def dynamic(xs):
    out = []
    for x in xs:
        out.append(square(x))
    return add_all(out)


@ct.lattice
def workflow(n):
    return dynamic(numbers(n))


did = ct.dispatch(workflow)(5)
r = ct.get_result(did, wait=True)
assert r.result == 30, r
sub = r.get_node_result(1)["sublattice_result"]
assert sub is not None and sub.result == 30
sub2 = ct.electron(ct.lattice(lambda xs: [square(x) for x in xs]))


@ct.lattice
def wf2(n):
    return sub2(numbers(n))


assert ct.get_result(ct.dispatch(wf2)(3), wait=True).result == [0, 1, 4]
