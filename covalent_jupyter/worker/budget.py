"""The memory that the runners of one pool may use together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from .limits import free_memory

#: Part of what was free that electrons may use, by default.
OF_FREE = 0.9


class Excess(NamedTuple):
    """Why an electron must go: what it used, what its share is, what all used together, what there was for all."""

    used: int
    share: int
    together: int
    limit: int


class Budget:
    """An electron without a limit of its own has a share of it, and may pass that while the sum is not short.

    ``limit`` is in bytes; 0: there is none; None: nine tenths of what was free when the pool had nothing to do for the last time,
    of which ``part`` is this pool's. Thread-safe.
    """

    def __init__(
        self, slots: int, limit: int | None = None, *, part: float = 1.0, free: Callable[[], int] = free_memory
    ) -> None:
        self.slots = slots
        self._given = limit
        self._part = part
        self._free = free
        self._lock = threading.Lock()
        self._used: dict[str, int] = {}  # by runner
        self._reserved: set[str] = set()
        self.limit = limit or 0

    @property
    def share(self) -> int:
        """Bytes per slot."""
        return self.limit // max(1, self.slots)

    def enter(self, runner: str) -> None:
        """The runner has work from now on."""
        with self._lock:
            if not self._used and self._given is None:
                self.limit = int(OF_FREE * self._part * self._free())
            self._used[runner] = 0
            self._reserved.discard(runner)

    def leave(self, runner: str) -> None:
        """Its work is over, or it is gone with all that it held."""
        with self._lock:
            self._used.pop(runner, None)

    def excess(self, runner: str, used: int, *, reserved: bool = False) -> Excess | None:
        """Notes what a runner uses. Not None: the sum is too large, and it is this one that has passed its share most.

        What is ``reserved`` for an electron is the electron's: it has a limit of its own.
        """
        with self._lock:
            self._used[runner] = used
            (self._reserved.add if reserved else self._reserved.discard)(runner)
            together = sum(self._used.values())
            if reserved or not self.limit or together <= self.limit or used <= self.share:
                return None
            largest = max(self._used.keys() - self._reserved, key=lambda name: (self._used[name], name))
            return Excess(used, self.share, together, self.limit) if largest == runner else None
