"""What every executor keeps to: one suite, run over all of them, each in a real host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from covalent_jupyter.model import CancelAttempts, ExecutorSpec, ExecutorState, Lit, Options, Ref, Release, Revoke, Task

from .conftest import Cluster
from .own import Patient, Waiting
from .service import Service, Work

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = ("local", "dask", "dask address", "own", "own async")
IN_RUNNERS = ("local", "dask", "dask address")


def add(a: int, b: int) -> int:
    print("adding", a, b)
    return a + b


def fail(text: str) -> None:
    raise ValueError(text)


def big(size: int) -> bytes:
    return b"x" * size


def wait_for(path: str, seconds: float = 90.0) -> str:
    import pathlib
    import time as clock

    pathlib.Path(path + ".began").touch()
    end = clock.monotonic() + seconds
    while clock.monotonic() < end:
        if pathlib.Path(path).exists():
            return "seen"
        clock.sleep(0.01)
    return "too late"


def vanish() -> None:
    import os

    os.kill(os.getpid(), 9)


class Rig:
    def __init__(self, kind: str, service: Service, work: Work) -> None:
        self.kind, self.service, self.work = kind, service, work
        self.listener = service.listener

    async def begun(self, path: Path) -> None:
        await self.listener.until(Path(f"{path}.began").exists)


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=KINDS)
async def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """One host with one executor for all tests of its kind."""
    kind = request.param
    folder = tmp_path_factory.mktemp("contract")
    service = await Service(folder).start()
    work, cluster = Work(folder), Cluster(folder)
    if kind == "own":
        work.spec = Patient().to_spec(work.put)
    elif kind == "own async":
        work.spec = Waiting().to_spec(work.put)
    elif kind == "dask address":
        work.spec = ExecutorSpec("dask", {"address": cluster.start()})
    else:
        work.spec = ExecutorSpec(kind)
    await service.host(plugin=work.spec if work.spec.instance else None)
    yield Rig(kind, service, work)
    await service.stop()
    cluster.close()


@pytest.fixture
def rig(running: Rig) -> Rig:
    """A dispatch of its own for each test."""
    work = Work(running.service.store_dir, running.work.spec)
    work.values.update(running.work.values)
    return Rig(running.kind, running.service, work)


def without(*kinds: str) -> Any:
    """Runs a test for the other kinds only."""
    return pytest.mark.parametrize("running", [k for k in KINDS if k not in kinds], indirect=True, scope="module")


async def test_values_and_output_come_back(rig: Rig) -> None:
    pack = rig.work.pack(add, (1, 2), (3, 4), budget=5.0)
    rig.service.run(pack)
    outcomes = await rig.service.done(pack)
    assert [rig.work.value(outcomes[n]) for n in (0, 1)] == [3, 7]
    assert [o.status for o in outcomes.values()] == ["completed"] * 2
    if rig.kind != "own":  # what its processes print is their own business
        assert outcomes[0].stdout.text == "adding 1 2\n"
    assert outcomes[0].started <= outcomes[0].finished
    assert outcomes[0].worker


async def test_an_exception_is_an_outcome(rig: Rig) -> None:
    pack = rig.work.pack(fail, ("no",), budget=5.0)
    after = rig.work.pack(add, (1, 1))
    rig.service.run(pack, after)
    outcomes = await rig.service.done(pack, after)
    error = outcomes[0].error
    assert outcomes[0].status == "failed" and error is not None
    assert (error.type, error.message, error.cause) == ("ValueError", "no", "raised")
    assert outcomes[1].status == "completed"


async def test_large_values_become_files(rig: Rig) -> None:
    pack = rig.work.pack(big, (100_000,))
    rig.service.run(pack)
    output = (await rig.service.done(pack))[0].output
    assert output is not None and output.data is None
    assert len(rig.work.value((await rig.service.done(pack))[0])) == 100_000


async def test_members_of_a_pack_use_each_other(rig: Rig) -> None:
    pack = rig.work.pack(add, (1, 2), budget=5.0)
    first = pack.tasks[0]
    pack.tasks.append(Task(1, 1, "add", "electron", first.function, [Ref(0), Lit(10)], {}, 0, 1))
    rig.service.run(pack)
    assert rig.work.value((await rig.service.done(pack))[1]) == 13


async def test_what_overruns_the_budget_sends_the_rest_back(rig: Rig, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    pack = rig.work.pack(wait_for, (str(flag),), (str(flag),), (str(flag),))
    rig.service.run(pack)
    await rig.listener.until(lambda: rig.listener.returned(pack) == {1, 2})
    assert not rig.listener.ended(pack)
    flag.touch()
    outcomes = await rig.service.done(pack)
    assert {n: rig.work.value(o) for n, o in outcomes.items()} == {0: "seen"}


@without("own async")  # its function runs in the host itself: see test_plugin
async def test_cancel_stops_what_runs(rig: Rig, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    pack = rig.work.pack(wait_for, (str(flag),))
    rig.service.run(pack)
    await rig.begun(flag)
    rig.service.hosts.send(rig.service.host_id, CancelAttempts([(pack.dispatch_id, 0, 1)], 0.5))
    outcomes = await rig.service.done(pack, timeout=60.0)
    assert outcomes[0].status == "cancelled"


async def test_cancel_reaches_what_has_not_begun(rig: Rig, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    busy = [rig.work.pack(wait_for, (f"{flag}{n}",)) for n in range(8)]
    late = rig.work.pack(add, (1, 1), (2, 2), budget=5.0)
    rig.service.run(*busy, late)
    node = late.tasks[1].node
    rig.service.hosts.send(rig.service.host_id, CancelAttempts([(late.dispatch_id, node, 1)]))
    outcome = await rig.listener.until(lambda: rig.listener.outcomes(late).get(node))
    assert outcome.status in ("cancelled", "completed")
    if rig.kind in IN_RUNNERS:
        assert outcome.status == "cancelled"
        assert rig.listener.returned(late) == {late.tasks[0].node}
    for n in range(8):
        Path(f"{flag}{n}").touch()
    await rig.service.done(*busy, late)


async def test_revoke_gives_back_what_waits(rig: Rig, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    busy = [rig.work.pack(wait_for, (f"{flag}{n}",)) for n in range(8)]
    late = rig.work.pack(wait_for, (str(flag),), (str(flag),), budget=30.0)
    rig.service.run(*busy, late)
    rig.service.hosts.send(rig.service.host_id, Revoke(late.pack_id))
    await rig.listener.until(lambda: rig.listener.returned(late))
    for n in range(8):
        Path(f"{flag}{n}").touch()
    flag.touch()
    outcomes = await rig.service.done(*busy, late)
    nodes = {t.node for t in late.tasks}
    assert nodes == rig.listener.returned(late) | (nodes & outcomes.keys())
    assert not rig.listener.returned(late) & outcomes.keys()


async def test_an_unknown_attempt_is_answered(rig: Rig) -> None:
    rig.service.hosts.send(rig.service.host_id, CancelAttempts([("no such dispatch", 10_000, 1)]))
    outcome = await rig.listener.until(lambda: rig.listener.outcomes().get(10_000))
    assert outcome.status == "cancelled"


@without("own async")  # its function runs in the host itself: see test_plugin
async def test_a_crash_harms_nobody_else(rig: Rig, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    other = rig.work.pack(wait_for, (str(flag),))
    rig.service.run(other)
    await rig.begun(flag)
    pack = rig.work.pack(vanish)
    rig.service.run(pack)
    outcome = (await rig.service.done(pack))[1]
    assert outcome.status == "failed" and outcome.error is not None
    if rig.kind in IN_RUNNERS:
        assert (outcome.error.cause, outcome.error.signal) == ("crashed", "SIGKILL")
    flag.touch()
    assert rig.work.value((await rig.service.done(other))[0]) == "seen"


async def test_release_and_state(rig: Rig) -> None:
    pack = rig.work.pack(add, (1, 2))
    rig.service.run(pack)
    await rig.service.done(pack)
    rig.service.hosts.send(rig.service.host_id, Release(pack.root_id))

    def state() -> ExecutorState:
        return [f for f in rig.listener.facts if isinstance(f, ExecutorState)][-1]

    await rig.listener.until(lambda: state().state == "ready")  # not at once, where one worker of several is late
    assert state().slots > 0
    again = rig.work.pack(add, (5, 6))
    rig.service.run(again)
    assert rig.work.value((await rig.service.done(again))[1]) == 11


@without("own async")  # its function runs in the host itself: see test_plugin
async def test_one_with_a_timeout_is_stopped(rig: Rig, tmp_path: Path) -> None:
    pack = rig.work.pack(wait_for, (str(tmp_path / "flag"),), options=Options(timeout=0.3))
    rig.service.run(pack)
    outcome = (await rig.service.done(pack, timeout=60.0))[0]  # it waits for 90 s
    assert outcome.status == "failed" and outcome.error is not None
    if rig.kind in IN_RUNNERS:
        assert outcome.error.cause == "timeout"


async def test_many_packs_from_one_tick(rig: Rig) -> None:
    packs = [rig.work.pack(add, (n, 1), (n, 2), budget=5.0) for n in range(20)]
    rig.service.run(*packs)
    outcomes = await rig.service.done(*packs)
    returned = set().union(*map(rig.listener.returned, packs))
    assert len(outcomes) + len(returned) == 40
