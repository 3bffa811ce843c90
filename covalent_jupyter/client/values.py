"""Values of the store as objects: fetched when touched, mapped where the store is on this machine, put together
from their parts where nobody gathered them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .. import codec
from ..blobs import check_bytes, map_blob
from ..errors import NotFound
from ..model import INLINE, Composite, Digest, Hole, Input, Lit, Output, Part, Produced, Ref, Val
from ..workflow.failed import Failed
from ..workflow.ops import select
from .rest import Rest


class Values:
    """Reads values through one client."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self._ahead: dict[Digest, bytes] = {}  # fetched together, before they are needed one by one

    def blob(self, digest: Digest, data: bytes | None = None) -> Any:
        """The bytes of a blob: given, mapped privately from the store's folder, or fetched. StoreDamaged if they are not
        those that were recorded."""
        if data is None:
            data = self._ahead.get(digest)
        if data is not None:
            return data
        store = self.rest.connector.endpoint().store
        if store:
            try:
                return map_blob(Path(store, "blobs"), digest, trusted_for=0.0)
            except (FileNotFoundError, PermissionError):
                pass  # small ones lie in the database
        found = self.rest.value(digest)
        check_bytes(found, digest, "remove it from the store's folder blobs/ and run the electron that made it again")
        return found

    def decode(self, digest: Digest, data: bytes | None = None, slots: list[Any] | None = None) -> Any:
        """The object in a blob. Raises DecodeError where it was recorded under a Python that does not fit."""
        return codec.decode(self.blob(digest, data), slots=slots)

    def function(self, digest: Digest) -> Any:
        """The function in a blob, with the captured values that are blobs of their own."""
        return codec.decode_function(self.blob(digest), self.blob)

    def load(self, produced: Produced) -> Any:
        """The object that a node or a lattice produced; holes become :class:`covalent_jupyter.Failed`."""
        if isinstance(produced, Output):
            return self.decode(produced.digest, produced.data)
        if isinstance(produced, Hole):
            return Failed(produced.error, produced.message, produced.node)
        if self._ahead:  # a part of something larger
            return self._assemble(produced)
        wanted = {o.digest for o in outputs_of(produced) if o.size <= INLINE and o.data is None}
        if len(wanted) > 1:
            self._ahead = self.rest.small_values(sorted(wanted))
        try:
            return self._assemble(produced)
        finally:
            self._ahead = {}

    def load_all(self, produced: Sequence[Produced | None]) -> list[Any]:
        """:meth:`load` of each, None for None; the small ones are fetched together."""
        wanted = {
            o.digest for p in produced if p is not None for o in outputs_of(p) if o.size <= INLINE and o.data is None
        }
        self._ahead = self.rest.small_values(sorted(wanted)) if wanted else {}
        try:
            return [None if p is None else self.load(p) for p in produced]
        finally:
            self._ahead = {}

    def _assemble(self, produced: Composite) -> Any:
        parts = [self._part(part) for part in produced.parts]
        if produced.template is None:
            return parts[0]
        return self.decode(produced.template.digest, produced.template.data, parts)

    def _part(self, part: Part) -> Any:
        value = self.load(part.value)
        if not part.path or isinstance(value, Failed):
            return value
        return select(value, part.path, self.decode)

    def load_input(self, value: Input, outputs: dict[int, Produced | None]) -> Any:
        """One input of a node, ``outputs`` holding what the nodes that it refers to produced."""
        if isinstance(value, Lit):
            return value.value
        if isinstance(value, Val):
            return self.decode(value.digest)
        if isinstance(value, Ref):
            return self._part(_filled(value, outputs))
        template = Output(value.digest, 0)
        return self.load(Composite(template, tuple(_filled(ref, outputs) for ref in value.refs)))


def outputs_of(produced: Produced) -> Iterator[Output]:
    """Every blob of which a value is put together."""
    if isinstance(produced, Output):
        yield produced
    elif isinstance(produced, Composite):
        if produced.template is not None:
            yield produced.template
        for part in produced.parts:
            yield from outputs_of(part.value)


def _filled(ref: Ref, outputs: dict[int, Produced | None]) -> Part:
    produced = outputs.get(ref.node)
    if produced is None:
        raise NotFound(f"electron {ref.node} has no value, so what depends on it cannot be shown")
    return Part(produced, ref.path)


def store_folder(rest: Rest) -> str:
    """The folder of the store, where it is on this machine; else ``""``."""
    return os.fspath(rest.connector.endpoint().store)
