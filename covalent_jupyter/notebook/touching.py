"""Which variables a cell may change without assigning them, from its source: ``model.fit(X)``, ``shuffle(rows)``,
``for m in models: m.fit(X)``. Whether it did is seen afterwards, where it ran."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

#: functions that leave their arguments as they are
_READERS = frozenset(
    "abs all any ascii bin bool bytes callable chr complex dict display divmod enumerate filter float format frozenset getattr "
    "hasattr hash hex id int isinstance issubclass iter len list max memoryview min oct ord pow print range repr reversed "
    "round set slice sorted str sum tuple type zip".split()
)


class Touched(NamedTuple):
    """``surely``: a method is called for what it does, since its result is not used. ``maybe``: all of them."""

    surely: frozenset[str]
    maybe: frozenset[str]


def touched(body: Sequence[ast.stmt]) -> Touched:
    """Names that have methods called, are given to functions, or have items or attributes that are set; and those from
    which such names come (``first = models[0]``)."""
    surely: set[str] = set()
    maybe: set[str] = set()
    sources: dict[str, set[str]] = {}
    for node in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            surely |= _receiver(node.value)
        if isinstance(node, ast.Call):
            maybe |= _receiver(node) | _arguments(node)
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            maybe |= _origins(node.value)
        for target, value in _bound(node):
            for name in (n.id for n in ast.walk(target) if isinstance(n, ast.Name)):
                sources.setdefault(name, set()).update(_origins(value))
    return Touched(frozenset(_with_sources(surely, sources)), frozenset(_with_sources(surely | maybe, sources)))


def _receiver(call: ast.Call) -> set[str]:
    return _origins(call.func.value) if isinstance(call.func, ast.Attribute) else set()


def _arguments(call: ast.Call) -> set[str]:
    if isinstance(call.func, ast.Name) and call.func.id in _READERS:
        return set()
    return {name for value in _given(call) for name in _origins(value)}


def _given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _bound(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What gets a name here, and of what."""
    if isinstance(node, ast.Assign):
        yield from ((target, node.value) for target in node.targets)
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
        yield node.target, node.iter
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        yield from ((i.optional_vars, i.context_expr) for i in node.items if i.optional_vars is not None)


def _origins(node: ast.expr) -> set[str]:
    """Names of which the value of an expression may be, or hold, a part."""
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred, ast.Await, ast.NamedExpr)):
        return _origins(node.value)
    if isinstance(node, ast.Call):
        return _receiver(node).union(*map(_origins, _given(node)))
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return _all(node.elts)
    if isinstance(node, ast.Dict):
        return _all(node.values)
    if isinstance(node, ast.BoolOp):
        return _all(node.values)
    if isinstance(node, ast.IfExp):
        return _origins(node.body) | _origins(node.orelse)
    return set()


def _all(nodes: Iterable[ast.expr]) -> set[str]:
    return {name for node in nodes for name in _origins(node)}


def _with_sources(names: set[str], sources: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(sources.get(name, ()))
    return found
