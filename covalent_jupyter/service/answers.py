"""What is told of a manifest and its electrons: graph, result, details of one node. Pure: rows in, answers out."""

from __future__ import annotations

import msgspec

from ..model import DispatchRow, ElectronRow, Input, Lit, Manifest, Node, Ref, Status, Val, dependencies, refs_of
from . import queries as q

#: Inputs of a node that the graph names, and characters of each.
_GIVEN, _GIVEN_LENGTH = 4, 40
#: Parts of a result whose previews one answer carries.
RESULT_PARTS = 50


def graph_of(manifest: Manifest, rows: list[ElectronRow]) -> q.Graph:
    """Nodes with their present states, and who feeds whom under which parameter."""
    state = {row.node: row for row in rows}
    nodes: list[tuple[int, str, str, str, str | None]] = []
    edges: list[tuple[int, int, str]] = []
    for number, node in enumerate(manifest.nodes):
        row = state.get(number)
        status = row.status if row is not None else Status.NEW_OBJECT
        nodes.append((number, node.name, node.kind, str(status), row.child if row is not None else None))
        seen = set()
        for name, value in named_inputs(node.params, node.args, node.kwargs):
            for ref in refs_of(value):
                edges.append((ref.node, number, name))
                seen.add(ref.node)
        edges.extend((other, number, "") for other in sorted(dependencies(node) - seen))
    return q.Graph(nodes, edges, {n: text for n, node in enumerate(manifest.nodes) if (text := given_text(node))})


def given_text(node: Node) -> str:
    """What tells a node from its siblings: its inputs that are not values of other nodes, shortened."""
    given = [
        f"{name}={value.hint if isinstance(value, Val) else repr(value.value)}"
        for name, value in named_inputs(node.params, node.args, node.kwargs)
        if isinstance(value, (Lit, Val))
    ]
    return ", ".join(_shortened(text) for text in given[:_GIVEN])


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _GIVEN_LENGTH else line[: _GIVEN_LENGTH - 1] + "…"


def result_of(row: DispatchRow, output: Input, refs: tuple[Ref, ...], electrons: list[ElectronRow]) -> q.ResultOf:
    """Which electrons' values the lattice returns, with what people see of them."""
    state = {electron.node: electron for electron in electrons}
    parts = [
        q.ResultPart(ref.node, found.name, _steps_text(ref), str(found.status), found.preview, found.child)
        for ref in refs[:RESULT_PARTS]
        if (found := state.get(ref.node)) is not None
    ]
    return q.ResultOf(str(row.status), parts, len(refs), isinstance(output, Ref))


def named_inputs(params: tuple[str, ...], args: list[Input], kwargs: dict[str, Input]) -> list[tuple[str, Input]]:
    named = [(params[i] if i < len(params) else f"arg{i}", value) for i, value in enumerate(args)]
    return [*named, *kwargs.items()]


def detail(manifest: Manifest, number: int) -> q.Detail:
    """What people want to read about one electron."""
    node = manifest.nodes[number]
    function = manifest.functions[node.function]
    options = msgspec.to_builtins(manifest.options[node.options]) if manifest.options else {}
    if manifest.executors:
        options["executor"] = msgspec.to_builtins(manifest.executors[manifest.options[node.options].executor])
    inputs = [input_text(name, value) for name, value in named_inputs(node.params, node.args, node.kwargs)]
    return q.Detail(
        inputs, function.source, function.signature, function.doc, function.file, node.line or function.line,
        function.captured, options, list(node.after),
    )  # fmt: skip


def input_text(name: str, value: Input) -> q.InputText:
    if isinstance(value, Lit):
        return q.InputText(name, "literal", repr(value.value))
    if isinstance(value, Val):
        return q.InputText(name, "value", value.hint, value.digest)
    if isinstance(value, Ref):
        return q.InputText(name, "node", _path_text(value), nodes=[value.node])
    return q.InputText(name, "template", "…", value.digest, [ref.node for ref in value.refs])


def _path_text(ref: Ref) -> str:
    return f"node {ref.node}{_steps_text(ref)}"


def _steps_text(ref: Ref) -> str:
    return "".join(f".{key}" if kind == "attr" else f"[{key!r}]" if kind == "item" else "[…]" for kind, key in ref.path)
