"""Parts of this package by name, loaded when they are first needed.

For what may not be reached at import: a lattice can draw itself, and runners, which build sublattices, must not be able to.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def part(name: str) -> ModuleType:
    """The module ``covalent_jupyter.<name>``."""
    return importlib.import_module(f".{name}", __package__)
