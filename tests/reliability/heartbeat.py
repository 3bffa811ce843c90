"""A Jupyter server extension of the harness ``answers``: how late the server's event loop comes to what is due, written to a file.

What a loop is late has two causes: it was busy, or its thread could have run and got no processor. Linux counts the second for
each thread (``/proc/thread-self/schedstat``, Documentation/scheduler/sched-stats.rst), so the two can be told apart on a busy machine.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
from pathlib import Path
from typing import Any

VARIABLE = "HEARTBEAT_FILE"
EVERY = 0.005  # seconds
#: When it was due by the monotonic clock, how late it was, how long the thread had waited for a processor meanwhile: seconds.
BEAT = struct.Struct("ddd")
AT_ONCE = 40  # beats, so that a file is written five times a second


def _load_jupyter_server_extension(app: Any) -> None:
    app.io_loop.add_callback(beat, Path(os.environ[VARIABLE]))


async def beat(path: Path) -> None:
    with open(path, "ab", buffering=0) as file, open("/proc/thread-self/schedstat", "rb", buffering=0) as waits:

        def waited() -> float:
            waits.seek(0)
            return int(waits.read().split()[1]) / 1e9

        beats = []
        while True:
            before = waited()
            due = time.monotonic() + EVERY
            await asyncio.sleep(EVERY)
            late = max(0.0, time.monotonic() - due)
            beats.append(BEAT.pack(due, late, waited() - before))
            if len(beats) == AT_ONCE:
                file.write(b"".join(beats))
                beats.clear()


def beats(path: Path, begin: float, end: float) -> tuple[list[float], list[float]]:
    """Of those that were due between two times of the monotonic clock: how late, and how late without the wait for a processor."""
    found = [beat for beat in BEAT.iter_unpack(path.read_bytes()) if begin <= beat[0] <= end]
    return [late for _, late, _ in found], [max(0.0, late - waited) for _, late, waited in found]
