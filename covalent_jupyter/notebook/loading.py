"""``%load_ext covalent_jupyter`` and ``%unload_ext covalent_jupyter``."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from .. import magic_names
from ..magic_names import EXTENSION
from .completing import completer_for
from .magics import CovalentMagics

#: where an InteractiveShell keeps what ``%unload_ext`` has to take back
_MARK = "_covalent_jupyter"


def load(shell: Any) -> None:
    """Register the magics and their completion."""
    if hasattr(shell, _MARK):
        return
    magic_names.withdraw(shell)
    shell.register_magics(CovalentMagics(shell))
    matcher = completer_for(shell)
    shell.Completer.custom_matchers.append(matcher)
    setattr(shell, _MARK, matcher)
    _offer_covalent(shell)


def unload(shell: Any) -> None:
    """Take everything back."""
    if not hasattr(shell, _MARK):
        return
    shell.Completer.custom_matchers.remove(getattr(shell, _MARK))
    delattr(shell, _MARK)
    for kind, names in CovalentMagics.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    shell.magics_manager.registry.pop(CovalentMagics.__name__, None)


def _offer_covalent(shell: Any) -> None:
    """Say how notebooks that were written for Covalent run as they are; not to one that has imported this package by its
    own name, whose first magic or Tab loads the others."""
    package = sys.modules[EXTENSION]
    if any(value is package for value in list(shell.user_ns.values())):
        return
    if "covalent" not in sys.modules and importlib.util.find_spec("covalent") is None:
        print("Notebooks that say `import covalent as ct` run after covalent_jupyter.install_as_covalent().")
