"""What a cell reads of the notebook, and what it assigns: from its source, before it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..workflow.bytecode import facts
from .inside import Transform, codes_inside

_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


class CellNames(NamedTuple):
    """``reads``: names that may be read before the cell itself assigns them. ``assigns``: in the order of the cell.
    ``mutates``: read ones of which it sets an item or attribute (``df["a"] = 1``). ``texts``: names inside texts that
    IPython reads (``!ls $folder``), ``inside`` the statements in them. ``deletes``: names that ``del`` takes away."""

    reads: frozenset[str]
    assigns: tuple[str, ...]
    mutates: tuple[str, ...]
    texts: frozenset[str] = frozenset()
    deletes: tuple[str, ...] = ()
    inside: tuple[ast.stmt, ...] = ()


def names_of(body: Sequence[ast.stmt], transform: Transform = str) -> CellNames:
    """The names of a cell's statements. ``transform`` makes Python of IPython's syntax."""
    reader = _Reader(transform)
    reader.block(body, set())
    return CellNames(
        frozenset(reader.reads),
        tuple(dict.fromkeys(reader.assigns)),
        tuple(dict.fromkeys(reader.mutates)),
        frozenset(reader.texts),
        tuple(dict.fromkeys(reader.deletes)),
        tuple(reader.inside),
    )


class _Reader:
    """Walks the statements in the order in which they run; ``defined`` holds what is certainly assigned by then."""

    def __init__(self, transform: Transform) -> None:
        self._transform = transform
        self.reads: set[str] = set()
        self.texts: set[str] = set()
        self.assigns: list[str] = []
        self.mutates: list[str] = []
        self.deletes: list[str] = []
        self.inside: list[ast.stmt] = []

    def block(self, body: Sequence[ast.stmt], defined: set[str]) -> set[str]:
        for statement in body:
            defined = self.statement(statement, defined)
        return defined

    def statement(self, node: ast.stmt, defined: set[str]) -> set[str]:
        defined = set(defined)
        if isinstance(node, ast.Assign):
            self.load([node.value], defined)
            self.store(node.targets, defined)
        elif isinstance(node, ast.AugAssign):
            self.load([node.value, *_as_read(node.target)], defined)
            self.store([node.target], defined)
        elif isinstance(node, ast.AnnAssign):
            self.load([n for n in (node.value, node.annotation) if n is not None], defined)
            if node.value is not None:
                self.store([node.target], defined)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self.bind(node.name, defined)
            self.read(_loads(ast.Module([node], []), "exec"), defined)
            for code in codes_inside(node, self._transform):
                self.read(code.names, defined)
                self.texts |= code.names
                self.inside += code.body
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                if alias.name != "*":
                    self.bind(alias.asname or alias.name.partition(".")[0], defined)
        elif isinstance(node, (ast.If, ast.While)):
            self.load([node.test], defined)
            ways = [self.block(node.body, defined), self.block(node.orelse, defined)]
            defined = ways[0] & ways[1] if isinstance(node, ast.If) else defined
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            self.load([node.iter], defined)
            inside = set(defined)
            self.store([node.target], inside)
            self.block(node.orelse, self.block(node.body, inside) & defined)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                self.load([item.context_expr], defined)
                if item.optional_vars is not None:
                    self.store([item.optional_vars], defined)
            defined = self.block(node.body, defined)
        elif isinstance(node, (ast.Try, ast.TryStar)):
            defined = self.attempt(node, defined)
        elif isinstance(node, ast.Match):
            self.load([node.subject], defined)
            for case in node.cases:
                self.case(case, set(defined))
        elif isinstance(node, ast.Delete):
            self.delete(node.targets, defined)
        else:
            self.load([n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)], defined)
            if type(node).__name__ == "TypeAlias":
                self.store([node.name], defined)  # type: ignore[attr-defined]
        return defined

    def attempt(self, node: ast.Try | ast.TryStar, before: set[str]) -> set[str]:
        ways = [self.block(node.orelse, self.block(node.body, before))]
        for handler in node.handlers:
            inside = set(before)
            self.load([handler.type] if handler.type is not None else [], inside)
            if handler.name:
                inside.add(handler.name)  # gone again at the end of the handler
            ways.append(self.block(handler.body, inside) - ({handler.name} if handler.name else set()))
        return self.block(node.finalbody, set.intersection(*ways)) if node.finalbody else set.intersection(*ways)

    def case(self, case: ast.match_case, defined: set[str]) -> None:
        for node in ast.walk(case.pattern):
            if isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
                self.bind(node.name, defined)
            elif isinstance(node, ast.MatchMapping) and node.rest:
                self.bind(node.rest, defined)
            elif isinstance(node, ast.MatchValue):
                self.load([node.value], defined)
            elif isinstance(node, ast.MatchClass):
                self.load([node.cls], defined)
        self.load([case.guard] if case.guard is not None else [], defined)
        self.block(case.body, defined)

    def load(self, expressions: Iterable[ast.expr], defined: set[str]) -> None:
        for expression in expressions:
            self.read(_loads(ast.Expression(expression), "eval"), defined)
            for node in ast.walk(expression):
                if isinstance(node, ast.NamedExpr):
                    self.bind(node.target.id, defined)
            for code in codes_inside(expression, self._transform):
                self.texts |= code.names
                self.inside += code.body
                if code.binds:
                    defined |= self.block(code.body, defined)
                else:
                    self.aside(code.body, defined)

    def aside(self, body: Sequence[ast.stmt], defined: set[str]) -> None:
        """Code whose variables are its own."""
        reader = _Reader(self._transform)
        reader.block(body, defined)
        self.reads |= reader.reads
        self.texts |= reader.texts
        self.inside += reader.inside

    def store(self, targets: Iterable[ast.expr], defined: set[str]) -> None:
        for target in targets:
            if isinstance(target, ast.Name):
                self.bind(target.id, defined)
            elif isinstance(target, (ast.Tuple, ast.List)):
                self.store(target.elts, defined)
            elif isinstance(target, ast.Starred):
                self.store([target.value], defined)
            else:
                self.load(_as_read(target), defined)
                self.mutated(target)

    def delete(self, targets: Iterable[ast.expr], defined: set[str]) -> None:
        for target in targets:
            if isinstance(target, ast.Name):
                self.deletes.append(target.id)
                defined.discard(target.id)
            elif isinstance(target, (ast.Tuple, ast.List)):
                self.delete(target.elts, defined)
            else:
                self.load(_as_read(target), defined)
                self.mutated(target)

    def mutated(self, target: ast.expr) -> None:
        while isinstance(target, (ast.Attribute, ast.Subscript)):
            target = target.value
        if isinstance(target, ast.Name):
            self.mutates.append(target.id)

    def bind(self, name: str, defined: set[str]) -> None:
        defined.add(name)
        self.assigns.append(name)

    def read(self, names: Iterable[str], defined: set[str]) -> None:
        self.reads.update(n for n in names if n not in defined and not n.startswith("__"))


def _as_read(target: ast.expr) -> list[ast.expr]:
    """What reading the target reads: of ``a[i]`` both names."""
    if isinstance(target, ast.Name):
        return [ast.copy_location(ast.Name(target.id, ast.Load()), target)]
    if isinstance(target, (ast.Tuple, ast.List)):
        return [n for part in target.elts for n in _as_read(part)]
    return [n for n in ast.iter_child_nodes(target) if isinstance(n, ast.expr)]


def _loads(tree: ast.Module | ast.Expression, mode: str) -> Iterable[str]:
    """Names that the code reads of its module."""
    code = compile(ast.fix_missing_locations(tree), "cell", mode, flags=_AWAIT, dont_inherit=True)
    return facts(code).loads
