"""What an operator node runs, and how a selector is applied: plain functions, pickled by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from ..errors import BuildError, ElectronError
from .failed import Failed
from .globals import short

#: operator -> sign that people see; the function of this name is below
SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "matmul": "@", "pow_": "**",
    "lshift": "<<", "rshift": ">>", "and_": "&", "or_": "|", "xor": "^",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
    "neg": "-", "pos": "+", "invert": "~", "abs_": "abs", "round_": "round", "divmod_": "divmod",
    "floor": "floor", "ceil": "ceil", "trunc": "trunc",
    "getitem": "[ ]", "call": "( )", "call_method": ".( )", "ufunc": "ufunc", "completed": "completed",
}  # fmt: skip


class SelectError(ElectronError):
    """A selector does not fit the value. ``step`` is the number of the step that failed, from 0."""

    def __init__(self, message: str, step: int = 0) -> None:
        super().__init__(message)
        self.step = step


class _DoesNotUnpack(Exception):
    """The value has not one item for each name."""


class Unpack(NamedTuple):
    """The key of a selector for one of ``names`` names in ``a, b = e``, from 0."""

    position: int
    names: int


def select(value: Any, path: Sequence[tuple[str, Any]], load_pick: Callable[[str], Any]) -> Any:
    """What ``path`` (steps of ``model.Ref``) selects of ``value``; ``load_pick`` decodes the blob of a key.

    Raises SelectError, which names the step that failed and the type that it was applied to.
    """
    for number, (kind, key) in enumerate(path):
        try:
            if kind == "item":
                value = value[key]
            elif kind == "attr":
                value = getattr(value, key)
            elif kind == "pick":
                picked = load_pick(key)
                value = _unpack(value, picked) if type(picked) is Unpack else value[picked]
            else:
                raise ValueError(f"unknown kind of selector {kind!r}: written by a newer covalent-jupyter?")
        except _DoesNotUnpack as error:
            whole = _shown(path[:number], load_pick)
            raise SelectError(f"unpacking {whole}{' ' * bool(whole)}into {error}", number) from None
        except Exception as error:  # border: __getitem__ and properties are the user's code
            message = f"{_shown(path[: number + 1], load_pick)} of the value failed: {type(error).__name__}: {error}"
            raise SelectError(f"{message} (applied to {_kind_of(value)})", number) from error
    return value


def _shown(path: Sequence[tuple[str, Any]], load_pick: Callable[[str], Any]) -> str:
    """:func:`show_path` with the keys that are blobs."""
    return "".join(_shown_pick(load_pick, str(step[1])) if step[0] == "pick" else _show_step(step) for step in path)


def _shown_pick(load_pick: Callable[[str], Any], digest: str) -> str:
    try:
        key = load_pick(digest)
    except Exception:  # border: the key may be of a class of the user's own
        return _show_step(("pick", digest))
    return f"[{key.position} of {key.names}]" if type(key) is Unpack else f"[{short(key)}]"


def show_path(path: Sequence[tuple[str, Any]]) -> str:
    """``[0].rows`` for people."""
    return "".join(map(_show_step, path))


def _show_step(step: tuple[str, Any]) -> str:
    kind, key = step
    if kind == "attr":
        return f".{key}"
    return f"[key {str(key)[:8]}]" if kind == "pick" else f"[{key!r}]"


def _kind_of(value: Any) -> str:
    try:
        return f"{type(value).__name__} of length {len(value)}"
    except Exception:  # border: __len__ is the user's code, or is not there
        return f"{type(value).__name__}"


def _unpack(value: Any, key: Unpack) -> Any:
    """What ``a, b = value`` gives the name at ``key.position``."""
    names = f"{key.names} name{'s' * (key.names != 1)}"
    if isinstance(value, Set):
        raise _DoesNotUnpack(f"{names}: a set has no order; return a tuple")
    if isinstance(value, Mapping) or not hasattr(value, "__len__") or not hasattr(value, "__getitem__"):
        if not hasattr(value, "__iter__"):
            raise _DoesNotUnpack(f"{names}: got one {type(value).__name__}")
        value = list(value)
    if len(value) != key.names:
        raise _DoesNotUnpack(f"{names}: got {len(value)}")
    return value[key.position]


def add(a: Any, b: Any) -> Any:
    return a + b


def sub(a: Any, b: Any) -> Any:
    return a - b


def mul(a: Any, b: Any) -> Any:
    return a * b


def truediv(a: Any, b: Any) -> Any:
    return a / b


def floordiv(a: Any, b: Any) -> Any:
    return a // b


def mod(a: Any, b: Any) -> Any:
    return a % b


def matmul(a: Any, b: Any) -> Any:
    return a @ b


def pow_(a: Any, b: Any, modulus: Any = None) -> Any:
    return pow(a, b, modulus)


def lshift(a: Any, b: Any) -> Any:
    return a << b


def rshift(a: Any, b: Any) -> Any:
    return a >> b


def and_(a: Any, b: Any) -> Any:
    return a & b


def or_(a: Any, b: Any) -> Any:
    return a | b


def xor(a: Any, b: Any) -> Any:
    return a ^ b


def lt(a: Any, b: Any) -> Any:
    return a < b


def le(a: Any, b: Any) -> Any:
    return a <= b


def gt(a: Any, b: Any) -> Any:
    return a > b


def ge(a: Any, b: Any) -> Any:
    return a >= b


def eq(a: Any, b: Any) -> Any:
    return a == b


def ne(a: Any, b: Any) -> Any:
    return a != b


def neg(a: Any) -> Any:
    return -a


def pos(a: Any) -> Any:
    return +a


def invert(a: Any) -> Any:
    return ~a


def abs_(a: Any) -> Any:
    return abs(a)


def round_(a: Any, digits: Any = None) -> Any:
    return round(a) if digits is None else round(a, digits)


def divmod_(a: Any, b: Any) -> Any:
    return divmod(a, b)


def floor(a: Any) -> Any:
    return math.floor(a)


def ceil(a: Any) -> Any:
    return math.ceil(a)


def trunc(a: Any) -> Any:
    return math.trunc(a)


def getitem(a: Any, key: Any) -> Any:
    return a[key]


def call(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def call_method(obj: Any, method: str, /, *args: Any, **kwargs: Any) -> Any:
    return getattr(obj, method)(*args, **kwargs)


def ufunc(function: Any, method: str, /, *inputs: Any, **kwargs: Any) -> Any:
    return getattr(function, method)(*inputs, **kwargs)


def not_recorded(name: str, problem: str, /, *args: Any, **kwargs: Any) -> Any:
    """What is recorded in the place of a lattice that cannot be pickled."""
    raise BuildError(f'lattice {name} could not be recorded ({problem}); redispatch it with code="current"')


def completed(values: Any) -> Any:
    """The values without those that are :class:`Failed`: a dict stays a dict, anything else becomes a list."""
    if isinstance(values, Mapping):
        return {key: value for key, value in values.items() if not isinstance(value, Failed)}
    return [value for value in values if not isinstance(value, Failed)]
