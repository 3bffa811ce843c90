"""A pack runs in one Dask worker, whatever the scheduler does with its task."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from covalent_jupyter.executors.base import HostContext
from covalent_jupyter.executors.dask_packs import _OLD, DaskPacks, _prune
from covalent_jupyter.executors.dask_worker import CLAIMS, Said, Setup, Station, claim, decode_said
from covalent_jupyter.executors.ledger import Ledger
from covalent_jupyter.model import Fact

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


def test_what_was_taken_back_is_begun_by_no_worker_that_comes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVALENT_DASK_ADDRESS", "")
    (tmp_path / "store").mkdir()
    pack = Work(tmp_path / "store").pack(add, (1, 2))
    assert claim(tmp_path, pack.pack_id)  # by the host
    worker = DaskWorker()
    station = Station(worker, Setup("host", topic="covalent-host", spool_dir=str(tmp_path)))
    try:
        assert station.run(pack) == b""
    finally:
        station.close()
    assert [event.kind for event in worker.events] == ["again"]


class Client:
    """As much of a cluster and its client as :class:`DaskPacks` uses. ``answers`` are given one after the other."""

    shared, local, connected, silent = True, True, True, frozenset[str]()

    def __init__(self, *answers: Callable[[], bool]) -> None:
        self.client = self
        self.answers = list(answers)
        self.asked: list[str] = []
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def only(self) -> None:
        return None

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        return SimpleNamespace(cancel=self.cancel)

    async def cancel(self) -> None:
        self.future.cancel()

    async def ask(self, function: Any, setup: bytes, op: str, *args: Any) -> dict[str, bool]:
        self.asked.append(op)
        return {"worker": self.answers.pop(0)()}


class Packs:
    """The packs of a host, one of which is with ``client``, and the facts that were told of it."""

    def __init__(self, store_dir: Path, client: Client) -> None:
        self.facts: list[Fact] = []
        context = HostContext(store_dir, "host", "host.1", Ledger())
        context.spool_dir.mkdir(parents=True)
        self.spools = context.spool_dir
        self.pack = Work(store_dir).pack(add, (1, 2))
        context.ledger.open(self.pack)
        self.all = DaskPacks(
            lambda facts: self.facts.extend(context.ledger.note(facts)),
            context,
            lambda follow: follow.close(),
            lambda: None,
        )
        self.all.opened(cast(Any, client), b"setup")
        self.all.submit(self.pack)

    def kinds(self) -> list[str]:
        return [type(fact).__name__ for fact in self.facts]


async def test_a_pack_that_nobody_has_begun_is_taken_back_for_good(tmp_path: Path) -> None:
    client = Client(lambda: True)
    packs = Packs(tmp_path, client)
    await packs.all.take_back(packs.pack.pack_id, "revoke")
    assert packs.kinds() == ["Returned", "PackEnded"] and client.future.cancelled()
    assert not claim(packs.spools, packs.pack.pack_id), "a worker that comes now finds it taken"


@pytest.mark.parametrize("op", ["revoke", "cancel"])
async def test_a_worker_that_comes_while_a_pack_is_taken_back_keeps_it_if_it_is_quicker(
    tmp_path: Path, op: str
) -> None:
    def has_begun() -> bool:
        packs.all.said(Said("new", packs.pack.pack_id, "begun", text="tcp://new"))
        return False

    def begins_elsewhere() -> bool:
        return claim(packs.spools, packs.pack.pack_id)  # what answers here is another worker, which knows nothing of it

    client = Client(begins_elsewhere, has_begun)
    packs = Packs(tmp_path, client)
    await packs.all.take_back(packs.pack.pack_id, op, *([[("d", 0, 1)], 0.0] if op == "cancel" else []))
    assert client.asked == [op, op], "the one that has begun it is asked, too"
    assert packs.kinds() == [] and not client.future.cancelled()


def test_marks_of_old_packs_go(tmp_path: Path) -> None:
    claims = tmp_path / CLAIMS
    _prune(claims, (), _OLD)  # there is none
    claims.mkdir()
    for name in ("new", "old", "old-and-here"):
        (claims / name).touch()
    for name in ("old", "old-and-here"):
        os.utime(claims / name, (time.time() - 2 * _OLD,) * 2)
    _prune(claims, {"old-and-here"}, _OLD)
    assert sorted(path.name for path in claims.iterdir()) == ["new", "old-and-here"]


def test_nothing_of_it_is_left_in_this_process() -> None:
    assert "COVALENT_DASK_ADDRESS" not in os.environ
