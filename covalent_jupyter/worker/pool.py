"""A pool of runners: as many electrons at once as it has slots, each in a process of its own root dispatch."""

from __future__ import annotations

import os
import signal
import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .. import processes
from ..folders import make_folder
from ..model.work import Attempt, Fact, LogGrew, Outcome, Pack
from .budget import Budget
from .capture import load_fallocate
from .feeder import Emit, Feed
from .imported import installed_state
from .nursery import ForkNursery, FreshNursery
from .process import Nursery, RunnerProcess
from .room import wait_for_room


@dataclass(frozen=True)
class PoolStats:
    """How many runners there are of each kind, and what they have done."""

    slots: int
    busy: int
    idle: int
    spare: int
    packs: int
    deaths: int


class RunnerPool:
    """Runs packs. All methods may be called from any thread.

    ``spool_dir`` gets a spool and a process record per runner; a spool stays until its root is released.
    ``scratch`` is a folder for what dies with the pool. ``preload`` names packages that the forkserver imports; to them
    come those that electrons were the first to import (``learn``), in a new forkserver that takes the place of the old.
    ``patient``: folders that are gone may come back, with a store that was moved away; somebody else's Dask worker cannot tell
    that from a host that is dead. ``memory`` is how much all electrons together may use (see :class:`.budget.Budget`).
    """

    def __init__(
        self,
        *,
        slots: int,
        spool_dir: str,
        scratch: str,
        preload: Sequence[str] = (),
        name: str = "",
        fresh: bool | None = None,
        memory: int | None = None,
        part: float = 1.0,
        learn: bool = True,
        patient: bool = True,
    ) -> None:
        self.slots = slots
        self._budget = Budget(slots, memory, part=part)
        self._name = name or "runner"
        self._spool_dir, self._scratch = Path(spool_dir).absolute(), Path(scratch).absolute()
        for folder in (self._spool_dir, self._scratch):
            make_folder(folder, 2)
        self._fallocate = load_fallocate()
        self._changed = threading.Condition()
        self._idle: dict[str, list[RunnerProcess]] = defaultdict(list)
        self._spares: deque[RunnerProcess] = deque()
        self._busy: set[RunnerProcess] = set()
        self._lent: set[str] = set()  # packs whose slots others may have
        self._feeds: dict[str, Feed] = {}
        self._spools: dict[str, list[str]] = defaultdict(list)  # by root
        self._count = self._packs = self._deaths = 0
        self._closed = False
        fresh = not processes.LINUX if fresh is None else fresh
        self._fresh = FreshNursery(self._spool_dir)
        self._preload = dict.fromkeys(preload)
        self._learns = learn and not fresh
        self._patient = patient
        self._renewal: threading.Thread | None = None
        self._coming: ForkNursery | None = None
        self._installed = installed_state()
        self._nursery: Nursery = self._fresh if fresh else ForkNursery(self._spool_dir, preload)
        with self._changed:
            self._top_up()

    # work

    def run_pack(self, pack: Pack, emit: Emit) -> None:
        """Run the tasks of a pack one after another; returns when each has had its outcome or was returned.

        ``emit`` gets lists of facts: Began, Outcome, Returned and LogGrew of this pack, from this thread. A pack with an electron that
        waits for a dispatch (``LogGrew.waits_for``) has lent its slot, until it is over: what is waited for may need it.
        """

        def heard(facts: list[Fact]) -> None:
            for fact in facts:
                if isinstance(fact, Outcome) and fact.imported and self._learns:
                    self._learn(fact.imported)
                elif isinstance(fact, LogGrew) and fact.waits_for:
                    self._lend(pack.pack_id)
            emit(facts)

        feed = Feed(pack, heard, self._budget, self._fallocate)
        with self._changed:
            if self._closed:
                raise RuntimeError("the pool is closed")
            self._feeds[pack.pack_id] = feed
            self._packs += 1
        try:
            apart = any(options.deps.pip for options in pack.options)
            process = wait_for_room(lambda: self._acquire(pack.root_id, apart), "a runner", moved=self._patient)
            usable = False
            self._budget.enter(process.name)
            try:
                usable = feed.run(process, self._refill)
            finally:
                self._budget.leave(process.name)
                self._put_back(process, usable, apart)
        finally:
            with self._changed:
                del self._feeds[pack.pack_id]
                self._lent.discard(pack.pack_id)

    def _lend(self, pack_id: str) -> None:
        with self._changed:
            self._lent.add(pack_id)
            self._changed.notify_all()

    def resize(self, slots: int) -> None:
        """Have another number of slots from now on. What runs goes on; fewer slots count as soon as electrons end."""
        with self._changed:
            self.slots = self._budget.slots = slots
            while len(self._spares) > slots:
                self._retire(self._spares.pop(), keep_spool=False)
            self._top_up()
            self._changed.notify_all()

    def cancel(self, attempts: Sequence[Attempt], grace: float = 1.0) -> list[Attempt]:
        """Stop these attempts: SIGTERM, after ``grace`` seconds SIGKILL to all that they started.

        The outcomes come through the ``emit`` of their packs. Gives those that this pool is not working on.
        """
        left = set(attempts)
        for feed in self._all_feeds():
            mine = left & feed.attempts()
            if mine:
                feed.cancel(mine, grace)
                left -= mine
        return [attempt for attempt in attempts if attempt in left]

    def revoke(self, pack_id: str) -> bool:
        """Give back what of the pack has not begun; False if it is not here."""
        with self._changed:
            feed = self._feeds.get(pack_id)
        if feed is not None:
            feed.revoke()
        return feed is not None

    def release(self, root_id: str) -> None:
        """The root dispatch has ended: end its runners and remove their spools."""
        for feed in self._all_feeds():
            if feed.pack.root_id == root_id:
                feed.cancel(feed.attempts(), 1.0)
        with self._changed:
            idle = self._idle.pop(root_id, [])
            spools = self._spools.pop(root_id, [])
        for process in idle:
            self._retire(process, keep_spool=False)
        busy = {process.sheet.spool for process in self._busy}
        for path in spools:
            if path not in busy:
                Path(path).unlink(missing_ok=True)

    def stats(self) -> PoolStats:
        with self._changed:
            idle = sum(map(len, self._idle.values()))
            return PoolStats(self.slots, len(self._busy), idle, len(self._spares), self._packs, self._deaths)

    def close(self) -> None:
        """End all runners with everything that they started. Running attempts end as interrupted."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
            nurseries = {id(n): n for n in (self._nursery, self._coming, *(p.nursery for p in self._everyone())) if n}
        for nursery in nurseries.values():
            nursery.close()
        self._fresh.close()
        with self._changed:
            self._changed.wait_for(lambda: not self._busy, 10)
            resting = [process for process in self._everyone() if process not in self._busy]
            self._spares.clear()
            self._idle.clear()
        for process in resting:
            process.ended.wait(1)
            process.close(keep_spool=bool(process.root))

    # runners

    def _all_feeds(self) -> list[Feed]:
        with self._changed:
            return list(self._feeds.values())

    def _acquire(self, root_id: str, apart: bool) -> RunnerProcess:
        """A runner for this root: one that serves it already, a spare one, or a new one in the place of one that rests.

        ``apart``: one that has imported nothing, since packages of its own are installed for it.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._busy) - len(self._lent) < self.slots)
            process = self._add(self._fresh) if apart else self._choose(root_id)
            process.root = root_id
            self._busy.add(process)
            if process.sheet.spool not in self._spools[root_id]:
                self._spools[root_id].append(process.sheet.spool)
            return process

    def _choose(self, root_id: str) -> RunnerProcess:
        idle = self._idle.get(root_id, [])
        while idle:
            process = idle.pop()
            if not process.ended.is_set():
                return process
            process.close(keep_spool=True)
        self._notice_installs()
        while self._spares:
            process = self._spares.popleft()
            if not process.ended.is_set():
                return process
            process.close(keep_spool=False)
        return self._add(self._nursery)

    def _add(self, nursery: Nursery) -> RunnerProcess:
        """A new runner, in the place of one that rests if there must be."""
        if self._alive() >= 2 * self.slots:
            self._evict()
        return self._spawn(nursery)

    def _everyone(self) -> list[RunnerProcess]:
        return [*self._busy, *self._spares, *(process for idle in self._idle.values() for process in idle)]

    def _alive(self) -> int:
        return len(self._busy) + len(self._spares) + sum(map(len, self._idle.values()))

    def _evict(self) -> None:
        """End the runner that rests longest: its root has not had work for the longest time. Else a spare one."""
        for idle in self._idle.values():
            if idle:
                self._retire(idle.pop(0), keep_spool=True)
                return
        if self._spares:
            self._retire(self._spares.pop(), keep_spool=False)

    def _spawn(self, nursery: Nursery) -> RunnerProcess:
        self._count += 1
        process = RunnerProcess(f"{self._name}-{os.getpid()}-{self._count}", self._spool_dir, self._scratch, nursery)
        nursery.spawn(process)
        return process

    def _top_up(self) -> None:
        """Have as many spares as there are slots, while at most twice the slots are alive."""
        with suppress(OSError):  # no room, or a store that was moved away: who needs a runner says so, and waits
            while not self._closed and len(self._spares) < self.slots and self._alive() < 2 * self.slots:
                self._spares.append(self._spawn(self._nursery))

    def _refill(self) -> None:
        """Make spares, now that nobody waits for the processor."""
        with self._changed:
            self._top_up()

    def _put_back(self, process: RunnerProcess, usable: bool, apart: bool) -> None:
        with self._changed:
            self._busy.discard(process)
            if usable and not apart and not self._closed and process.root in self._spools:
                idle = self._idle.pop(process.root, [])  # to the end: the longest at rest is the first
                self._idle[process.root] = [*idle, process]
                process = None  # type: ignore[assignment]
            else:
                self._deaths += not usable
            self._top_up()
            self._changed.notify_all()
        if process is not None:
            if usable:
                self._retire(process, keep_spool=process.root in self._spools)
            else:
                process.close(keep_spool=process.root in self._spools)

    # what is preloaded

    def _learn(self, names: Sequence[str]) -> None:
        """Packages that an electron was the first to import: the next root's runners come with them."""
        with self._changed:
            if self._closed or self._preload.keys() >= set(names):
                return
            self._preload.update(dict.fromkeys(names))
            if self._renewal is None:
                self._renewal = threading.Thread(target=self._renew, name="covalent-preload", daemon=True)
                self._renewal.start()

    def _renew(self) -> None:
        """Have a forkserver with everything that was learned; the present one goes on until that one is ready."""
        while True:
            with self._changed:
                names = tuple(self._preload)
                if self._closed:
                    return
                nursery = ForkNursery(self._spool_dir, names)
                self._coming = nursery
            ready = nursery.wait_ready()
            with self._changed:
                self._coming = None
                if self._closed or not ready:
                    nursery.close()
                    return
                self._succeed(nursery)
                if len(names) == len(self._preload):
                    self._renewal = None
                    return

    def _notice_installs(self) -> None:
        """Packages were installed, upgraded or removed: what was preloaded may be out of date."""
        state = installed_state()
        if state != self._installed and isinstance(self._nursery, ForkNursery):
            self._installed = state
            self._succeed(ForkNursery(self._spool_dir, tuple(self._preload)))

    def _succeed(self, nursery: ForkNursery) -> None:
        """``nursery`` takes the place of the present one, which goes when the last of its runners has."""
        old, self._nursery = self._nursery, nursery
        spares = list(self._spares)
        self._spares.clear()
        # in a thread: a runner can be ended when its forkserver has forked it, which may yet take a while
        threading.Thread(target=self._retire_spares, args=(spares,), name="covalent-preload", daemon=True).start()
        if isinstance(old, ForkNursery):
            old.retire()
        self._top_up()

    def _retire_spares(self, spares: list[RunnerProcess]) -> None:
        for process in spares:
            self._retire(process, keep_spool=False)

    def _retire(self, process: RunnerProcess, *, keep_spool: bool) -> None:
        """End a runner that rests."""
        process.when_ended(lambda: process.close(keep_spool=keep_spool))
        process.nursery.signal(process, signal.SIGKILL, tree=True)
