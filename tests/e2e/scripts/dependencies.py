import os
import tempfile

import covalent as ct

NOTE = os.path.join(tempfile.mkdtemp(), "note")


def set_up(path, text="set up"):
    with open(path, "a") as file:
        file.write(text)


def secret(n):
    return "s" * n


@ct.electron(
    deps_bash=ct.DepsBash(["echo from bash", "true"]),
    call_before=[
        ct.DepsCall(set_up, args=[NOTE], kwargs={"text": "before "}),
        ct.DepsCall(secret, args=[3], retval_keyword="key"),
        ct.DepsCall(secret, args=[1], retval_keyword="many"),
        ct.DepsCall(secret, args=[2], retval_keyword="many"),
    ],
    call_after=ct.DepsCall(set_up, args=(NOTE, "after")),
)
def use(x, key=None, many=()):
    return x, key, many, open(NOTE).read()


@ct.electron
def read(_):
    return open(NOTE).read()


@ct.lattice(deps_bash="echo from the lattice")
def workflow(x):
    used = use(x)
    return used, read(used)


result = ct.get_result(ct.dispatch(workflow)(7), wait=True)
assert result.status == ct.status.COMPLETED, result.error
assert list(result.result[0]) == [7, "sss", ["s", "ss"], "before "], result.result
assert result.result[1] == "before after"
assert "from bash" in result.get_node_result(0)["stdout"]
assert "from the lattice" in result.get_node_result(1)["stdout"]
