"""Why nothing of a dispatch runs, in words."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from covalent_jupyter.dispatcher import Dispatcher
from covalent_jupyter.model import Began, ExecutorState
from covalent_jupyter.store import Store

from .hosts import Hosts
from .test_dispatcher import head, settle, value


@pytest_asyncio.fixture
async def service(tmp_path: Path) -> AsyncIterator[tuple[Dispatcher, Hosts]]:
    with Store.open(tmp_path / "store") as store:
        dispatcher, hosts = Dispatcher(store), Hosts()
        dispatcher.attach(hosts)
        yield dispatcher, hosts
        await dispatcher.close()


async def submitted(dispatcher: Dispatcher, count: int = 3, **changes: Any) -> str:
    graph, small = head([[] for _ in range(count)], **changes)
    dispatch_id, _ = await dispatcher.submit(graph, small)
    await settle(dispatcher)
    return dispatch_id


def is_(dispatcher: Dispatcher, hosts: Hosts, state: str, slots: int, message: str = "") -> None:
    spec = head([[]])[0].manifest.executors[0]
    hosts.facts(dispatcher, ExecutorState("dask", spec, slots, slots, state, message))  # type: ignore[arg-type]


HOST_STATES = [
    ({}, "executor 'dask' starts: its process is not up yet"),
    ({"state": "starting", "message": ""}, "executor 'dask' starts: its process is not up yet"),
    (
        {"state": "failed", "message": "no module named\ncloudpickle"},
        "the process for executor 'dask' ended and is started again (no module named cloudpickle)",
    ),
    ({"state": "disconnected", "message": ""}, "the process for executor 'dask' does not answer; what runs there goes on"),
    ({"state": "ready", "message": ""}, "executor 'dask' starts"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "words"), HOST_STATES)
async def test_the_host_first(service: tuple[Dispatcher, Hosts], state: dict[str, str], words: str) -> None:
    dispatcher, hosts = service
    hosts.state = state
    assert dispatcher.why_waiting(await submitted(dispatcher)) == [words]


EXECUTOR_STATES = [
    ("starting", 0, "", "executor 'dask' starts"),
    ("starting", 0, "asks the scheduler", "executor 'dask' starts (asks the scheduler)"),
    ("failed", 0, "scheduler\nsilent", "executor 'dask' has no workers at present (scheduler silent)"),
    ("degraded", 0, "", "executor 'dask' has no workers at present"),
    ("ready", 2, "", "executor 'dask' has a place for it, and starts"),
]


@pytest.mark.parametrize(("state", "slots", "message", "words"), EXECUTOR_STATES)
async def test_then_the_executor(
    service: tuple[Dispatcher, Hosts], state: str, slots: int, message: str, words: str
) -> None:
    dispatcher, hosts = service
    is_(dispatcher, hosts, state, slots, message)
    assert dispatcher.why_waiting(await submitted(dispatcher)) == [words]


async def test_others_have_all_the_places(service: tuple[Dispatcher, Hosts]) -> None:
    dispatcher, hosts = service
    is_(dispatcher, hosts, "ready", 1)
    await submitted(dispatcher, 40)
    late = await submitted(dispatcher)
    assert dispatcher.why_waiting(late) == ["executor 'dask' is busy with other dispatches: 1 place, all taken"]


async def test_its_own_limit(service: tuple[Dispatcher, Hosts]) -> None:
    dispatcher, hosts = service
    is_(dispatcher, hosts, "ready", 4)
    one = await submitted(dispatcher, 3, max_running=1)
    pack = next(iter(hosts.packs.values()))
    hosts.facts(dispatcher, Began(one, pack.tasks[0].node, pack.tasks[0].attempt, 1.0))
    text = "max_running=1: the next begins when one of those under way has ended"
    assert dispatcher.why_waiting(one)[0] == text


async def test_nothing_waits(service: tuple[Dispatcher, Hosts]) -> None:
    dispatcher, hosts = service
    is_(dispatcher, hosts, "ready", 4)
    assert dispatcher.why_waiting(str(uuid.uuid4())) == []
    one = await submitted(dispatcher, 1)
    pack = next(iter(hosts.packs.values()))
    hosts.facts(dispatcher, Began(one, pack.tasks[0].node, pack.tasks[0].attempt, 1.0))
    assert dispatcher.why_waiting(one) == []
    hosts.run(dispatcher, pack, value)
    await settle(dispatcher)
    assert dispatcher.has_ended(one) and dispatcher.why_waiting(one) == []
