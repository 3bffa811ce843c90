"""Watching the electron that runs: its time, its memory, what it prints."""

from __future__ import annotations

import os
from typing import Any

from ..errors import ConfigError
from ..model.work import Error, LogGrew, Pack, Task
from . import verdict
from .budget import Budget
from .capture import trim_live
from .displays import live_path
from .limits import memory_of, parse_memory
from .process import RunnerProcess

_MEMORY_EVERY = 0.1  # seconds
_MEMORY_SELDOM = 1.0  # seconds, while electrons are short: what they leave behind grows slowly
_TRIM_EVERY = 0.1
_LOG_EVERY = 0.25
_WAITS_EVERY = 5.0  # that an electron waits is told again: a service that has come back does not know it


class Watch:
    """What the pool sees of the electrons of one pack while they run, without their help."""

    def __init__(self, pack: Pack, process: RunnerProcess, budget: Budget, fallocate: Any) -> None:
        self._pack = pack
        self._process = process
        self._budget = budget
        self._fallocate = fallocate
        self._memory_at = self._trim_at = self._log_at = 0.0
        self._shown: tuple[int, int, int, int] = (-1, 0, 0, 0)  # number of the task, sizes
        self._noted = 0
        self._waits, self._waits_at = "", 0.0

    def excess(self, task: Task, elapsed: float, now: float) -> Error | None:
        """The limit that the electron has passed."""
        options = self._pack.options[task.options]
        if options.timeout is not None and elapsed > options.timeout:
            return verdict.timed_out(task, options.timeout)
        if not self._process.pid or now - self._memory_at < (
            _MEMORY_EVERY if elapsed >= _MEMORY_EVERY / 2 else _MEMORY_SELDOM
        ):
            return None
        self._memory_at = now
        try:
            limit = parse_memory(options.resources.get("memory"))
        except ConfigError as error:
            return Error("ConfigError", f"{task.name} (node {task.node}): {error}", cause="executor")
        used = memory_of(self._process.pid)
        excess = self._budget.excess(self._process.name, used, reserved=limit is not None)
        if limit is not None:
            return verdict.over_memory(task, used, limit) if used > limit else None
        return verdict.over_share(task, excess) if excess is not None else None

    def logs(self, number: int, now: float) -> list[LogGrew]:
        """That the running electron has printed, made progress, or begun to wait, since the last time; four times a second at most."""
        if now - self._trim_at >= _TRIM_EVERY:
            self._trim_at = now
            self._trim()
        if now - self._log_at < _LOG_EVERY:
            return []
        sizes = [_size(path) + cut for path, cut in zip(self._process.live, self._process.page.dropped(), strict=True)]
        before = self._shown if self._shown[0] == number else (number, 0, 0, 0)
        displays = live_path(self._process.live[0])
        seen = (number, sizes[0], sizes[1], _size(displays))
        self._noted, note = self._process.page.noted(self._noted, number)
        waits = self._process.page.waits_for()
        news = waits != self._waits or (waits and now - self._waits_at >= _WAITS_EVERY)
        if seen == before and not note and not news:
            return []
        self._log_at, self._shown, self._waits = now, seen, waits
        self._waits_at = now if news else self._waits_at
        task = self._pack.tasks[number]
        out, err = (
            path if self._pack.log_root and size else "" for path, size in zip(self._process.live, sizes, strict=True)
        )
        shown = displays if self._pack.log_root and seen[3] else ""
        return [
            LogGrew(
                self._pack.dispatch_id, task.node, task.attempt, out, err, sizes[0], sizes[1], note, shown, seen[3], waits
            )
        ]  # fmt: skip

    def _trim(self) -> None:
        dropped = list(self._process.page.dropped())
        for stream, path in enumerate(self._process.live):
            cut = trim_live(path, self._fallocate)
            if cut:
                dropped[stream] += cut
                self._process.page.drop(dropped[0], dropped[1])


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
