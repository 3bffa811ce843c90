"""What a runner has at hand while it works on packs of its root dispatch."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any

from ..model.work import Outcome, Pack, Reported, Task
from . import world
from .capture import Capture
from .failure import error_of
from .inputs import Inputs
from .isolate import State
from .page import Page
from .room import wait_for_room
from .seeds import Seeds
from .sheet import RunnerSheet


class Bench:
    """The process's capture, seeds and state, and the present pack's inputs."""

    def __init__(self, sheet: RunnerSheet, page: Page, write: Callable[[Any], None]) -> None:
        self._write = write
        self.scratch = sheet.scratch
        self.page = page
        self.pid = os.getpid()
        self.is_copy = False  # true in a child that an electron forked
        self.capture = Capture(sheet.scratch, sheet.name)
        self.seeds = Seeds()
        self.seeds.install()
        self.state = State()
        self.functions: dict[str, Any] = {}
        self.inputs: Inputs
        self.dressed: str | None = None  # digest of the environment that was put on
        self.warnings: tuple[str, ...] = ()
        self.problem: BaseException | None = None  # why the environment could not be put on
        self.cpu = 1.0
        self.devices: tuple[int, ...] = ()
        self.visible: str | None = None  # CUDA_VISIBLE_DEVICES as the dispatch has it
        self._known = set(sys.modules)
        self._adopted: list[tuple[ContextVar[Any], Any]] = []

    def known_modules(self) -> set[str]:
        """Names of the modules that are imported now."""
        if len(self._known) != len(sys.modules):
            self._known = set(sys.modules)
        return self._known

    def lay_out(self, pack: Pack) -> None:
        """Make ready for the tasks of a pack."""
        live = os.path.join(pack.log_root, "live") if pack.log_root else self.scratch
        wait_for_room(lambda: self.capture.open(live, pack.log_root), "a runner's log")
        self.inputs = Inputs(pack, self.functions)
        if self.dressed != pack.root_id:
            self.dress(pack)
            self.dressed = pack.root_id
            self.devices = ()
        if self.devices != pack.devices:
            self.devices = pack.devices
            world.set_devices(pack.devices, self.visible)
            self.state.take()

    def dress(self, pack: Pack) -> None:
        self.problem = None
        try:
            put_on = lambda: world.put_on(pack, self.inputs.blob, self.scratch)  # noqa: E731
            self.warnings = (*wait_for_room(put_on, "the environment of a dispatch"), *pack.notes)
            if (
                pack.environment.umask is not None
            ):  # the service and its hosts have 0o077; files of ours name their modes
                os.umask(pack.environment.umask)
        except Exception as error:  # border: every electron of the pack fails with it
            self.problem = error
        self.variables = pack.variables
        self.visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        world.set_threads(1, self.variables)
        self.state.take()

    def set_cpu(self, cpu: float) -> None:
        if cpu != self.cpu:
            self.cpu = cpu
            world.set_threads(cpu, self.variables)
            self.state.take()

    def settle(self) -> None:
        """The function and its inputs are loaded. What modules have set while they were imported for that is there for every
        electron that uses them, since they are imported only once; what the electron sets from now on is its own."""
        if len(sys.modules) != len(self._known):
            self.state.take()
            self._adopted = list(copy_context().items())
        if "decimal" in sys.modules:  # its context is in a context variable, and can be changed in place
            decimal = sys.modules["decimal"]
            decimal.setcontext(decimal.getcontext().copy())

    def adopt(self) -> None:
        """Context variables that imports have set are there for later electrons, too."""
        for variable, value in self._adopted:
            variable.set(value)
        self._adopted = []

    def record_for(self, task: Task, pack: Pack) -> Callable[[int, float, dict[str, Any]], None]:
        """What writes down a report of this task: (number, time, values)."""

        def record(number: int, when: float, values: dict[str, Any]) -> None:
            if not self.is_copy:  # of a child that the electron forked, nobody reads
                self._write(Reported(pack.dispatch_id, task.node, task.attempt, number, [(when, values)]))

        return record

    def can_run(self, task: Task) -> bool:
        return self.inputs.can_resolve(task)

    def keep(self, task: Task, outcome: Outcome) -> None:
        """Later tasks of the pack may use what this one produced."""
        if outcome.output is not None:
            self.inputs.produced[task.node] = outcome.output

    def environment_error(self) -> Any:
        assert self.problem is not None
        return error_of(
            self.problem,
            "executor",
            message=f"the runner could not put on the dispatch's environment: {self.problem}",
            hint="check the folder, sys.path and modules that the dispatch was made with",
        )
