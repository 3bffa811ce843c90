"""What people see of a value without unpickling it: type, short repr, shape, a small picture or table."""

from __future__ import annotations

from typing import Any

from ..model.work import Preview

_REPR = 2000  # bytes
_SIMPLE: dict[type, str] = {int: "int", float: "float", bool: "bool", str: "str", type(None): "NoneType"}


def preview_of(value: Any, size: int) -> Preview:
    """Never raises, whatever the value's own methods do."""
    name = _SIMPLE.get(type(value))
    if name is not None:
        return _simple(value, name, size)
    return Preview(type(value).__qualname__, repr(value)[:_REPR], size)


def _simple(value: Any, name: str, size: int) -> Preview:
    if name == "int" and not -(2**63) <= value < 2**63:
        return Preview(name, f"an integer of {value.bit_length()} bits", size)
    if name == "str":
        text = repr(value[:_REPR]) + ("..." if len(value) > _REPR else "")
        return Preview(name, text[:_REPR], size, scalar=value if len(value) <= 200 else None)
    return Preview(name, repr(value), size, scalar=value)
