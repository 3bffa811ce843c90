"""The dispatcher over a real store, with a host whose moves the test makes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from covalent_jupyter.blobs import blob_path, has_blob, write_blob
from covalent_jupyter.dispatcher import Dispatcher, placement
from covalent_jupyter.engine import replay
from covalent_jupyter.errors import Conflict, InvalidRequest, MissingBlobs, NotFound
from covalent_jupyter.model import (
    Ack,
    Began,
    Environment,
    Error,
    ExecutorSpec,
    ExecutorState,
    FunctionDef,
    Hole,
    Lit,
    Manifest,
    Node,
    Options,
    Outcome,
    Output,
    Pack,
    PackEnded,
    Ref,
    Release,
    Returned,
    Run,
    Status,
    Task,
    Tpl,
    wire,
)
from covalent_jupyter.model.events import decode_event
from covalent_jupyter.rows import dispatch_row, electron_row
from covalent_jupyter.store import Batch, Store, writer

from .hosts import Hosts, completed

CODE = b"the pickle of a function"
FUNCTION = hashlib.sha256(CODE).hexdigest()
ENVIRONMENT = Environment("/usr/bin/python3", "/usr", "3.11.7", "3.1", digest="env", variables=("KEY",))


@pytest_asyncio.fixture
async def service(store: Store) -> AsyncIterator[tuple[Dispatcher, Hosts]]:
    dispatcher, hosts = Dispatcher(store), Hosts()
    dispatcher.attach(hosts)
    yield dispatcher, hosts
    await dispatcher.close()


def head(
    parents: list[list[int]], *, options: Options | list[Options] | None = None, **changes: Any
) -> tuple[wire.Head, dict[str, bytes]]:
    nodes = [
        Node(0, f"n{i}", args=[Ref(p) for p in ps] or [Lit(i)], key=hashlib.sha256(f"{i}{ps}".encode()).hexdigest())
        for i, ps in enumerate(parents)
    ]
    function = FunctionDef(FUNCTION, "c" * 64, "f")
    manifest = Manifest(
        str(uuid.uuid4()), "graph", nodes, Ref(len(nodes) - 1), function, ENVIRONMENT, functions=[function],
        options=options if isinstance(options, list) else [options or Options()], executors=[ExecutorSpec()], blobs={FUNCTION: len(CODE)}, key="k" * 64,
    )  # fmt: skip
    for name, value in changes.items():
        setattr(manifest, name, value)
    return wire.Head(manifest, variables={"KEY": "secret"}), {FUNCTION: CODE}


def value(task: Task, pack: Pack) -> bytes:
    return f"value {task.node}".encode()


async def settle(dispatcher: Dispatcher) -> None:
    """Until nothing is on its way to the store or the host: after a restart small values are read anew for a pack."""
    while True:
        await dispatcher.close()
        for _ in range(5):
            await asyncio.sleep(0)
        sending = dispatcher._placement._sending
        if not sending:
            return
        await asyncio.wait(sending)


async def play(service: tuple[Dispatcher, Hosts], function: Callable[[Task, Pack], Any] = value) -> None:
    """Runs every pack that comes until none is left."""
    dispatcher, hosts = service
    await settle(dispatcher)
    while hosts.packs:
        hosts.run(dispatcher, next(iter(hosts.packs.values())), function)
        await settle(dispatcher)


def check_log(store: Store, dispatch_id: str) -> None:
    """The rows are exactly what the log says."""
    manifest = wire.decode_manifest(store.manifest(dispatch_id) or b"")
    run = replay(manifest, [decode_event(e) for _, _, e in store.events(dispatch_id)])
    row, rows = store.dispatch(dispatch_id), store.electrons(dispatch_id, limit=100_000)[0]
    assert row is not None
    expected = dispatch_row(run)
    expected.seq = row.seq
    assert row == expected
    for got in rows:
        wanted = electron_row(run, got.node)
        wanted.seq = got.seq
        assert got == wanted


async def test_a_dispatch_runs_and_its_rows_are_what_the_log_says(service: Any, store: Store) -> None:
    submitted, small = head([[], [0], [0], [1, 2]])
    assert await service[0].submit(submitted, small) == (submitted.manifest.dispatch_id, True)
    await play(service)
    row = store.dispatch(submitted.manifest.dispatch_id)
    assert row is not None and row.status is Status.COMPLETED and row.counts.completed == 4
    assert store.value(row.output.digest) == b"value 3"  # type: ignore[union-attr]
    check_log(store, row.dispatch_id)
    assert service[0].running() == 0 and any(isinstance(m, Release) for m in service[1].sent)


async def test_a_repeated_submission_is_harmless_and_another_graph_is_refused(service: Any) -> None:
    submitted, small = head([[]])
    answers = await asyncio.gather(*(service[0].submit(submitted, small) for _ in range(5)))
    assert sorted(created for _, created in answers) == [False] * 4 + [True]
    await play(service)
    assert await service[0].submit(submitted, small) == (submitted.manifest.dispatch_id, False)
    other, small = head([[], []], dispatch_id=submitted.manifest.dispatch_id, key="l" * 64)
    with pytest.raises(Conflict, match="another graph"):
        await service[0].submit(other, small)


async def test_missing_blobs_are_named(service: Any) -> None:
    submitted, _ = head([[]])
    with pytest.raises(MissingBlobs) as caught:
        await service[0].submit(submitted, {})
    assert caught.value.details["missing"] == [FUNCTION]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"dispatch_id": "../../etc/passwd"}, "UUID"),
        ({"nodes": [Node(7, "f")]}, "names function 7"),
        ({"nodes": [Node(0, "f", options=9)]}, "names options 9"),
        ({"nodes": [Node(0, "f", args=[Ref(5)])]}, "depends on node 5|refers to node 5"),
        ({"nodes": [Node(0, "a", args=[Ref(1)]), Node(0, "b", args=[Ref(0)])], "output": Ref(0)}, "cycle"),
        ({"nodes": [Node(0, "a", after=(0,))], "output": Ref(0)}, "cycle"),
        ({"output": Lit(1)}, "output must be"),
        ({"output": Tpl("a" * 64, ())}, "not in the manifest's list"),
        ({"options": [Options(retries=-1)]}, "retries"),
        ({"options": [Options(executor=3)]}, "executor 3"),
        ({"environment": None}, "environment"),
        ({"blobs": {"x": 1}}, "sha256"),
    ],
)
async def test_unsound_manifests_are_refused_with_the_reason(
    service: Any, change: dict[str, Any], complaint: str
) -> None:
    submitted, small = head([[]], **change)
    with pytest.raises(InvalidRequest, match=complaint):
        await service[0].submit(submitted, small)


async def test_facts_are_acknowledged_and_announced_only_after_the_commit(service: Any, store: Store) -> None:
    dispatcher, hosts = service
    submitted, small = head([[]])
    await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    before = dispatcher.bus.seq
    hosts.run(dispatcher, next(iter(hosts.packs.values())), value)
    assert not [m for m in hosts.sent if isinstance(m, Ack)] and dispatcher.bus.seq == before
    await settle(dispatcher)
    assert [m.n for m in hosts.sent if isinstance(m, Ack)] == [1] and dispatcher.bus.seq > before


async def test_the_row_of_an_end_is_known_without_the_store_until_it_changes(service: Any, store: Store) -> None:
    dispatcher, hosts = service
    submitted, small = head([[]])
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    assert dispatcher.end_of(dispatch_id) is None
    hosts.run(dispatcher, next(iter(hosts.packs.values())), value)
    await settle(dispatcher)
    assert dispatcher.has_ended(dispatch_id)
    row, stored = dispatcher.end_of(dispatch_id), store.dispatch(dispatch_id)
    assert row.output.data == b"value 0" and stored is not None and stored.seq <= row.seq <= store.last_seq
    assert msgspec.structs.replace(row, seq=0, output=None) == msgspec.structs.replace(stored, seq=0, output=None)
    await dispatcher.update(dispatch_id, note="seen")
    assert dispatcher.end_of(dispatch_id) is None and store.dispatch(dispatch_id).note == "seen"  # type: ignore[union-attr]


async def test_the_row_of_an_end_goes_with_its_dispatch(service: Any) -> None:
    dispatcher, hosts = service
    submitted, small = head([[]])
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    hosts.run(dispatcher, next(iter(hosts.packs.values())), value)
    await settle(dispatcher)
    assert dispatcher.end_of(dispatch_id) is not None
    await dispatcher.delete([dispatch_id])
    assert dispatcher.end_of(dispatch_id) is None


async def test_outcomes_gather_until_somebody_waits_for_them(
    service: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "REST", (1e9, 600.0))
    dispatcher, hosts = service
    submitted, small = head([[], [], [0, 1]])
    await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    patience: list[bool] = []
    append = store.append

    def noted(batch: Batch, *, patient: bool = False, unread: bool = False) -> Future[int]:
        patience.append(patient)
        return append(batch, patient=patient, unread=unread)

    monkeypatch.setattr(store, "append", noted)
    changed = asyncio.Event()
    sent = hosts.send
    monkeypatch.setattr(hosts, "send", lambda *message: (changed.set(), sent(*message))[1])

    async def heard(kind: type) -> None:
        """Until the host is told something of that kind."""
        async with asyncio.timeout(60):
            while not any(isinstance(m, kind) for m in hosts.sent):
                changed.clear()
                await changed.wait()

    first, second = hosts.packs.values()
    hosts.packs.clear()
    hosts.sent.clear()
    hosts.facts(dispatcher, *completed(first.tasks[0], first, b"0"), PackEnded(first.pack_id))
    assert patience == [True]  # one of two that the third needs has ended: nobody waits for that
    hosts.facts(dispatcher, *completed(second.tasks[0], second, b"1"), PackEnded(second.pack_id))
    assert patience == [True, False]  # the third one waits for the other
    await heard(Run)
    assert [m.n for m in hosts.sent if isinstance(m, Ack)] == [1, 2]
    hosts.run(dispatcher, next(iter(hosts.packs.values())), value)
    await heard(Release)  # and whoever dispatched, for the end
    assert store.dispatch(submitted.manifest.dispatch_id).status is Status.COMPLETED  # type: ignore[union-attr]


async def test_small_values_travel_in_the_pack_and_variables_too(service: Any) -> None:
    dispatcher, hosts = service
    submitted, small = head([[], [0]], options=Options(timeout=5.0))
    await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    first = next(iter(hosts.packs.values()))
    assert first.values == {FUNCTION: CODE} and first.variables == {"KEY": "secret"}
    hosts.run(dispatcher, first, value)
    await settle(dispatcher)
    second = next(iter(hosts.packs.values()))
    assert b"value 0" in second.values.values() and second.outputs[0].data is None


async def test_variables_are_never_in_the_store(service: Any, store: Store) -> None:
    submitted, small = head([[]])
    await service[0].submit(submitted, small)
    await play(service)
    assert not [p for p in Path(store.folder).rglob("*") if p.is_file() and b"secret" in p.read_bytes()]


async def test_failures_name_the_variables_that_a_redispatch_lacks(service: Any, store: Store) -> None:
    submitted, small = head([[]])
    await service[0].submit(submitted, small)
    await play(service)

    def fail(task: Task, pack: Pack) -> Outcome:
        return Outcome(pack.dispatch_id, task.node, task.attempt, "failed", 1.0, 2.0, error=Error("KeyError", "'KEY'"))

    again = await service[0].redispatch(submitted.manifest.dispatch_id)
    await play(service, fail)
    row = store.electron(again, 0)
    assert row is not None and row.error is not None and "(KEY)" in row.error.hint


async def test_a_failure_skips_and_tells(service: Any, store: Store) -> None:
    submitted, small = head([[], [0]])

    def fail(task: Task, pack: Pack) -> Outcome:
        return Outcome(pack.dispatch_id, task.node, task.attempt, "failed", 1.0, 2.0, error=Error("ValueError", "no"))

    await service[0].submit(submitted, small)
    await play(service, fail)
    row = store.dispatch(submitted.manifest.dispatch_id)
    assert row is not None and row.status is Status.FAILED and "n0 (0): ValueError: no" in row.error
    assert row.counts.skipped == 1
    check_log(store, row.dispatch_id)


async def test_a_failed_electron_with_on_error_value_reaches_its_consumer(service: Any) -> None:
    submitted, small = head([[], [0]], options=Options(on_error="value"))
    seen = []

    def run(task: Task, pack: Pack) -> Any:
        if task.node == 0:
            return Outcome(pack.dispatch_id, 0, 1, "failed", 1.0, 2.0, error=Error("ValueError", "no"))
        seen.append(pack.outputs[0])
        return b"ok"

    await service[0].submit(submitted, small)
    await play(service, run)
    assert seen == [Hole(0, "ValueError", "no")]


async def test_cancel_stops_what_runs_and_says_what_it_did(service: Any, store: Store) -> None:
    dispatcher, hosts = service
    submitted, small = head([[], [0]])
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    pack = next(iter(hosts.packs.values()))
    hosts.facts(dispatcher, Began(dispatch_id, 0, 1, 1.0))
    answer = await dispatcher.cancel(dispatch_id)
    await settle(dispatcher)
    assert answer["stopping"] == [0] and answer["cancelled"] == [1] and hosts.cancels() == [(dispatch_id, 0, 1)]
    hosts.run(dispatcher, pack, lambda t, p: Outcome(dispatch_id, t.node, t.attempt, "cancelled", 1.0, 2.0))
    await settle(dispatcher)
    assert store.dispatch(dispatch_id).status is Status.CANCELLED  # type: ignore[union-attr]
    check_log(store, dispatch_id)
    again = await dispatcher.cancel(dispatch_id, [0])
    assert again["finished_first"] == [0]
    with pytest.raises(NotFound):
        await dispatcher.cancel(str(uuid.uuid4()))


async def test_a_cancel_between_launch_and_sending_never_reaches_the_host(service: Any, store: Store) -> None:
    dispatcher, hosts = service
    hosts.connected = False
    submitted, small = head([[]])
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    await dispatcher.cancel(dispatch_id)
    hosts.connected = True
    hosts.hello(dispatcher)
    await settle(dispatcher)
    assert not hosts.packs and store.dispatch(dispatch_id).status is Status.CANCELLED  # type: ignore[union-attr]


async def test_what_was_cancelled_before_the_host_came_takes_no_place_from_others(service: Any, store: Store) -> None:
    dispatcher, hosts = service
    hosts.connected = False
    for _ in range(3):  # more than the executor has places
        submitted, small = head([[], [], [], []])
        cancelled, _ = await dispatcher.submit(submitted, small)
        await settle(dispatcher)
        await dispatcher.cancel(cancelled)
        await settle(dispatcher)
    submitted, small = head([[], []])
    later, _ = await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    hosts.connected = True
    hosts.hello(dispatcher)
    await settle(dispatcher)
    assert {t.node for p in hosts.packs.values() for t in p.tasks} == {0, 1}
    assert {p.dispatch_id for p in hosts.packs.values()} == {later}
    await play(service)
    assert store.dispatch(later).status is Status.COMPLETED  # type: ignore[union-attr]
    assert not any(executor["packs"] for executor in dispatcher.executors())


async def test_what_a_replaced_host_had_begun_runs_again_and_the_rest_goes_back(service: Any, store: Store) -> None:
    dispatcher, hosts = service
    submitted, small = head([[], [], []])
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    packs = list(hosts.packs.values())
    hosts.facts(dispatcher, Began(dispatch_id, 0, 1, 1.0))
    await settle(dispatcher)
    hosts.packs.clear()
    hosts.hello(dispatcher)
    await settle(dispatcher)
    attempts = {t.node: t.attempt for p in hosts.packs.values() for t in p.tasks}
    assert len(packs) >= 2 and attempts[0] == 2 and all(a == 1 for n, a in attempts.items() if n)
    await play(service)
    assert store.dispatch(dispatch_id).status is Status.COMPLETED  # type: ignore[union-attr]
    check_log(store, dispatch_id)


async def test_a_reconnecting_host_keeps_what_it_holds(service: Any) -> None:
    dispatcher, hosts = service
    submitted, small = head([[]])
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    pack = next(iter(hosts.packs.values()))
    welcome = hosts.hello(dispatcher, held=[(dispatch_id, 0, 1), ("x", 0, 1)], packs=[pack.pack_id])
    await settle(dispatcher)
    assert welcome.drop == [("x", 0, 1)] and len(hosts.packs) == 1


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("all_held", [False, True])
async def test_a_pack_that_never_arrived_after_another_gave_its_members_back(
    service: Any, store: Store, restarted: bool, all_held: bool
) -> None:
    """The service plans anew what a pack gave back, and the new pack is lost with the connection (or the service). The host,
    whose words were not acknowledged, says them again: the members are in no pack that anybody has."""
    dispatcher, hosts = service
    submitted, small = head([[], [], []])
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    first = list(hosts.packs.values())
    hosts.packs.clear()
    said = [
        fact
        for pack in first
        for fact in (
            Returned(pack.pack_id, dispatch_id, [(t.node, t.attempt) for t in pack.tasks]),
            PackEnded(pack.pack_id),
        )
    ]
    hosts.facts(dispatcher, *said)
    await settle(dispatcher)
    assert hosts.packs and not {p.pack_id for p in first} & set(hosts.packs)  # planned anew, as the same attempts
    hosts.packs.clear()  # and lost
    if restarted:
        dispatcher, hosts = Dispatcher(store), Hosts()
        dispatcher.attach(hosts)
        await dispatcher.recover()
    # a host of before counted what it had given back as held
    held = [(dispatch_id, t.node, t.attempt) for pack in first for t in pack.tasks] if all_held else []
    hosts.hello(dispatcher, held=held, packs=[pack.pack_id for pack in first])
    hosts.facts(dispatcher, *said)
    await play((dispatcher, hosts))
    row = store.dispatch(dispatch_id)
    assert row is not None and row.status is Status.COMPLETED
    assert all(e.attempt == 1 for e in store.electrons(dispatch_id)[0])
    check_log(store, dispatch_id)


async def test_a_pack_whose_values_cannot_be_read_at_first_is_sent_later(
    service: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted, small = head([[]])
    dispatch_id, _ = await service[0].submit(submitted, small)
    await settle(service[0])
    values, refusals = store.values, iter([OSError("too many open files"), OSError("too many open files")])

    def failing(digests: Any) -> dict[str, bytes]:
        for error in refusals:
            raise error
        return values(digests)

    after, hosts = Dispatcher(store), Hosts()  # which has no value in its memory
    after.attach(hosts)
    await after.recover()
    monkeypatch.setattr(store, "values", failing)
    monkeypatch.setattr(placement, "READ_AGAIN", 0.01)
    hosts.hello(after)
    await play((after, hosts))
    row = store.dispatch(dispatch_id)
    assert row is not None and row.status is Status.COMPLETED


async def test_an_environment_that_cannot_be_started_fails_the_dispatch_with_the_reason(
    service: Any, store: Store
) -> None:
    dispatcher, hosts = service
    hosts.connected = False
    submitted, small = head([[]], options=Options(retries=3))
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    for _ in range(3):
        dispatcher.host_lost("env", "", "no such file: /usr/bin/python3")
        await settle(dispatcher)
    row = store.dispatch(dispatch_id)
    assert row is not None and row.status is Status.FAILED and "no such file" in row.error


async def test_recovery_takes_up_where_the_log_ends(service: Any, store: Store) -> None:
    dispatcher, hosts = service
    submitted, small = head([[], [0], [1]])
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    hosts.run(dispatcher, next(iter(hosts.packs.values())), value)
    await settle(dispatcher)
    held = [(dispatch_id, t.node, t.attempt) for p in hosts.packs.values() for t in p.tasks]
    # the service is gone; another one opens the same store, and the host comes back with what it holds
    after, again = Dispatcher(store), Hosts()
    after.attach(again)
    assert await after.recover() == [dispatch_id]
    again.packs = dict(hosts.packs)
    again.hello(after, held=held, packs=list(hosts.packs))
    await play((after, again))
    row = store.dispatch(dispatch_id)
    assert row is not None and row.status is Status.COMPLETED
    check_log(store, dispatch_id)


async def test_a_sublattice_runs_as_a_child_in_the_same_commit_and_gives_its_output(service: Any, store: Store) -> None:
    submitted, small = head([[], [0]])
    inner, inner_small = head([[], []], environment=None)
    body = wire.pack_body(inner.manifest, inner_small.items())

    def run(task: Task, pack: Pack) -> Any:
        if pack.dispatch_id == submitted.manifest.dispatch_id and task.node == 0:
            return Outcome(pack.dispatch_id, 0, 1, "completed", 1.0, 2.0, child=body)
        return f"{pack.root_id == submitted.manifest.dispatch_id} {task.node}".encode()

    dispatch_id, _ = await service[0].submit(submitted, small)
    await play(service, run)
    row, child = store.dispatch(dispatch_id), store.electron(dispatch_id, 0).child  # type: ignore[union-attr]
    assert row is not None and row.status is Status.COMPLETED and child is not None
    inner_row = store.dispatch(child)
    assert inner_row is not None and inner_row.parent_id == dispatch_id and inner_row.status is Status.COMPLETED
    assert store.electron(dispatch_id, 0).output == inner_row.output  # type: ignore[union-attr]
    check_log(store, dispatch_id)
    check_log(store, child)
    gone = await service[0].delete([dispatch_id])
    assert set(gone["deleted"]) == {dispatch_id, child} and store.dispatch(child) is None


async def test_an_error_deep_in_sublattices_names_the_innermost(service: Any, store: Store) -> None:
    """A recursion without end would name a hundred of them."""
    top, small = head([[]])
    ids: list[str] = []

    def run(task: Task, pack: Pack) -> Any:
        ids.append(pack.dispatch_id)
        if len(ids) == 4:
            return Outcome(pack.dispatch_id, 0, 1, "failed", 1.0, 2.0, error=Error("ValueError", "no (really)"))
        inner, blobs = head([[]], environment=None, name=f"level {len(ids)} (x)")
        body = wire.pack_body(inner.manifest, blobs.items())
        return Outcome(pack.dispatch_id, 0, 1, "completed", 1.0, 2.0, child=body)

    await service[0].submit(top, small)
    await play(service, run)
    errors = [store.electron(dispatch_id, 0).error for dispatch_id in ids]  # type: ignore[union-attr]
    assert [error and error.message for error in errors] == [
        f"no (really) (in sublattice level 3 (x) ({ids[3][:8]}), 3 levels down)",
        f"no (really) (in sublattice level 3 (x) ({ids[3][:8]}), 2 levels down)",
        f"no (really) (in sublattice level 3 (x) ({ids[3][:8]}))",
        "no (really)",
    ]


async def test_cancel_reaches_into_sublattices(service: Any, store: Store) -> None:
    dispatcher, hosts = service
    submitted, small = head([[]])
    inner, inner_small = head([[], [0]], environment=None)
    body = wire.pack_body(inner.manifest, inner_small.items())
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    hosts.run(
        dispatcher,
        next(iter(hosts.packs.values())),
        lambda t, p: Outcome(dispatch_id, 0, 1, "completed", 1.0, 2.0, child=body),
    )
    await settle(dispatcher)
    await dispatcher.cancel(dispatch_id)
    await settle(dispatcher)
    await play(service, lambda t, p: Outcome(p.dispatch_id, t.node, t.attempt, "cancelled", 1.0, 2.0))
    assert {r.status for r in store.dispatches(root=dispatch_id)[0]} == {Status.CANCELLED}


async def test_reuse_takes_over_what_has_the_same_key(service: Any, store: Store) -> None:
    submitted, small = head([[], [0]])
    dispatch_id, _ = await service[0].submit(submitted, small)
    await play(service)
    new_id = await service[0].redispatch(dispatch_id, reuse="changed")
    await settle(service[0])
    row = store.dispatch(new_id)
    assert row is not None and row.status is Status.COMPLETED and row.counts.reused == 2 and not service[1].packs
    assert row.output == store.dispatch(dispatch_id).output and row.redispatch_of == dispatch_id  # type: ignore[union-attr]
    check_log(store, new_id)


async def test_resources_that_nobody_has_are_refused_at_once(service: Any, store: Store) -> None:
    dispatcher, hosts = service
    spec = ExecutorSpec()
    hosts.facts(dispatcher, ExecutorState("dask", spec, 2, info={"gpu": 0, "memory": 8e9}))
    submitted, small = head([[]], options=Options(resources={"gpu": 1}))
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    row = store.dispatch(dispatch_id)
    assert row is not None and row.status is Status.FAILED and "asks for gpu=1" in row.error


async def test_memory_is_admitted_by_its_sum(service: Any) -> None:
    dispatcher, hosts = service
    hosts.facts(dispatcher, ExecutorState("dask", ExecutorSpec(), 4, info={"memory": 8e9}))
    submitted, small = head([[]] * 5, options=Options(resources={"memory": "3GB"}))
    await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    assert len(hosts.packs) == 2
    hosts.run(dispatcher, next(iter(hosts.packs.values())), value)
    await settle(dispatcher)
    assert len(hosts.packs) == 2


async def test_an_executor_that_is_named_in_another_message_is_the_same(service: Any) -> None:
    named = msgspec.json.decode(b'{"name": "dask"}', type=ExecutorSpec)
    assert named.key == ExecutorSpec().key == ExecutorSpec("dask", {}).key != ExecutorSpec("dask", {"n_workers": 1}).key
    assert ExecutorSpec("dask", {"a": 1, "b": 2}).key == ExecutorSpec("dask", {"b": 2, "a": 1}).key
    here, there = (ExecutorSpec("dask", {"workdir": folder}) for folder in ("/here", "/there"))
    dispatcher, hosts = service
    hosts.facts(dispatcher, ExecutorState("dask", ExecutorSpec(), 4, info={"memory": 8e9}))
    for spec in (here, named, there):
        submitted, small = head([[]], options=Options(resources={"memory": "5GB"}), executors=[spec])
        await dispatcher.submit(submitted, small)
    for spec in (here, named, there):
        await settle(dispatcher)
        (pack,) = hosts.packs.values()
        assert pack.executor == spec, "its folder is its own"
        hosts.run(dispatcher, pack, value)


async def test_notes_survive_on_running_and_ended_dispatches(service: Any, store: Store) -> None:
    submitted, small = head([[]])
    dispatch_id, _ = await service[0].submit(submitted, small)
    await service[0].update(dispatch_id, label="mine", tags=["a"])
    await play(service)
    await service[0].update(dispatch_id, note="good")
    row = store.dispatch(dispatch_id)
    assert row is not None and (row.label, row.tags, row.note) == ("mine", ["a"], "good")
    check_log(store, dispatch_id)


async def test_only_ended_dispatches_can_be_deleted(service: Any, store: Store) -> None:
    submitted, small = head([[]])
    dispatch_id, _ = await service[0].submit(submitted, small)
    with pytest.raises(Conflict, match="cancel it first"):
        await service[0].delete([dispatch_id])
    await play(service)
    assert (await service[0].purge(older_than=0, states=["COMPLETED"], dry_run=True)) == {"would_delete": [dispatch_id]}
    assert (await service[0].purge(older_than=0, states=["COMPLETED"]))["deleted"] == [dispatch_id]
    assert store.dispatch(dispatch_id) is None


async def test_a_pack_that_ends_without_a_word_about_a_task_gives_it_back(service: Any, store: Store) -> None:
    dispatcher, hosts = service
    submitted, small = head([[]])
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    pack_id, _ = hosts.packs.popitem()
    hosts.facts(dispatcher, PackEnded(pack_id))
    await play(service)
    assert store.dispatch(dispatch_id).status is Status.COMPLETED  # type: ignore[union-attr]


async def test_the_host_of_a_users_own_executor_goes_with_its_dispatch(service: Any, store: Store) -> None:
    submitted, small = head([[]], executors=[ExecutorSpec("Mine", {}, FUNCTION)])
    dispatch_id, _ = await service[0].submit(submitted, small)
    await play(service)
    assert store.dispatch(dispatch_id).status is Status.COMPLETED  # type: ignore[union-attr]
    await settle(service[0])
    assert service[1].dropped == [f"plugin-{dispatch_id}"] and not service[0].executors()


def large(task: Task, pack: Pack) -> Any:
    """A value that is a file, as a runner writes it."""
    digest, size = write_blob(pack.blob_root, [f"{pack.dispatch_id} {task.node}".encode() * 1000])
    return Outcome(pack.dispatch_id, task.node, task.attempt, "completed", 1.0, 2.0, 1e-4, Output(digest, size))


async def test_a_value_that_was_just_asked_for_outlives_the_deletion_of_who_had_it(service: Any, store: Store) -> None:
    dispatcher, _ = service
    submitted, small = head([[], []])
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    await play(service, large)
    idle, asked_for = (r.output.digest for r in store.electrons(dispatch_id)[0])  # type: ignore[union-attr]
    for digest in (idle, asked_for):
        os.utime(blob_path(store.blob_root, digest), (1, 1))
    assert store.missing([asked_for]) == [], "somebody submits what refers to it"
    await dispatcher.delete([dispatch_id])
    assert [has_blob(store.blob_root, digest) for digest in (idle, asked_for)] == [False, True]


@pytest.mark.parametrize("keep", ["until_done", "never"])
async def test_values_that_are_not_kept_go_and_reuse_does_without_them(service: Any, store: Store, keep: Any) -> None:
    dispatcher, hosts = service
    submitted, small = head([[], [0], [1]], options=Options(keep=keep))
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    await play(service, large)
    rows = store.electrons(dispatch_id)[0]
    files = [blob_path(store.blob_root, r.output.digest) for r in rows]  # type: ignore[union-attr]
    deadline = time.monotonic() + 60
    while files[0].exists() or files[1].exists():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    assert files[2].exists(), "the lattice's own result always stays"
    again = await dispatcher.redispatch(dispatch_id, reuse="changed")
    await settle(dispatcher)
    assert store.dispatch(again).status is Status.COMPLETED and not hosts.packs  # type: ignore[union-attr]
    check_log(store, again)


async def test_a_value_that_is_gone_is_computed_again_where_it_is_needed(service: Any, store: Store) -> None:
    submitted, small = head([[], [0], [1]], options=Options(keep="until_done"))
    dispatch_id, _ = await service[0].submit(submitted, small)
    await play(service, large)
    rows = store.electrons(dispatch_id)[0]
    deadline = time.monotonic() + 60
    while blob_path(store.blob_root, rows[1].output.digest).exists():  # type: ignore[union-attr]
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    other, small = head([[], [0], [1]], redispatch_of=dispatch_id, reuse="changed", key="o" * 64)
    other.manifest.nodes[2].key = "changed"
    ran: list[int] = []

    def note(task: Task, pack: Pack) -> Any:
        ran.append(task.node)
        return large(task, pack)

    await service[0].submit(other, small)
    await play(service, note)
    assert ran == [0, 1, 2]


async def test_what_says_nothing_new_does_not_acknowledge_what_was_said_before(service: Any, store: Store) -> None:
    """A host takes an Ack for everything up to its number: it waits for the commit of what came before it."""
    dispatcher, hosts = service
    submitted, small = head([[]])
    await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    hosts.run(dispatcher, next(iter(hosts.packs.values())), value)
    hosts.facts(dispatcher, PackEnded("unknown"))  # nothing to record
    assert not [m for m in hosts.sent if isinstance(m, Ack)]
    await settle(dispatcher)
    assert [m.n for m in hosts.sent if isinstance(m, Ack)] == [1, 2]
    row = store.dispatch(submitted.manifest.dispatch_id)
    assert row is not None and row.status is Status.COMPLETED


async def test_what_a_dead_host_left_is_called_recorded_only_after_the_commit(service: Any, store: Store) -> None:
    """Its spools are removed then: no service that starts later has to read them."""
    dispatcher, hosts = service
    submitted, small = head([[]])
    dispatch_id, _ = await dispatcher.submit(submitted, small)
    await settle(dispatcher)
    (pack,) = hosts.packs.values()
    recorded: list[Status | None] = []

    def note() -> None:
        row = store.dispatch(dispatch_id)
        recorded.append(row.status if row is not None else None)

    dispatcher.host_recovered("env", "i", completed(pack.tasks[0], pack, b"1"), note)
    assert recorded == []
    await settle(dispatcher)
    assert recorded == [Status.COMPLETED]
    dispatcher.host_recovered("env", "i", completed(pack.tasks[0], pack, b"1"), note)  # nothing that is not known
    await settle(dispatcher)
    assert len(recorded) == 2
