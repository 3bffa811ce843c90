"""A pack runs in one Dask worker, whatever the scheduler of somebody else's cluster does with its task."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from covalent_jupyter.executors.dask_packs import _OLD, _prune
from covalent_jupyter.executors.dask_worker import CLAIMS, Said, Setup, Station, decode_said

from .service import Work
from .test_contract import add


class DaskWorker:
    """As much of ``distributed.Worker`` as a station uses; keeps what it is to tell the scheduler."""

    def __init__(self) -> None:
        self.address = "tcp://127.0.0.1:1"
        self.scheduler = SimpleNamespace(address="tcp://127.0.0.1:2")
        self.state = SimpleNamespace(nthreads=1)
        self.memory_manager = SimpleNamespace(memory_limit=None)
        self.events: list[Said] = []

    def log_event(self, topic: str, msg: Any) -> None:
        self.events.append(decode_said(msg["data"]))


@pytest.mark.parametrize("shared", [True, False])
def test_the_task_of_a_dead_worker_is_not_run_by_another(
    tmp_path: Path, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVALENT_DASK_ADDRESS", "")  # a station sets it, in a process that is a worker's
    (tmp_path / "store").mkdir()
    work = Work(tmp_path / "store")
    pack = work.pack(add, (1, 2))
    spools = tmp_path / "spool"
    spools.mkdir()
    setup = Setup("host", topic="covalent-host", spool_dir=str(spools) if shared else "")
    said = []
    for _ in range(2):
        worker = DaskWorker()
        station = Station(worker, setup)
        try:
            station.run(pack)
        finally:
            station.close()
        said.append([event.kind for event in worker.events])
    assert said[0][0] == "begun" and said[0][-1] == "ended"
    assert said[1] == (["again"] if shared else said[0])  # without a folder in common the host alone can tell


def test_marks_of_old_packs_go(tmp_path: Path) -> None:
    claims = tmp_path / CLAIMS
    _prune(claims, ())  # there is none
    claims.mkdir()
    for name in ("new", "old", "old-and-here"):
        (claims / name).touch()
    for name in ("old", "old-and-here"):
        os.utime(claims / name, (time.time() - 2 * _OLD,) * 2)
    _prune(claims, {"old-and-here"})
    assert sorted(path.name for path in claims.iterdir()) == ["new", "old-and-here"]


def test_nothing_of_it_is_left_in_this_process() -> None:
    assert "COVALENT_DASK_ADDRESS" not in os.environ
