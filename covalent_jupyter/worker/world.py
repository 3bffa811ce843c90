"""The dispatch's world, put on by a runner: folder, variables, ``sys.path``, snapshot of local modules, threads."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..covalent_names import install_as_covalent
from ..errors import ConfigError
from ..model.work import Pack
from ..snapshot import materialise
from .protocol import THREAD_VARIABLES

#: of the worker, not of the kernel: they stay
_OWN_VARIABLES = (
    "COVALENT_DASK_ADDRESS", "DASK_SCHEDULER_ADDRESS", "DASK_DISTRIBUTED__COMM__TLS__CA_FILE",
    "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT", "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY",
)  # fmt: skip

#: of a batch job, or of a machine: where that is not the kernel's, the worker's own count
_OF_JOB = ("SLURM_", "PBS_", "LSB_", "SGE_", "PMI_", "PMIX_", "OMPI_")
_OF_MACHINE = frozenset(
    "CUDA_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES HIP_VISIBLE_DEVICES NVIDIA_VISIBLE_DEVICES GPU_DEVICE_ORDINAL TMPDIR HOSTNAME "
    "XDG_RUNTIME_DIR".split()
)
_JOB_IDS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")


def put_on(pack: Pack, load: Callable[[str], Any], scratch: str) -> list[str]:
    """Make this process look like the kernel at the dispatch. Gives warnings for the electrons that will run here."""
    warnings: list[str] = []
    if pack.variables:
        kept = {name: os.environ[name] for name in _OWN_VARIABLES if name in os.environ}
        given = pack.variables
        if _is_elsewhere(pack):
            kept.update((name, value) for name, value in os.environ.items() if _is_of_the_place(name))
            given = {name: value for name, value in given.items() if not _is_of_the_place(name)}
        os.environ.clear()
        os.environ.update(given)
        os.environ.update(kept)
        time.tzset()  # the kernel's time zone
    os.environ["MPLBACKEND"] = "Agg"
    environment = pack.environment
    front = [path for path in environment.sys_path if path]
    if environment.modules:
        snapshot = str(materialise(environment.modules, load, pack.work_root or scratch))
        front.insert(0, snapshot)
        _make_way(snapshot, environment.modules)
    sys.path[:] = [*front, *(path for path in sys.path if path not in front)]
    if environment.as_covalent:
        try:
            install_as_covalent()
        except ConfigError as error:
            warnings.append(str(error))
    if environment.cwd:
        try:
            os.chdir(environment.cwd)
        except OSError as error:
            os.chdir(scratch)
            warnings.append(
                f"the kernel's folder {environment.cwd} cannot be used on this machine ({error.strerror}): "
                f"relative paths lead to a temporary folder"
            )
    else:
        os.chdir(scratch)
    return warnings


def _make_way(snapshot: str, local: Iterable[str]) -> None:
    """What this process has imported from elsewhere is not to be taken for a local module of that name. (A namespace package
    looks into every folder of ``sys.path`` by itself.)"""
    names = {path.partition("/")[0].partition(".")[0] for path in local}
    for name in names - {"covalent_jupyter"}:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and not file.startswith(snapshot + os.sep):
            for loaded in [m for m in sys.modules if m.partition(".")[0] == name]:
                del sys.modules[loaded]


def _is_elsewhere(pack: Pack) -> bool:
    """Whether this is a batch job, or another machine than the kernel's."""
    host = pack.environment.host
    return any(name in os.environ for name in _JOB_IDS) or bool(host and host != socket.gethostname())


def _is_of_the_place(name: str) -> bool:
    return name in _OF_MACHINE or name.startswith(_OF_JOB)


def set_threads(cpu: float, chosen: dict[str, str]) -> None:
    """As many threads for numeric libraries as the electron has CPUs, but where the user's variables say otherwise."""
    count = max(1, int(cpu))
    for name in THREAD_VARIABLES:
        if name not in chosen:
            os.environ[name] = str(count)
    if "threadpoolctl" in sys.modules or (count > 1 and "numpy" in sys.modules):
        try:
            import threadpoolctl  # type: ignore[import-untyped]
        except ImportError:
            return
        threadpoolctl.threadpool_limits(limits=count)


def set_devices(devices: tuple[int, ...], visible: str | None) -> None:
    """Let CUDA see these GPUs alone, counted among the ``visible`` ones; none chosen: what was visible before."""
    if devices:
        names = [name.strip() for name in (visible or "").split(",") if name.strip()]
        chosen = [names[i] if i < len(names) else str(i) for i in devices]
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(chosen)
    elif visible is None:
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible
