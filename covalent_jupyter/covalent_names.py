"""``import covalent as ct`` for code that was written for Covalent."""

from __future__ import annotations

import importlib
import sys

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
