"""Random graphs with failing nodes, run by a real service, against the same functions called in plain Python."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

import covalent_jupyter as ct
from covalent_jupyter import codec
from covalent_jupyter.client.rest import connect
from covalent_jupyter.model import Output, Status

from .place import place
from .report import Report, Row

TOGETHER = 8  # graphs that are on their way at a time
LARGEST = 200  # nodes


class Node(NamedTuple):
    """``how``: positional, by keyword, in a list, or one part of a pair; ``fails``: it raises when it is called."""

    how: str
    needs: tuple[int, ...]
    number: int
    fails: bool


class Failure(Exception):
    """What a failing node raises."""


def combine(number: int, fails: bool, *values: int, more: int = 0, parts: tuple[int, ...] = ()) -> tuple[int, int]:
    if fails:
        raise Failure(str(number))
    total = number + 3 * more
    for n, value in enumerate([*values, *parts]):
        total = (total * 31 + (n + 1) * value) % 1_000_003
    return total, number


def random_graph(size: int, seed: int) -> list[Node]:
    """Wide, deep and mixed ones; up to one node in ten fails."""
    rng = random.Random(seed)
    reach, failing = rng.choice((1, 3, 20, size)), rng.choice((0.0, 0.0, 0.02, 0.1))
    nodes = []
    for n in range(size):
        first = max(0, n - reach)
        needs = tuple(rng.sample(range(first, n), min(n - first, rng.choice((0, 1, 1, 2, 3)))))
        nodes.append(Node(rng.choice(("args", "keyword", "list")), needs, rng.randrange(1000), rng.random() < failing))
    return nodes


def call(function: Callable[..., Any], node: Node, values: list[Any]) -> Any:
    """The node's call, on values or on references to them."""
    given = [values[n][0] for n in node.needs]
    if node.how == "keyword" and given:
        return function(node.number, node.fails, *given[1:], more=given[0])
    if node.how == "list":
        return function(node.number, node.fails, parts=tuple(given))
    return function(node.number, node.fails, *given)


def evaluate(graph: list[Node]) -> list[tuple[str, Any]]:
    """State and value of every node, by plain Python."""
    values: list[Any] = []
    states: list[tuple[str, Any]] = []
    for node in graph:
        if any(states[n][0] != "COMPLETED" for n in node.needs):
            values.append((0, 0))
            states.append(("SKIPPED", None))
            continue
        try:
            values.append(call(combine, node, values))
            states.append(("COMPLETED", values[-1]))
        except Failure:
            values.append((0, 0))
            states.append(("FAILED", None))
    return states


electron = ct.electron(combine)


@ct.lattice
def of_graph(graph: list[Node]) -> Any:
    values: list[Any] = []
    for node in graph:
        values.append(call(electron, node, values))
    return values


def found(dispatch_id: str) -> list[tuple[str, Any]]:
    """State and value of every node, as recorded."""
    rest = connect()
    rows = rest.electrons(dispatch_id, limit=LARGEST).electrons
    values = rest.small_values([r.output.digest for r in rows if isinstance(r.output, Output)])
    return [
        (
            str(row.status),
            codec.decode(values[row.output.digest])
            if row.status is Status.COMPLETED and isinstance(row.output, Output)
            else None,
        )
        for row in sorted(rows, key=lambda r: r.node)
    ]


def run(seed: int, times: int, again: str = "") -> Report:
    """``times`` graphs, some at a time."""
    report = Report(
        "Random graphs", seed, again or f"python -m tests.reliability graphs --seed {seed} --times {times}", "nodes"
    )
    row = report.row("failing nodes", f"up to {LARGEST} nodes")
    graphs = st.tuples(st.integers(1, LARGEST), st.integers(0, 1 << 32))

    @hypothesis.seed(seed)
    @settings(
        max_examples=-(-times // TOGETHER),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(st.lists(graphs, min_size=TOGETHER, max_size=TOGETHER))
    def compare(drawn: list[tuple[int, int]]) -> None:
        sent = [(size, s, str(ct.dispatch(of_graph)(random_graph(size, s)))) for size, s in drawn]
        for size, s, dispatch_id in sent:
            check(size, s, dispatch_id, row)

    with place("local") as here:
        here.start()
        compare()
        row.wrong += [f"left behind at the end: {line[:300]}" for line in here.stop()]
    return report


def check(size: int, seed: int, dispatch_id: str, row: Row) -> None:
    result = ct.get_result(dispatch_id, wait=True, timeout=240)
    expected = evaluate(random_graph(size, seed))
    got = found(dispatch_id)
    row.fired += 1
    row.acknowledged += 1
    row.seconds.append(size)
    failed = any(state == "FAILED" for state, _ in expected)
    if got != expected:
        first = next(n for n, pair in enumerate(expected) if n >= len(got) or got[n] != pair)
        row.wrong.append(f"graph({size}, {seed}): node {first} is {got[first : first + 1]}, not {expected[first]}")
    if str(result.status) != ("FAILED" if failed else "COMPLETED"):
        row.wrong.append(f"graph({size}, {seed}) is {result.status}")
    elif not failed and result.value != [value for _, value in expected]:
        row.wrong.append(f"graph({size}, {seed}): the value of the lattice is another one")
