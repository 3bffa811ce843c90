"""Electrons that wait for dispatches of their own leave those their place: nothing stands still, and no place is given twice."""

from __future__ import annotations

import asyncio
import random
import tempfile
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covalent_jupyter.model import Began, ExecutorState, LogGrew, Pack, Status
from covalent_jupyter.packing import PER_SLOT
from covalent_jupyter.store import Store

from .test_dispatcher import value
from .test_max_running import World, many


class Nest(World):
    """A host with a number of slots, whose electrons may send dispatches and wait for them. A pack that waits frees its slot."""

    def __init__(self, store: Store, slots: int) -> None:
        super().__init__(store)
        self.hosts.facts(self.dispatcher, ExecutorState("dask", self.spec(), slots))
        self.slots = slots
        self.waits: dict[str, str] = {}  # by pack: the dispatch it waits for
        self.most = 0

    async def submit(self, count: int) -> str:
        head, small = many(count, dispatch_id=str(uuid.uuid4()))
        await self.dispatcher.submit(head, small)
        await self.calm()
        return head.manifest.dispatch_id

    def running(self) -> list[Pack]:
        """In the order in which they came, as many as there are slots, those that wait not counted."""
        found, taken = [], 0
        for pack in self.hosts.packs.values():
            if taken < self.slots or pack.pack_id in self.waits:
                found.append(pack)
                taken += pack.pack_id not in self.waits
        return found

    def wait(self, pack: Pack, dispatch_id: str) -> None:
        """Its first electron begins, and waits."""
        self.waits[pack.pack_id] = dispatch_id
        task = pack.tasks[0]
        self.hosts.facts(
            self.dispatcher,
            Began(pack.dispatch_id, task.node, task.attempt, 1.0),
            LogGrew(pack.dispatch_id, task.node, task.attempt, waits_for=dispatch_id),
        )

    def wakes(self, pack: Pack) -> bool:
        return self.dispatcher.has_ended(self.waits[pack.pack_id])

    def finish(self, pack: Pack) -> None:
        self.waits.pop(pack.pack_id, None)
        self.hosts.run(self.dispatcher, pack, value)

    def of(self, dispatch_id: str) -> list[Pack]:
        return [pack for pack in self.hosts.packs.values() if pack.dispatch_id == dispatch_id]


async def test_what_is_waited_for_has_the_place_of_who_waits_and_nobody_else(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        world = Nest(store, 1)
        outer = await world.submit(5)
        assert len(world.of(outer)) == PER_SLOT
        first = world.of(outer)[0]
        inner, other = await world.submit(3), await world.submit(3)
        assert not world.of(inner)
        world.wait(first, inner)
        await world.calm()
        while not world.dispatcher.has_ended(inner):
            assert len(world.of(inner)) == 1 and not world.of(other)  # one place was left, so one is taken
            world.finish(world.of(inner)[0])
            await world.calm()
        assert len(world.of(outer)) == PER_SLOT and not world.of(other)
        world.finish(first)
        await world.calm()
        assert len(world.hosts.packs) == PER_SLOT
        await world.dispatcher.close()


async def test_one_that_waits_no_more_leaves_nothing(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        world = Nest(store, 1)
        outer = await world.submit(5)
        first = world.of(outer)[0]
        inner = await world.submit(3)
        world.wait(first, inner)
        await world.calm()
        task = first.tasks[0]
        world.hosts.facts(world.dispatcher, LogGrew(outer, task.node, task.attempt))
        world.finish(world.of(inner)[0])
        await world.calm()
        assert not world.of(inner)
        await world.dispatcher.close()


@given(slots=st.integers(1, 3), width=st.integers(1, 5), depth=st.integers(1, 4), seed=st.integers(0, 1 << 30))
@settings(max_examples=25, deadline=None)
def test_however_deep_they_wait_all_end(
    slots: int, width: int, depth: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every electron above the lowest level sends a dispatch and waits for it, so that all places are taken by such."""

    async def run(folder: Path) -> None:
        with Store.open(folder) as store:
            world, chance = Nest(store, slots), random.Random(seed)
            levels = {await world.submit(width): depth}
            first = next(iter(levels))
            while world.hosts.packs:
                can = [p for p in world.running() if p.pack_id not in world.waits or world.wakes(p)]
                assert can, "all of them wait"
                assert len(world.hosts.packs) <= PER_SLOT * slots * (depth + 1)
                pack = chance.choice(can)
                if levels[pack.dispatch_id] and pack.pack_id not in world.waits:
                    inner = await world.submit(chance.randint(1, 3))
                    levels[inner] = levels[pack.dispatch_id] - 1
                    world.wait(pack, inner)
                else:
                    world.finish(pack)
                await world.calm()
            row = store.dispatch(first)
            assert row is not None and row.status is Status.COMPLETED
            await world.dispatcher.close()

    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as folder:
        asyncio.run(run(Path(folder) / "store"))
