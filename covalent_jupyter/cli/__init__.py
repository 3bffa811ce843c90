"""``jupyter covalent ...``"""

from .app import main

__all__ = ["main"]
