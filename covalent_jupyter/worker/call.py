"""One electron: load, prepare, seed, call, encode."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
import types
import uuid
from contextvars import copy_context
from typing import Any, Callable

from .. import blobs, codec
from ..errors import DecodeError, EncodeError
from ..model.graph import Options
from ..model.wire import pack_body
from ..model.work import INLINE, Error, Outcome, Output, Pack, Task
from ..workflow.ops import SelectError
from . import context
from .bench import Bench
from .deps import DepsError, Prepared, prepare
from .failure import error_of
from .imported import newly_imported
from .preview import preview_of

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Copied(BaseException):
    """This process is a copy that the electron forked: it must not answer in the runner's place."""


def run_task(task: Task, pack: Pack, bench: Bench) -> Outcome:
    """The outcome of one attempt. Raises Copied in a forked child of the electron, and nothing else."""
    started = time.time()
    modules = len(sys.modules)
    known = set(sys.modules) if modules != bench.known_count else bench.known
    outcome = Outcome(pack.dispatch_id, task.node, task.attempt, "failed", started)
    electron = context.ElectronContext(
        pack.dispatch_id, task.node, task.attempt, task.seed, pack.work_root or bench.scratch, outcome.reports, note=bench.page.note
    )
    context.enter(electron, everywhere=True)
    try:
        copy_context().run(_run, task, pack, bench, outcome)
    finally:
        if os.getpid() != bench.pid:
            raise Copied
        context.enter(None, everywhere=True)
    outcome.stdout, outcome.stderr = bench.capture.finish(pack.dispatch_id, task.node, task.attempt, bench.page.dropped())
    bench.capture.restore()
    left = bench.state.restore()
    if left or bench.warnings or electron.dropped_reports:
        outcome.warnings = (*bench.warnings, *outcome.warnings, *left)
        if electron.dropped_reports:
            outcome.warnings += (f"{electron.dropped_reports} calls of report() were dropped: 10,000 are kept",)
    if len(sys.modules) != modules:
        outcome.imported = newly_imported(known)
    bench.known, bench.known_count = (known, modules) if len(sys.modules) == modules else (set(sys.modules), len(sys.modules))
    outcome.rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
    outcome.finished = time.time()
    return outcome


def _run(task: Task, pack: Pack, bench: Bench, outcome: Outcome) -> None:
    """Fill the outcome; whatever the user's code raises becomes its error."""
    if bench.problem is not None:
        outcome.error = bench.environment_error()
        return
    options = pack.options[task.options]
    try:
        result = _call(task, pack, options, bench, outcome)
        if os.getpid() != bench.pid:
            return
        if task.kind == "sublattice":
            outcome.child = result
        else:
            outcome.output = _store(result, task, pack)
            outcome.preview = preview_of(result, outcome.output.size)
        outcome.status = "completed"
    except BaseException as error:  # border: the user's code may raise anything
        outcome.error = _error(error, task)
        outcome.output = outcome.preview = None


def _error(error: BaseException, task: Task) -> Error:
    if isinstance(error, EncodeError):
        return error_of(error, "encode", hint="return plain data, arrays or tables; open files, locks, connections and "
                        "generators belong inside the electron")  # fmt: skip
    if isinstance(error, DecodeError):
        return error_of(error, "decode")
    if isinstance(error, DepsError):
        return error_of(error, "deps", hint="run the command in a terminal of the electron's machine to see more")
    if isinstance(error, SelectError):
        return error_of(error, hint="the selector in the lattice does not fit what the electron returned")
    return error_of(error)


def _call(task: Task, pack: Pack, options: Options, bench: Bench, outcome: Outcome) -> Any:
    bench.set_cpu(options.resources.get("cpu") or 1.0)
    function = bench.inputs.function(task.function)
    args, kwargs = bench.inputs.resolve(task)
    if task.kind == "sublattice":
        return _build(function, args, kwargs, task, pack)
    deps = options.deps
    prepared: Prepared | None = None
    if deps.bash or deps.pip or deps.before or deps.after:
        prepared = prepare(deps, bench.inputs.blob, pack.work_root or bench.scratch)
    bench.seeds.plant(task.seed)
    if prepared is not None:
        prepared.call_before(kwargs)
    begun = time.monotonic()
    try:
        result = function(*args, **kwargs)
        if type(result) is types.CoroutineType:
            result = asyncio.run(result)
    finally:
        outcome.duration = time.monotonic() - begun
    if prepared is not None and os.getpid() == bench.pid:
        prepared.call_after()
    return result


def _store(result: Any, task: Task, pack: Pack) -> Output:
    chunks = codec.encode(result, name=f"the result of {task.name} (node {task.node})")
    if len(chunks) == 1 and len(chunks[0]) <= INLINE:
        data = bytes(chunks[0])
        return Output(codec.digest_of(chunks), len(data), data)
    size = sum(memoryview(chunk).nbytes for chunk in chunks)
    if size <= INLINE or not pack.blob_root:
        data = b"".join(chunks)
        return Output(codec.digest_of((data,)), size, data)
    digest, size = blobs.write_blob(pack.blob_root, chunks)
    return Output(digest, size)


def _build(lattice: Any, args: list[Any], kwargs: dict[str, Any], task: Task, pack: Pack) -> bytes:
    """The framed manifest of a sublattice's inner graph; its large blobs are written."""
    from ..workflow.build import build

    child_id = str(uuid.uuid5(uuid.UUID(pack.dispatch_id), f"{task.node}.{task.attempt}"))
    built = build(
        lattice, args, kwargs, parent=(pack.dispatch_id, task.node), root=pack.root_id, dispatch_id=child_id,
        environment=pack.environment,
    )  # fmt: skip
    built.manifest.environment = None
    small = []
    for digest, chunks in built.blobs.items():
        size = sum(memoryview(chunk).nbytes for chunk in chunks)
        if size <= INLINE or not pack.blob_root:
            small.append((digest, b"".join(chunks)))
        else:
            blobs.write_blob(pack.blob_root, chunks, digest=digest)
    return pack_body(built.manifest, small)
