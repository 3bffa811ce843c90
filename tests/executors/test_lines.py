"""Where the socket lies over which Dask workers speak to their host."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from covalent_jupyter.errors import ExecutorError
from covalent_jupyter.executors import dask_lines
from covalent_jupyter.executors.dask_lines import Lines, socket_folder


async def opened() -> str:
    lines = Lines(lambda said: None, lambda worker: None)
    await lines.open()
    await lines.open()  # once more is no more
    path = lines.path
    assert Path(path).is_socket() and Path(path).parent.stat().st_mode & 0o777 == 0o700
    lines.close()
    assert not Path(path).parent.exists()
    return path


async def test_below_the_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        assert (await opened()).startswith(folder)


async def test_elsewhere_where_that_path_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("of-a-batch-job-" * 10)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert not (await opened()).startswith(str(long))
    assert list(long.iterdir()) == []


async def test_elsewhere_where_that_folder_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "deleted"))
    await opened()


def test_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_lines, "_LONGEST", 5)
    with pytest.raises(ExecutorError, match=r"\$TMPDIR.*The environment variable TMPDIR names another folder"):
        socket_folder()
