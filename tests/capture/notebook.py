"""Functions as a notebook defines them: in cells, with ``__main__`` as their module."""

from __future__ import annotations

import linecache
from types import SimpleNamespace
from typing import Any


class Notebook:
    """A namespace that cells are run in, as IPython does it."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.cells = 0

    def run(self, source: str) -> Any:
        """Run a cell; the namespace as attributes."""
        self.cells += 1
        file = f"<ipython-input-{id(self)}-{self.cells}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec", dont_inherit=True), self.names)
        return SimpleNamespace(**self.names)


def cell(source: str) -> Any:
    """The names that one cell makes in a fresh notebook."""
    return Notebook().run(source)
