"""What is told of a manifest and its electrons: graph, result, details of one node. Pure: rows in, answers out."""

from __future__ import annotations

import msgspec

from ..model import (
    DispatchRow,
    ElectronRow,
    Input,
    Lit,
    Manifest,
    Node,
    Preview,
    Ref,
    Status,
    Val,
    dependencies,
    refs_of,
)
from . import queries as q

#: Inputs of a node that the graph names, and characters of each.
_GIVEN, _GIVEN_LENGTH = 8, 72
#: Parts of a result whose previews one answer carries.
RESULT_PARTS = 50
#: Characters of one value that stand in the text of a result.
_TOLD_LENGTH = 300


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
    """A node's inputs that are not values of other nodes, shortened: "C=0.1, kernel='rbf'"."""
    given = [
        f"{name}={value.hint if isinstance(value, Val) else repr(value.value)}"
        for name, value in named_inputs(node.params, node.args, node.kwargs)
        if isinstance(value, (Lit, Val))
    ]
    return ", ".join(_shortened(text) for text in given[:_GIVEN])


def _shortened(text: str) -> str:
    """Cut in the middle: what differs, such as a file's name, often stands at the end."""
    line = " ".join(text.split())
    half = _GIVEN_LENGTH // 2
    return line if len(line) <= _GIVEN_LENGTH else f"{line[:half]}…{line[1 - half :]}"


def result_of(row: DispatchRow, manifest: Manifest, electrons: list[ElectronRow]) -> q.ResultOf:
    """What the lattice returns: all of it as a text, and which electrons' values are in it, with what people see of
    them."""
    refs = refs_of(manifest.output)
    state = {electron.node: electron for electron in electrons}
    names = manifest.names if len(manifest.names) == len(refs) else ("",) * len(refs)
    parts = [
        q.ResultPart(ref.node, found.name, _part_path(ref, name), str(found.status), found.preview, found.child)
        for ref, name in zip(refs[:RESULT_PARTS], names, strict=False)
        if (found := state.get(ref.node)) is not None
    ]
    result = q.ResultOf(str(row.status), parts, len(refs), isinstance(manifest.output, Ref))
    if manifest.outline is not None:
        result.type, result.shape = manifest.outline.type, manifest.outline.shape
        told = [_value_text(manifest, ref, state.get(ref.node)) for ref in refs[:RESULT_PARTS]]
        result.text = "".join(_piece(piece, told) for piece in manifest.outline.pieces)
    elif isinstance(manifest.output, Ref) and manifest.output.path:
        result.text = _value_text(manifest, manifest.output, state.get(manifest.output.node))
    return result


def _piece(piece: str | int, told: list[str]) -> str:
    if isinstance(piece, str):
        return piece
    return told[piece] if piece < len(told) else "…"


def _value_text(manifest: Manifest, ref: Ref, row: ElectronRow | None) -> str:
    """The value that a reference stands for as its electron's preview tells it; else where it comes from."""
    preview = row.preview if row is not None else None
    if preview is not None and not ref.path:
        return preview.repr if _is_short(preview.repr) else f"<{_kind_text(preview)}>"
    if preview is not None and len(ref.path) == 1 and ref.path[0][1] in preview.scalars:
        return repr(preview.scalars[str(ref.path[0][1])])
    return f"<{manifest.nodes[ref.node].name} {ref.node}{_steps_text(ref)}>"


def _is_short(text: str) -> bool:
    return len(text) <= _TOLD_LENGTH and "\n" not in text


def _kind_text(preview: Preview) -> str:
    return f"{preview.type}, {preview.shape}" if preview.shape else preview.type


def _part_path(ref: Ref, name: str) -> str:
    """Where the part lies in what was returned, and which piece of the electron's value it is."""
    return f"{name}: {_steps_text(ref)}" if name and ref.path else name or _steps_text(ref)


def named_inputs(params: tuple[str, ...], args: list[Input], kwargs: dict[str, Input]) -> list[tuple[str, Input]]:
    named = [(params[i] if i < len(params) else f"arg{i}", value) for i, value in enumerate(args)]
    return [*named, *kwargs.items()]


def detail(manifest: Manifest, number: int) -> q.Detail:
    """What people want to read about one electron."""
    node = manifest.nodes[number]
    function, lattice = manifest.functions[node.function], manifest.lattice
    options = msgspec.to_builtins(manifest.options[node.options]) if manifest.options else {}
    if manifest.executors:
        options["executor"] = msgspec.to_builtins(manifest.executors[manifest.options[node.options].executor])
    inputs = [input_text(name, value) for name, value in named_inputs(node.params, node.args, node.kwargs)]
    return q.Detail(
        inputs, function.source, function.signature, function.doc, function.place or function.file, function.line,
        function.captured, options, list(node.after), lattice.place or lattice.file, node.line,
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
