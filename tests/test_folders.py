"""A folder of a store is made where it is missing; the store is not."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from covalent_jupyter import blobs
from covalent_jupyter.folders import FolderGone, make_folder
from covalent_jupyter.worker.room import wait_for_room


def test_as_many_levels_are_made_as_are_asked_for_and_no_more(tmp_path: Path) -> None:
    made = tmp_path / "store" / "logs" / "dispatch"
    with pytest.raises(FolderGone) as gone:
        make_folder(made, 2)
    assert gone.value.filename == str(tmp_path / "store") and not (tmp_path / "store").exists()
    make_folder(made, 3)
    make_folder(made, 3)
    make_folder(made)
    assert made.is_dir()


def test_what_is_made_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_folder(tmp_path / "a" / "b", 2)
    finally:
        os.umask(before)
    assert all(stat.S_IMODE(folder.stat().st_mode) == 0o700 for folder in (tmp_path / "a", tmp_path / "a" / "b"))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "file" / "inside", 2)


@pytest.mark.parametrize("begun", [False, True])
def test_a_value_waits_until_the_store_is_back(tmp_path: Path, begun: bool, capfd: pytest.CaptureFixture[str]) -> None:
    store, away = tmp_path / "store", tmp_path / "away"
    store.mkdir()
    root, tries = store / "blobs", iter(range(10))

    def write() -> tuple[str, int]:
        if next(tries) == 0 and begun:
            writer = blobs.BlobWriter(root)
            writer.write(b"value")
            store.rename(away)
            return writer.commit()
        return blobs.write_blob(root, [b"value"])

    if not begun:
        store.rename(away)
    written: list[tuple[str, int]] = []
    thread = threading.Thread(target=lambda: written.append(wait_for_room(write, "a value")))
    thread.start()
    while next_line(capfd) == "":
        thread.join(0.01)
        assert thread.is_alive()
    assert not store.exists()
    away.rename(store)
    thread.join(60)
    assert written and blobs.read_blob(root, written[0][0]) == b"value"


def next_line(capfd: pytest.CaptureFixture[str]) -> str:
    text = capfd.readouterr().err
    assert text == "" or ("a value waits until" in text and "is back: the folder was moved or removed" in text)
    return text
