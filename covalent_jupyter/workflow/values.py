"""Plain values of a graph as inputs: literals, blobs, templates with references in them.

A value is taken as it is when it is passed. What is too large to be copied, and what is encoded once although
several electrons take it, is looked at again when the lattice has been built: a change in between is an error.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple

from .. import codec
from ..errors import BuildError
from ..model.graph import Digest, Input, Lit, Tpl, Val
from ..model.graph import Ref as RefTo
from .containers import find_refs, is_builtin
from .globals import short
from .refs import Ref

Chunks = list[bytes | bytearray | memoryview]

#: Frames larger than this are not copied, and encoded once however many electrons take the value (bytes).
LARGE = 65_536
_LONGEST = 1_000  # bytes of a string that may be a literal
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_CONSTANT = (str, bytes, int, float, complex, range, FunctionType, BuiltinFunctionType, type, ModuleType)


class _Known(NamedTuple):
    value: Any  # kept alive, so that its id stays its own
    input: Val
    part: str
    where: str
    live: bool  # its blob is the value's own memory


class Encoder:
    """Values of one build: their inputs, and the blobs that these name.

    ``digest_of_code`` gives a digest of a value that holds code, the same in every process; ``target_of`` what a
    reference in this graph points to (a BuildError if it is of another); ``key_of`` the part of a node's key that it
    stands for.
    """

    def __init__(
        self,
        digest_of_code: Callable[[Any], str],
        target_of: Callable[[Ref, str], RefTo],
        key_of: Callable[[RefTo], str],
    ) -> None:
        self.blobs: dict[Digest, Chunks] = {}
        self.sizes: dict[Digest, int] = {}
        self._digest_of_code = digest_of_code
        self._target_of = target_of
        self._key_of = key_of
        self.modules: set[str] = set()  # whose functions and classes the values name
        self._known: dict[int, _Known] = {}
        self._uncertain: set[int] = set()

    def close(self) -> None:
        """Let go of everything: a reference that somebody has kept must not keep the values of its lattice too."""
        self.blobs, self.sizes, self._known = {}, {}, {}
        del self._digest_of_code, self._target_of, self._key_of

    def add(self, chunks: Chunks) -> Digest:
        """Keep a blob; its digest."""
        digest = codec.digest_of(chunks)
        if digest not in self.sizes:
            self.blobs[digest] = chunks
            self.sizes[digest] = sum(memoryview(chunk).nbytes for chunk in chunks)
        return digest

    def add_all(self, blobs: Iterable[tuple[Digest, Any]]) -> None:
        """Keep blobs that somebody else has made."""
        for digest, data in blobs:
            chunks = [data] if isinstance(data, (bytes, bytearray, memoryview)) else data
            if digest not in self.sizes:
                self.blobs[digest] = chunks
                self.sizes[digest] = sum(memoryview(chunk).nbytes for chunk in chunks)

    def input(self, value: Any, where: str) -> tuple[Input, str]:
        """The input that stands for a value, and its part of the key. ``where`` is what errors call it."""
        literal = literal_of(value)
        if literal is not None:
            return literal
        known = self._known.get(id(value))
        if known is not None:
            if not isinstance(value, _CONSTANT):
                self._uncertain.add(id(value))
            return known.input, known.part
        found = find_refs(value)
        return self._template(value, found, where) if found else self.value(value, where)

    def value(self, value: Any, where: str) -> tuple[Val, str]:
        """A value without references, as a blob."""
        chunks = codec.encode(value, name=where, modules=self.modules)
        size = sum(memoryview(chunk).nbytes for chunk in chunks)
        result = Val(self.add(chunks), hint_of(value, size))
        part = f"v{result.digest}"
        if codec.has_code(chunks):  # the pickle of code differs from process to process
            part = f"c{self._digest_of_code(value)}"
        if size > LARGE or not is_builtin(value):
            live = len(chunks) > 2 and not isinstance(value, _CONSTANT)
            self._known[id(value)] = _Known(value, result, part, where, live)
            if live:
                self._uncertain.add(id(value))
        return result, part

    def _template(self, value: Any, found: list[Ref], where: str) -> tuple[Tpl, str]:
        refs: list[RefTo] = []
        slots: dict[RefTo, int] = {}
        expected = {id(ref): self._target_of(ref, where) for ref in found}
        met = 0

        def slot_of(obj: Any) -> int | None:
            nonlocal met
            target = expected.get(id(obj)) if type(obj) is Ref else None
            if target is None:
                return None
            met += 1
            slot = slots.setdefault(target, len(refs))
            if slot == len(refs):
                refs.append(target)
            return slot

        chunks = codec.encode(value, slot_of=slot_of, name=where, modules=self.modules)
        if met > len(found):
            raise BuildError(
                f"{where}: {found[0]!r} lies inside an object that cannot be looked into; "
                "pass references in lists, tuples, dicts or dataclasses"
            )
        result = Tpl(self.add(chunks), tuple(refs))
        code = self._digest_of_code if codec.has_code(chunks) else None
        head = self._shape(value, slots) if code is not None else result.digest
        return result, f"t{head}({','.join(map(self._key_of, refs))})"

    def _shape(self, value: Any, slots: dict[RefTo, int]) -> str:
        """A digest of a template that holds code: by its frame with the code taken by digest."""
        codes: list[str] = []

        def slot_of(obj: Any) -> int | None:
            if type(obj) is Ref:
                return slots[obj._cj_ref]
            if isinstance(obj, FunctionType) or (isinstance(obj, type) and obj.__module__ == "__main__"):
                codes.append(self._digest_of_code(obj))
                return -len(codes)
            return None

        body = codec.digest_of(codec.encode(value, slot_of=slot_of))
        return hashlib.sha256("|".join([body, *codes]).encode()).hexdigest()

    def forget_copied(self) -> None:
        """Encode again what was taken as an argument of the lattice, which may change it before it passes it on."""
        self._known = {key: known for key, known in self._known.items() if known.live}
        self._uncertain &= self._known.keys()

    def check_unchanged(self) -> None:
        """BuildError if a value that was encoded once has been changed while the lattice was built."""
        for key in self._uncertain:
            known = self._known[key]
            if self._digest(known) == known.input.digest:
                continue
            if self._digest(known) != self._digest(known):
                continue  # never the same bytes twice: nothing can be said
            raise BuildError(
                f"{known.where} ({known.input.hint}) was changed in the lattice after the dispatch had taken it: "
                "change a copy of it, or change it inside an electron"
            )

    def _digest(self, known: _Known) -> Digest:
        return codec.digest_of(codec.encode(known.value, name=known.where))


def literal_of(value: Any) -> tuple[Lit, str] | None:
    """A value that is its own JSON, with its part of the key; None for everything else. Exact types only."""
    kind = type(value)
    if kind is int:
        return (Lit(value), f"i{value}") if _LOWEST <= value <= _HIGHEST else None
    if kind is str:
        if len(value) > _LONGEST:
            return None
        try:
            size = len(value.encode())
        except UnicodeEncodeError:  # a lone surrogate: JSON cannot carry it
            return None
        return (Lit(value), f"s{size}:{value}") if size <= _LONGEST else None
    if kind is float:
        return (Lit(value), f"f{value!r}") if math.isfinite(value) else None
    if kind is bool or value is None:
        return Lit(value), f"b{value}"
    return None


def hint_of(value: Any, size: int) -> str:
    """A short text for people."""
    try:
        return short(value, size)
    except Exception:  # border: attributes and reprs are the user's code
        return type(value).__name__
