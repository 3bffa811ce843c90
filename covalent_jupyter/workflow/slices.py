"""One Python source file cut into its top-level statements: what each binds, reads and imports.

Lets a digest cover the part of a module that a function depends on, instead of the whole file.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from .bytecode import Chain


class Bound(NamedTuple):
    """``import module as name`` (``attribute`` None) or ``from module import attribute as name``."""

    name: str
    level: int
    module: str
    attribute: str | None


class Statement(NamedTuple):
    """One top-level statement. Comments, positions and docstrings are not in its digest."""

    digest: bytes
    binds: frozenset[str]
    loads: frozenset[tuple[str, Chain]]
    imports: tuple[Bound, ...]


class Source(NamedTuple):
    """One parsed file. ``binds``: name -> indices of the statements that bind it; ``effects``: of the others."""

    statements: tuple[Statement, ...]
    binds: dict[str, tuple[int, ...]]
    effects: tuple[int, ...]
    text: str
    problem: str = ""  # why it could not be parsed


def parse_file(path: Path) -> Source:
    """The file as it is now; parsed once per state of the file."""
    found = os.stat(path)
    return _parse(str(path), found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=1024)
def _parse(path: str, _mtime: int, _size: int) -> Source:
    raw = Path(path).read_bytes()
    try:
        tree = ast.parse(raw, path)
    except (SyntaxError, ValueError) as error:
        whole = Statement(hashlib.sha256(raw).digest(), frozenset(), frozenset(), ())
        return Source((whole,), {}, (0,), raw.decode("utf-8", "replace"), str(error))
    statements = [_statement(node) for node in tree.body if not _inert(node)]
    binds: dict[str, list[int]] = {}
    for index, statement in enumerate(statements):
        for name in statement.binds:
            binds.setdefault(name, []).append(index)
    effects = tuple(index for index, statement in enumerate(statements) if not statement.binds)
    return Source(
        tuple(statements),
        {name: tuple(indices) for name, indices in binds.items()},
        effects,
        raw.decode("utf-8", "replace"),
    )


def _inert(node: ast.stmt) -> bool:
    """A docstring or other constant, ``pass``, and what runs only in a script."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If) and isinstance(node.test, ast.Compare):
        left = node.test.left
        return isinstance(left, ast.Name) and left.id == "__name__" and not node.orelse
    return isinstance(node, ast.Pass)


def _statement(node: ast.stmt) -> Statement:
    _strip_docstrings(node)
    loads, imports = set[tuple[str, Chain]](), list[Bound]()
    _read(node, loads, imports)
    binds = frozenset(_bound(node))
    digest = hashlib.sha256(ast.dump(node, annotate_fields=False).encode("utf-8", "surrogatepass")).digest()
    return Statement(digest, binds, frozenset(loads), tuple(imports))


def _strip_docstrings(node: ast.AST) -> None:
    for inner in ast.walk(node):
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = inner.body[0] if inner.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                inner.body = inner.body[1:] or [ast.Pass()]


def _read(node: ast.AST, loads: set[tuple[str, Chain]], imports: list[Bound]) -> None:
    """Names that are read, with the attributes read of them at once; imports at any depth."""
    if isinstance(node, ast.Attribute):
        chain, inner = [node.attr], node.value
        while isinstance(inner, ast.Attribute):
            chain.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            loads.add((inner.id, tuple(reversed(chain))))
        else:
            _read(inner, loads, imports)
        return
    if isinstance(node, ast.Name):
        loads.add((node.id, ()))
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        imports.extend(_imports(node))
    for child in ast.iter_child_nodes(node):
        _read(child, loads, imports)


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[Bound]:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield Bound(alias.asname or alias.name, node.level, node.module or "", alias.name)
        elif alias.asname:
            yield Bound(alias.asname, 0, alias.name, None)
        else:  # ``import a.b`` binds a, and imports a.b
            yield Bound(alias.name.partition(".")[0], 0, alias.name, None)


def _bound(node: ast.AST) -> Iterator[str]:
    """Names that the statement binds in the module, or whose object it changes (``f.cache = {}``)."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
        return
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (bound.name for bound in _imports(node))
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
        yield node.id
    elif isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
        inner: ast.expr = node
        while isinstance(inner, (ast.Attribute, ast.Subscript)):
            inner = inner.value
        if isinstance(inner, ast.Name):
            yield inner.id
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)):
        return
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


def absolute(level: int, module: str, package: str) -> str:
    """The absolute name of ``from <level dots>module import ...`` inside ``package``."""
    if level == 0:
        return module
    parts = package.split(".")
    base = parts[: len(parts) - level + 1]
    return ".".join([*base, module] if module else base)
