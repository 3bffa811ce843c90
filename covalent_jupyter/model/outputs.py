"""What a finished graph gives: the manifest's output with values in the places of references."""

from __future__ import annotations

from collections.abc import Sequence

from .graph import Input, Lit, Manifest, Ref, Val
from .work import Composite, Output, Part, Produced


def produced_by(manifest: Manifest, outputs: Sequence[Produced | None]) -> Produced:
    """The value of ``manifest.output``, given what each node produced (all that it names must be there)."""
    return place(manifest.output, outputs, manifest.blobs)


def place(value: Input, outputs: Sequence[Produced | None], sizes: dict[str, int]) -> Produced:
    """One input with values in the places of its references; LookupError if one has no value."""
    if isinstance(value, Val):
        return Output(value.digest, sizes.get(value.digest, 0))
    if isinstance(value, Ref):
        part = _part(value, outputs)
        return Composite(None, (part,)) if part.path else part.value
    if isinstance(value, Lit):
        raise LookupError("a literal has no blob")
    template = Output(value.digest, sizes.get(value.digest, 0))
    return Composite(template, tuple(_part(ref, outputs) for ref in value.refs))


def _part(ref: Ref, outputs: Sequence[Produced | None]) -> Part:
    value = outputs[ref.node]
    if value is None:
        raise LookupError(f"node {ref.node} has no value")
    return Part(value, ref.path)
