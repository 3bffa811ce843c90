"""Graphs and executors for the tests of engine and packing: plain data, no processes."""

from __future__ import annotations

from covalent_jupyter.model import ExecutorSpec, FunctionDef, Input, Lit, Manifest, Node, Options, Ref

CODE = "c" * 64


def manifest(
    parents: list[list[int]],
    options: list[Options] | None = None,
    choice: list[int] | None = None,
    output: Input | None = None,
) -> Manifest:
    """A manifest whose node ``i`` takes the outputs of ``parents[i]``; ``choice[i]`` is its index into ``options``."""
    function = FunctionDef("f" * 64, CODE, "f")
    nodes = [
        Node(0, f"n{i}", args=[Ref(p) for p in ps] or [Lit(i)], options=(choice or [0] * len(parents))[i])
        for i, ps in enumerate(parents)
    ]
    return Manifest(
        "00000000-0000-4000-8000-000000000000",
        "graph",
        nodes,
        output if output is not None else Ref(len(nodes) - 1),
        function,
        None,
        functions=[function],
        executors=[ExecutorSpec()],
        options=options or [Options()],
        created=1.0,
    )
