"""Attributes of a value that does not exist yet, checked against the electron's return annotation."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .options import suggest

_DYNAMIC = frozenset({"setattr", "__dict__", "vars", "__setattr__", "__setstate__"})
_OPEN = (object, type, typing.Any)


def returns(function: Any) -> Any:
    """The return annotation, evaluated; None if there is none or it cannot be evaluated here."""
    if "return" not in getattr(function, "__annotations__", {}):
        return None
    try:
        return typing.get_type_hints(function).get("return")
    except Exception:  # border: annotations are the user's code, and may name what does not exist at run time
        return None


def lacking(annotation: Any, name: str) -> str:
    """Why a value annotated so has certainly no attribute ``name``; an empty string if it may have it."""
    classes = _classes(annotation)
    if not classes or any(_may_have(cls, name) for cls in classes):
        return ""
    kinds = " or ".join(cls.__name__ for cls in classes)
    known = {n for cls in classes for n in dir(cls) if not n.startswith("_")}
    return f"{kinds} has no attribute {name!r}{suggest(name, known)}"


def _classes(annotation: Any) -> list[type]:
    """Classes that the value is an instance of; empty if that is not known."""
    origin = typing.get_origin(annotation)
    if origin is typing.Union or isinstance(annotation, types.UnionType):
        found = [_classes(part) for part in typing.get_args(annotation)]
        return [cls for part in found for cls in part] if all(found) else []
    if origin is typing.Annotated:
        return _classes(typing.get_args(annotation)[0])
    cls = origin if origin is not None else annotation
    return [cls] if isinstance(cls, type) and cls not in _OPEN and not getattr(cls, "_is_protocol", False) else []


def _may_have(cls: type, name: str) -> bool:
    if hasattr(cls, name):
        return True
    known = _known_names(cls)
    return known is None or name in known


@lru_cache(maxsize=1024)
def _known_names(cls: type) -> frozenset[str] | None:
    """Names that instances may get besides the class's own; None if anything may appear on them.

    An instance without a ``__dict__`` has exactly its class's attributes. For others every name that a method
    mentions counts, so that what is set in ``__init__`` or ``fit`` is never refused.
    """
    usual: Any = object.__getattribute__
    if cls.__dictoffset__ == 0 and cls.__getattribute__ is usual and not hasattr(cls, "__getattr__"):
        return frozenset()
    names: set[str] = set()
    for base in cls.__mro__:
        if base is object or base.__module__ == "builtins":
            continue
        members = vars(base)
        if "__getattr__" in members or "__getattribute__" in members or not _written_in_python(members):
            return None
        names.update(members.get("__annotations__", ()))
        for member in members.values():
            for code in _codes(member):
                names.update(code.co_names)
    return None if names & _DYNAMIC else frozenset(names)


def _written_in_python(members: Any) -> bool:
    return "__dict__" in members or "__slots__" in members or "__weakref__" in members or "__firstlineno__" in members


def _codes(member: Any) -> list[types.CodeType]:
    functions: list[Callable[..., Any] | None]
    if isinstance(member, property):
        functions = [member.fget, member.fset]
    else:
        functions = [getattr(member, "__func__", None) or getattr(member, "__wrapped__", None), member]
    found: list[types.CodeType] = []
    waiting = [code for code in (getattr(f, "__code__", None) for f in functions) if isinstance(code, types.CodeType)]
    while waiting:
        code = waiting.pop()
        found.append(code)
        waiting.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return found
