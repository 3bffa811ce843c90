"""What users write: electrons, lattices, and the graph that comes of them."""

from __future__ import annotations

from .assemble import Built, call_again, recorded_call
from .build import build
from .deps import DepsBash, DepsCall, DepsModule, DepsPip
from .electron import Electron, completed, electron, wait
from .environment import renewed
from .failed import Failed
from .lattice import Lattice, lattice
from .refs import Ref

__all__ = [
    "Built", "DepsBash", "DepsCall", "DepsModule", "DepsPip", "Electron", "Failed", "Lattice", "Ref", "build",
    "call_again", "completed", "electron", "lattice", "recorded_call", "renewed", "wait",
]  # fmt: skip
