"""A built lattice on its way to the service: large blobs first, then one framed body."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import BuildError, MissingBlobs
from ..front import notebook_path
from ..model import Digest, Manifest
from ..model.notify import problem_with
from ..model.wire import pack_body
from ..workflow.build import Built
from .rest import Rest

#: blobs up to this size ride inside the body, asked for or not: that is quicker than asking
RIDES = 128 << 10
#: bytes of blobs that ride inside one body
BODY = 1 << 20


def submit(rest: Rest, built: Built) -> bool:
    """Hand it over; True if the dispatch is new, False if the service had it already.

    Returns after the service has committed it. May be repeated: the dispatch id is in the manifest.
    """
    small, large = _split(built.blobs)
    if large:
        _upload(rest, large, rest.missing(list(large)))
    body = pack_body(built.manifest, small, built.variables)
    try:
        answer = rest.submit(body)
    except MissingBlobs as error:
        # blobs may have been collected since a colleague's upload, or the store is another one by now
        missing = [str(d) for d in error.details.get("missing", [])]
        if not missing or not built.blobs.keys() >= set(missing):
            raise
        _upload(rest, built.blobs, missing)
        answer = rest.submit(body)
    return bool(answer.get("created", True))


def _split(blobs: Mapping[Digest, Sequence[Any]]) -> tuple[list[tuple[Digest, bytes]], dict[Digest, Sequence[Any]]]:
    small: list[tuple[Digest, bytes]] = []
    large: dict[Digest, Sequence[Any]] = {}
    total = 0
    for digest, chunks in blobs.items():
        size = sum(memoryview(chunk).nbytes for chunk in chunks)
        if size > RIDES or total + size > BODY:
            large[digest] = chunks
        else:
            small.append((digest, b"".join(chunks)))
            total += size
    return small, large


def _upload(rest: Rest, blobs: Mapping[Digest, Sequence[Any]], missing: Sequence[str]) -> None:
    for digest in missing:
        rest.put_value(digest, blobs[digest])


def mark(manifest: Manifest, *, name: str | None, tags: Sequence[str], seed: int | None, notify: Any = None) -> None:
    """What the caller of ``dispatch`` says about the dispatch, apart from its graph."""
    if name is not None:
        manifest.label = str(name)
    if tags:
        manifest.tags = tuple(str(tag) for tag in ([tags] if isinstance(tags, str) else tags))
    if seed is not None:
        try:
            manifest.seed = operator.index(seed)
        except TypeError:
            raise BuildError(f"seed is a whole number, not {seed!r}") from None
    if notify is not None:
        if problem := problem_with(notify):
            raise BuildError(problem)
        manifest.notify = notify
    notebook = notebook_path()
    if notebook and not manifest.notebook:
        manifest.notebook = notebook
