"""Random batches against a model of dictionaries, with compaction, resets and reopening in between."""

from __future__ import annotations

import tempfile
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from covalent_jupyter.model import DispatchRow, ElectronRow, Status
from covalent_jupyter.store import Batch, Store

from .records import digest, dispatch, electron

IDS = st.sampled_from(["a", "b", "c"])
STATUSES = st.sampled_from([Status.RUNNING, Status.COMPLETED, Status.FAILED])


class Machine(RuleBasedStateMachine):
    """The model keeps rows with the numbers that :class:`Batch` promises them."""

    @initialize()
    def start(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.store = Store.open(self.place.name)
        self.last = 0
        self.events: list[tuple[int, str, str, bytes]] = []
        self.dispatches: dict[str, DispatchRow] = {}
        self.electrons: dict[tuple[str, int], ElectronRow] = {}
        self.references: set[tuple[str, str]] = set()
        self.values: dict[str, bytes] = {}
        self.deleted: dict[str, int] = {}
        self.waiting: list[tuple[Any, int]] = []

    def send(self, batch: Batch, *, unread: bool = False) -> None:
        seq, own = self.last, {}
        for gone in batch.deletes:
            self.dispatches.pop(gone, None)
            self.events = [e for e in self.events if e[1] != gone]
            self.electrons = {k: v for k, v in self.electrons.items() if k[0] != gone}
            self.references = {r for r in self.references if r[0] != gone}
        for dispatch_id, kind, data in batch.events:
            seq += 1
            own[dispatch_id] = seq
            self.events.append((seq, dispatch_id, kind, data))
        if seq == self.last and (batch.dispatches or batch.electrons):
            seq += 1
        for row in batch.dispatches:
            self.dispatches[row.dispatch_id] = dispatch(
                row.dispatch_id, status=row.status, seq=own.get(row.dispatch_id, seq)
            )
        for e in batch.electrons:
            number = own.get(e.dispatch_id, seq)
            self.electrons[e.dispatch_id, e.node] = electron(e.dispatch_id, e.node, status=e.status, seq=number)
        if batch.deletes:
            seq += 1
            self.deleted.update(dict.fromkeys(batch.deletes, seq))
        self.references |= set(batch.references)
        self.references -= set(batch.dereferences)
        for name, data in batch.values:
            self.values.setdefault(name, data)
        self.last = seq
        self.waiting.append((self.store.append(batch, unread=unread), seq))

    @rule(
        events=st.lists(st.tuples(IDS, st.sampled_from(["x", "y"]), st.binary(max_size=5)), max_size=4),
        rows=st.lists(st.tuples(IDS, STATUSES), max_size=3),
        nodes=st.lists(st.tuples(IDS, st.integers(0, 6), STATUSES), max_size=12),
        refs=st.lists(st.tuples(IDS, st.integers(0, 4)), max_size=3),
        unread=st.booleans(),
    )
    def append(self, events: list[Any], rows: list[Any], nodes: list[Any], refs: list[Any], unread: bool) -> None:
        self.send(
            Batch(
                events=events,
                dispatches=[dispatch(i, status=s) for i, s in rows],
                electrons=[electron(i, n, status=s) for i, n, s in nodes],
                references=[(i, digest(n)) for i, n in refs],
                values=[(digest(n), b"%d" % n) for _, n in refs],
            ),
            unread=unread,
        )

    @rule(ids=st.lists(IDS, min_size=1, max_size=2))
    def delete(self, ids: list[str]) -> None:
        self.send(Batch(deletes=ids))

    @rule(i=IDS, n=st.integers(0, 4), unread=st.booleans())
    def dereference(self, i: str, n: int, unread: bool) -> None:
        self.send(Batch(dereferences=[(i, digest(n))]), unread=unread)

    def settle(self) -> None:
        for future, seq in self.waiting:
            assert future.result(20) == seq
        self.waiting.clear()
        assert self.store.last_seq == self.last

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(self.place.name)
        self.settle()

    @rule()
    def reset(self) -> None:
        self.store._database.reset(self.store._database.generation)

    @precondition(lambda self: any(row.status.ended for row in self.dispatches.values()))
    @rule()
    def compact(self) -> None:
        self.settle()
        ended = sorted(d for d, row in self.dispatches.items() if row.status.ended)[0]
        dropped = [e for e in self.events if e[1] == ended]
        assert self.store.compact(ended) == len(dropped)
        self.events = [e for e in self.events if e[1] != ended]

    @rule()
    def collect(self) -> None:
        self.settle()
        self.store.gc(set(), older_than=1000.0)

    @rule(after=st.integers(0, 40))
    def changes(self, after: int) -> None:
        self.settle()
        found = self.store.changes(after)
        assert found.reset == (after > self.last) and found.seq == self.last
        if not found.reset:
            assert {d.dispatch_id: d for d in found.dispatches} == {
                k: v for k, v in self.dispatches.items() if v.seq > after
            }
            assert {(e.dispatch_id, e.node): e for e in found.electrons} == {
                k: v for k, v in self.electrons.items() if v.seq > after
            }
            gone = {d for d, seq in self.deleted.items() if seq > after and d not in self.dispatches}
            assert set(found.deleted) == gone

    @rule()
    def compare(self) -> None:
        self.settle()
        for i in "abc":
            assert self.store.dispatch(i) == self.dispatches.get(i)
            assert self.store.events(i) == [(s, k, d) for s, j, k, d in self.events if j == i]
            assert self.store.electrons(i)[0] == [e for k, e in sorted(self.electrons.items()) if k[0] == i]
            assert set(self.store.references(i)) == {d for j, d in self.references if j == i}
        assert self.store.values(self.values) == self.values
        unfinished = {d for d, row in self.dispatches.items() if not row.status.ended}
        assert set(self.store.unfinished()) == unfinished and self.store.dispatches()[1] == len(self.dispatches)

    @invariant()
    def healthy(self) -> None:
        if hasattr(self, "store"):
            assert self.store.problem is None

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.compare()
            self.store.close()
            self.place.cleanup()


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
