"""Random numbers: every electron starts from its own seed, whatever ran before it in the process."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import random
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any


class Seeds(importlib.abc.MetaPathFinder):
    """Seeds ``random``, and NumPy and torch where they are, or become, imported."""

    def __init__(self) -> None:
        self.seed = 0
        self._busy = False

    def install(self) -> None:
        """Watch imports from now on."""
        sys.meta_path.insert(0, self)

    def plant(self, seed: int) -> None:
        """Seed everything that is imported; what is imported later gets the same seed."""
        self.seed = seed
        random.seed(seed)
        modules = sys.modules
        if "numpy.random" in modules:
            _seed_numpy(modules["numpy.random"], seed)
        if "torch" in modules:
            _seed_torch(modules["torch"], seed)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if self._busy or fullname not in ("numpy.random", "torch"):
            return None
        self._busy = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._busy = False
        if spec is not None and spec.loader is not None:
            spec.loader = _SeedingLoader(spec.loader, self)
        return spec


class _SeedingLoader(importlib.abc.Loader):
    """A module's own loader, and then its seed."""

    def __init__(self, loader: Any, seeds: Seeds) -> None:
        self._loader = loader
        self._seeds = seeds

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        (_seed_torch if module.__name__ == "torch" else _seed_numpy)(module, self._seeds.seed)


def _seed_numpy(module: Any, seed: int) -> None:
    module.seed(seed & 0xFFFFFFFF)


def _seed_torch(module: Any, seed: int) -> None:
    module.manual_seed(seed & 0x7FFFFFFFFFFFFFFF)
