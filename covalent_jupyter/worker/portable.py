"""An electron as a plain callable, for executors of the user's own that run it wherever they like."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
import types
from contextvars import copy_context
from pathlib import Path
from typing import Any

import msgspec

from .. import codec
from ..folders import make_folder
from ..model.graph import Deps
from ..model.work import Log, Outcome, Pack, Task
from . import context
from .capture import SHORT, fold_returns
from .deps import prepare
from .fit import unfit
from .inputs import Inputs
from .preview import preview_of
from .results import child_of, error_for, output_of
from .seeds import Seeds


class PortableCall:
    """Call it with the electron's arguments, in any process that can import this package.

    It prepares the electron's dependencies, seeds random numbers, answers ``get_context()``, runs the function, and
    gives back what that returned; it raises what that raised. It can be pickled.
    """

    def __init__(self, task: Task, pack: Pack) -> None:
        self.task = task
        self.deps = pack.options[task.options].deps
        self.work_root = pack.work_root
        self.dispatch_id = pack.dispatch_id
        self.__name__ = task.name
        self.pack = _bare(pack) if task.kind == "sublattice" else None
        self.blobs: dict[str, bytes] = {}
        inputs = Inputs(pack, {})

        def load(digest: str) -> bytes:
            return self.blobs.setdefault(digest, bytes(inputs.blob(digest)))

        codec.decode_function(load(task.function), load)  # names the captured values that it needs
        for call in (*self.deps.before, *self.deps.after):
            load(call.digest)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return copy_context().run(self._run, args, kwargs)

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        task = self.task
        work_root = self.work_root or os.path.join(tempfile.gettempdir(), "covalent-electrons")
        context.enter(
            context.ElectronContext(self.dispatch_id, task.node, task.attempt, task.seed, work_root), everywhere=False
        )
        function = codec.decode_function(self.blobs[task.function], self.blobs.__getitem__)
        prepared = prepare(self.deps, self.blobs.__getitem__, work_root) if self.deps != Deps() else None
        Seeds().plant(task.seed)
        if prepared is not None:
            prepared.call_before(kwargs)
        if self.pack is not None:
            result: Any = child_of(function, list(args), kwargs, task, self.pack)
        else:
            result = function(*args, **kwargs)
            if type(result) is types.CoroutineType:
                result = asyncio.run(result)
        if prepared is not None:
            prepared.call_after()
        return result


def _bare(pack: Pack) -> Pack:
    """What building a sublattice needs to know of its pack; blobs come back inside."""
    return msgspec.structs.replace(
        pack, tasks=[], options=[], outputs={}, values={}, variables={}, blob_root="", log_root="", work_root=""
    )


def make_call(task: Task, pack: Pack) -> tuple[PortableCall, list[Any], dict[str, Any]]:
    """The callable of a task and the arguments to call it with, decoded anew.

    DecodeError or SelectError if an input cannot be loaded: give that to :func:`finish`.
    """
    args, kwargs = Inputs(pack, {}).resolve(task)
    return PortableCall(task, pack), args, kwargs


def finish(
    task: Task, pack: Pack, started: float, *, result: Any = None, error: BaseException | None = None, stdout: str = "",
    stderr: str = "", duration: float | None = None, worker: str = "",
) -> Outcome:  # fmt: skip
    """The outcome of a call that ``started`` (seconds since the epoch) and gave ``result``, or raised ``error``."""
    finished = time.time()
    outcome = Outcome(
        pack.dispatch_id, task.node, task.attempt, "failed", started, finished,
        max(0.0, finished - started) if duration is None else duration, worker=worker,
    )  # fmt: skip
    try:
        if error is None:
            if task.kind == "sublattice":
                outcome.child = result
            else:
                outcome.output = output_of(result, task, pack)
                outcome.preview = preview_of(result, outcome.output.size)
                outcome.unfit = unfit(result, task, Inputs(pack, {}).blob) if task.selected else ""
            outcome.status = "completed"
    except Exception as problem:  # border: pickling runs the value's own code
        error, outcome.output, outcome.preview = problem, None, None
    if error is not None:
        outcome.error = error_for(error, task)
    outcome.stdout = _log(stdout, pack, task, "out")
    outcome.stderr = _log(stderr, pack, task, "err")
    return outcome


def _log(text: str, pack: Pack, task: Task, kind: str) -> Log:
    data = fold_returns(text.encode("utf-8", "backslashreplace"))
    if len(data) <= SHORT or not pack.log_root:
        return Log(data.decode(), len(data))
    file = Path(pack.dispatch_id) / f"{task.node}.{task.attempt}.{kind}"
    path = Path(pack.log_root) / file
    make_folder(path.parent, 2)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as target:
        target.write(data)
    return Log(size=len(data), file=str(file))
