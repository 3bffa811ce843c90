"""Names that Covalent has and this package has not: what there is instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_FILES = "values that are files travel as ct.File(path); copy from and to other places inside an electron, for example with fsspec"
_TRIGGERS = (
    "let cron, or an electron that waits, call ct.dispatch; ct.dispatch(..., once=True) keeps runs from doubling"
)
_LANGUAGES = "call the library or program inside an electron, with ctypes or subprocess"
_QUANTUM = "run circuits inside plain electrons; many at once are many electrons"

#: of ``covalent``
NAMES = {
    "Lepton": _LANGUAGES,
    "leptons": _LANGUAGES,
    "fs": _FILES,
    "fs_strategies": _FILES,
    "triggers": _TRIGGERS,
    "stop_triggers": _TRIGGERS,
    "qelectron": _QUANTUM,
    "QCluster": _QUANTUM,
    "sublattice": "a sublattice is an electron of a lattice: ct.electron(ct.lattice(f))",
    "cloud_executor": "ct.executor has what electrons can run on",
}

_SLURM = (
    "on Slurm, electrons run on a Dask cluster: "
    'ct.executor.DaskExecutor(cluster_class="dask_jobqueue.SLURMCluster", cluster_kwargs={"queue": ..., "cores": ..., "memory": ...})'
)
_CLASS = (
    "name a Dask cluster for it, ct.executor.DaskExecutor(cluster_class=...), or derive from ct.executor.BaseExecutor "
    "and override run(self, function, args, kwargs, task_metadata)"
)

#: of ``covalent.executor``
EXECUTORS = {
    "SlurmExecutor": _SLURM,
    "SSHExecutor": "dask.distributed.SSHCluster starts a Dask cluster over ssh; name its address: "
    'ct.executor.DaskExecutor("tcp://host:8786")',
    **dict.fromkeys(
        (
            "AWSBatchExecutor", "AWSLambdaExecutor", "AWSPluginExecutor", "AzureBatchExecutor", "BraketExecutor",
            "CloudExecutor", "EC2Executor", "ECSExecutor", "GCPBatchExecutor", "HPCExecutor", "IBMQExecutor",
            "KubernetesExecutor", "QiskitExecutor", "RemoteExecutor", "Simulator",
        ),
        _CLASS,
    ),
}  # fmt: skip

#: short names of executors
SHORT_NAMES = {
    "slurm": _SLURM,
    "ssh": EXECUTORS["SSHExecutor"],
    **dict.fromkeys(("awsbatch", "awslambda", "braket", "ecs"), _CLASS),
}

#: options of ``ct.electron`` and ``ct.lattice``
OPTIONS = {"files": _FILES}


def explain(module: str, name: str, known: Iterable[str], absent: dict[str, str]) -> str:
    """The text of the AttributeError."""
    if name in absent:
        return f"{module} has no {name}, which Covalent has: {absent[name]}"
    close = difflib.get_close_matches(name, [n for n in known if not n.startswith("_")], 1, 0.7)
    return f"module {module!r} has no attribute {name!r}" + (f" (did you mean {close[0]!r}?)" if close else "")
