"""What inside a value cannot be pickled, and what to do about it: looked for only after pickling has failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from ..errors import EncodeError

_MOST = 2_000  # children of one object that are tried
_SECONDS = 3.0  # for the whole search

_OUTSIDE = "create it inside the electron, or return what you need from it"
_ADVICE = (
    (("generator", "async_generator", "coroutine", "map", "filter", "zip"), "return a list of its items instead"),
    (
        ("FileIO", "BufferedReader", "BufferedWriter", "BufferedRandom", "TextIOWrapper", "_TemporaryFileWrapper"),
        "an open file stays in its process: pass its path, or ct.File(path)",
    ),
    (
        ("lock", "RLock", "_RLock", "Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Thread", "_local")
        + ("ThreadPoolExecutor", "ProcessPoolExecutor", "Queue", "SimpleQueue", "Process", "Popen"),
        "locks, threads and processes stay where they are: create it inside the electron",
    ),
    (("socket", "SSLSocket", "SSLContext"), "a connection stays in its process: open it inside the electron"),
)
_KNOWN = frozenset(name for names, _ in _ADVICE for name in names)


class Found(NamedTuple):
    """The innermost object that fails: how to get there, what it is, why it fails."""

    path: str
    obj: Any
    error: Exception | None


def type_name(obj: Any) -> str:
    """``sqlite3.Connection``; builtin types without their module."""
    kind = type(obj)
    module = str(getattr(kind, "__module__", ""))
    name = getattr(kind, "__qualname__", kind.__name__)
    return name if module in ("builtins", "__main__", "") else f"{module.lstrip('_')}.{name}"


def find(root: Any, name: str, attempt: Callable[[Any], Exception | None]) -> Found:
    """Follow what cannot be pickled from ``root`` inwards. ``attempt`` gives the error of pickling one object."""
    deadline = time.monotonic() + _SECONDS
    path, obj, error, seen = [name], root, None, {id(root)}
    while time.monotonic() < deadline and type(obj).__name__ not in _KNOWN:
        for step, child in _children(obj, deadline):
            if id(child) in seen:
                continue
            problem = attempt(child)
            if problem is not None:
                path.append(step)
                seen.add(id(child))
                obj, error = child, problem
                break
        else:
            break
    return Found(_join(path), obj, error)


def _join(path: list[str]) -> str:
    """``result -> ['model'] -> .conn``"""
    return " -> ".join(path)


def explain(found: Found, error: Exception) -> str:
    """The message for the user."""
    name = type_name(found.obj)
    problem = found.error or error
    reason = str(problem)
    if isinstance(problem, EncodeError) and not reason.endswith("cannot be pickled"):
        return f"{found.path}: {reason}"  # the object says itself what is wrong and what to do
    said = "" if "cannot pickle" in reason or "cannot be pickled" in reason else f" ({_short(reason)})"
    return f"{found.path}: {name} cannot be pickled{said}; {advice(found.obj)}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 200 else text[:199] + "…"


def advice(obj: Any) -> str:
    """The way out for one kind of object."""
    name = type(obj).__name__
    for names, text in _ADVICE:
        if name in names:
            return text
    return _OUTSIDE


def _children(obj: Any, deadline: float) -> Iterator[tuple[str, Any]]:
    """What an object holds, with how one writes the step to it."""
    for count, item in enumerate(_parts(obj)):
        if count >= _MOST or time.monotonic() > deadline:
            return
        yield item


def _parts(obj: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(obj, (str, bytes, bytearray, int, float, complex, ModuleType, CodeType, type(None))):
        return
    if isinstance(obj, FunctionType):
        yield from function_parts(obj)
    elif isinstance(obj, MethodType):
        yield ".__self__", obj.__self__
        yield ".__func__", obj.__func__
    elif isinstance(obj, type):
        yield from ((f".{key}", value) for key, value in list(vars(obj).items()) if key not in _CLASS_NOISE)
    else:
        yield from _items(obj)
        yield from _state(obj)


_CLASS_NOISE = frozenset({"__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__"})


def function_parts(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Closure variables, globals and defaults that a function reads, under the names that its code has for them."""
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not bound yet
            continue
    for name in global_names(code):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    positional = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    for name, value in zip(positional[len(positional) - len(defaults) :], defaults, strict=True):
        yield f"default of {name}", value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f"default of {name}", value
    yield from ((f".{key}", value) for key, value in vars(function).items())


def global_names(code: CodeType) -> list[str]:
    """Names in the code and in the code nested in it that may be globals (attributes are among them)."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names.update(dict.fromkeys(global_names(constant)))
    return list(names)


def _items(obj: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(obj, dict):
        for key, value in list(obj.items()):
            yield f"key {_key(key)}", key
            yield f"[{_key(key)}]", value
    elif isinstance(obj, (list, tuple)):
        yield from ((f"[{index}]", value) for index, value in enumerate(obj))
    elif isinstance(obj, (set, frozenset)):
        yield from (("an item of the set", value) for value in obj)


def _key(key: Any) -> str:
    return (
        _short(repr(key))[:60] if isinstance(key, (str, bytes, int, float, bool, type(None), tuple)) else type_name(key)
    )


def _state(obj: Any) -> Iterator[tuple[str, Any]]:
    """Attributes; else what ``__reduce_ex__`` would write."""
    attributes = getattr(obj, "__dict__", None)
    if isinstance(attributes, dict):
        yield from ((f".{key}", value) for key, value in list(attributes.items()))
    for kind in type(obj).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(obj, name):
                yield f".{name}", getattr(obj, name)
    try:
        reduced = obj.__reduce_ex__(5)
    except Exception:  # border: the object's own code, which is why we are here
        return
    if isinstance(reduced, tuple):
        for part in reduced[1:3]:
            if isinstance(part, dict):
                yield from ((f".{key}", value) for key, value in part.items())
            elif isinstance(part, tuple):
                yield from ((f"part {index}", value) for index, value in enumerate(part))
