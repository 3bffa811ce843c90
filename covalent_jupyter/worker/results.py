"""From what the user's function gave, a value or an exception, to what is recorded."""

from __future__ import annotations

import uuid
from typing import Any

from .. import blobs, codec
from ..errors import DecodeError, EncodeError
from ..model.wire import pack_body
from ..model.work import INLINE, Error, Output, Pack, Task
from ..workflow.build import build
from ..workflow.ops import SelectError
from .deps import DepsError
from .failure import error_of
from .room import wait_for_room


def output_of(result: Any, task: Task, pack: Pack, *, sync: bool = True) -> Output:
    """The result as a blob: inside the output while it is small, or where this worker sees no blob folder.

    EncodeError names the electron. With ``sync=False`` the pool makes a large one durable before it tells of it.
    """
    chunks = codec.encode(result, name=f"the result of {task.name} (node {task.node})")
    if len(chunks) == 1 and len(chunks[0]) <= INLINE:
        data = bytes(chunks[0])
        return Output(codec.digest_of(chunks), len(data), data)
    size = size_of(chunks)
    if size <= INLINE or not pack.blob_root:
        data = b"".join(chunks)
        return Output(codec.digest_of((data,)), size, data)
    digest, size = wait_for_room(
        lambda: blobs.write_blob(pack.blob_root, chunks, sync=sync), f"the value of {task.name}"
    )
    return Output(digest, size)


def size_of(chunks: Any) -> int:
    return sum(memoryview(chunk).nbytes for chunk in chunks)


def child_of(lattice: Any, args: list[Any], kwargs: dict[str, Any], task: Task, pack: Pack) -> bytes:
    """The framed manifest of a sublattice's inner graph; its large blobs are written to the blob folder."""
    built = build(
        lattice,
        args,
        kwargs,
        parent=(pack.dispatch_id, task.node),
        root=pack.root_id,
        dispatch_id=str(uuid.uuid5(uuid.UUID(pack.dispatch_id), f"{task.node}.{task.attempt}")),
        environment=pack.environment,
        seed=task.seed,
    )
    built.manifest.environment = None
    inside = []
    for digest, chunks in built.blobs.items():
        if pack.blob_root and size_of(chunks) > INLINE:
            what = f"a value inside {task.name}"
            wait_for_room(lambda d=digest, c=chunks: blobs.write_blob(pack.blob_root, c, digest=d), what)  # type: ignore[misc]
        else:
            inside.append((digest, b"".join(chunks)))
    return pack_body(built.manifest, inside)


def error_for(error: BaseException, task: Task) -> Error:
    """What is recorded of an exception that ended an electron."""
    if isinstance(error, EncodeError):
        hint = (
            "return plain data, arrays or tables; files, locks, connections and generators belong inside the electron"
        )
        return error_of(error, "encode", hint=hint)
    if isinstance(error, DecodeError):
        return error_of(error, "decode")
    if isinstance(error, DepsError):
        hint = "the whole output of the command is in the electron's stdout" if error.printed else ""
        return error_of(error, "deps", hint=hint)
    if isinstance(error, SelectError):
        return error_of(error, hint="the selector in the lattice does not fit what the electron returned")
    if isinstance(error, MemoryError):
        return error_of(error, hint="the electron asked for more memory than there was; work on smaller pieces")
    return error_of(error)
