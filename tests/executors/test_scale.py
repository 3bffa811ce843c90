"""More and fewer slots while an executor runs."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from covalent_jupyter.executors.base import SLOTS_PER_CPU, cpu_slots
from covalent_jupyter.executors.dask_cluster import share_slots
from covalent_jupyter.model import Began, ExecutorSpec, ExecutorState, Pack, Scale

from .conftest import Cluster
from .own import Waiting
from .service import Service, Work
from .test_contract import add, wait_for


async def scaled(service: Service, spec: ExecutorSpec, n: int) -> dict[str, Any]:
    """What the executor answers."""
    request = uuid.uuid4().hex
    assert service.hosts.send(service.host_id, Scale(request, spec, n))

    def answer() -> dict[str, Any] | None:
        states = [f.info.get("scaled") or {} for f in service.listener.facts if isinstance(f, ExecutorState)]
        return next((s for s in states if s.get("request") == request), None)

    return dict(await service.listener.until(answer))


async def until_slots(service: Service, n: int) -> ExecutorState:
    def there() -> ExecutorState | None:
        states = [f for f in service.listener.facts if isinstance(f, ExecutorState)]
        return states[-1] if states and states[-1].slots == n else None

    found: ExecutorState = await service.listener.until(there)
    return found


class Held:
    """Electrons that run until they are let go, each in a pack of its own."""

    def __init__(self, service: Service, work: Work, path: Path) -> None:
        self.service, self.work, self.path = service, work, path
        self.packs: list[Pack] = []

    def send(self, count: int) -> None:
        packs = [self.work.pack(wait_for, (str(self.path),)) for _ in range(count)]
        self.packs += packs
        self.service.run(*packs)

    def running(self) -> int:
        return len({f.node for f in self.service.listener.facts if isinstance(f, Began)}) - len(
            [p for p in self.packs if self.service.listener.ended(p)]
        )

    async def let_go(self) -> list[str]:
        self.path.touch()
        return [o.status for o in (await self.service.done(*self.packs)).values()]


@pytest.mark.parametrize("name", ["local", "dask"])
async def test_more_slots_and_fewer_while_electrons_run(service: Service, tmp_path: Path, name: str) -> None:
    options = {"max_workers": 1} if name == "local" else {"threads_per_worker": 1}
    work = Work(service.store_dir, ExecutorSpec(name, options))
    await service.host()
    held = Held(service, work, tmp_path / "go")
    held.send(1)
    await service.listener.until(lambda: held.running() == 1)
    answer = await scaled(service, work.spec, 3)
    assert (answer["slots"], answer["problem"]) == (3, "")
    await until_slots(service, 3)
    held.send(2)
    await service.listener.until(lambda: held.running() == 3)
    assert (await scaled(service, work.spec, 2))["problem"] == ""
    await until_slots(service, 2)
    assert held.running() == 3, "what runs goes on"
    assert await held.let_go() == ["completed"] * 3
    many = await scaled(service, work.spec, SLOTS_PER_CPU * cpu_slots() + 1)
    assert "are too many for this machine" in many["problem"]
    pack = work.pack(add, (1, 2))
    service.run(pack)
    assert work.value((await service.done(pack))[pack.tasks[0].node]) == 3


async def test_one_worker_of_two_threads_becomes_one_slot(service: Service, tmp_path: Path) -> None:
    work = Work(service.store_dir, ExecutorSpec("dask", {"threads_per_worker": 2}))
    await service.host()
    first = work.pack(add, (1, 2))
    service.run(first)
    await service.done(first)
    await scaled(service, work.spec, 1)
    state = await until_slots(service, 1)
    assert state.workers == 1
    held = Held(service, work, tmp_path / "go")
    held.send(2)
    await service.listener.until(lambda: held.running() >= 1)
    assert held.running() == 1
    assert await held.let_go() == ["completed"] * 2


async def test_a_cluster_of_a_class_is_asked_for_workers(service: Service) -> None:
    options = {"cluster_class": "tests.executors.clusters.Counted", "cluster_kwargs": {"threads_per_worker": 2}}
    work = Work(service.store_dir, ExecutorSpec("dask", {**options, "n_workers": 1}))
    await service.host()
    pack = work.pack(add, (1, 2))
    service.run(pack)
    assert work.value((await service.done(pack))[0]) == 3
    answer = await scaled(service, work.spec, 3)
    assert (answer["workers"], answer["problem"]) == (2, "")
    state = await until_slots(service, 4)
    assert state.workers == 2
    await scaled(service, work.spec, 2)
    await until_slots(service, 2)


async def test_what_cannot_be_scaled_says_why(service: Service, cluster: Cluster) -> None:
    work = Work(service.store_dir, ExecutorSpec("dask", {"address": cluster.start()}))
    await service.host()
    assert "is not up" in (await scaled(service, work.spec, 2))["problem"]
    pack = work.pack(add, (1, 2))
    service.run(pack)
    await service.done(pack)
    assert "is not ours: scale it where it was started" in (await scaled(service, work.spec, 2))["problem"]


async def test_executors_of_users_own_are_left_alone(service: Service) -> None:
    work = Work(service.store_dir)
    work.spec = Waiting().to_spec(work.put)
    await service.host(plugin=work.spec)
    assert "no slots that could be changed" in (await scaled(service, work.spec, 2))["problem"]


def test_slots_are_shared_among_workers() -> None:
    assert share_slots(5, {"a": 4, "b": 4}) == {"a": 4, "b": 1}
    assert share_slots(2, {"a": 2, "b": 1}) == {"a": 1, "b": 1}
    assert share_slots(1, {"a": 2, "b": 2}) == {"a": 1, "b": 1}
    assert share_slots(9, {"a": 2, "b": 2}) == {"a": 2, "b": 2}
