"""Which containers are looked into for references: those that come back as the type they were."""

from __future__ import annotations

import dataclasses
import types
from collections import deque
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PosixPath
from typing import Any

from .refs import Ref

#: types whose values cannot hold a reference
ATOMS = frozenset(
    {
        type(None), bool, int, float, complex, str, bytes, bytearray, range, type, memoryview,
        type(Ellipsis), type(NotImplemented), datetime, date, time, timedelta, Decimal, Fraction, PosixPath,
        types.FunctionType, types.BuiltinFunctionType, types.ModuleType,
    }
)  # fmt: skip

_BUILTIN = frozenset({list, tuple, dict, set, frozenset, deque})


def find_refs(value: Any) -> list[Ref]:
    """Every reference in ``value``: itself, or in lists, tuples, deques, dicts' values, slices, dataclasses and
    attrs classes, nested, and in subclasses of these. One that lies in the same container twice is there twice."""
    if type(value) is Ref:
        return [value]
    found: list[Ref] = []
    seen: set[int] = set()
    stack = [value]
    while stack:
        current = stack.pop()
        children = _children(current)
        if children is None or id(current) in seen:
            continue
        seen.add(id(current))
        kinds = set(map(type, children))
        if kinds <= ATOMS:
            continue
        if Ref in kinds:
            found.extend(child for child in children if type(child) is Ref)
        stack.extend(child for child in children if type(child) not in ATOMS and type(child) is not Ref)
    return found


def _children(value: Any) -> list[Any] | None:
    """What lies in a container; None for what is not looked into."""
    kind: Any = type(value)
    if kind is list or kind is tuple:
        return value
    if kind is dict:
        return list(value.values())
    if kind is slice:
        return [value.start, value.stop, value.step]
    if isinstance(value, dict):
        return [*dict.values(value), *_attributes(value)]
    if isinstance(value, (list, tuple, deque)):
        return [*kind.__iter__(value), *_attributes(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [*_fields(value, (field.name for field in dataclasses.fields(value))), *_attributes(value)]
    if not isinstance(value, type) and hasattr(kind, "__attrs_attrs__"):
        return [*_fields(value, (field.name for field in kind.__attrs_attrs__)), *_attributes(value)]
    return None


def _fields(value: Any, names: Iterable[str]) -> list[Any]:
    state = getattr(value, "__dict__", ())
    return [getattr(value, name) for name in names if name not in state and hasattr(value, name)]


def _attributes(value: Any) -> list[Any]:
    return list(getattr(value, "__dict__", {}).values())


def is_builtin(value: Any) -> bool:
    """Whether it is a plain container of Python itself, of the kind that people change in a loop."""
    return type(value) in _BUILTIN
