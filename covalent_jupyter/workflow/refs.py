"""The lazy value: what an electron gives while its lattice is built.

A :class:`Ref` stands for a value that does not exist yet. What can be recorded truthfully is recorded (selectors,
arithmetic, calls of methods, NumPy functions); everything that would need the value now raises, with the way out.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn, Protocol

from ..errors import RefError
from ..model.graph import Ref as RefTo
from ..model.graph import Step
from ..model.wire import sendable

_ELECTRON = "do it inside an electron, or move this part into a sublattice: ct.electron(ct.lattice(f))"


class RefAttributeError(RefError, AttributeError):
    """A private attribute of a value that does not exist yet."""


class Recorder(Protocol):
    """What a reference needs of the graph that is being built."""

    def describe(self, ref: RefTo) -> str: ...

    def operate(self, operator: str, args: tuple[Any, ...], kwargs: dict[str, Any], label: str = "") -> Ref: ...

    def select(self, ref: Ref, key: Any) -> Ref: ...

    def unpack(self, ref: Ref, count: int) -> list[Ref]: ...

    def check_attribute(self, ref: RefTo, name: str) -> None: ...


class Ref:
    """The output of an electron, or a part of it, while the lattice is built."""

    __slots__ = ("_cj_graph", "_cj_ref")
    _cj_graph: Recorder
    _cj_ref: RefTo

    __pandas_priority__ = 100_000  # ``frame + ref`` asks the reference, which records it

    # Selectors: they cost no task

    def __getattr__(self, name: str) -> Ref:
        if name.startswith("_"):
            raise RefAttributeError(f"{self!r} has no attribute {name!r}: private names are not recorded; {_ELECTRON}")
        if name == "keys" and not _reads_attribute(sys._getframe(1)):
            raise _refuse(self, *_ITERATION["mapping"])
        self._cj_graph.check_attribute(self._cj_ref, name)
        return _step(self, ("attr", name))

    def __getitem__(self, key: Any) -> Ref:
        kind = type(key)
        if (kind is str and _is_text(key)) or (kind is int and -(2**63) <= key < 2**63):
            return _step(self, ("item", key))
        return self._cj_graph.select(self, key)

    def __iter__(self) -> Iterator[Ref]:
        count, doing = _unpacking(sys._getframe(1))
        if count is None:
            raise _refuse(self, *_ITERATION[doing])
        return iter(self._cj_graph.unpack(self, count))

    def __call__(self, /, *args: Any, **kwargs: Any) -> Ref:
        path = self._cj_ref.path
        if path and path[-1][0] == "attr":
            owner = make(self._cj_graph, RefTo(self._cj_ref.node, path[:-1]))
            method = str(path[-1][1])
            return self._cj_graph.operate("call_method", (owner, method, *args), kwargs, f".{method}()")
        return self._cj_graph.operate("call", (self, *args), kwargs)

    # NumPy

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Ref:
        if kwargs.get("out") is not None:
            raise _refuse(self, "be used with out= or in-place arithmetic on an array", "write result = array + value")
        label = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        return self._cj_graph.operate("ufunc", (ufunc, method, *inputs), kwargs, label)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Ref:
        return self._cj_graph.operate("call", (func, *args), kwargs, func.__name__)

    # Arithmetic and comparison, added below from the tables of operators

    def __pow__(self, other: Any, modulus: Any = None) -> Ref:
        return self._cj_graph.operate("pow_", (self, other) if modulus is None else (self, other, modulus), {})

    def __rpow__(self, other: Any, modulus: Any = None) -> Ref:
        return self._cj_graph.operate("pow_", (other, self) if modulus is None else (other, self, modulus), {})

    def __round__(self, digits: Any = None) -> Ref:
        return self._cj_graph.operate("round_", (self,) if digits is None else (self, digits), {})

    # What must not be answered before the value exists

    def __repr__(self) -> str:
        return f"<{self._cj_graph.describe(self._cj_ref)}, not run yet>"

    def __copy__(self) -> Ref:
        return self

    def __deepcopy__(self, memo: Any) -> Ref:
        return self

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise _refuse(self, f"get an attribute set (.{name} = ...)", "return a changed copy from an electron")

    def __delattr__(self, name: str) -> NoReturn:
        raise _refuse(self, f"lose an attribute (del .{name})", "return a changed copy from an electron")

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise _refuse(self, "get an item set (e[k] = ...)", "return a changed copy from an electron")

    def __delitem__(self, key: Any) -> NoReturn:
        raise _refuse(self, "lose an item (del e[k])", "return a changed copy from an electron")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise _refuse(
            self, "be pickled",
            "pass it to an electron as an argument of its own, or in a list, tuple, dict or dataclass",
        )  # fmt: skip


def make(graph: Recorder, ref: RefTo) -> Ref:
    """A reference of this graph."""
    new = _new(Ref)
    _set_graph(new, graph)
    _set_ref(new, ref)
    return new


_new = object.__new__
_set_graph = Ref.__dict__["_cj_graph"].__set__
_set_ref = Ref.__dict__["_cj_ref"].__set__


def _is_text(key: str) -> bool:
    """Whether JSON can carry it; a lone surrogate it cannot."""
    return key.isascii() or key == sendable(key)


def _step(ref: Ref, step: Step) -> Ref:
    old = ref._cj_ref
    return make(ref._cj_graph, RefTo(old.node, (*old.path, step)))


def _refuse(ref: Ref, doing: str, way_out: str = _ELECTRON) -> RefError:
    return RefError(f"{ref!r} cannot {doing}, because its value does not exist while the lattice is built; {way_out}")


_COUNT = "for i in range(n) with e[i], where you know n, or a sublattice: ct.electron(ct.lattice(f))"
_ITERATION = {
    "loop": ("be iterated over", f"use {_COUNT}"),
    "star": ("be spread with *", "pass it whole, or its items e[0], e[1], ..."),
    "mapping": ("be spread with ** or copied with dict()", 'pass it whole, or its items e["a"], e["b"], ...'),
    "rest": ("be unpacked with a starred name", "write a, b = e with one name for each item, or use e[0], e[1], ..."),
}
_DOING = {
    "UNPACK_EX": "rest",
    "CALL_FUNCTION_EX": "star",
    "LIST_EXTEND": "star",
    "SET_UPDATE": "star",
}


def _unpacking(frame: FrameType) -> tuple[int | None, str]:
    """How many names the instruction that iterates unpacks into; None and what it does if it is another."""
    name, count = _instruction(frame)
    return (count, "") if name == "UNPACK_SEQUENCE" else (None, _DOING.get(name, "loop"))


def _instruction(frame: FrameType) -> tuple[str, int]:
    """Name and argument of the instruction that a frame is at."""
    code = frame.f_code.co_code  # without the interpreter's specialised instructions
    at = max(frame.f_lasti, 0)
    while at >= 2 and dis.opname[code[at - 2]] == "EXTENDED_ARG":
        at -= 2
    argument = code[at + 1]
    while dis.opname[code[at]] == "EXTENDED_ARG":  # Python 3.10 stands at the prefix, later ones behind it
        at += 2
        argument = argument << 8 | code[at + 1]
    return dis.opname[code[at]], argument


def _reads_attribute(frame: FrameType) -> bool:
    """Whether the caller's own code reads an attribute; ``f(**e)`` and ``dict(e)`` ask for ``e.keys`` otherwise."""
    return _instruction(frame)[0] in ("LOAD_ATTR", "LOAD_METHOD")


