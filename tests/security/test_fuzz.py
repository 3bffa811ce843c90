"""Requests that nobody sends by intent: no 5xx, no answer that takes long, no memory that stays."""

from __future__ import annotations

import os
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from covalent_jupyter.service.openapi import document

from ..reliability.invariants import slowness
from ..reliability.kills import TOKEN
from .conftest import World

#: A run of the long kind sends 100,000.
REQUESTS = int(os.environ.get("COVALENT_FUZZ", "5100"))
#: Parts of them: made from the document with login and without (each costs twenty times what raw bytes cost), and raw on each way.
MADE, WITHOUT_LOGIN = int(min(0.28 * REQUESTS, 10_000)), int(min(0.04 * REQUESTS, 2_000))
RAW = (REQUESTS - MADE - WITHOUT_LOGIN + 1) // 2
SLOW = 1.0  # seconds
MEMORY = 40 << 20  # bytes that the service may keep
#: Not asked for: they end the service or what it runs, or wait because they were asked to.
LEFT_OUT = ("/covalent/shutdown", "/covalent/cluster")

pytestmark = pytest.mark.timeout(900 + REQUESTS // 20)


class Log:
    """What came back, and what was wrong with it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self.slow = 0
        self.pid = world.connection.pid
        self.memory = world.service().memory_info().rss

    def send(self, what: str, request: Callable[[], int]) -> None:
        """``request`` gives the status of its answer. A slow one is sent again: if the request is what is slow, and not what the
        machine did beside it, it is slow each time."""
        took = []
        while not took or (took[-1] > SLOW and len(took) < 3):
            began = time.monotonic()
            status = request()
            took.append(time.monotonic() - began)
            self.statuses[status] += 1
            if status >= 500:
                self.wrong.append(f"{status}: {what[:500]}")
        self.slow += took[0] > SLOW
        if min(took) > SLOW and min(took) > SLOW * slowness():
            self.wrong.append(f"{', '.join(f'{t:.2f}' for t in took)} s: {what[:500]}")

    def check(self, least: int, request: pytest.FixtureRequest) -> None:
        request.node.user_properties.append(("requests", sum(self.statuses.values())))
        print(f"\n{sum(self.statuses.values())} requests: {dict(sorted(self.statuses.items()))}")
        grown = self.world.service().memory_info().rss - self.memory
        print(f"memory of the service: {grown / 1e6:+.1f} MB; {self.slow} requests took more than {SLOW:g} s once")
        assert not self.wrong, "\n".join(self.wrong[:20])
        assert self.slow <= max(2, sum(self.statuses.values()) // 500), "that is not the machine any more"
        assert sum(self.statuses.values()) >= least and self.world.connection.pid == self.pid
        assert self.world.here.health() < 60 and grown < MEMORY


@pytest.mark.parametrize("login", [True, False], ids=["with login", "without"])
def test_requests_made_from_the_openapi_document(
    world: World, login: bool, seed: int, request: pytest.FixtureRequest
) -> None:
    found = document()
    for path in LEFT_OUT:
        del found["paths"][path]
    del found["paths"]["/covalent/config"]["patch"]  # the other tests need the settings that they know
    schema = schemathesis.openapi.from_dict(found)
    headers = {"Authorization": f"token {world.connection.token}"} if login else {}
    log = Log(world)
    operations = [operation.ok() for operation in schema.get_all_operations()]
    each = max(1, (MADE if login else WITHOUT_LOGIN) // len(operations))
    for operation in operations:

        @hypothesis.seed(seed)
        @settings(
            max_examples=each,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def send(case: Any) -> None:
            _send_case(world, case, headers, log)

        send()
    log.check(len(operations), request)
    if not login:
        assert set(log.statuses) <= {200, 400, 401, 403, 404, 405, 413}, log.statuses
        assert log.statuses[401] > 0.8 * sum(log.statuses.values())


def _send_case(world: World, case: Any, headers: dict[str, str], log: Log) -> None:
    base = urlsplit(world.connection.url)
    kwargs = case.as_transport_kwargs(base_url=f"{base.scheme}://{base.netloc}", headers=headers)
    kwargs["headers"].update(headers)
    if kwargs.get("params") and "wait" in kwargs["params"]:
        kwargs["params"]["wait"] = 0  # it would rightly wait
    import requests

    def request() -> int:
        return requests.request(
            **{k: v for k, v in kwargs.items() if k != "cookies"}, timeout=60, allow_redirects=False
        ).status_code

    with suppress(
        ValueError, requests.exceptions.InvalidHeader, UnicodeError
    ):  # what this client cannot send, raw requests do
        log.send(f"{case.method} {kwargs['url']} {kwargs.get('json') or kwargs.get('data')!r}", request)


METHODS = [
    "GET",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "G\0T",
    "",
    "X" * 3000,
]
PIECES = [
    "..",
    "%2e%2e",
    "%00",
    "%0d%0a",
    "\\",
    "//",
    "a" * 5000,
    "é",
    "%ff",
    "%",
    ";",
    "'",
    '"',
    "<x>",
    "{id}",
    "0" * 36,
    "*",
]
PLACES = [
    "dispatches", "values", "values/missing", "values/small", "events", "sql", "purge", "config", "disk", "health", "metrics",
    "runs", "sql/schema", "dispatches/x/electrons/0/stdout", "dispatches/x/cancel", "dispatches/x/redispatch", "challenge",
]  # fmt: skip
HEADERS = [
    "Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: 1\r\nContent-Length: 2",
    "Transfer-Encoding: chunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: gzip", "Expect: 100-continue",
    "Host: ", "Host: evil.example", "Host: 127.0.0.1\r\nHost: evil.example", "X: " + "y" * 70_000, "no colon here", ": empty",
    "Cookie: \xff\xfe", "Authorization: token \xff", "Range: bytes=0-1", "Content-Type: multipart/form-data; boundary=",
    "Content-Type: application/x-www-form-urlencoded", "Content-Encoding: gzip", "Connection: upgrade\r\nUpgrade: websocket",
    "If-None-Match: *", "X-Covalent-Protocol: 999999999999999999999999", "\0: \0", " folded: yes\r\n and on",
]  # fmt: skip
BODIES = [
    b"", b"{", b"null", b"[]", b"{}", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"query": "SELECT 1; DROP TABLE x"}', b"\0" * 64,
    b'{"a":' * 5000, b"1e999", b"5\r\nhello\r\n0\r\n\r\n", b"ffffffff\r\n", b"zz\r\n", b'{"digests": ["x"]}',
    b'{"nodes": [99999999999999999999]}', b'{"older_than": -1e400}', b'{"query": "WITH RECURSIVE t AS (SELECT 1) SELECT * FROM t"}',
]  # fmt: skip


def malformed(rng: random.Random, token: str) -> bytes:
    """One request as bytes; about half of them with the token."""
    target = "/covalent/" + rng.choice(PLACES)
    for _ in range(rng.choice((0, 0, 1, 2))):
        target += rng.choice(("/", "?", "&x=", "")) + rng.choice(PIECES)
    version = rng.choice(("HTTP/1.1",) * 8 + ("HTTP/1.0", "HTTP/9.9", "", "HTTP/1.1 x"))
    method = rng.choice(METHODS[:6] * 4 + METHODS)
    lines = [f"{method} {target} {version}", *rng.choices(HEADERS, k=rng.choice((0, 0, 1, 2)))]
    if rng.random() < 0.9:
        lines.append("Host: 127.0.0.1")
    if rng.random() < 0.5:
        lines.append(f"Authorization: token {token}")
    body = rng.choice(BODIES)
    if rng.random() < 0.7:
        lines.append(f"Content-Length: {len(body) if rng.random() < 0.8 else rng.randrange(200_000)}")
    data = rng.choice(("\r\n",) * 9 + ("\n",)).join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body
    if rng.random() < 0.1:
        data = data[: rng.randrange(len(data))]
    if rng.random() < 0.05:
        data = rng.randbytes(rng.randrange(1, 3000))
    return data


def exchange(address: tuple[str, int], data: bytes) -> bytes:
    """The beginning of the answer; b"" where the connection was closed without one, or the request was not whole."""
    with socket.create_connection(address, 10) as sock:
        sock.settimeout(30)
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            return sock.recv(4096)
        except OSError:
            return b""


def status_of(answer: bytes) -> int:
    first = answer.split(b"\r\n", 1)[0].split(b" ")
    return int(first[1]) if len(first) > 1 and first[1].isdigit() else 0


@pytest.mark.parametrize("where", ["directly", "through Jupyter"])
def test_malformed_http(world: World, where: str, seed: int, request: pytest.FixtureRequest) -> None:
    rng = random.Random(seed)
    parts = urlsplit(world.connection.url if where == "directly" else world.jupyter_url)
    token = world.connection.token if where == "directly" else TOKEN
    log = Log(world)
    for _ in range(RAW):
        data = malformed(rng, token)
        where_to = (parts.hostname or "", parts.port or 0)
        log.send(repr(data), lambda data=data, to=where_to: status_of(exchange(to, data)))  # type: ignore[misc]
    assert log.statuses[401] or log.statuses[403]
    log.check(RAW, request)


def test_the_same_bytes_come_from_the_same_seed() -> None:
    assert list(_some(7)) == list(_some(7)) and list(_some(7)) != list(_some(8))


def _some(seed: int) -> Iterator[bytes]:
    rng = random.Random(seed)
    return (malformed(rng, "t") for _ in range(50))


@given(st.binary(max_size=2000))
@settings(max_examples=200, deadline=None, database=None)
def test_bodies_of_submissions_are_taken_apart_or_refused(data: bytes) -> None:
    """The frame of a submission: a ValueError says what is wrong, whatever the bytes are."""
    from covalent_jupyter.model import wire

    try:
        wire.unpack_body(data)
    except ValueError as error:
        assert str(error)
