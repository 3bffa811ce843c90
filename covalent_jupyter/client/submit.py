"""A built lattice on its way to the service: large blobs first, then one framed body."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable, Mapping, Sequence
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
#: bytes of blobs from which on those that the service has already are left out of the body: sending fewer is quicker than looking there
WORTH_LEAVING = 128 << 10
#: main modules of the processes that electrons and their executors run in
_OF_ELECTRONS = ("covalent_jupyter.worker.", "covalent_jupyter.executors.")


def submit(rest: Rest, built: Built) -> bool:
    """Hand it over; True if the dispatch is new, False if the service had it already.

    Returns after the service has committed it. May be repeated: the dispatch id is in the manifest.
    """
    _refuse_at_import()
    sizes = {digest: sum(memoryview(chunk).nbytes for chunk in chunks) for digest, chunks in built.blobs.items()}
    known = rest.sent.among(sizes)
    if sum(sizes[digest] for digest in known) < WORTH_LEAVING:
        known = set()
    small, large = _split([digest for digest in sizes if digest not in known], sizes)
    if large:
        _upload(rest, built, rest.missing(large))
    try:
        answer = rest.submit(_body(built, small))
    except MissingBlobs as error:
        # they may have been deleted since, or collected since a colleague's upload, or the store is another one by now
        missing = [str(d) for d in error.details.get("missing", [])]
        if not missing or not sizes.keys() >= set(missing):
            raise
        rest.sent.forget(missing)
        small, large = _split([*small, *missing], sizes)
        _upload(rest, built, large)
        answer = rest.submit(_body(built, small))
    rest.sent.add(sizes)
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


def _split(digests: Iterable[Digest], sizes: Mapping[Digest, int]) -> tuple[list[Digest], list[Digest]]:
    """Those that ride inside the body, and the others."""
    small: list[Digest] = []
    large: list[Digest] = []
    total = 0
    for digest in digests:
        if sizes[digest] > RIDES or total + sizes[digest] > BODY:
            large.append(digest)
        else:
            small.append(digest)
            total += sizes[digest]
    return small, large


def _body(built: Built, small: Iterable[Digest]) -> bytes:
    return pack_body(built.manifest, [(digest, b"".join(built.blobs[digest])) for digest in small], built.variables)


def _upload(rest: Rest, built: Built, digests: Iterable[str]) -> None:
    for digest in digests:
        rest.put_value(digest, built.blobs[digest])


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
