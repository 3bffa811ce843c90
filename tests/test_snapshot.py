"""Folders with the local modules of dispatches."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from covalent_jupyter.errors import DecodeError
from covalent_jupyter.snapshot import collect, folder_of, is_whole, materialise

SOURCE = b"value = 1\n"
MODULES = {"pkg/part.py": hashlib.sha256(SOURCE).hexdigest()}


def make(root: Path) -> Path:
    return materialise(MODULES, {MODULES["pkg/part.py"]: SOURCE}.__getitem__, str(root))


def test_a_snapshot_is_made_once(tmp_path: Path) -> None:
    folder = make(tmp_path)
    assert folder == folder_of(MODULES, str(tmp_path)) and is_whole(folder, MODULES)
    assert materialise(MODULES, {}.__getitem__, str(tmp_path)) == folder  # nothing is loaded again
    assert folder_of({"pkg/other.py": MODULES["pkg/part.py"]}, str(tmp_path)) != folder


def test_what_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    for modules, error in (({"a.py": "0" * 64}, KeyError), ({"../a.py": "0" * 64}, DecodeError)):
        with pytest.raises(error):
            materialise(modules, {}.__getitem__, str(tmp_path))
    assert list((tmp_path / "modules").iterdir()) == []


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_snapshot_is_seen(tmp_path: Path, damage: str) -> None:
    folder = make(tmp_path)
    if damage == "missing":
        (folder / "pkg/part.py").unlink()
    else:
        (folder / "pkg/part.py").write_bytes(b"")
    assert not is_whole(folder, MODULES)


def test_old_snapshots_go_but_for_those_that_are_needed(tmp_path: Path) -> None:
    assert collect(str(tmp_path), set, 10.0) == 0  # there is no folder yet
    folder = make(tmp_path)
    assert collect(str(tmp_path), set, 3600.0) == 0 and folder.is_dir()
    os.utime(folder, (1, 1))
    assert collect(str(tmp_path), lambda: {folder}, 3600.0) == 0 and folder.is_dir()
    assert collect(str(tmp_path), set, 3600.0) == 1
    assert list((tmp_path / "modules").iterdir()) == []
