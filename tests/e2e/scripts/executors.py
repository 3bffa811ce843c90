import os
import tempfile

import covalent as ct
from covalent.executor import DaskExecutor

tmp = tempfile.mkdtemp()
local = ct.executor.LocalExecutor(
    log_stdout="stdout.log", log_stderr="stderr.log", cache_dir="/tmp/x", workdir=tmp, create_unique_workdir=True
)
dask = DaskExecutor(log_stdout="a", log_stderr="b", cache_dir="c", workdir=tmp, create_unique_workdir=False)


@ct.electron(executor=local)
def a(x):
    return os.getcwd()


@ct.electron(executor="dask")
def b(x):
    return x, 2


@ct.electron(executor=dask)
def c(x):
    open("file.txt", "w").write("hi")
    return os.getcwd()


@ct.electron
def d(x):
    return len(x)


@ct.lattice(executor="local", workflow_executor="local")
def wf(x):
    return a(x), b(x), c(x), d([x, x])


r = ct.get_result(ct.dispatch(wf)(1), wait=True)
A, B, C, D = r.result
assert A.startswith(tmp) and A.rstrip("/") != tmp and tuple(B) == (1, 2) and C == tmp and D == 2
assert os.path.exists(os.path.join(tmp, "file.txt"))
