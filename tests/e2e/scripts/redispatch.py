import covalent as ct


@ct.electron
def task_1(x):

    return x + 1


@ct.electron
def task_2(x, y=2):
    return x * y


@ct.electron
def task_2_new(x, y=2):
    return x * y * 100


@ct.lattice
def workflow(x, y=3):
    r = task_1(x)
    return task_2(r, y=y)


did = ct.dispatch(workflow)(1, y=5)
assert ct.get_result(did, wait=True).result == 10
d2 = ct.redispatch(did, replace_electrons={"task_2": task_2_new})(1, y=5)
assert ct.get_result(d2, wait=True).result == 1000
d3 = ct.redispatch(did, reuse_previous_results=True)(1, 7)
r3 = ct.get_result(d3, wait=True)
assert r3.result == 14, r3.result
d4 = ct.redispatch(did, replace_electrons={"task_2": task_2_new}, reuse_previous_results=True)()
assert ct.get_result(d4, wait=True).result == 1000
d5 = ct.redispatch(dispatch_id=did)(2, 2)
assert ct.get_result(d5, wait=True).result == 6
