"""The runners of one worker process, and which packs have entered them.

A pack that waits outside (in a queue here, or with Dask) can be *fenced*: it will never begin, whenever it comes. So a
pack is taken back without a race: either it has entered, and its pool answers for it, or it never will.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..model import Attempt, ExecutorSpec, Fact, Outcome, Output, Pack, Task
from ..packages import differences
from ..worker.pool import RunnerPool
from .base import Emit

_REMEMBERED = 20_000  # packs
_ENTERING = 2.0  # seconds that a pack may need from our door to the pool's


class _Entered:
    """A pack inside; ``heard`` as soon as its pool has said something of it."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.heard = False

    def emit(self, facts: list[Fact]) -> None:
        self.heard = True
        self._emit(facts)


class Bay:
    """A pool of runners with a door. Thread-safe."""

    def __init__(
        self, *, slots: int, spool_dir: Path, scratch: Path, preload: Sequence[str] = (), name: str = "",
        memory: int | None = None, part: float = 1.0, learn: bool = True, patient: bool = True,
    ) -> None:  # fmt: skip
        self._pool = RunnerPool(
            slots=slots, spool_dir=str(spool_dir), scratch=str(scratch), preload=preload, name=name, memory=memory, part=part,
            learn=learn, patient=patient,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._inside: dict[str, _Entered] = {}
        self._outside: OrderedDict[str, bool] = OrderedDict()  # fenced (True) or over (False)
        self._own_roots: dict[str, list[str]] = {}  # root -> runners' roots of electrons with folders of their own

    def run(self, pack: Pack, emit: Emit) -> bool:
        """Blocks until the pack is over; False if it was fenced, and nothing was said of it."""
        with self._lock:
            if self._outside.get(pack.pack_id):
                return False
            entered = self._inside[pack.pack_id] = _Entered(emit)
        try:
            pack.notes = differences(pack.environment)
            folder, unique = _workdir(pack.executor)
            if folder and unique:
                self._run_apart(pack, folder, entered)
            else:
                self._pool.run_pack(_in_folder(pack, folder) if folder else pack, entered.emit)
        finally:
            with self._lock:
                del self._inside[pack.pack_id]
                self._remember(pack.pack_id, fenced=False)
        return True

    def revoke(self, pack_id: str) -> bool:
        """Take the pack back. True: it has not begun and never will; False: its pool gives back what it can."""
        entered = self._fence(pack_id)
        if entered is None:
            return self._is_fenced(pack_id)
        end = time.monotonic() + _ENTERING
        while not self._pool.revoke(pack_id) and self._still_coming(pack_id, entered, end):
            time.sleep(0.001)
        return False

    def cancel(self, pack_id: str, attempts: Sequence[Attempt], grace: float) -> bool:
        """Stop attempts of a pack. True: nothing of it has begun nor will; False: its pool answers for each."""
        entered = self._fence(pack_id)
        if entered is None:
            return self._is_fenced(pack_id)
        end = time.monotonic() + _ENTERING
        left = self._pool.cancel(attempts, grace)
        while left and self._still_coming(pack_id, entered, end):
            time.sleep(0.001)
            left = self._pool.cancel(left, grace)
        return False

    def resize(self, slots: int) -> None:
        """Have another number of slots; see :meth:`.RunnerPool.resize`."""
        self._pool.resize(slots)

    def release(self, root_id: str) -> None:
        """The root dispatch has ended: its runners and spools go."""
        with self._lock:
            own = self._own_roots.pop(root_id, [])
        for root in (root_id, *own):
            self._pool.release(root)

    def close(self) -> None:
        """Ends all runners; what runs ends as interrupted."""
        self._pool.close()

    def _fence(self, pack_id: str) -> _Entered | None:
        with self._lock:
            entered = self._inside.get(pack_id)
            if entered is None and pack_id not in self._outside:
                self._remember(pack_id, fenced=True)
            return entered

    def _is_fenced(self, pack_id: str) -> bool:
        return self._outside.get(pack_id, False)

    def _remember(self, pack_id: str, *, fenced: bool) -> None:
        self._outside[pack_id] = fenced
        while len(self._outside) > _REMEMBERED:
            self._outside.popitem(last=False)

    def _still_coming(self, pack_id: str, entered: _Entered, end: float) -> bool:
        return pack_id in self._inside and not entered.heard and time.monotonic() < end

    def _run_apart(self, pack: Pack, folder: str, entered: _Entered) -> None:
        """Each electron in a folder of its own (``<folder>/<dispatch>/node_<n>``), and so in a runner of its own."""
        outputs, values = dict(pack.outputs), dict(pack.values)

        def emit(facts: list[Fact]) -> None:
            for fact in facts:
                if isinstance(fact, Outcome) and fact.output is not None:
                    outputs[fact.node] = Output(fact.output.digest, fact.output.size)
                    if fact.output.data is not None:
                        values[fact.output.digest] = fact.output.data
            entered.emit(facts)

        for task in pack.tasks:
            one = _in_folder(_alone(pack, task), os.path.join(folder, pack.dispatch_id, f"node_{task.node}"))
            one.outputs, one.values = outputs, values
            if task.kind != "sublattice":  # its inner graph names the real root
                one.root_id = f"{pack.root_id}/{task.node}.{task.attempt}"
                with self._lock:
                    self._own_roots.setdefault(pack.root_id, []).append(one.root_id)
            self._pool.run_pack(one, emit)


def _workdir(spec: ExecutorSpec) -> tuple[str, bool]:
    folder = os.path.expanduser(str(spec.options.get("workdir") or ""))
    return folder, bool(spec.options.get("create_unique_workdir"))


def _in_folder(pack: Pack, folder: str) -> Pack:
    os.makedirs(folder, exist_ok=True)
    return msgspec.structs.replace(pack, environment=msgspec.structs.replace(pack.environment, cwd=folder))


def _alone(pack: Pack, task: Task) -> Pack:
    return msgspec.structs.replace(pack, tasks=[task])
