"""The names of the magics, known to IPython from the import of this package on: the first that is used loads them all."""

from __future__ import annotations

import sys
from typing import Any

EXTENSION = "covalent_jupyter"
#: as ``notebook.magics`` has them
NAMES = ("electron", "lattice", "dispatch", "covalent", "covalent_sql")


def offer() -> None:
    """In IPython, have a magic of ours that is used before ``%load_ext covalent_jupyter`` do that first. One of the same
    name that somebody else has registered stays his."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if hasattr(ipython, "get_ipython") else None  # type: ignore[union-attr]
    if shell is None:
        return
    manager = shell.magics_manager
    for name in NAMES:
        if not any(name in magics for magics in manager.magics.values()):
            manager.register_lazy(name, EXTENSION)


def withdraw(shell: Any) -> None:
    """Take back what ``offer`` did."""
    manager = shell.magics_manager
    for name in NAMES:
        if manager.lazy_magics.pop(name, None) is None:
            continue
        for magics in manager.magics.values():  # IPython 9 puts something in the place of each, of either kind
            if type(magics.get(name)).__name__ == "LazyMagic":
                del magics[name]
