"""What a code object does and what it reads, apart from where it was written.

Works on the de-optimised bytecode that ``co_code`` gives, of Python 3.10 to 3.13.
"""

from __future__ import annotations

import dis
import hashlib
import inspect
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

Chain = tuple[str, ...]  # attributes read of a name at once: ("random", "default_rng")

_OPS = dis.opmap
_NONE = -1
_HAS_DOCSTRING = 0x4000000  # a flag since 3.13
_CACHE = _OPS.get("CACHE", _NONE) if sys.version_info >= (3, 11) else _NONE
_NOP = _OPS["NOP"]
_CONSTS = frozenset(dis.hasconst)
_NAMES = frozenset(dis.hasname)
_LOAD_CONST = _OPS["LOAD_CONST"]
_LOAD_GLOBAL = _OPS["LOAD_GLOBAL"]
_LOAD_NAMES = frozenset(
    _OPS[name] for name in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS") if name in _OPS
)
_STORES = frozenset((_OPS["STORE_GLOBAL"], _OPS["DELETE_GLOBAL"]))
_CELL_STORES = frozenset((_OPS["STORE_DEREF"], _OPS["DELETE_DEREF"]))
_ATTRIBUTES = frozenset(_OPS[name] for name in ("LOAD_ATTR", "LOAD_METHOD") if name in _OPS)
_IMPORT_NAME = _OPS["IMPORT_NAME"]
_STORE_NAME = _OPS["STORE_NAME"]
#: how far the index of a name is shifted in the argument of an instruction
_SHIFTS: dict[int, int] = {}
_SHIFTS[_LOAD_GLOBAL] = 1
if sys.version_info >= (3, 12):
    _SHIFTS[_OPS["LOAD_ATTR"]] = 1
    _SHIFTS[_OPS["LOAD_SUPER_ATTR"]] = 2
#: names that a class body sets to say where and how it was written
_CLASS_NOTES = frozenset({"__doc__", "__firstlineno__", "__qualname__", "__static_attributes__"})


class Import(NamedTuple):
    """``from ..name import names`` (``level`` dots) inside a function."""

    level: int
    name: str
    names: tuple[str, ...]


class Facts(NamedTuple):
    """What a code object reads and sets outside itself, nested functions included."""

    loads: dict[str, frozenset[Chain]]  # global name -> attribute chains read of it; () where it is used whole
    stores: frozenset[str]  # globals that it assigns or deletes
    rebinds: frozenset[str]  # variables of enclosing functions that it assigns or deletes (``nonlocal``)
    imports: tuple[Import, ...]


def instructions(code: CodeType) -> Iterator[tuple[int, int]]:
    """(opcode, argument), with EXTENDED_ARG folded in, without inline caches and NOPs."""
    raw, extended = code.co_code, 0
    for at in range(0, len(raw), 2):
        op = raw[at]
        if op == _CACHE or op == _NOP:
            continue
        argument = raw[at + 1] | extended
        if op == dis.EXTENDED_ARG:
            extended = argument << 8
            continue
        extended = 0
        yield op, argument


def _name(code: CodeType, op: int, argument: int) -> str:
    index = argument >> _SHIFTS.get(op, 0)
    return code.co_names[index] if index < len(code.co_names) else ""


def _free_variable(code: CodeType, argument: int) -> tuple[str, ...]:
    """The variable of an enclosing function that the argument of an instruction on cells means; () for own ones."""
    own = code.co_nlocals + sum(name not in code.co_varnames for name in code.co_cellvars)
    return code.co_freevars[argument - own : argument - own + 1] if argument >= own else ()


@lru_cache(maxsize=8192)
def facts(code: CodeType) -> Facts:
    """What ``code`` reads and sets outside itself."""
    loads: dict[str, set[Chain]] = {}
    stores: set[str] = set()
    rebinds: set[str] = set()
    imports: list[Import] = []
    reading, chain = "", list[str]()
    recent: list[Any] = [None, None]

    for op, argument in instructions(code):
        if reading:
            if op in _ATTRIBUTES:
                chain.append(_name(code, op, argument))
                continue
            loads.setdefault(reading, set()).add(tuple(chain))
            reading = ""
        if op in _LOAD_NAMES:
            reading, chain = _name(code, op, argument), []
        elif op in _STORES:
            stores.add(_name(code, op, argument))
        elif op in _CELL_STORES:
            rebinds.update(_free_variable(code, argument))
        elif op == _IMPORT_NAME:
            level, names = recent
            imports.append(Import(level if isinstance(level, int) else 0, _name(code, op, argument), names or ()))
        elif op in _CONSTS:
            recent = [recent[1], code.co_consts[argument]]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = facts(constant)
            for name, chains in inner.loads.items():
                loads.setdefault(name, set()).update(chains)
            stores |= inner.stores
            rebinds |= inner.rebinds.intersection(code.co_freevars)
            imports.extend(inner.imports)
    return Facts(
        {name: frozenset(loads[name]) for name in sorted(loads)}, frozenset(stores), frozenset(rebinds), tuple(imports)
    )


@lru_cache(maxsize=8192)
def normal_form(code: CodeType) -> bytes:
    """A digest of what the code does: without file names, line numbers, docstrings, names of locals.

    Constants and names stand where they are used, so that a docstring (which moves their indices) does not show.
    """
    state = hashlib.sha256()
    variadic = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + variadic]
    flags = code.co_flags & ~_HAS_DOCSTRING
    shape = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, flags, names)
    state.update(repr(shape).encode())
    pending: tuple[int, int] | None = None  # LOAD_CONST, held back in case it only feeds a note of a class
    for op, argument in instructions(code):
        if pending is not None:
            if op == _STORE_NAME and code.co_names[argument] in _CLASS_NOTES:
                pending = None
                continue
            _feed(state, code, *pending)
            pending = None
        if op == _LOAD_CONST:
            pending = (op, argument)
        else:
            _feed(state, code, op, argument)
    if pending is not None:
        _feed(state, code, *pending)
    state.update(getattr(code, "co_exceptiontable", b""))
    return state.digest()


def _feed(state: Any, code: CodeType, op: int, argument: int) -> None:
    state.update(bytes((op,)))
    if op in _CONSTS:
        state.update(constant_form(code.co_consts[argument]))
    elif op in _NAMES:
        flags = argument & ((1 << _SHIFTS.get(op, 0)) - 1)
        state.update(f"{_name(code, op, argument)}/{flags};".encode())
    else:
        state.update(b"%d;" % argument)


def constant_form(value: Any) -> bytes:
    """A constant, the same in every process (the order of a frozenset is not)."""
    if isinstance(value, CodeType):
        return normal_form(value)
    if isinstance(value, tuple):
        return b"(" + b",".join(constant_form(item) for item in value) + b")"
    if isinstance(value, frozenset):
        return b"{" + b",".join(sorted(constant_form(item) for item in value)) + b"}"
    return f"{type(value).__name__}:{value!r}".encode("utf-8", "surrogatepass")
