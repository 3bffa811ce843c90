"""Tells those who wait that the store holds something new. It carries a number, never data."""

from __future__ import annotations

import asyncio


class Bus:
    """The last published sequence number, and a way to wait for a later one."""

    def __init__(self, seq: int = 0) -> None:
        self.seq = seq
        self._waiting: set[asyncio.Future[None]] = set()
        self.attached = 0  # how many wait at present

    def publish(self, seq: int) -> None:
        """Everything up to ``seq`` is stored. Called after the commit, on the event loop."""
        self.seq = max(self.seq, seq)
        self.wake()

    def wake(self) -> None:
        """Lets all who wait look again, also where nothing was stored (a log grew)."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def wait(self, after: int, timeout: float) -> bool:
        """Whether something later than ``after`` is stored, within ``timeout`` seconds."""
        if self.seq > after or timeout <= 0:
            return self.seq > after
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        self.attached += 1
        try:
            await asyncio.wait_for(future, timeout)
        except TimeoutError:
            pass
        finally:
            self.attached -= 1
            self._waiting.discard(future)
        return self.seq > after
