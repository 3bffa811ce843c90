"""Timeouts of sublattices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from covalent_jupyter.dispatcher import Dispatcher
from covalent_jupyter.model import DispatchRow, ElectronRow, Options, Outcome, Status, wire
from covalent_jupyter.store import Store

from .hosts import Hosts
from .test_dispatcher import check_log, head, play, settle


def start(store: Store, clock: Callable[[], float] = time.time) -> tuple[Dispatcher, Hosts]:
    dispatcher, hosts = Dispatcher(store, clock=clock), Hosts()
    dispatcher.attach(hosts)
    return dispatcher, hosts


async def build(dispatcher: Dispatcher, hosts: Hosts, dispatch_id: str, attempt: int = 1) -> None:
    """The sublattice's graph of two electrons comes from its runner."""
    inner, small = head([[], [0]], environment=None)
    body = wire.pack_body(inner.manifest, small.items())
    now = time.time()
    pack = next(p for p in hosts.packs.values() if p.dispatch_id == dispatch_id)
    hosts.run(dispatcher, pack, lambda t, p: Outcome(dispatch_id, t.node, attempt, "completed", now, now, child=body))
    await settle(dispatcher)


async def begin(store: Store, timeout: float, retries: int = 0) -> tuple[Dispatcher, Hosts, str]:
    dispatcher, hosts = start(store)
    submitted, small = head([[], [0]], options=[Options(timeout=timeout, retries=retries)])
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    await build(dispatcher, hosts, dispatch_id)
    return dispatcher, hosts, dispatch_id


async def until(condition: Callable[[], object]) -> None:
    """Time must pass; on a busy machine it may be over before the host has got anything of the sublattice."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def electron_of(store: Store, dispatch_id: str) -> ElectronRow:
    row = store.electron(dispatch_id, 0)
    assert row is not None
    return row


async def end(dispatcher: Dispatcher, hosts: Hosts) -> None:
    await play((dispatcher, hosts), lambda t, p: Outcome(p.dispatch_id, t.node, t.attempt, "cancelled", 1.0, 2.0))


def row_of(store: Store, dispatch_id: str) -> DispatchRow:
    row = store.dispatch(dispatch_id)
    assert row is not None
    return row


async def test_a_sublattice_that_takes_too_long_fails_and_its_electrons_are_stopped(store: Store) -> None:
    dispatcher, hosts, dispatch_id = await begin(store, 0.3)
    child = electron_of(store, dispatch_id).child
    await until(lambda: electron_of(store, dispatch_id).status.ended)
    await end(dispatcher, hosts)
    first, second = store.electrons(dispatch_id)[0]
    assert first.error is not None and (first.status, first.error.cause) == (Status.FAILED, "timeout")
    assert "longer than its timeout of 0.3 s" in first.error.message
    assert second.status is Status.SKIPPED and row_of(store, dispatch_id).status is Status.FAILED
    assert child is not None and row_of(store, child).status is Status.CANCELLED
    check_log(store, dispatch_id)
    await dispatcher.close()


async def test_its_retry_has_the_same_time_again(store: Store) -> None:
    dispatcher, hosts, dispatch_id = await begin(store, 0.3, retries=1)
    await until(lambda: electron_of(store, dispatch_id).attempt == 2)
    hosts.packs = {k: p for k, p in hosts.packs.items() if p.dispatch_id == dispatch_id}
    await settle(dispatcher)
    await build(dispatcher, hosts, dispatch_id, attempt=2)
    await until(lambda: electron_of(store, dispatch_id).status.ended)
    row = electron_of(store, dispatch_id)
    assert (row.status, row.attempt) == (Status.FAILED, 2)
    await dispatcher.close()


async def test_the_time_goes_on_while_the_service_is_down(store: Store) -> None:
    dispatcher, _, dispatch_id = await begin(store, 3600.0)
    await dispatcher.close()
    dispatcher, hosts = start(store, lambda: time.time() + 3601)
    await dispatcher.recover()
    await until(hosts.cancels)
    await settle(dispatcher)
    row = store.electron(dispatch_id, 0)
    assert row is not None and row.status is Status.FAILED
    await dispatcher.close()


async def test_one_that_is_done_in_time_is_left_alone(store: Store) -> None:
    dispatcher, hosts, dispatch_id = await begin(store, 3600.0)
    child = store.electron(dispatch_id, 0).child  # type: ignore[union-attr]
    await play((dispatcher, hosts))
    dispatcher._deadlines._due(dispatch_id, 0, str(child), 3600.0)
    await settle(dispatcher)
    assert row_of(store, dispatch_id).status is Status.COMPLETED and not hosts.cancels()
    await dispatcher.close()
