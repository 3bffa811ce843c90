"""Manifests and rows for pictures: plain data, no processes."""

from __future__ import annotations

from hypothesis import strategies as st

from covalent_jupyter.model import (
    ElectronRow,
    Error,
    ExecutorSpec,
    FunctionDef,
    Lit,
    Log,
    Manifest,
    Node,
    Options,
    Ref,
    Status,
)
from covalent_jupyter.notebook.graph.subject import Subject

STATES = [s for s in Status if s is not Status.PENDING_REUSE]


def manifest(names: list[str], parents: list[list[int]], values: list[int] | None = None) -> Manifest:
    """Node ``i`` is called ``names[i]``, takes the outputs of ``parents[i]`` and the number ``values[i]``."""
    nodes = [
        Node(0, name, args=[Lit((values or list(range(len(names))))[i]), *(Ref(p) for p in parents[i])],
             params=("x", *(f"p{k}" for k in range(len(parents[i])))))
        for i, name in enumerate(names)
    ]  # fmt: skip
    function = FunctionDef("f" * 64, "c" * 64, "f")
    return Manifest(
        "00000000-0000-4000-8000-000000000000", "graph", nodes, Ref(0), function, None, functions=[function],
        executors=[ExecutorSpec()], options=[Options()], created=1.0,
    )  # fmt: skip


def row(node: int, status: Status, name: str = "f", child: str | None = None) -> ElectronRow:
    error = Error("ValueError", "it went wrong") if status is Status.FAILED else None
    return ElectronRow(
        "00000000-0000-4000-8000-000000000000", node, name, "electron", status, 1, 1, "dask", 1.0, 2.0, 1.0, "host:1",
        None, None, error, Log(), Log(), child,
    )  # fmt: skip


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    """Small graphs with few names, dispatched or not."""
    count = draw(st.integers(1, 40))
    names = draw(st.lists(st.sampled_from(["load", "train", "score"]), min_size=count, max_size=count))
    parents = [
        sorted(set(draw(st.lists(st.integers(0, max(i - 1, 0)), max_size=3)))) if i else [] for i in range(count)
    ]
    statuses = draw(st.lists(st.sampled_from(STATES), min_size=count, max_size=count))
    rows = {i: row(i, status, names[i]) for i, status in enumerate(statuses)} if draw(st.booleans()) else {}
    return Subject(manifest(names, parents), rows)


def fan(width: int) -> tuple[list[str], list[list[int]]]:
    """load -> train × width -> score × width -> best."""
    names = ["load", *["train"] * width, *["score"] * width, "best"]
    parents = [
        [],
        *([0] for _ in range(width)),
        *([1 + i] for i in range(width)),
        list(range(1 + width, 1 + 2 * width)),
    ]
    return names, parents
