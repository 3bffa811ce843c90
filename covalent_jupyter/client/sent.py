"""Which values the service has, as far as this process knows."""

from __future__ import annotations

import threading
from collections.abc import Collection

from ..model import Digest

#: digests that are remembered; the oldest are forgotten
MOST = 20_000


class Sent:
    """Digests of values that the service has confirmed. It may have lost them since: a hint, and nothing to rely on. Thread-safe."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._digests: dict[Digest, None] = {}

    def among(self, digests: Collection[Digest]) -> set[Digest]:
        with self._lock:
            return {d for d in digests if d in self._digests}

    def add(self, digests: Collection[Digest]) -> None:
        with self._lock:
            for digest in digests:
                self._digests.pop(digest, None)
                self._digests[digest] = None
            while len(self._digests) > self._most:
                del self._digests[next(iter(self._digests))]

    def forget(self, digests: Collection[Digest]) -> None:
        with self._lock:
            for digest in digests:
                self._digests.pop(digest, None)
