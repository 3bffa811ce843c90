import os
import tempfile

import covalent as ct

BEGAN = os.path.join(tempfile.mkdtemp(), "began")


@ct.electron
def slow(seconds):
    import time

    open(BEGAN, "w").close()
    time.sleep(seconds)
    return seconds


@ct.electron
def quick():
    return 1


@ct.lattice
def workflow():
    return slow(100), quick()


def begin():
    import time

    dispatch_id = ct.dispatch(workflow)()
    end = time.monotonic() + 60
    while not os.path.exists(BEGAN) and time.monotonic() < end:
        time.sleep(0.05)
    os.unlink(BEGAN)
    return dispatch_id


whole = begin()
ct.cancel(whole)
result = ct.get_result(whole, wait=True)
assert result.status == ct.status.CANCELLED, result.status

part = begin()
ct.cancel(dispatch_id=part, task_ids=[0])
result = ct.get_result(part, wait=True)
assert str(result.get_node_result(0)["status"]) == "CANCELLED"
assert str(result.get_node_result(1)["status"]) == "COMPLETED"
