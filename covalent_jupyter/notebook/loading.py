"""``%load_ext covalent_jupyter`` and ``%unload_ext covalent_jupyter``."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from .completing import HOOKED, complete
from .magics import CovalentMagics

#: where an InteractiveShell keeps what ``%unload_ext`` has to take back
_MARK = "_covalent_jupyter"


def load(shell: Any) -> None:
    """Register the magics and their completion."""
    if hasattr(shell, _MARK):
        return
    magics = CovalentMagics(shell)
    shell.register_magics(magics)
    hooks = shell.strdispatchers["complete_command"] if "complete_command" in shell.strdispatchers else None
    if hooks is None or not any(word in hooks.strs for word in HOOKED):
        for word in HOOKED:
            shell.set_hook("complete_command", complete, str_key=word)
    setattr(shell, _MARK, magics)
    _offer_covalent()


def unload(shell: Any) -> None:
    """Take everything back."""
    if not hasattr(shell, _MARK):
        return
    delattr(shell, _MARK)
    for kind, names in CovalentMagics.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    shell.magics_manager.registry.pop(CovalentMagics.__name__, None)
    hooks = shell.strdispatchers.get("complete_command")
    for word in HOOKED:
        if hooks is not None:
            hooks.strs.pop(word, None)


def _offer_covalent() -> None:
    """Say how notebooks that were written for Covalent run as they are."""
    if "covalent" not in sys.modules and importlib.util.find_spec("covalent") is None:
        print("Notebooks that say `import covalent as ct` run after covalent_jupyter.install_as_covalent().")
