"""One electron: load, prepare, seed, call, encode."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
import types
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from ..model.work import Error, Outcome, Pack, Task
from . import context
from .bench import Bench
from .cell import Names
from .deps import Prepared, prepare
from .fit import unfit
from .imported import newly_imported
from .preview import preview_of
from .results import child_of, error_for, output_of

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Stopped(SystemExit):
    """Raised in the electron by SIGTERM, so that ``finally`` and ``with`` run in the grace time."""


class Copied(BaseException):
    """This process is a copy that the electron forked: it must not answer in the runner's place."""


def run_task(task: Task, pack: Pack, bench: Bench) -> Outcome:
    """The outcome of one attempt. Raises Copied in a forked child of the electron, and nothing else."""
    known = bench.known_modules()
    outcome = Outcome(pack.dispatch_id, task.node, task.attempt, "failed", time.time())
    electron = context.ElectronContext(
        pack.dispatch_id,
        task.node,
        task.attempt,
        task.seed,
        pack.work_root or bench.scratch,
        record=bench.record_for(task, pack),
        note=bench.page.note,
        leave=bench.page.leave,
        wait=bench.page.wait_for,
    )
    context.enter(electron, everywhere=True)
    try:
        copy_context().run(_run, task, pack, bench, outcome)
    finally:
        if os.getpid() != bench.pid:
            raise Copied
        context.enter(None, everywhere=True)
    outcome.stdout, outcome.stderr, lost = bench.capture.finish(
        pack.dispatch_id, task.node, task.attempt, bench.page.dropped()
    )
    bench.capture.restore()
    bench.adopt()
    left = lost + bench.state.restore()
    if left or bench.warnings or electron.dropped_reports:
        outcome.warnings = (*bench.warnings, *outcome.warnings, *left)
        if electron.dropped_reports:
            outcome.warnings += (
                f"{electron.dropped_reports} calls of report() were dropped: {context.MAX_REPORTS:,} are kept",
            )
    outcome.progress = electron.progress()
    if electron.wrote:
        outcome.wrote = tuple(electron.wrote)
    if len(sys.modules) != len(known):
        outcome.imported = newly_imported(known)
    outcome.rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
    outcome.finished = time.time()
    return outcome


def _run(task: Task, pack: Pack, bench: Bench, outcome: Outcome) -> None:
    """Fill the outcome; whatever the user's code raises becomes its error."""
    if bench.problem is not None:
        outcome.error = bench.environment_error()
        return
    try:
        result = _call(task, pack, bench, outcome)
        if os.getpid() != bench.pid:
            return
        if task.kind == "sublattice":
            outcome.child = result
        else:
            outcome.output = output_of(result, task, pack, sync=False)
            outcome.preview = preview_of(result, outcome.output.size)
            outcome.unfit = unfit(result, task, bench.inputs.blob) if task.selected else ""
        outcome.status = "completed"
    except Stopped:
        outcome.status = "interrupted"  # the pool says "cancelled" if it was the one who sent it
        outcome.output = outcome.preview = None
        outcome.error = Error(
            "ElectronInterrupted", f"{task.name} (node {task.node}) was stopped by SIGTERM from outside",
            signal="SIGTERM", cause="interrupted", hint="the machine was shutting down, or somebody ended the process",
        )  # fmt: skip
        _hand_out(task, pack, outcome, outcome.error)
    except BaseException as error:  # border: the user's code may raise anything
        if os.getpid() == bench.pid:
            outcome.error = error_for(error, task)
            outcome.output = outcome.preview = None
            _hand_out(task, pack, outcome, outcome.error)


def _hand_out(task: Task, pack: Pack, outcome: Outcome, error: Error) -> None:
    """What the electron leaves though it failed or was stopped. It is no value of the electron: only the error tells of it."""
    left = context.get_context().left
    if left is None:
        return
    with suppress(Exception, Stopped):  # border: pickling the user's objects; the error is what matters
        outcome.output = output_of(left, task, pack, sync=False)
        error.left = outcome.output.digest


def _call(task: Task, pack: Pack, bench: Bench, outcome: Outcome) -> Any:
    options = pack.options[task.options]
    bench.set_cpu(options.resources.get("cpu") or 1.0)
    function = bench.inputs.function(task.function)
    args, kwargs = bench.inputs.resolve(task)
    bench.settle()
    deps = options.deps
    prepared: Prepared | None = None
    if deps.bash or deps.pip or deps.before or deps.after:
        prepared = prepare(deps, bench.inputs.blob, pack.work_root or bench.scratch)
    bench.seeds.plant(task.seed)
    if prepared is not None:
        prepared.call_before(kwargs)
    plain = function.__class__ is types.FunctionType
    held = bench.inputs.held(task.function, function) if plain else {}
    begun = time.monotonic()
    try:
        if task.kind == "sublattice":
            result: Any = child_of(function, args, kwargs, task, pack)
        else:
            result = function(*args, **kwargs)
            if type(result) is types.CoroutineType:
                result = asyncio.run(result)
    finally:
        outcome.duration = time.monotonic() - begun
    if prepared is not None and os.getpid() == bench.pid:
        prepared.call_after()
    if plain and type(result) is not Names:
        changed = bench.inputs.changed_globals(task.function, function, held)
        if changed:
            outcome.warnings += (f"changed in the electron, unchanged in your kernel: {', '.join(changed)}",)
    return result
