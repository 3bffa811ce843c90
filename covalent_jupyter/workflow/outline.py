"""What a lattice returned, as people read it: its text, with marks where values of electrons belong."""

from __future__ import annotations

import dataclasses
import re
import reprlib
from itertools import islice
from typing import Any

from ..model.graph import Outline
from ..model.graph import Ref as RefTo
from .globals import describe
from .refs import Ref

_LONGEST = 4_000  # characters of an outline
_MARK = re.compile("\0(\\d+)\0")


def outline_of(value: Any, refs: tuple[RefTo, ...]) -> Outline:
    """``{'a': <refs[0]>, 'b': 5}``. The value's own code is not asked. Never raises."""
    try:
        text = _Outliner(refs).repr(value)
    except Exception:  # border: keys, fields and lengths are the user's code
        text = type(value).__name__
    pieces: list[str | int] = []
    length = 0
    for i, part in enumerate(_MARK.split(text)):
        if i % 2:
            pieces.append(int(part))
        elif length + len(part) > _LONGEST:
            pieces.append(part[: _LONGEST - length] + "…")
            break
        elif part:
            pieces.append(part)
            length += len(part)
    return Outline(type(value).__name__, tuple(pieces), _shape(value))


def _shape(value: Any) -> str:
    if type(value) in (list, tuple, dict, set, frozenset):
        return f"{len(value)} item{'s' * (len(value) != 1)}"
    return ""


class _Outliner(reprlib.Repr):
    """A short repr in which references are marks: no repr of a text holds a NUL."""

    def __init__(self, refs: tuple[RefTo, ...]) -> None:
        super().__init__()
        self._slots = {ref: i for i, ref in enumerate(refs)}
        self.maxlevel = 5
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = self.maxdict = 30
        self.maxstring = self.maxlong = 300

    def repr1(self, x: Any, level: int) -> str:
        if type(x) is Ref:
            return f"\0{self._slots[x._cj_ref]}\0"
        if type(x) in (bool, float, complex, type(None)):
            return repr(x)
        return super().repr1(x, level)

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        if level <= 0 and x:
            return "{...}"
        shown = [
            f"{self.repr1(key, level - 1)}: {self.repr1(item, level - 1)}"
            for key, item in islice(x.items(), self.maxdict)
        ]
        return "{" + ", ".join(shown + ["..."] * (len(x) > self.maxdict)) + "}"

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x) if len(x) <= 300 else f"{x[:100]!r}..."

    def repr_instance(self, x: Any, level: int) -> str:
        kind = type(x)
        if level <= 0:
            return describe(x)
        if dataclasses.is_dataclass(kind):
            fields = [(field.name, getattr(x, field.name, None)) for field in dataclasses.fields(kind)]
        elif isinstance(x, tuple) and hasattr(kind, "_fields"):
            fields = list(zip(kind._fields, x, strict=False))
        else:
            return describe(x)
        inside = ", ".join(f"{name}={self.repr1(item, level - 1)}" for name, item in fields[: self.maxdict])
        return f"{kind.__name__}({inside})"
