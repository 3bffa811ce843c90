from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from covalent_jupyter.codec import pickler


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Writes files of a user's folder, and imports one of them afresh: ``project({"a.py": "..."}, "a")``."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(folder)
    before = set(sys.modules)

    def write(files: dict[str, str], *names: str, reload: bool = True) -> Any:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()
        if reload:
            forget()
        found = [importlib.import_module(name) for name in names]
        return found[0] if len(found) == 1 else found

    def forget() -> None:
        pickler.module_importable.cache_clear()
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None) or str(getattr(sys.modules[name], "__path__", ""))
            if str(folder) in file:
                del sys.modules[name]

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield write
    forget()
