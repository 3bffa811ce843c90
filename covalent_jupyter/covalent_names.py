"""``import covalent as ct`` for code that was written for Covalent."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from typing import Any

from .absent import NAMES as ABSENT
from .errors import ConfigError

#: Covalent's module -> ours
NAMES = {"covalent": "covalent_jupyter", "covalent.executor": "covalent_jupyter.executor"}


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


class _Absent:
    """Says of ``covalent.triggers`` and the like what there is instead."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        top, _, rest = name.partition(".")
        if top != "covalent" or name in NAMES or sys.modules.get("covalent") is not sys.modules["covalent_jupyter"]:
            return None
        reason = ABSENT.get(rest.split(".")[0], "it has the names of `import covalent as ct` and of covalent.executor")
        raise ModuleNotFoundError(f"covalent-jupyter has no module {name}: {reason}", name=name)
