"""Lattices of electrons, dispatched from a notebook: ``import covalent_jupyter as ct``.

Every public name is loaded when it is first used, so that importing this package costs next to nothing
(every worker imports it).
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import executor
    from .client.compare import compare
    from .client.control import covalent_start, covalent_stop, is_covalent_running
    from .client.dispatching import annotate, as_completed, cancel, dispatch, dispatch_sync, redispatch
    from .client.fetching import get_result, get_result_manager, latest
    from .client.handle import DispatchId
    from .client.points import grid
    from .client.points import zip as zip
    from .client.result import Result
    from .client.sweep import Sweep, get_sweep, sweep
    from .client.tables import disk, dispatches, sql, sql_schema
    from .client.transportable import TransportableObject
    from .config import get_config, reload_config, set_config
    from .covalent_names import install_as_covalent
    from .errors import (
        BuildError,
        ConfigError,
        CovalentError,
        DecodeError,
        DispatchCancelled,
        DispatchError,
        DispatchFailed,
        ElectronCrashed,
        ElectronError,
        ElectronInterrupted,
        ElectronTimeout,
        EncodeError,
        MemoryLimitExceeded,
        NotFinished,
        NotFound,
        ServiceError,
        ServiceUnavailable,
        VersionMismatch,
    )  # fmt: skip
    from .model.status import Status
    from .model.status import Status as status
    from .notebook.debugging import debug
    from .worker.context import get_context, progress, report
    from .worker.files import File
    from .workflow.deps import DepsBash, DepsCall, DepsModule, DepsPip
    from .workflow.electron import completed, electron, wait
    from .workflow.failed import Failed
    from .workflow.lattice import lattice

__all__ = [
    "BuildError", "ConfigError", "CovalentError", "DecodeError", "DepsBash", "DepsCall", "DepsModule", "DepsPip",
    "DispatchCancelled", "DispatchError", "DispatchFailed", "DispatchId", "ElectronCrashed", "ElectronError",
    "ElectronInterrupted", "ElectronTimeout", "EncodeError", "Failed", "File", "MemoryLimitExceeded", "NotFinished",
    "NotFound", "Result", "ServiceError", "ServiceUnavailable", "Status", "Sweep", "TransportableObject", "VersionMismatch",
    "__version__", "annotate", "as_completed", "cancel", "compare", "completed", "covalent_start", "covalent_stop", "debug", "disk", "dispatch",
    "dispatch_sync", "dispatches", "electron", "executor", "get_config", "get_context", "get_result",
    "get_result_manager", "get_sweep", "grid", "install_as_covalent", "is_covalent_running", "latest", "lattice", "progress",
    "redispatch", "reload_config", "report", "set_config", "sql", "sql_schema", "status", "sweep", "wait",
]  # fmt: skip

#: public name -> module that defines it, relative to this package
_HOMES = {
    "electron": "workflow",
    "lattice": "workflow",
    "wait": "workflow",
    "DepsBash": "workflow",
    "DepsCall": "workflow",
    "DepsModule": "workflow",
    "DepsPip": "workflow",
    "Failed": "workflow",
    "completed": "workflow",
    "get_context": "worker.context",
    "progress": "worker.context",
    "report": "worker.context",
    "File": "worker.files",
    "dispatch": "client.dispatching",
    "dispatch_sync": "client.dispatching",
    "redispatch": "client.dispatching",
    "cancel": "client.dispatching",
    "annotate": "client.dispatching",
    "as_completed": "client.dispatching",
    "get_result": "client.fetching",
    "get_result_manager": "client.fetching",
    "latest": "client.fetching",
    "DispatchId": "client.handle",
    "Result": "client.result",
    "dispatches": "client.tables",
    "sql": "client.tables",
    "sql_schema": "client.tables",
    "disk": "client.tables",
    "compare": "client.compare",
    "grid": "client.points",
    "zip": "client.points",
    "sweep": "client.sweep",
    "Sweep": "client.sweep",
    "get_sweep": "client.sweep",
    "covalent_start": "client.control",
    "covalent_stop": "client.control",
    "is_covalent_running": "client.control",
    "TransportableObject": "client.transportable",
    "install_as_covalent": "covalent_names",
    "debug": "notebook.debugging",
    "get_config": "config",
    "set_config": "config",
    "reload_config": "config",
    "Status": "model.status",
    **dict.fromkeys(
        (
            "BuildError", "ConfigError", "CovalentError", "DecodeError", "DispatchCancelled", "DispatchError",
            "DispatchFailed", "ElectronCrashed", "ElectronError", "ElectronInterrupted", "ElectronTimeout",
            "EncodeError", "MemoryLimitExceeded", "NotFinished", "NotFound", "ServiceError", "ServiceUnavailable",
            "VersionMismatch",
        ),
        "errors",
    ),
}  # fmt: skip

#: public names that are modules, or have another name at home
_ALIASES = {"executor": ("executor", None), "status": ("model.status", "Status")}


def __getattr__(name: str) -> Any:
    if name in _ALIASES:
        module_name, attribute = _ALIASES[name]
    elif name in _HOMES:
        module_name, attribute = _HOMES[name], name
    else:
        raise AttributeError(_absent(name))
    module = importlib.import_module(f".{module_name}", __name__)
    value = module if attribute is None else getattr(module, attribute)
    globals()[name] = value
    return value


def _absent(name: str) -> str:
    """Why there is no such name; special ones are asked for often, and by nobody who reads it."""
    if name.startswith("__"):
        return f"module 'covalent_jupyter' has no attribute {name!r}"
    absent = importlib.import_module(".absent", __name__)
    return str(absent.explain(__name__, name, __all__, absent.NAMES))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "zip"})


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext covalent_jupyter``"""
    importlib.import_module(".notebook.loading", __name__).load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext covalent_jupyter``"""
    importlib.import_module(".notebook.loading", __name__).unload(shell)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    extension = importlib.import_module(".extension", __name__)
    return [{"module": "covalent_jupyter", "app": extension.CovalentApp}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "covalent-jupyter"}]


if "IPython" in sys.modules:  # magics are there from the import on
    importlib.import_module(".magic_names", __name__).offer()
