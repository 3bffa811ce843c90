"""Engine and packing as a state machine, against a dictionary: packs of one dispatch begin, end, are given back and are
cancelled in any order, two slots at a time."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from covalent_jupyter.engine import DispatchRun, advance, replay
from covalent_jupyter.model import Error, Outcome, Output, Status
from covalent_jupyter.model.events import (
    CancelRequested,
    Event,
    Finished,
    GivenBack,
    Launched,
    Started,
    Submitted,
    decode_event,
    encode_event,
)
from covalent_jupyter.packing import BUDGET, LIMIT, PER_SLOT, Statistics, plan
from covalent_jupyter.rows import dispatch_row, electron_row

from .graphs import CODE, manifest

SLOTS = 2
STATES = {
    "waiting": Status.NEW_OBJECT,
    "queued": Status.DISPATCHING,
    "running": Status.RUNNING,
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
    "cancelled": Status.CANCELLED,
    "skipped": Status.SKIPPED,
}
ENDED = {"completed", "failed", "cancelled", "skipped"}
GRAPHS = st.integers(1, 25).flatmap(
    lambda n: st.tuples(
        *[st.lists(st.integers(0, i - 1), max_size=3, unique=True) if i else st.just([]) for i in range(n)]
    )
)


class Packs(RuleBasedStateMachine):
    """``model`` is the dictionary: node -> state. ``packs`` are what two slots hold: nodes that have not ended, in order."""

    @initialize(parents=GRAPHS)
    def submit(self, parents: tuple[list[int], ...]) -> None:
        self.parents = parents
        self.model = dict.fromkeys(range(len(parents)), "waiting")
        self.asked: set[int] = set()  # to be cancelled
        self.packs: list[list[int]] = []
        self.runs = dict.fromkeys(range(len(parents)), 0)
        self.statistics = Statistics()
        self.history: list[bytes] = []
        self.run = DispatchRun(manifest([list(p) for p in parents]))
        self.fold(Submitted(1.0, self.run.dispatch_id))

    def fold(self, event: Event) -> None:
        self.history += [encode_event(e) for e in advance(self.run, event)]

    def attempt(self, node: int) -> tuple[int, int]:
        return node, self.run.nodes[node].attempt

    def ready(self) -> set[int]:
        """By the dictionary: waits, and all before it have completed."""
        return {
            node
            for node, state in self.model.items()
            if state == "waiting" and all(self.model[p] == "completed" for p in self.parents[node])
        }

    def lose(self, state: str, *nodes: int) -> None:
        """They ended without a value: what depends on them can never run."""
        for node in nodes:
            self.model[node] = state
        for node in range(len(self.parents)):
            if self.model[node] in ("waiting", "queued") and any(
                self.model[p] in ENDED - {"completed"} for p in self.parents[node]
            ):
                self.model[node] = "skipped"
        self.packs = [[n for n in pack if self.model[n] not in ENDED] for pack in self.packs]
        self.packs = [pack for pack in self.packs if pack]

    def heads(self) -> list[list[int]]:
        """Packs whose first electron may begin: what it needs has completed."""
        return [p for p in self.packs[:SLOTS] if all(self.model[q] == "completed" for q in self.parents[p[0]])]

    @rule(duration=st.sampled_from([1e-6, 1e-4, 1e-2, BUDGET, 3.0]))
    def learn(self, duration: float) -> None:
        self.statistics.add(CODE, duration)

    @rule(free=st.integers(0, PER_SLOT * SLOTS))
    def launch(self, free: int) -> None:
        before, known = self.ready(), self.statistics.mean(CODE)
        planned = plan(self.run, 0, min(free, PER_SLOT * SLOTS - len(self.packs)), SLOTS, self.statistics)
        members = [node for pack in planned for node in pack.nodes]
        assert len(members) == len(set(members)), "in two packs"
        assert len(planned) <= free
        assert bool(planned) == bool(before and free and len(self.packs) < PER_SLOT * SLOTS), "a place stays empty"
        for pack in planned:
            assert len(pack.nodes) <= LIMIT
            assert len(pack.nodes) == 1 or (known is not None and known * (len(pack.nodes) - 1) <= BUDGET)
            inside: set[int] = set()
            for node in pack.nodes:
                assert node in before or all(p in inside or self.model[p] == "completed" for p in self.parents[node]), (
                    "an electron before what it needs"
                )
                inside.add(node)
            name = f"pack {len(self.history)}"
            self.fold(Launched(name, "host", "dask", [self.attempt(n) for n in pack.nodes], 2.0))
            self.packs.append(list(pack.nodes))
            self.model.update(dict.fromkeys(pack.nodes, "queued"))

    @precondition(lambda self: self.heads())
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(self.heads()))[0]
        if self.model[node] == "queued":
            self.model[node] = "running"
            self.runs[node] += 1
            self.fold(Started([(*self.attempt(node), 3.0, "worker")]))

    @precondition(lambda self: any(self.model[p[0]] == "running" for p in self.packs))
    @rule(data=st.data(), fate=st.sampled_from(["completed", "completed", "completed", "failed", "cancelled"]))
    def end(self, data: st.DataObject, fate: str) -> None:
        pack = data.draw(st.sampled_from([p for p in self.packs if self.model[p[0]] == "running"]))
        node = pack[0]
        if fate == "cancelled" and node not in self.asked:
            fate = "completed"  # nobody else ends it so
        self.fold(Finished([self.outcome(node, fate)]))
        if fate == "completed":
            self.model[node] = "completed"
            self.packs = [[n for n in p if n != node] for p in self.packs]
            self.packs = [p for p in self.packs if p]
        else:
            self.lose("cancelled" if node in self.asked else "failed", node)

    def outcome(self, node: int, fate: str) -> Outcome:
        _, attempt = self.attempt(node)
        output = Output(f"v{node}", 1) if fate == "completed" else None
        error = Error("E", "e") if fate == "failed" else None
        return Outcome(self.run.dispatch_id, node, attempt, fate, 3.0, 4.0, 1e-3, output, error=error)  # type: ignore[arg-type]

    @precondition(lambda self: self.packs)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """The host returns what of a pack has not begun."""
        pack = data.draw(st.sampled_from(self.packs))
        back = [n for n in pack if self.model[n] == "queued"]
        if not back:
            return
        self.fold(GivenBack([self.attempt(n) for n in back]))
        gone = [n for n in back if n in self.asked]
        for node in back:
            self.model[node] = "waiting"
        self.packs = [[n for n in p if n not in back] for p in self.packs]
        self.lose("cancelled", *gone)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        nodes = data.draw(st.none() | st.lists(st.sampled_from(range(len(self.parents))), min_size=1, unique=True))
        self.fold(CancelRequested(nodes, 5.0))
        alive = [n for n in (range(len(self.parents)) if nodes is None else nodes) if self.model[n] not in ENDED]
        if self.over:
            return
        self.asked.update(alive)
        self.lose("cancelled", *[n for n in alive if self.model[n] == "waiting"])

    @precondition(lambda self: any(state in ENDED for state in self.model.values()))
    @rule(data=st.data(), fate=st.sampled_from(["completed", "failed"]))
    def late_outcome(self, data: st.DataObject, fate: str) -> None:
        """Of an attempt that is over: changes nothing."""
        node = data.draw(st.sampled_from([n for n, state in self.model.items() if state in ENDED]))
        self.fold(Finished([self.outcome(node, fate)]))

    @property
    def over(self) -> bool:
        return all(state in ENDED for state in self.model.values())

    @invariant()
    def as_in_the_dictionary(self) -> None:
        if not hasattr(self, "run"):
            return
        assert [s.status for s in self.run.nodes] == [STATES[self.model[n]] for n in range(len(self.parents))]
        assert set(self.run.ready[0]) == self.ready()
        assert (self.run.ended is not None) == self.over
        for node, state in self.model.items():
            assert state not in ("running", "completed") or self.runs[node] == 1

    def teardown(self) -> None:
        if not hasattr(self, "run"):
            return
        again = replay(self.run.manifest, [decode_event(e) for e in self.history])
        nodes: Any = range(len(self.parents))
        assert dispatch_row(again) == dispatch_row(self.run)
        assert [electron_row(again, n) for n in nodes] == [electron_row(self.run, n) for n in nodes]


TestPacks = Packs.TestCase
TestPacks.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
