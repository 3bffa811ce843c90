import covalent as ct


@ct.electron
def bad(x):
    return 1 / x


@ct.electron
def after(x):
    return x


@ct.electron
def independent():
    print("fine")
    return "ok"


@ct.lattice
def wf(x):
    b = bad(x)
    return after(b), independent()


r = ct.get_result(ct.dispatch(wf)(0), wait=True)
assert r.status == ct.status.FAILED
assert "ZeroDivisionError" in r.error, r.error
n = r.get_node_result(0)
assert "ZeroDivisionError" in n["error"], n["error"]
assert str(r.get_node_result(2)["status"]) == "COMPLETED"
assert r.get_node_result(2)["stdout"] == "fine\n"
assert r.result is None
