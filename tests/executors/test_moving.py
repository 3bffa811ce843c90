"""Packs that Dask has bound to a busy worker while another one is idle."""

from __future__ import annotations

from pathlib import Path

import pytest

from covalent_jupyter.model import ExecutorSpec, Returned

from .service import Service, Work
from .test_contract import add
from .test_scale import Held


async def test_what_waits_behind_a_long_electron_goes_to_an_idle_worker(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION", "inf")  # every task is bound when it comes
    work = Work(service.store_dir, ExecutorSpec("dask", {"n_workers": 2, "threads_per_worker": 1}))
    await service.host()
    first = work.pack(add, (1, 2))
    service.run(first)
    await service.done(first)
    held = Held(service, work, tmp_path / "go")
    held.send(1)
    await service.listener.until(lambda: held.running() == 1)
    waiting = [work.pack(add, (1, 2)) for _ in range(6)]
    service.run(*waiting)
    done = 0
    while waiting:  # as the service does: what was given back is sent again
        outcomes = await service.done(*waiting)
        done += sum(outcome.status == "completed" for outcome in outcomes.values())
        ids = {pack.pack_id for pack in waiting}
        back = [fact for fact in service.listener.facts if isinstance(fact, Returned) and fact.pack_id in ids]
        waiting = [work.pack(add, (1, 2)) for _ in back]
        service.run(*waiting)
    assert done == 6
    assert not service.listener.ended(held.packs[0]), "the long one goes on meanwhile"
    assert await held.let_go() == ["completed"]
