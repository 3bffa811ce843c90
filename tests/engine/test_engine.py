"""The engine: what each fact means, and random histories against a plain evaluation of the graph."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covalent_jupyter import engine, packing
from covalent_jupyter.engine import DispatchRun, advance, replay, todo
from covalent_jupyter.model import Composite, Error, Hole, Options, Outcome, Output, Ref, Status, Tpl
from covalent_jupyter.model.events import (
    CancelRequested,
    ChildEnded,
    Event,
    Finished,
    GivenBack,
    Launched,
    RetryDue,
    Started,
    Submitted,
    decode_event,
    encode_event,
)
from covalent_jupyter.rows import dispatch_row, electron_row

from .graphs import CODE, manifest


def started(parents: list[list[int]], **kwargs: object) -> DispatchRun:
    run = DispatchRun(manifest(parents, **kwargs))  # type: ignore[arg-type]
    advance(run, Submitted(1.0, run.dispatch_id))
    return run


def launch(run: DispatchRun, *nodes: int, pack: str = "p") -> None:
    advance(run, Launched(pack, "host", "dask", [(n, run.nodes[n].attempt) for n in nodes], 2.0))


def done(run: DispatchRun, node: int, attempt: int | None = None) -> list[Event]:
    attempt = attempt or run.nodes[node].attempt
    return advance(
        run, Finished([Outcome(run.dispatch_id, node, attempt, "completed", 3.0, 4.0, 1e-3, Output(f"v{node}", 1))])
    )


def failed(run: DispatchRun, node: int, status: str = "failed") -> list[Event]:
    error = Error("ValueError", "no")
    return advance(
        run,
        Finished([Outcome(run.dispatch_id, node, run.nodes[node].attempt, status, 3.0, 4.0, error=error)]),  # type: ignore[arg-type]
    )


def ready(run: DispatchRun) -> list[int]:
    return list(run.ready[0])


def test_a_node_is_ready_when_its_parents_have_values() -> None:
    run = started([[], [], [0, 1]])
    assert ready(run) == [0, 1]
    launch(run, 0, 1)
    done(run, 0)
    assert ready(run) == []
    done(run, 1)
    assert ready(run) == [2]


def test_the_end_of_the_last_node_closes_the_dispatch_with_its_output() -> None:
    run = started([[], [0]])
    launch(run, 0, 1)
    done(run, 0)
    events = done(run, 1)
    assert [type(e).__name__ for e in events] == ["Finished", "Closed"]
    assert run.status is Status.COMPLETED and run.output == Output("v1", 1)


def test_a_lattice_without_electrons_ends_at_once() -> None:
    m = manifest([[]])
    m.nodes, m.output = [], Tpl("t" * 64, ())
    run = DispatchRun(m)
    advance(run, Submitted(1.0, run.dispatch_id))
    assert run.status is Status.COMPLETED


def test_descendants_of_a_failure_are_skipped_and_other_branches_go_on() -> None:
    run = started([[], [], [0], [2], [1]])
    launch(run, 0, 1)
    failed(run, 0)
    assert [run.nodes[n].status for n in (0, 2, 3)] == [Status.FAILED, Status.SKIPPED, Status.SKIPPED]
    done(run, 1)
    launch(run, 4)
    done(run, 4)
    assert run.status is Status.FAILED
    assert "n0 (0): ValueError: no" in run.error and "2 skipped" in run.error


def test_retries_are_used_up_before_a_failure_counts() -> None:
    run = started([[]], options=[Options(retries=2)])
    for attempt in (1, 2):
        launch(run, 0)
        failed(run, 0)
        assert run.nodes[0].attempt == attempt + 1 and ready(run) == [0]
    launch(run, 0)
    failed(run, 0)
    assert run.status is Status.FAILED and run.nodes[0].attempt == 3


def test_a_retry_delay_keeps_the_node_back_until_it_is_due() -> None:
    run = started([[]], options=[Options(retries=1, retry_delay=5)])
    launch(run, 0)
    failed(run, 0)
    assert ready(run) == [] and todo(run).delayed == [(0, 5)]
    advance(run, RetryDue([0]))
    assert ready(run) == [0]


def test_on_error_value_hands_a_hole_to_the_consumers() -> None:
    run = started([[], [0]], options=[Options(on_error="value")])
    launch(run, 0)
    failed(run, 0)
    assert ready(run) == [1] and run.nodes[0].output == Hole(0, "ValueError", "no")
    launch(run, 1)
    done(run, 1)
    assert run.status is Status.COMPLETED and run.counts[Status.FAILED] == 1


def test_an_interruption_costs_no_retry_and_runs_again() -> None:
    run = started([[]])
    launch(run, 0)
    advance(run, Started([(0, 1, 2.5, "w")]))
    failed(run, 0, "interrupted")
    assert run.nodes[0].attempt == 2 and ready(run) == [0]


def test_on_interrupt_fail_does_not_run_again() -> None:
    run = started([[]], options=[Options(on_interrupt="fail")])
    launch(run, 0)
    failed(run, 0, "interrupted")
    assert run.status is Status.FAILED


def test_an_electron_that_is_cut_off_for_ever_fails_at_last() -> None:
    run = started([[]])
    for _ in range(engine.MAX_INTERRUPTIONS + 1):
        launch(run, 0)
        failed(run, 0, "interrupted")
    assert run.status is Status.FAILED


def test_an_outcome_of_a_superseded_attempt_is_dropped() -> None:
    run = started([[]], options=[Options(retries=1)])
    launch(run, 0)
    failed(run, 0)
    launch(run, 0)
    done(run, 0, attempt=1)
    assert run.nodes[0].status is Status.DISPATCHING
    done(run, 0)
    assert run.status is Status.COMPLETED


def test_cancel_ends_what_waits_and_asks_for_what_runs() -> None:
    run = started([[], [], [0, 1]])
    launch(run, 0)
    advance(run, CancelRequested(None, 5.0))
    assert [s.status for s in run.nodes] == [Status.DISPATCHING, Status.CANCELLED, Status.CANCELLED]
    assert todo(run).stop == [0]
    failed(run, 0, "cancelled")
    assert run.status is Status.CANCELLED


def test_an_outcome_that_was_there_first_beats_the_cancel() -> None:
    run = started([[]])
    launch(run, 0)
    advance(run, CancelRequested(None, 5.0))
    done(run, 0)
    assert run.nodes[0].status is Status.COMPLETED and run.status is Status.COMPLETED


def test_a_cancelled_electron_does_not_use_its_retries() -> None:
    run = started([[]], options=[Options(retries=5)])
    launch(run, 0)
    advance(run, CancelRequested([0], 5.0))
    failed(run, 0)
    assert run.status is Status.CANCELLED


def test_cancelling_one_electron_skips_what_depends_on_it() -> None:
    run = started([[], [0], []])
    advance(run, CancelRequested([0], 5.0))
    assert [s.status for s in run.nodes] == [Status.CANCELLED, Status.SKIPPED, Status.NEW_OBJECT]
    launch(run, 2)
    done(run, 2)
    assert run.status is Status.CANCELLED


def test_an_attempt_given_back_after_a_cancel_is_cancelled() -> None:
    run = started([[]])
    launch(run, 0)
    advance(run, CancelRequested(None, 5.0))
    advance(run, GivenBack([(0, 1)]))
    assert run.status is Status.CANCELLED


def test_a_follower_given_back_by_its_pack_waits_for_its_parent() -> None:
    run = started([[], [0]])
    launch(run, 0, 1)
    advance(run, GivenBack([(1, 1)]))
    assert ready(run) == []
    done(run, 0)
    assert ready(run) == [1]


def test_a_sublattice_ends_with_its_child_and_can_be_tried_again() -> None:
    run = started([[], [0]], options=[Options(retries=1)])
    launch(run, 0)
    advance(run, Finished([Outcome(run.dispatch_id, 0, 1, "completed", 3.0, 4.0, child=b"body")]))
    child = run.nodes[0].child
    assert child is not None and run.nodes[0].status is Status.RUNNING
    advance(run, ChildEnded(0, child, Status.FAILED, None, Error("E", "inner"), 5.0))
    assert ready(run) == [0] and run.nodes[0].attempt == 2
    launch(run, 0)
    advance(run, Finished([Outcome(run.dispatch_id, 0, 2, "completed", 3.0, 4.0, child=b"body")]))
    assert run.nodes[0].child not in (None, child)
    advance(run, ChildEnded(0, run.nodes[0].child or "", Status.COMPLETED, Output("v", 1), None, 6.0))
    assert ready(run) == [1] and run.nodes[0].output == Output("v", 1)


def test_a_value_without_what_the_lattice_returns_of_it_fails_the_dispatch_and_is_kept() -> None:
    run = started([[], []], output=Tpl("t" * 64, (Ref(0), Ref(1, (("item", 2),)), Ref(1, (("item", 3),)))))
    assert run.selected == {1: ((("item", 2),), (("item", 3),))}
    done(run, 0)
    kept = Output("v1", 1)
    outcome = Outcome(run.dispatch_id, 1, 1, "completed", 3.0, 4.0, 1e-3, kept, unfit="[2] of the value failed")
    advance(run, Finished([outcome]))
    assert (
        run.status is Status.FAILED and run.output is None and "n1 (1) returned: [2] of the value failed" in run.error
    )
    assert run.nodes[1].status is Status.COMPLETED and run.nodes[1].output == kept


@pytest.mark.parametrize(("minutes", "said"), [(9, []), (12, ["n0 (0) was cut off after 12 minutes"])])
def test_one_that_was_cut_off_after_long_says_so(minutes: int, said: list[str]) -> None:
    run = started([[]])
    launch(run, 0)
    ended = 3.0 + 60 * minutes
    advance(run, Finished([Outcome(run.dispatch_id, 0, 1, "interrupted", 3.0, ended, error=Error("E", "gone"))]))
    assert run.notices == said and ready(run) == [0]


def test_cancel_reaches_the_child() -> None:
    run = started([[]])
    launch(run, 0)
    advance(run, Finished([Outcome(run.dispatch_id, 0, 1, "completed", 3.0, 4.0, child=b"body")]))
    advance(run, CancelRequested(None, 5.0))
    assert todo(run).cancel_children == [run.nodes[0].child]


def test_a_template_gives_a_composite_and_a_selector_a_part() -> None:
    run = started([[], []], output=Tpl("t" * 64, (Ref(0), Ref(1, (("item", 2),)))))
    launch(run, 0, 1)
    done(run, 0)
    done(run, 1)
    assert isinstance(run.output, Composite)
    assert [p.value for p in run.output.parts] == [Output("v0", 1), Output("v1", 1)]
    assert run.output.parts[1].path == (("item", 2),)


@pytest.mark.parametrize("node", [-1, 7])
def test_an_outcome_of_a_node_that_does_not_exist_is_dropped(node: int) -> None:
    run = started([[]])
    assert not engine.is_current(run, Outcome(run.dispatch_id, node, 1, "completed"))


# Random histories

GRAPHS = st.integers(1, 25).flatmap(
    lambda n: st.tuples(
        *[st.lists(st.integers(0, i - 1), max_size=3, unique=True) if i else st.just([]) for i in range(n)]
    )
)
FATES = st.sampled_from(["ok", "ok", "ok", "fail", "flaky", "cut", "back"])


class Executor:
    """Plays an executor by a fixed fate per node; deterministic for one seed."""

    def __init__(self, run: DispatchRun, fates: list[str], seed: int) -> None:
        self.run, self.fates, self.random = run, fates, random.Random(seed)
        self.log: list[Event] = []
        self.history: list[bytes] = []
        self.executions = [0] * len(fates)
        self.seen_back: set[int] = set()
        self.packs: list[list[int]] = []
        self.statistics = packing.Statistics()
        self.step(Submitted(1.0, run.dispatch_id))

    def step(self, event: Event) -> None:
        for e in advance(self.run, event):
            self.history.append(encode_event(e))

    def play(self) -> None:
        for _ in range(2000):
            if self.run.ended is not None:
                return
            planned = packing.plan(self.run, 0, self.random.randint(1, 3), 2, self.statistics)
            for pack in planned:
                self.step(
                    Launched(
                        f"p{len(self.history)}", "h", "dask", [(n, self.run.nodes[n].attempt) for n in pack.nodes], 2.0
                    )
                )
                self.packs.append(list(pack.nodes))
            assert self.packs or planned, "nothing runs and nothing is ready, yet the dispatch has not ended"
            pack_ = self.packs.pop(self.random.randrange(len(self.packs)))
            self.run_pack(pack_)
        raise AssertionError("the dispatch did not end")

    def run_pack(self, members: list[int]) -> None:
        for position, node in enumerate(members):
            state = self.run.nodes[node]
            if state.status.ended:
                continue
            if any(self.run.nodes[p].output is None for p in self.run.topology.parents[node]):
                self.step(GivenBack([(node, state.attempt)]))
                continue
            if self.fates[node] == "back" and node not in self.seen_back:
                self.seen_back.add(node)
                tail = [(n, self.run.nodes[n].attempt) for n in members[position:]]
                self.step(GivenBack(tail))
                return
            self.execute(node)

    def execute(self, node: int) -> None:
        state = self.run.nodes[node]
        for parent in self.run.topology.parents[node]:
            assert self.run.nodes[parent].status.ended, "ran before a node that it depends on"
        self.executions[node] += 1
        self.statistics.add(CODE, self.random.choice([1e-5, 1e-3, 0.2]))
        fate, times = self.fates[node], self.executions[node]
        status = "completed"
        if fate == "fail" or (fate == "flaky" and times == 1):
            status = "failed"
        elif fate == "cut" and times == 1:
            status = "interrupted"
        output = Output(f"v{node}", 1) if status == "completed" else None
        error = None if status == "completed" else Error("E", "e")
        self.step(
            Finished([Outcome(self.run.dispatch_id, node, state.attempt, status, 3.0, 4.0, 1e-3, output, error=error)])
        )  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(GRAPHS, st.data(), st.integers(0, 2**32), st.booleans())
def test_random_histories_end_as_a_plain_evaluation_says(
    parents: tuple[list[int], ...], data: st.DataObject, seed: int, retry: bool
) -> None:
    fates = [data.draw(FATES) for _ in parents]
    run = DispatchRun(manifest([list(p) for p in parents], options=[Options(retries=1 if retry else 0)]))
    player = Executor(run, fates, seed)
    player.play()
    expected: list[Status] = []
    for node, ps in enumerate(parents):
        if any(expected[p] is not Status.COMPLETED for p in ps):
            expected.append(Status.SKIPPED)
        elif fates[node] == "fail" or (fates[node] == "flaky" and not retry):
            expected.append(Status.FAILED)
        else:
            expected.append(Status.COMPLETED)
    assert [s.status for s in run.nodes] == expected
    assert run.status is (Status.COMPLETED if all(e is Status.COMPLETED for e in expected) else Status.FAILED)
    for node, times in enumerate(player.executions):
        allowed = 1 + (1 if retry else 0) + (1 if fates[node] == "cut" else 0)
        assert times <= allowed
        assert (times == 0) == (expected[node] is Status.SKIPPED)
    again = replay(run.manifest, [decode_event(e) for e in player.history])
    assert dispatch_row(again) == dispatch_row(run)
    assert [electron_row(again, n) for n in range(len(parents))] == [electron_row(run, n) for n in range(len(parents))]


@settings(max_examples=100, deadline=None)
@given(GRAPHS, st.integers(0, 2**32), st.integers(0, 30))
def test_a_cancel_at_any_moment_ends_the_dispatch(parents: tuple[list[int], ...], seed: int, when: int) -> None:
    run = DispatchRun(manifest([list(p) for p in parents]))
    player = Executor(run, ["ok"] * len(parents), seed)
    rnd = random.Random(seed)
    for turn in range(200):
        if run.ended is not None:
            break
        if turn == when:
            player.step(CancelRequested(None, 5.0))
            for node in todo(run).stop:
                if rnd.random() < 0.5:
                    player.step(
                        Finished([Outcome(run.dispatch_id, node, run.nodes[node].attempt, "cancelled", 3.0, 4.0)])
                    )
                else:
                    player.execute(node) if all(
                        run.nodes[p].output is not None for p in run.topology.parents[node]
                    ) else player.step(GivenBack([(node, run.nodes[node].attempt)]))
            break
        for pack in packing.plan(run, 0, 1, 2, player.statistics):
            player.step(Launched(f"p{turn}", "h", "dask", [(n, 1) for n in pack.nodes], 2.0))
            if turn + 1 < when:
                player.run_pack(pack.nodes)
    assert run.ended is not None or when > turn or run.counts[Status.DISPATCHING]
    if run.cancel_requested:
        assert run.ended is not None
        again = replay(run.manifest, [decode_event(e) for e in player.history])
        assert dispatch_row(again) == dispatch_row(run)
