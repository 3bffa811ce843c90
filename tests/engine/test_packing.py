"""Packing: sizes follow measured durations, slots never stay empty, chains stay together."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from covalent_jupyter.engine import DispatchRun, advance
from covalent_jupyter.model import Options
from covalent_jupyter.model.events import Submitted
from covalent_jupyter.packing import BUDGET, LIMIT, OVERHEAD, WORTH, Statistics, plan

from .graphs import CODE, manifest


def run_of(parents: list[list[int]], **kwargs: object) -> DispatchRun:
    run = DispatchRun(manifest(parents, **kwargs))  # type: ignore[arg-type]
    advance(run, Submitted(1.0, run.dispatch_id))
    return run


def known(duration: float) -> Statistics:
    statistics = Statistics()
    statistics.add(CODE, duration)
    return statistics


def sizes(run: DispatchRun, free: float, slots: int, statistics: Statistics) -> list[int]:
    return [len(p.nodes) for p in plan(run, 0, free, slots, statistics)]


def test_one_electron_while_nothing_is_known() -> None:
    assert sizes(run_of([[]] * 100), 4, 2, Statistics()) == [1, 1, 1, 1]


def test_short_electrons_share_a_pack_within_the_budget() -> None:
    got = sizes(run_of([[]] * 10_000), 4, 2, known(1e-3))
    assert got == [got[0]] * 4 and 0.9 * BUDGET <= got[0] * (1e-3 + OVERHEAD) <= 1.1 * BUDGET


def test_long_electrons_are_never_packed() -> None:
    assert sizes(run_of([[]] * 10), 4, 2, known(10.0)) == [1, 1, 1, 1]


def test_a_few_short_electrons_are_spread_over_the_slots() -> None:
    assert sizes(run_of([[]] * 10), 4, 2, known(8e-3)) == [5, 5]


def test_what_is_not_worth_a_slot_of_its_own_stays_together() -> None:
    assert sizes(run_of([[]] * 10), 4, 2, known(1e-3)) == [10]
    crossed = run_of([[], [], [0, 1], [0, 1], [2, 3], [2, 3]])
    assert [sorted(pack.nodes) for pack in plan(crossed, 0, 4, 2, known(1e-3))] == [list(range(6))]
    (first, *_) = sizes(run_of([[]] * 100), 8, 8, known(1e-3))
    assert WORTH <= first * (1e-3 + OVERHEAD) < 1.2 * WORTH


def test_no_pack_is_larger_than_the_limit() -> None:
    assert max(sizes(run_of([[]] * 10_000), 4, 2, known(1e-9))) <= LIMIT


def test_a_chain_runs_inside_one_pack() -> None:
    run = run_of([[i - 1] if i else [] for i in range(100)])
    assert plan(run, 0, 4, 2, known(1e-5))[0].nodes == list(range(100))


def test_electrons_with_their_own_timeout_or_resources_are_alone() -> None:
    for options in (Options(timeout=5.0), Options(resources={"cpu": 2})):
        run = run_of([[]] * 4, options=[options])
        assert sizes(run, 4, 2, known(1e-5)) == [1, 1, 1, 1]


def test_the_mean_rises_at_once_and_falls_slowly() -> None:
    statistics = known(1e-3)
    statistics.add(CODE, 1.0)
    assert (statistics.mean(CODE) or 0) > 0.1


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(
            *[st.lists(st.integers(0, i - 1), max_size=3, unique=True) if i else st.just([]) for i in range(n)]
        )
    ),
    st.floats(1e-6, 0.2),
    st.integers(1, 5),
    st.integers(1, 4),
)
def test_packs_are_disjoint_ordered_and_complete(
    parents: tuple[list[int], ...], duration: float, free: int, slots: int
) -> None:
    run = run_of([list(p) for p in parents])
    packs = plan(run, 0, free, slots, known(duration))
    members = [n for p in packs for n in p.nodes]
    assert len(members) == len(set(members)) and len(packs) <= free
    assert packs, "something is ready and a place is free"
    for pack in packs:
        seen: set[int] = set()
        for node in pack.nodes:
            assert all(p in seen for p in parents[node]), "a member before what it depends on"
            seen.add(node)
