"""``max_running``: no more nodes under way than that, whatever happens in which order, and all of them in the end."""

from __future__ import annotations

import asyncio
import random
import tempfile
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covalent_jupyter.dispatcher import Dispatcher
from covalent_jupyter.errors import InvalidRequest
from covalent_jupyter.model import ExecutorState, Options, Outcome, Pack, Status, Task, wire
from covalent_jupyter.store import Store

from .hosts import Hosts
from .test_dispatcher import head, settle, value

SLOTS = 6


def many(count: int, **changes: Any) -> tuple[wire.Head, dict[str, bytes]]:
    return head([[] for _ in range(count)], **changes)


def sublattice(task: Task, pack: Pack) -> Outcome:
    """The outcome of a built sublattice of one node."""
    inner, small = head([[]], environment=None)
    return Outcome(
        pack.dispatch_id, task.node, task.attempt, "completed", 1.0, 1.0, 1e-4,
        child=wire.pack_body(inner.manifest, list(small.items()), {}),
    )  # fmt: skip


class World:
    """A dispatcher that can be started anew, and what is under way in it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.dispatcher, self.hosts = Dispatcher(store), Hosts()
        self.dispatcher.attach(self.hosts)
        self.ready()

    def ready(self) -> None:
        self.hosts.facts(self.dispatcher, ExecutorState("dask", self.spec(), SLOTS))

    def spec(self) -> Any:
        return head([[]])[0].manifest.executors[0]

    async def restart(self, lost: bool) -> None:
        """As after a death of the service: the host goes on with what it holds, and says its last words again. With
        ``lost`` it did not get what was sent because of them."""
        await self.dispatcher.close()
        if lost:
            self.hosts.lose()
        self.dispatcher = Dispatcher(self.store)
        self.dispatcher.attach(self.hosts)
        await self.dispatcher.recover()
        self.hosts.come_back(self.dispatcher)
        self.ready()

    async def calm(self) -> None:
        await settle(self.dispatcher)

    def under_way(self, ids: set[str]) -> int:
        runs = [run for i, run in self.dispatcher.runs.items() if i in ids]
        return sum(run.counts[Status.DISPATCHING] + run.counts[Status.RUNNING] for run in runs)


async def play(world: World, ids: set[str], limit: int, seed: int, restarts: bool) -> None:
    """Ends packs in any order; some are given back, some electrons fail once, some are sublattices."""
    chance = random.Random(seed)
    failed: set[tuple[str, int]] = set()

    def outcome(task: Task, pack: Pack) -> Any:
        luck = chance.random()
        if pack.dispatch_id in ids and luck < 0.3:
            return sublattice(task, pack)
        if luck < 0.45 and (pack.dispatch_id, task.node) not in failed:
            failed.add((pack.dispatch_id, task.node))
            return Outcome(pack.dispatch_id, task.node, task.attempt, "failed", 1.0, 1.0, 1e-4)
        return value(task, pack)

    await world.calm()
    while world.hosts.packs:
        assert world.under_way(ids) <= limit
        pack = chance.choice(list(world.hosts.packs.values()))
        if chance.random() < 0.1:
            world.hosts.give_back(world.dispatcher, pack)
        else:
            world.hosts.run(world.dispatcher, pack, outcome)
        await world.calm()
        if restarts and chance.random() < 0.15:
            await world.restart(lost=chance.random() < 0.5)
            await world.calm()


@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    limit=st.integers(1, 8),
    seed=st.integers(0, 1 << 30),
    restarts=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_never_more_than_the_limit_and_all_in_the_end(
    counts: list[int], limit: int, seed: int, restarts: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One group of one to three dispatches, added while others run."""

    async def run(folder: Path) -> None:
        with Store.open(folder) as store:
            world = World(store)
            ids: set[str] = set()
            group = str(uuid.uuid4())
            for count in counts:
                submitted, small = many(
                    count, max_running=limit, group=group, dispatch_id=str(uuid.uuid4()), options=[Options(retries=5)]
                )
                ids.add(submitted.manifest.dispatch_id)
                await world.dispatcher.submit(submitted, small)
                await world.calm()
                assert world.under_way(ids) <= limit
            await play(world, ids, limit, seed, restarts)
            for dispatch_id in ids:
                row = store.dispatch(dispatch_id)
                assert row is not None and row.status is Status.COMPLETED and row.counts.completed == row.counts.total
            await world.dispatcher.close()

    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as folder:
        asyncio.run(run(Path(folder) / "store"))


async def test_free_places_up_to_the_limit_are_used(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        world = World(store)
        submitted, small = many(20, max_running=4)
        await world.dispatcher.submit(submitted, small)
        await world.calm()
        assert world.under_way({submitted.manifest.dispatch_id}) == 4
        await world.dispatcher.close()


async def test_a_sublattice_counts_until_its_end(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        world = World(store)
        submitted, small = many(3, max_running=1)
        await world.dispatcher.submit(submitted, small)
        await world.calm()
        (pack,) = world.hosts.packs.values()
        world.hosts.run(world.dispatcher, pack, sublattice)
        await world.calm()
        (inner,) = world.hosts.packs.values()
        assert inner.dispatch_id != submitted.manifest.dispatch_id, "the next point waits for the inner electron"
        world.hosts.run(world.dispatcher, inner, value)
        await world.calm()
        (following,) = world.hosts.packs.values()
        assert (following.dispatch_id, following.tasks[0].node) == (submitted.manifest.dispatch_id, 1)
        await world.dispatcher.close()


async def test_others_are_not_held_up(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        world = World(store)
        limited, small = many(5, max_running=1)
        free, _ = many(5)
        await world.dispatcher.submit(limited, small)
        await world.dispatcher.submit(free, small)
        await world.calm()
        assert world.under_way({limited.manifest.dispatch_id}) == 1
        assert world.under_way({free.manifest.dispatch_id}) == 5
        await world.dispatcher.close()


@pytest.mark.parametrize(
    ("change", "complaint"), [({"max_running": 0}, "max_running is at least 1"), ({"group": "../x"}, "group must be")]
)
async def test_unsound_limits_are_refused(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        world = World(store)
        with pytest.raises(InvalidRequest, match=complaint):
            await world.dispatcher.submit(*many(2, **change))
        await world.dispatcher.close()