def _binary(operator: str) -> tuple[Any, Any]:
    def forward(self: Ref, other: Any) -> Ref:
        return self._cj_graph.operate(operator, (self, other), {})

    def reflected(self: Ref, other: Any) -> Ref:
        return self._cj_graph.operate(operator, (other, self), {})

    return forward, reflected


def _unary(operator: str) -> Any:
    def apply(self: Ref) -> Ref:
        return self._cj_graph.operate(operator, (self,), {})

    return apply


def _refusal(doing: str, way_out: str) -> Any:
    def refuse(self: Ref, *args: Any, **options: Any) -> NoReturn:
        raise _refuse(self, doing, way_out)

    return refuse


_BOTH_SIDES = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "truediv", "floordiv": "floordiv", "mod": "mod",
    "matmul": "matmul", "lshift": "lshift", "rshift": "rshift", "and": "and_", "or": "or_", "xor": "xor",
    "divmod": "divmod_",
}  # fmt: skip
_COMPARE = ("lt", "le", "gt", "ge", "eq", "ne")
_UNARY = {
    "neg": "neg", "pos": "pos", "invert": "invert", "abs": "abs_", "floor": "floor", "ceil": "ceil", "trunc": "trunc",
}  # fmt: skip
_TEXT = "make the text in an electron; repr(e) shows what is recorded"
_REFUSED = {
    "bool": ("be used as a condition (if, while, and, or, not, min, max, sorted)", _ELECTRON),
    "int": ("be turned into an int", _ELECTRON),
    "float": ("be turned into a float", _ELECTRON),
    "complex": ("be turned into a complex number", _ELECTRON),
    "index": ("be used as an index or in range()", f"record it with e[other], or use {_COUNT}"),
    "len": ("be asked for its length", "return the length from an electron, or use a sublattice"),
    "contains": ("be searched with 'in'", "write an electron that tests it"),
    "reversed": ("be iterated over", f"use {_COUNT}"),
    "hash": ("be hashed (as a key of a dict, or in a set)", "keep it in a list, or as a value of a dict"),
    "str": ("be made into text", _TEXT),
    "format": ("be formatted into a string", _TEXT),
    "bytes": ("be turned into bytes", _ELECTRON),
    "fspath": ("be used as a path", _ELECTRON),
    "array": ("be turned into an array", "pass it to an electron, or use a NumPy function on it, which is recorded"),
    "await": ("be awaited", "call the electron without await: the lattice only builds the graph"),
    "enter": ("be used in a with statement", _ELECTRON),
    "exit": ("be used in a with statement", _ELECTRON),
    "aiter": ("be iterated over", _ELECTRON),
}


def _install() -> None:
    for name, operator in _BOTH_SIDES.items():
        forward, reflected = _binary(operator)
        setattr(Ref, f"__{name}__", forward)
        setattr(Ref, f"__r{name}__", reflected)
    for name in _COMPARE:
        setattr(Ref, f"__{name}__", _binary(name)[0])
    for name, operator in _UNARY.items():
        setattr(Ref, f"__{name}__", _unary(operator))
    for name, (doing, way_out) in _REFUSED.items():
        setattr(Ref, f"__{name}__", _refusal(doing, way_out))
    setattr(Ref, "__slots__", ())  # noqa: B010  # who looks for what cannot be pickled stops at the reference, not in the graph behind it


_install()
