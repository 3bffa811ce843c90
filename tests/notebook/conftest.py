"""A real IPython shell, and a real service with the local executor."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from ..client.world import world
from .frontend import FrontEnd
from .kernels import Kernel

#: what panels are shown of
CELL = """
import time
import covalent_jupyter as ct

@ct.electron
def wait_for(path, n):
    import os, time
    while not os.path.exists(path):
        time.sleep(0.05)
    print("over", n)
    return n

@ct.lattice
def waiting(path, n):
    return [wait_for(path, i) for i in range(n)]
"""


@pytest.fixture(scope="package", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with world(tmp_path_factory.mktemp("notebook")) as folder:
        yield folder


class Shell:
    """A person at an IPython prompt."""

    def __init__(self, shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self.ipython = shell
        self.capsys = capsys

    def run(self, cell: str) -> Any:
        """Run a cell that must not fail; its value."""
        done = self.ipython.run_cell(cell, store_history=True)
        error = done.error_before_exec or done.error_in_exec
        assert error is None, error
        return done.result

    def fails(self, cell: str) -> tuple[Any, str]:
        """Run a cell that must fail; its exception, and what was shown."""
        self.capsys.readouterr()
        done = self.ipython.run_cell(cell, store_history=True)
        error = done.error_before_exec or done.error_in_exec
        assert error is not None
        shown = self.capsys.readouterr()
        return error, shown.out + shown.err

    def said(self) -> str:
        """What was printed since the last time."""
        found = self.capsys.readouterr()
        return found.out + found.err

    def __getitem__(self, name: str) -> Any:
        return self.ipython.user_ns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.ipython.user_ns


@pytest.fixture
def bare_shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A fresh shell without the extension. (``IPython.testing.globalipapp`` gives None.)"""
    main, excepthook, displayhook = sys.modules["__main__"], sys.excepthook, sys.displayhook
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("colors", "nocolor")
    shell.history_manager.enabled = False
    try:
        yield Shell(shell, capsys)
    finally:
        shell.run_line_magic("unload_ext", "covalent_jupyter")
        InteractiveShell.clear_instance()
        sys.modules["__main__"], sys.excepthook, sys.displayhook = main, excepthook, displayhook


@pytest.fixture
def shell(bare_shell: Shell) -> Shell:
    bare_shell.run("%load_ext covalent_jupyter")
    bare_shell.run("import covalent_jupyter as ct")
    bare_shell.said()
    return bare_shell


@pytest.fixture(scope="module")
def kernel(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    found = Kernel(str(tmp_path_factory.mktemp("notebook")))
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def front(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FrontEnd]:
    """A kernel with a browser, which no Jupyter server has started."""
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    found = FrontEnd(str(tmp_path))
    try:
        found.run(CELL)
        yield found
    finally:
        found.close()
