"""A built lattice on its way to the service: large blobs first, then one framed body."""

from __future__ import annotations

import operator
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

from ..errors import BuildError, MissingBlobs
from ..front import notebook_path
from ..model import Digest, Manifest
from ..model.notify import problem_with
from ..model.wire import pack_body
from ..worker.context import get_context
from ..workflow.build import Built
from .rest import Rest

#: blobs up to this size ride inside the body, asked for or not: that is quicker than asking
RIDES = 128 << 10
#: bytes of blobs that ride inside one body
BODY = 1 << 20
#: main modules of the processes that electrons and their executors run in
_OF_ELECTRONS = ("covalent_jupyter.worker.", "covalent_jupyter.executors.")


def submit(rest: Rest, built: Built) -> bool:
    """Hand it over; True if the dispatch is new, False if the service had it already.

    Returns after the service has committed it. May be repeated: the dispatch id is in the manifest.
    """
    _refuse_at_import()
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


def _refuse_at_import() -> None:
    """An electron whose module dispatches when it is imported would dispatch itself again and again, and wait for itself."""
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    if get_context().node_id < 0 and not (main and main.name.startswith(_OF_ELECTRONS)):
        return
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        spec = frame.f_globals.get("__spec__")
        if frame.f_code.co_name == "<module>" and getattr(spec, "_initializing", False):
            raise BuildError(
                f"{frame.f_globals['__name__']} (line {frame.f_lineno}) dispatches when it is imported, and an electron imports it: "
                'put that part of the file under `if __name__ == "__main__":`'
            )
        frame = frame.f_back


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
