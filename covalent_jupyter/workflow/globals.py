"""Captured values: what a function that travels by value takes along of its module's globals and closures.

In the kernel: which they are, how people read them. In the runner: whether the function has changed them.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from .. import codec
from ..errors import CovalentError
from .bytecode import facts

_WATCHED = (list, dict, set, bytearray)
_WATCHED_LENGTH = 1_000
_WATCHED_BYTES = 65_536
_IMMUTABLE = (int, float, complex, str, bytes, bool, type(None), range, frozenset, type, ModuleType)
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


class Captured(NamedTuple):
    """One captured value. ``path`` leads to it: ``train -> helper -> conn``."""

    name: str
    path: str
    value: Any


def captured(root: Any, name: str) -> list[Captured]:
    """The data (neither functions, classes nor modules) that ``root`` captures, through its helpers, each once."""
    return [
        Captured(path.rpartition(" -> ")[2], path, value)
        for path, value in reached(root, name)
        if path != name and not _is_code(value)
    ]


def reached(root: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Functions and classes by value, and the data that they capture."""
    waiting, seen = [(name, root)], set[int]()
    while waiting:
        path, obj = waiting.pop()
        if id(obj) in seen:
            continue
        seen.add(id(obj))
        yield path, obj
        waiting.extend(reversed([(f"{path} -> {step}" if step else path, part) for step, part in _parts(obj)]))


def _is_code(obj: Any) -> bool:
    """Functions of every kind, classes, modules: what people read in the source, not in a list of values."""
    return (
        isinstance(obj, (FunctionType, type, ModuleType, BuiltinFunctionType))
        or _inside(obj) is not None
        or (callable(obj) and isinstance(getattr(obj, "__name__", None), str))
    )


def _inside(obj: Any) -> Any:
    """The function in an electron, lattice, or cached function."""
    name = type(obj).__name__
    if name in ("Electron", "Lattice"):
        return getattr(obj, "function", None)
    return getattr(obj, "__wrapped__", None) if name == "_lru_cache_wrapper" else None


def _parts(obj: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(obj, FunctionType):
        if not codec.importable(obj):
            yield from function_values(obj)
    elif isinstance(obj, type):
        if not codec.importable(obj):
            for key, value in list(vars(obj).items()):
                inner = getattr(value, "__func__", getattr(value, "fget", value))
                if isinstance(inner, FunctionType):
                    yield key, inner
    elif (inner := _inside(obj)) is not None:
        yield "", inner
    elif isinstance(obj, partial):
        yield "function", obj.func
        yield from ((f"argument {index}", value) for index, value in enumerate(obj.args))
        yield from obj.keywords.items()
    elif isinstance(obj, MethodType):
        yield getattr(obj.__func__, "__name__", "function"), obj.__func__
        yield "self", obj.__self__
    elif not codec.importable(type(obj)):
        yield type(obj).__name__, type(obj)


def function_values(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Closure variables and globals of one function, by name."""
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # a variable that has no value yet
            continue
    scope = function.__globals__
    for name in facts(code).loads:
        if name in scope and not (name.startswith("__") and name.endswith("__")):
            yield name, scope[name]


# For people


class _Brief(reprlib.Repr):
    def repr_instance(self, obj: Any, level: int) -> str:
        return describe(obj)


def _make_brief() -> _Brief:
    brief = _Brief()
    brief.maxstring = brief.maxother = brief.maxlong = 60
    brief.maxlist = brief.maxtuple = brief.maxdict = brief.maxset = brief.maxfrozenset = 6
    return brief


def short(obj: Any, size: int | None = None) -> str:
    """``5``, ``'adam'``, ``DataFrame 2.1 GB``: at most about 100 characters; ``size`` in bytes where known."""
    if size is not None and size > 1_000:
        return f"{type(obj).__name__} {human_size(size)}"
    text = _make_brief().repr(obj)
    return text if len(text) <= 100 else text[:99] + "…"


def describe(obj: Any) -> str:
    """An object without its own ``repr``, which may be slow, long or wrong."""
    kind = type(obj)
    if isinstance(obj, (FunctionType, type)):
        return str(obj.__name__)
    if isinstance(obj, (float, complex)) or (kind.__module__ == "numpy" and not getattr(obj, "shape", (1,))):
        return repr(obj)[:60]
    shape = getattr(obj, "shape", None)
    if isinstance(shape, tuple) and all(isinstance(n, int) for n in shape):
        return f"{kind.__name__} {'×'.join(map(str, shape))}"
    return kind.__name__


def human_size(size: float) -> str:
    """``2.1 GB``"""
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


# In the runner


class GlobalWatch:
    """What a decoded function may change of its globals, as it was when this was made."""

    def __init__(self, assigned: list[tuple[str, dict[str, Any]]], containers: list[tuple[str, Any]]) -> None:
        self._assigned = [(name, scope, scope.get(name, self)) for name, scope in assigned]
        self._containers = [(name, value, _print_of(value)) for name, value in containers]

    def changed(self) -> tuple[str, ...]:
        """Names of globals that were assigned, deleted or mutated since."""
        names = {name for name, scope, before in self._assigned if scope.get(name, self) is not before}
        names.update(name for name, value, before in self._containers if _print_of(value) != before)
        return tuple(sorted(names))


def _print_of(value: Any) -> Any:
    if len(value) > _WATCHED_LENGTH:
        return len(value)
    try:
        chunks = codec.encode(value)
    except CovalentError:
        return len(value)
    size = sum(memoryview(chunk).nbytes for chunk in chunks)
    return b"".join(chunks) if size <= _WATCHED_BYTES else codec.digest_of(chunks)


def watch_globals(function: Any) -> GlobalWatch | None:
    """A watch over the globals that the function and its helpers assign (``global n``), and over the small lists,
    dicts and sets that they capture; None, at almost no cost, where there is nothing to watch."""
    assigned: dict[tuple[int, str], tuple[str, dict[str, Any]]] = {}
    containers: dict[int, tuple[str, Any]] = {}
    for path, value in reached(function, ""):
        if isinstance(value, FunctionType):
            for name in facts(value.__code__).stores if not codec.importable(value) else ():
                assigned[(id(value.__globals__), name)] = (name, value.__globals__)
        elif type(value) in _WATCHED and len(value) <= _WATCHED_LENGTH:
            containers[id(value)] = (path.rpartition(" -> ")[2], value)
    if not assigned and not containers:
        return None
    return GlobalWatch(list(assigned.values()), list(containers.values()))


def is_shareable(function: Any) -> bool:
    """Whether several electrons may call this one decoded function without ever seeing one another: it captures
    nothing that can change, assigns no globals, has no mutable defaults and no attributes."""
    for _, value in reached(function, ""):
        if isinstance(value, FunctionType):
            if codec.importable(value):
                continue
            known = facts(value.__code__)
            if vars(value) or known.stores or known.rebinds:
                return False
            defaults = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
            if not all(_is_immutable(item) for item in defaults):
                return False
        elif isinstance(value, type):
            if not codec.importable(value):
                return False
        elif not _is_immutable(value):
            return False
    return True


def _is_immutable(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_immutable(item) for item in value)
    return isinstance(value, (*_IMMUTABLE, FunctionType, BuiltinFunctionType))
