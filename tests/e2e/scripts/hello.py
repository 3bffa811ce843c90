# from "Quick start": hello world
import covalent as ct


@ct.electron
def join_words(a, b):
    return ", ".join([a, b])


@ct.electron
def excitement(a):
    return f"{a}!"


@ct.lattice
def simple_workflow(a, b):
    phrase = join_words(a, b)
    return excitement(phrase)


dispatch_id = ct.dispatch(simple_workflow)("Hello", "World")
result = ct.get_result(dispatch_id, wait=True)
assert result.result == "Hello, World!"
assert result.status == ct.status.COMPLETED
assert str(result.status) == "COMPLETED"
assert isinstance(dispatch_id, str) and len(dispatch_id) == 36
assert simple_workflow("a", "b") == "a, b!"
