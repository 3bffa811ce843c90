"""Facts on their way to the service: in order, numbered, kept until it has them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from ..crashpoint import crashpoint
from ..frames import frame
from ..model import Attempt, Fact, Facts, Outcome, PackEnded, Returned


class Outbox:
    """Takes facts from any thread; sends them on the event loop, all that came since the last tick in one frame."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._new: list[Fact] = []
        self._scheduled = False
        self._kept: deque[Facts] = deque()
        self._n = 0
        self._writer: asyncio.StreamWriter | None = None
        self.emptied = asyncio.Event()
        self.emptied.set()

    def put(self, facts: list[Fact]) -> None:
        """From any thread; facts leave in the order of the calls."""
        with self._lock:
            self._new.extend(facts)
            if self._scheduled:
                return
            self._scheduled = True
        try:
            self._loop.call_soon_threadsafe(self.flush)
        except RuntimeError:  # the loop is closed: what is said now is in the spools
            pass

    def flush(self) -> None:
        """On the loop: number what is new, and send it if there is a connection."""
        with self._lock:
            facts, self._new, self._scheduled = self._new, [], False
        if not facts:
            return
        self._n += 1
        message = Facts(self._n, facts)
        self._kept.append(message)
        self.emptied.clear()
        crashpoint("outcome.numbered")
        if self._writer is not None:
            self._writer.write(frame(message))

    def connected(self, writer: asyncio.StreamWriter, acked: int) -> None:
        """A connection is there: everything that the service has not recorded goes out again."""
        self.acknowledge(acked)
        self._writer = writer
        for message in self._kept:
            writer.write(frame(message))

    def disconnected(self) -> None:
        self._writer = None

    def acknowledge(self, n: int) -> None:
        while self._kept and self._kept[0].n <= n:
            self._kept.popleft()
        if not self._kept:
            self.emptied.set()

    def pending(self) -> tuple[list[Attempt], list[Attempt], list[str]]:
        """Attempts that have ended, attempts that were given back, and packs that ended, as far as the service has not
        said that it knows. One that was given back may be with us again, or on its way, in another pack."""
        self.flush()
        attempts: list[Attempt] = []
        returned: list[Attempt] = []
        packs: list[str] = []
        for message in self._kept:
            for fact in message.facts:
                if isinstance(fact, Outcome):
                    attempts.append((fact.dispatch_id, fact.node, fact.attempt))
                elif isinstance(fact, Returned):
                    returned.extend((fact.dispatch_id, *member) for member in fact.attempts)
                elif isinstance(fact, PackEnded):
                    packs.append(fact.pack_id)
        return attempts, returned, packs

    def __len__(self) -> int:
        return len(self._kept) + len(self._new)
