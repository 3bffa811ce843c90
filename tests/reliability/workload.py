"""What runs while things break: lattices whose values are known beforehand, and whose electrons leave a mark per run."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import covalent_jupyter as ct
from covalent_jupyter.errors import CovalentError

RETRIES = 2


def mark(folder: str, name: str) -> None:
    """One line per execution: when it began, in which process."""
    fd = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, f"{time.time()!r} {os.getpid()}\n".encode())
    os.close(fd)


@ct.electron
def plus(folder: str, name: str, x: int) -> int:
    mark(folder, name)
    return x + 1


@ct.electron
def large(folder: str, name: str, x: int) -> bytes:
    mark(folder, name)
    return random.Random(x).randbytes(60_000)


@ct.electron
def digest(folder: str, name: str, data: bytes) -> str:
    mark(folder, name)
    return hashlib.sha256(data).hexdigest()


@ct.electron(retries=RETRIES, retry_delay=0.02)
def flaky(folder: str, name: str, x: int) -> int:
    mark(folder, name)
    if len(Path(folder, name).read_text().splitlines()) == 1:
        raise ValueError("the first time it fails")
    return x * 2


@ct.electron
def slow(folder: str, name: str, x: int, seconds: float) -> int:
    mark(folder, name)
    time.sleep(seconds)
    return x * 3


@ct.electron
@ct.lattice
def inner(folder: str, x: int) -> int:
    return plus(folder, "inner-b", plus(folder, "inner-a", x))


@ct.electron
def join(folder: str, name: str, *parts: Any) -> tuple[Any, ...]:
    mark(folder, name)
    return parts


plus_again, large_again, digest_again, slow_again, join_again = (
    ct.electron(e.function, retries=1) for e in (plus, large, digest, slow, join)
)


@ct.electron(retries=1)
@ct.lattice
def inner_again(folder: str, x: int) -> int:
    return plus_again(folder, "inner-b", plus_again(folder, "inner-a", x))


@ct.lattice
def sturdy(folder: str, x: int, seconds: float) -> Any:
    """``mixed``, where each electron may crash once."""
    a = plus_again(folder, "a", x)
    data = large_again(folder, "large", a)
    return join_again(
        folder, "join", digest_again(folder, "digest", data), flaky(folder, "flaky", a), inner_again(folder, a),
        slow_again(folder, "slow", a, seconds),
    )  # fmt: skip


@ct.lattice
def mixed(folder: str, x: int, seconds: float) -> Any:
    a = plus(folder, "a", x)
    data = large(folder, "large", a)
    return join(
        folder, "join", digest(folder, "digest", data), flaky(folder, "flaky", a), inner(folder, a),
        slow(folder, "slow", a, seconds),
    )  # fmt: skip


def mixed_value(x: int) -> tuple[Any, ...]:
    """What ``mixed`` gives, by plain Python."""
    a = x + 1
    return hashlib.sha256(random.Random(a).randbytes(60_000)).hexdigest(), a * 2, a + 2, a * 3


@ct.lattice
def uploading(folder: str, data: bytes, more: list[bytes]) -> Any:
    return join(
        folder, "join", digest(folder, "digest", data), *(digest(folder, f"more{n}", m) for n, m in enumerate(more))
    )


@ct.lattice
def napping(folder: str, seconds: float) -> Any:
    return [slow(folder, f"slow{n}", n, seconds) for n in range(4)]


@ct.lattice
def waiting(folder: str) -> Any:
    return slow(folder, "slow", 1, 3600.0)


@dataclass
class Sent:
    """A dispatch that the service has acknowledged."""

    dispatch_id: str
    folder: Path
    value: Any
    interruptions: int  # that had happened when it was sent
    retries: int = 0  # of every electron but the flaky one
    acknowledged: float = field(default_factory=time.time)
    cancelled: bool = False


class Kernel:
    """Sends lattices and remembers what was acknowledged. Threads may use it together."""

    def __init__(self, marks: Path, rng: random.Random) -> None:
        self.marks = marks
        self.rng = rng
        self.sent: list[Sent] = []
        self.refused: list[str] = []
        self.interruptions = 0
        self._lock = threading.Lock()
        self._number = 0

    def folder(self) -> Path:
        with self._lock:
            self._number += 1
            folder = self.marks / str(self._number)
        folder.mkdir()
        return folder

    def send(self, make: Callable[[str], tuple[Any, tuple[Any, ...], Any]]) -> Sent | None:
        """Dispatch; None (and the reason in ``refused``) if it was not acknowledged."""
        folder = self.folder()
        lattice, args, value = make(str(folder))
        before = self.interruptions
        try:
            dispatch_id = str(ct.dispatch(lattice)(*args))
        except CovalentError as error:
            self.refused.append(f"{type(error).__name__}: {error}")
            return None
        sent = Sent(dispatch_id, folder, value, before)
        with self._lock:
            self.sent.append(sent)
        return sent

    def send_mixed(self, seconds: float = 0.1) -> Sent | None:
        with self._lock:
            x = self.rng.randrange(1000)
        return self.send(lambda folder: (mixed, (folder, x, seconds), mixed_value(x)))

    def send_sturdy(self, seconds: float = 0.1) -> Sent | None:
        with self._lock:
            x = self.rng.randrange(1000)
        sent = self.send(lambda folder: (sturdy, (folder, x, seconds), mixed_value(x)))
        if sent is not None:
            sent.retries = 1
        return sent

    def send_upload(self) -> Sent | None:
        with self._lock:
            # one blob that goes up by itself, and as many as fill a body that is too large for the memory
            data, more = self.rng.randbytes(1_300_000), [self.rng.randbytes(130_800) for _ in range(8)]
        value = tuple(hashlib.sha256(d).hexdigest() for d in (data, *more))
        return self.send(lambda folder: (uploading, (folder, data, more), value))

    def send_napping(self, seconds: float) -> Sent | None:
        return self.send(lambda folder: (napping, (folder, seconds), [0, 3, 6, 9]))

    def send_waiting(self) -> Sent | None:
        """One electron that runs for an hour."""
        return self.send(lambda folder: (waiting, (folder,), 3))
