"""Housekeeping: what takes room, what may go."""

from __future__ import annotations

import threading
import time
from typing import Iterable

from ..model.graph import Digest

DAY = 86_400.0


class Promised:
    """Digests that somebody was told are there and is about to refer to; remembered for a day."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[Digest, float] = {}

    def add(self, digests: Iterable[Digest]) -> None:
        now = time.monotonic()
        with self._lock:
            for digest in digests:
                self._until.pop(digest, None)
                self._until[digest] = now + DAY
            while self._until:
                oldest = next(iter(self._until))
                if self._until[oldest] > now:
                    return
                del self._until[oldest]

    def current(self) -> set[Digest]:
        now = time.monotonic()
        with self._lock:
            return {digest for digest, until in self._until.items() if until > now}
