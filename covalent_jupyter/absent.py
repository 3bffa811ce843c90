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

#: options of ``ct.electron`` and ``ct.lattice``
OPTIONS = {
    "files": _FILES,
    "backend": "it is called executor",
    "results_dir": "results lie in the store, and ct.get_result has them",
    "time_limit": "it is called timeout",
    "notify": 'ct.dispatch(lattice, notify="failure")(...), or the setting on_finish',
    "wait_for": "ct.wait(child, parents)",
}

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
    "sync": "ct.get_result(dispatch_id, wait=True) waits",
    "webhooks": OPTIONS["notify"],
    "sublattice": "a sublattice is an electron of a lattice: ct.electron(ct.lattice(f))",
    "cloud_executor": "ct.executor has what electrons can run on",
}

_FOUND = "the service is found by itself, and listens on whatever port is free"

#: settings, by how they begin
SETTINGS = {
    "dispatcher.port": _FOUND,
    "user_interface": _FOUND,
    "dispatcher.results_dir": "results lie in the store, whose folder is store_dir",
    "dispatcher.cache_dir": "everything lies in the store, whose folder is store_dir",
    "executors": "options of executors are given to their objects, such as ct.executor.LocalExecutor(workdir=...)",
    "sdk.log_dir": "the log of the service lies in the store, whose folder is store_dir",
    "sdk.enable_logging": "the service always has a log, whose level is service_log_level",
    "enable_logging": "the service always has a log, whose level is service_log_level",
    "sdk.no_cluster": 'executor="local" runs electrons without Dask',
}

#: of modules inside ``covalent``: where their public parts are
MODULES = {
    "_results_manager": "; its parts are ct.get_result, ct.cancel, ct.Result and ct.status",
    "_shared_files": "; its parts are ct.status, ct.get_config and ct.set_config; for its logger take Python's logging",
    "_workflow": "; its parts are ct.electron, ct.lattice, ct.DepsBash, ct.DepsCall, ct.DepsPip and ct.TransportableObject",
    "_dispatcher_plugins": "; its parts are ct.dispatch, ct.dispatch_sync and ct.redispatch",
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

_PORT = (
    "the service is found by itself, on whatever port; another machine's is named by ct.set_config(url=..., token=...)"
)
_CLUSTER = (
    "ct.set_config(dask_n_workers=..., dask_threads_per_worker=..., dask_memory_limit=...) shapes the Dask cluster"
)

#: arguments of functions
ARGUMENTS = {
    "dispatcher_addr": _PORT,
    "port": _PORT,
    "is_pending": "what disable_run=True built was not sent: dispatch it without",
    "triggers_only": _TRIGGERS,
    "no_triggers": _TRIGGERS,
    "results_dir": OPTIONS["results_dir"],
    "no_cluster": 'ct.set_config(executor="local") runs electrons without Dask',
    **dict.fromkeys(("workers", "threads_per_worker", "mem_per_worker"), _CLUSTER),
}

_OPTIONS_OF_ELECTRONS = "its options are those of the decorator; f.options(executor=...) is a copy with others"

#: attributes of electrons
ELECTRON = {
    **dict.fromkeys(("electron_object", "metadata", "get_metadata", "set_metadata"), _OPTIONS_OF_ELECTRONS),
    "wait_for": "ct.wait(child, parents)",
}

#: attributes of results
RESULT = {
    **dict.fromkeys(("save", "persist"), "everything is recorded when it happens"),
    "post_process": "value is what the lattice returned, partial what there is of it",
    "encoded_result": "value is what the lattice returned",
}

#: attributes of lattices
LATTICE = {
    **dict.fromkeys(("metadata", "get_metadata", "set_metadata"), "its options are those of the decorator"),
    "workflow_function": "it is called function",
    **dict.fromkeys(("dispatch", "dispatch_sync"), "ct.dispatch(lattice)(...), ct.dispatch_sync(lattice)(...)"),
    **dict.fromkeys(("args", "kwargs", "inputs"), "the arguments of a dispatch are in the inputs of its ct.Result"),
}


def explain(module: str, name: str, known: Iterable[str], absent: dict[str, str]) -> str:
    """The text of the AttributeError."""
    if name in absent:
        return f"{module} has no {name}, which Covalent has: {absent[name]}"
    close = difflib.get_close_matches(name, [n for n in known if not n.startswith("_")], 1, 0.7)
    return f"module {module!r} has no attribute {name!r}" + (f" (did you mean {close[0]!r}?)" if close else "")


def setting(key: str) -> str:
    """What there is instead of a setting that Covalent has; "" for all others."""
    return next((text for start, text in SETTINGS.items() if key.lower().startswith(start)), "")
