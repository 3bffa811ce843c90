"""A crash point fires once, whoever passes it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from covalent_jupyter import crashpoint


def test_of_threads_that_pass_at_once_one_fires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deaths: list[float] = []
    monkeypatch.setattr(crashpoint, "_die", deaths.append)
    point = crashpoint.watching(tmp_path)
    start = threading.Barrier(4)

    def pass_by(_: int) -> None:
        start.wait(10)
        point("here")

    with ThreadPoolExecutor(4) as threads:
        for _ in range(200):
            for left in tmp_path.iterdir():
                left.unlink()
            deaths.clear()
            (tmp_path / "armed").write_text("here 1 0.0")
            list(threads.map(pass_by, range(4)))
            assert (tmp_path / "fired").read_text().split()[0] == "here"
            assert deaths == [0.0]
