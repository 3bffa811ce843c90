"""Bodies that are too large, slow, broken off, or nobody's: memory and disk stay as they were, others are answered."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from ..reliability.invariants import slowness
from ..reliability.kills import TOKEN
from ..reliability.place import wait_for
from .conftest import World, request

pytestmark = pytest.mark.timeout(600)

MEGABYTES = int(os.environ.get("COVALENT_UPLOAD_MB", "400"))
UNAUTHENTICATED, AUTHENTICATED = 20 << 20, 200 << 20  # bytes of memory
ANSWERS = 0.1  # seconds
CHUNK = bytes(1 << 20)


class Watch:
    """The highest memory of a process above what it had, and how long Jupyter's own answers take meanwhile."""

    def __init__(self, world: World, pid: int) -> None:
        self._world = world
        self._process = psutil.Process(pid)
        self._before = self._process.memory_info().rss
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._look), threading.Thread(target=self._ask)]
        self.most = 0
        self.answers: list[float] = []
        self.slow: list[float] = []

    def _look(self) -> None:
        while not self._stop.wait(0.005):
            self.most = max(self.most, self._process.memory_info().rss - self._before)

    def _ask(self) -> None:
        while not self._stop.wait(0.05):
            began = time.monotonic()
            assert (
                request(self._world.jupyter_url, "GET", "api", None, {"Authorization": f"token {TOKEN}"}).status == 200
            )
            took = time.monotonic() - began
            self.answers.append(took)
            if took > ANSWERS and took > ANSWERS * slowness(0.02):
                self.slow.append(took)

    def is_quick(self) -> bool:
        """Whether answers were slow here and there at most, as something else that the machine does makes them."""
        return len(self.slow) <= max(1, len(self.answers) // 10)

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        every = sorted(self.answers)
        print(
            f"\nmemory {self.most / 1e6:+.1f} MB; Jupyter's answers: {len(every)}, median {every[len(every) // 2]:.3f}, most {every[-1]:.3f} s"
        )


def upload(url: str, method: str, path: str, megabytes: int, headers: dict[str, str]) -> int:
    """Send a body of zeros, reading the answer when it comes; its status, 0 if the connection broke off."""
    parts = urlsplit(url)
    lines = [f"{method} {parts.path}{path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {megabytes << 20}"]
    lines += [f"{k}: {v}" for k, v in headers.items()]
    with socket.create_connection((parts.hostname or "", parts.port or 0), 60) as sock:
        sock.settimeout(120)
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        try:
            for _ in range(megabytes):
                sock.sendall(CHUNK)
            answer = sock.recv(65_536)
        except OSError:
            return 0
    return int(answer.split(b" ")[1])


def left_behind(world: World) -> list[Path]:
    store = world.here.store
    return [*(store / "uploads").glob("*"), *(store / "blobs").glob("tmp-*")]


@pytest.mark.parametrize("where", ["directly", "through Jupyter"])
@pytest.mark.parametrize("path", ["dispatches", f"values/{'a' * 64}"], ids=["dispatches", "values"])
def test_a_large_body_without_token_costs_nothing(world: World, where: str, path: str) -> None:
    direct = where == "directly"
    url = world.connection.url if direct else f"{world.jupyter_url}covalent/"
    method = "POST" if path == "dispatches" else "PUT"
    with Watch(world, world.connection.pid if direct else world.jupyter_pid) as watch:
        status = upload(url, method, path, MEGABYTES, {})
    assert status in (0, 401, 403)
    assert watch.most < UNAUTHENTICATED, f"{watch.most / 1e6:.0f} MB"
    assert watch.is_quick() and not left_behind(world), watch.slow


def test_ten_at_once_with_the_token_are_bounded(world: World) -> None:
    """Each is refused in the end: the bytes do not have the digest that was announced."""
    headers = {"Authorization": f"token {TOKEN}"}
    url = f"{world.jupyter_url}covalent/"
    statuses: list[int] = []

    def one(n: int) -> None:
        digest = hashlib.sha256(b"%d" % n).hexdigest()
        statuses.append(upload(url, "PUT", f"values/{digest}", MEGABYTES // 8, headers))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(10)]
    with Watch(world, world.connection.pid) as watch:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [400] * 10
    assert watch.most < AUTHENTICATED, f"{watch.most / 1e6:.0f} MB"
    assert watch.is_quick(), watch.slow
    wait_for(lambda: not left_behind(world), 60, "an empty folder")


def test_what_is_too_large_is_refused_before_it_is_sent(world: World) -> None:
    headers = {"Authorization": f"token {world.connection.token}", "Expect": "100-continue"}
    parts = urlsplit(world.connection.url)
    lines = [f"POST {parts.path}dispatches HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {1 << 40}"]
    lines += [f"{k}: {v}" for k, v in headers.items()]
    with socket.create_connection((parts.hostname or "", parts.port or 0), 10) as sock:
        sock.settimeout(60)
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        answer = sock.recv(65_536)
    assert b" 413 " in answer.split(b"\r\n")[0] and b"cap" in answer


def test_slow_and_broken_off_ones_leave_nothing(world: World) -> None:
    parts = urlsplit(world.connection.url)
    sockets = []
    for n in range(20):
        path = "dispatches" if n % 2 else f"values/{hashlib.sha256(b'slow%d' % n).hexdigest()}"
        lines = [
            f"{'POST' if n % 2 else 'PUT'} {parts.path}{path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {64 << 20}",
            f"Authorization: token {world.connection.token}",
        ]  # fmt: skip
        sock = socket.create_connection((parts.hostname or "", parts.port or 0), 10)
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + CHUNK * 2)
        sockets.append(sock)
    wait_for(lambda: left_behind(world), 30, "files of the uploads")
    assert world.direct("GET", "health", headers={"Authorization": f"token {world.connection.token}"}).status == 200
    for sock in sockets:
        sock.close()
    wait_for(lambda: not left_behind(world), 60, "an empty folder")
