"""Electrons on users' own executors share a process: whichever ends it is found, and the others run."""

from __future__ import annotations

import time

import pytest

from covalent_jupyter.dispatcher import Dispatcher
from covalent_jupyter.model import Began, ExecutorSpec, Options, Pack, Status
from covalent_jupyter.store import Store

from .hosts import Hosts
from .test_dispatcher import FUNCTION, head, settle, value

Service = tuple[Dispatcher, Hosts]


async def submit(store: Store, count: int, **options: int) -> tuple[Service, str]:
    """So many independent electrons on an executor of the user's own."""
    dispatcher, hosts = Dispatcher(store), Hosts()
    dispatcher.attach(hosts)
    submitted, small = head(
        [[]] * count, options=Options(**options), executors=[ExecutorSpec("own", instance=FUNCTION)]
    )
    await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    return (dispatcher, hosts), submitted.manifest.dispatch_id


def begin(service: Service) -> list[int]:
    """Everything that the host was given begins there; the nodes."""
    dispatcher, hosts = service
    tasks = [(p, t) for p in hosts.packs.values() for t in p.tasks]
    hosts.facts(dispatcher, *[Began(p.dispatch_id, t.node, t.attempt, time.time()) for p, t in tasks])
    return sorted(t.node for _, t in tasks)


async def die(service: Service, dispatch_id: str, status: int | None) -> None:
    """The host's process ends, and another one comes."""
    dispatcher, hosts = service
    hosts.packs.clear()
    dispatcher.host_lost(f"plugin-{dispatch_id}", "i", "it is gone", status)
    hosts.hello(dispatcher, host_id=f"plugin-{dispatch_id}")
    await settle(dispatcher)


async def complete(service: Service) -> Pack:
    dispatcher, hosts = service
    pack = next(iter(hosts.packs.values()))
    hosts.run(dispatcher, pack, value)
    await settle(dispatcher)
    return pack


async def test_what_died_together_runs_one_by_one_and_the_killer_is_named(store: Store) -> None:
    service, dispatch_id = await submit(store, 3)
    assert begin(service) == [0, 1, 2]
    await die(service, dispatch_id, -9)
    assert begin(service) == [0]  # alone
    await die(service, dispatch_id, -11)
    assert begin(service) == [1]
    await complete(service)
    assert begin(service) == [2]
    await complete(service)
    rows = store.electrons(dispatch_id)[0]
    assert [row.status for row in rows] == [Status.FAILED, Status.COMPLETED, Status.COMPLETED]
    error = rows[0].error
    assert error is not None and (error.type, error.cause, error.signal) == ("ElectronCrashed", "crashed", "SIGSEGV")
    assert "n0 (node 0) ended the process of its executor" in error.message and [row.attempt for row in rows] == [
        2,
        2,
        2,
    ]
    await service[0].close()


async def test_its_retries_are_its_own(store: Store) -> None:
    service, dispatch_id = await submit(store, 1, retries=1)
    for _ in range(3):  # cut off, then failed, then failed again
        assert begin(service) == [0]
        await die(service, dispatch_id, 7)
    (row,) = store.electrons(dispatch_id)[0]
    assert row.status is Status.FAILED and row.error is not None and row.error.exitcode == 7
    await service[0].close()


@pytest.mark.parametrize("status", [0, None])
async def test_an_orderly_end_or_one_that_nobody_saw_blames_nobody(store: Store, status: int | None) -> None:
    service, dispatch_id = await submit(store, 1)
    for _ in range(3):
        assert begin(service) == [0]
        await die(service, dispatch_id, status)
    assert begin(service) == [0]
    await complete(service)
    assert store.electrons(dispatch_id)[0][0].status is Status.COMPLETED
    await service[0].close()


async def test_a_service_that_starts_again_still_suspects(store: Store) -> None:
    service, dispatch_id = await submit(store, 2)
    begin(service)
    await die(service, dispatch_id, -9)
    await service[0].close()
    dispatcher, hosts = Dispatcher(store), Hosts()
    dispatcher.attach(hosts)
    await dispatcher.recover()
    await die((dispatcher, hosts), dispatch_id, None)  # with what the service before had sent it
    (first,) = begin((dispatcher, hosts))
    await complete((dispatcher, hosts))
    assert begin((dispatcher, hosts)) == [1 - first]
    await complete((dispatcher, hosts))
    row = store.dispatch(dispatch_id)
    assert row is not None and row.status is Status.COMPLETED
    await dispatcher.close()
