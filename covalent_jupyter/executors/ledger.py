"""What the host owes the service: packs that are not finished, attempt by attempt.

Every fact passes here before it leaves the host, so that each attempt is answered once, and PackEnded comes last:
what arrives for an attempt that was answered already (a worker taken for dead spoke after all) is dropped.
Thread-safe.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..model import Attempt, Began, Error, Fact, LogGrew, Outcome, Pack, PackEnded, Reported, Returned

Member = tuple[int, int]  # (node, attempt)


@dataclass
class OpenPack:
    """A pack of which something is still owed."""

    pack: Pack
    names: dict[Member, str]
    begun: dict[Member, tuple[float, str]]  # member -> (time, worker)

    def attempts(self) -> list[Attempt]:
        dispatch_id = self.pack.dispatch_id
        return [(dispatch_id, node, attempt) for node, attempt in self.names]


class Ledger:
    """Packs from their arrival to their PackEnded."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._packs: dict[str, OpenPack] = {}
        self._owner: dict[Attempt, OpenPack] = {}
        self._silent: set[Attempt] = set()  # superseded: stopped, and nothing is said of them

    def open(self, pack: Pack) -> bool:
        """Takes a pack in; False if it is there already."""
        with self._lock:
            if pack.pack_id in self._packs:
                return False
            names = {(task.node, task.attempt): task.name for task in pack.tasks}
            entry = self._packs[pack.pack_id] = OpenPack(pack, names, {})
            for attempt in entry.attempts():
                self._owner[attempt] = entry
            return True

    def note(self, facts: Iterable[Fact]) -> list[Fact]:
        """The facts that may leave: those that nothing was said about before."""
        passed: list[Fact] = []
        with self._lock:
            for fact in facts:
                if isinstance(fact, Outcome):
                    if self._close((fact.dispatch_id, fact.node, fact.attempt)):
                        passed.append(fact)
                elif isinstance(fact, Began):
                    if self._begin(fact):
                        passed.append(fact)
                elif isinstance(fact, Returned):
                    self._return(fact, passed)
                elif isinstance(fact, PackEnded):
                    self._end(fact.pack_id, passed)
                elif not isinstance(fact, (LogGrew, Reported)) or self._speaks(fact):
                    passed.append(fact)
        return passed

    def _speaks(self, fact: LogGrew | Reported) -> bool:
        """Whether something is still owed of its attempt."""
        attempt = (fact.dispatch_id, fact.node, fact.attempt)
        return attempt in self._owner and attempt not in self._silent

    def _begin(self, fact: Began) -> bool:
        attempt = (fact.dispatch_id, fact.node, fact.attempt)
        entry = self._owner.get(attempt)
        if entry is None:
            return False
        entry.begun[fact.node, fact.attempt] = (fact.started, fact.worker)
        return attempt not in self._silent

    def _close(self, attempt: Attempt) -> bool:
        entry = self._owner.pop(attempt, None)
        if entry is None:
            return False
        member = attempt[1:]
        del entry.names[member]
        entry.begun.pop(member, None)
        if attempt in self._silent:
            self._silent.discard(attempt)
            return False
        return True

    def _return(self, fact: Returned, passed: list[Fact]) -> None:
        kept = [m for m in fact.attempts if self._close((fact.dispatch_id, *m))]
        if kept:
            passed.append(Returned(fact.pack_id, fact.dispatch_id, kept))

    def _end(self, pack_id: str, passed: list[Fact]) -> None:
        entry = self._packs.get(pack_id)
        if entry is None:
            return
        if entry.names:
            passed.extend(self.note(_cut_off(entry, "its worker ended the pack without a word about it")))
        del self._packs[pack_id]
        passed.append(PackEnded(pack_id))

    # What to emit for packs that no worker will end; [] if the pack has ended already. Nothing is closed by asking.

    def interrupt(self, pack_id: str, reason: str) -> list[Fact]:
        """The worker of a pack is gone: what had begun was cut off, the rest goes back."""
        with self._lock:
            entry = self._packs.get(pack_id)
            return [] if entry is None else [*_cut_off(entry, reason), PackEnded(pack_id)]

    def give_back(self, pack_id: str, cancelled: Collection[Attempt] = ()) -> list[Fact]:
        """A pack of which nothing has begun nor will: these attempts are cancelled, the others go back."""
        with self._lock:
            entry = self._packs.get(pack_id)
            if entry is None:
                return []
            now, owed = time.time(), entry.attempts()
            facts: list[Fact] = [Outcome(*a, "cancelled", finished=now) for a in owed if a in cancelled]
            left = [a[1:] for a in owed if a not in cancelled]
            if left:
                facts.append(Returned(pack_id, entry.pack.dispatch_id, left))
            return [*facts, PackEnded(pack_id)]

    def fail(self, pack_id: str, error: Error) -> list[Fact]:
        """The executor itself failed: every attempt of the pack that is still owed fails with ``error``."""
        with self._lock:
            entry = self._packs.get(pack_id)
            if entry is None:
                return []
            now = time.time()
            facts: list[Fact] = [
                Outcome(*a, "failed", entry.begun.get(a[1:], (now, ""))[0], now, error=error) for a in entry.attempts()
            ]
            return [*facts, PackEnded(pack_id)]

    def silence(self, attempts: Iterable[Attempt]) -> list[Attempt]:
        """Superseded attempts: nothing will be said of them. Gives those that are still open, to be stopped."""
        with self._lock:
            known = [a for a in map(as_attempt, attempts) if a in self._owner]
            self._silent.update(known)
            return known

    # Questions

    def pack(self, pack_id: str) -> Pack | None:
        entry = self._packs.get(pack_id)
        return entry.pack if entry is not None else None

    def packs(self) -> list[str]:
        with self._lock:
            return list(self._packs)

    def attempts(self) -> list[Attempt]:
        """Everything that is still owed."""
        with self._lock:
            return list(self._owner)

    def by_pack(self, attempts: Iterable[Attempt]) -> tuple[dict[str, list[Attempt]], list[Attempt]]:
        """Attempts by the open pack that holds them, and those that no pack holds."""
        found: dict[str, list[Attempt]] = {}
        unknown = []
        with self._lock:
            for attempt in map(as_attempt, attempts):
                entry = self._owner.get(attempt)
                if entry is None:
                    unknown.append(attempt)
                else:
                    found.setdefault(entry.pack.pack_id, []).append(attempt)
        return found, unknown

    def began(self, pack_id: str) -> bool:
        """Whether some attempt of the pack has begun and is not over."""
        entry = self._packs.get(pack_id)
        return entry is not None and bool(entry.begun)

    def __len__(self) -> int:
        return len(self._packs)


def _cut_off(entry: OpenPack, reason: str) -> list[Fact]:
    pack, now = entry.pack, time.time()
    facts: list[Fact] = []
    for member, (started, worker) in entry.begun.items():
        error = Error(
            "ElectronInterrupted", f"{entry.names[member]} (node {member[0]}) was cut off: {reason}", cause="interrupted",
            hint='it may have done its work already; on_interrupt="run_again" lets it run once more',
        )  # fmt: skip
        duration = max(0.0, now - (started or now))
        facts.append(
            Outcome(pack.dispatch_id, *member, "interrupted", started or now, now, duration, error=error, worker=worker)
        )
    untouched = [member for member in entry.names if member not in entry.begun]
    if untouched:
        facts.append(Returned(pack.pack_id, pack.dispatch_id, untouched))
    return facts


def as_attempt(attempt: Attempt) -> Attempt:
    """An attempt as a key (decoders may give lists)."""
    dispatch_id, node, number = attempt
    return (dispatch_id, node, number)
