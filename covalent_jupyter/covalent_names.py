"""``import covalent as ct`` for code that was written for Covalent."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from typing import Any

from .absent import MODULES
from .absent import NAMES as ABSENT
from .errors import ConfigError

#: Covalent's module -> ours
NAMES = {
    "covalent": "covalent_jupyter",
    **dict.fromkeys(
        (
            "covalent.executor", "covalent.executor.base", "covalent.executor.executor_plugins",
            "covalent.executor.executor_plugins.dask", "covalent.executor.executor_plugins.local",
        ),
        "covalent_jupyter.executor",
    ),
}  # fmt: skip


def install_as_covalent() -> None:
    """From now on ``import covalent`` and ``import covalent.executor`` give this package, in this process.

    Raises ConfigError where the real Covalent has been imported already.
    """
    present = sys.modules.get("covalent")
    if present is not None and present.__name__ != "covalent_jupyter":
        raise ConfigError(
            "covalent itself has been imported in this process already; call install_as_covalent() before that, "
            "in a fresh kernel"
        )
    for name, ours in NAMES.items():
        sys.modules[name] = importlib.import_module(ours)
    if not any(isinstance(finder, _Absent) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Absent())


def is_covalent() -> bool:
    """Whether ``import covalent`` gives this package in this process."""
    return sys.modules.get("covalent") is sys.modules["covalent_jupyter"]


class _Absent:
    """Says of ``covalent.triggers`` and the like what there is instead."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        top, _, rest = name.partition(".")
        if top != "covalent" or name in NAMES or not is_covalent():
            return None
        part = rest.split(".")[0]
        reason = ABSENT.get(part, "it has the names of `import covalent as ct` and of covalent.executor") + MODULES.get(
            part, ""
        )
        raise ModuleNotFoundError(f"covalent-jupyter has no module {name}: {reason}", name=name)
