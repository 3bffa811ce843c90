"""One request passed on to a service that breaks off: it ends with an error, wherever that is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders
from tornado.iostream import StreamClosedError

from covalent_jupyter.model import ConnectionFile
from covalent_jupyter.server_extension.proxy import Exchange

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
HEAD = ANSWER.index(b"0123")
NOBODY: dict[str, Any] = {
    "pid": 1, "version": "", "protocol": 1, "store": "", "store_id": "", "host": "", "boot_id": "", "host_port": 0, "started": 0.0,
}  # fmt: skip


@contextlib.asynccontextmanager
async def service(said: bytes) -> AsyncIterator[ConnectionFile]:
    """One that says this to every request, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield ConnectionFile(url=f"http://127.0.0.1:{port}/covalent/", token="t", **NOBODY)


async def ask(said: bytes, on_body: Callable[[bytes], Awaitable[None]]) -> list[int]:
    statuses: list[int] = []
    async with service(said) as there:
        exchange = Exchange(on_body)
        await exchange.open(there, "GET", "health", HTTPHeaders())
        try:
            await asyncio.wait_for(exchange.answer(lambda status, _: statuses.append(status)), 60)
        finally:
            exchange.close()
    return statuses


async def nowhere(chunk: bytes) -> None:
    pass


@pytest.mark.parametrize("length", [0, 1, HEAD - 1, HEAD, HEAD + 1, len(ANSWER) - 1])
async def test_a_service_that_breaks_off_is_an_error(length: int) -> None:
    with pytest.raises(ConnectionError) as caught:
        await ask(ANSWER[:length], nowhere)
    assert not isinstance(caught.value, StreamClosedError)  # which says that the client has gone


async def test_a_whole_answer_arrives() -> None:
    body: list[bytes] = []

    async def keep(chunk: bytes) -> None:
        body.append(chunk)

    assert await ask(ANSWER, keep) == [200] and b"".join(body) == b"0123456789"


async def test_a_client_that_has_gone_is_told_apart() -> None:
    async def gone(chunk: bytes) -> None:
        raise StreamClosedError

    with pytest.raises(StreamClosedError):
        await ask(ANSWER, gone)


async def test_a_client_that_goes_early_leaves_no_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    body: list[bytes] = []

    async def keep(chunk: bytes) -> None:
        body.append(chunk)

    class Arrived(Exchange):
        """Says when a piece of the answer is there, which nobody has asked for yet."""

        arrived = asyncio.Event()

        def data_received(self, chunk: bytes) -> Awaitable[None] | None:
            self.arrived.set()
            return super().data_received(chunk)

    async with service(ANSWER) as there:
        exchange = Arrived(keep)
        await exchange.open(there, "GET", "health", HTTPHeaders())
        await asyncio.wait_for(exchange.arrived.wait(), 60)
        await asyncio.sleep(0)
        exchange.close()
        assert exchange._reading is not None
        with contextlib.suppress(StreamClosedError, asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(exchange._reading), 60)
    assert body == [] and [record.message for record in caplog.records if record.levelname == "ERROR"] == []
