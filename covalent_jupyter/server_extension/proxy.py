"""One request passed on to the service: its body as it comes in, the answer as it comes back.

Neither side's body is ever held whole: whoever is slow holds up the other. A client that leaves takes the request to
the service with it, so an abandoned long poll ends at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

from tornado import httputil
from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.iostream import IOStream, StreamClosedError
from tornado.tcpclient import TCPClient

from ..model import ConnectionFile

#: What is passed on of a request; cookies and Jupyter's own credentials never are.
REQUEST_HEADERS = (
    "Accept", "Content-Type", "Content-Length", "If-None-Match", "X-Covalent-Protocol", "X-Covalent-Version"
)  # fmt: skip
#: What is passed back of an answer.
RESPONSE_HEADERS = (
    "Cache-Control", "Content-Disposition", "Content-Length", "Content-Type", "ETag", "X-Covalent-Protocol",
    "X-Covalent-Version", "X-Ended", "X-Next-Offset",
)  # fmt: skip
_CONNECT = 5.0
_ANY_SIZE = 1 << 62


class Exchange(httputil.HTTPMessageDelegate):
    """One request to the service, and its answer."""

    def __init__(self, on_body: Callable[[bytes], Awaitable[None]]) -> None:
        self._on_body = on_body
        self._stream: IOStream | None = None
        self._connection: HTTP1Connection | None = None
        self._reading: asyncio.Future[bool] | None = None
        self._may_answer = asyncio.Event()
        self._answered: asyncio.Future[tuple[int, httputil.HTTPHeaders]] = asyncio.get_running_loop().create_future()
        self._broken = False

    async def open(self, service: ConnectionFile, method: str, target: str, headers: httputil.HTTPHeaders) -> None:
        """Connect and send the head. OSError if nobody is there."""
        parts = urlsplit(service.url)
        self._stream = await asyncio.wait_for(TCPClient().connect(parts.hostname or "", parts.port or 0), _CONNECT)
        self._stream.set_nodelay(True)
        parameters = HTTP1ConnectionParameters(no_keep_alive=True, max_body_size=_ANY_SIZE)
        self._connection = HTTP1Connection(self._stream, True, parameters)
        sent = httputil.HTTPHeaders(
            {"Host": parts.netloc, "Connection": "close", "Authorization": f"token {service.token}"}
        )
        for name in REQUEST_HEADERS:
            if name in headers:
                sent[name] = headers[name]
        if "Transfer-Encoding" in headers:
            sent["Transfer-Encoding"] = "chunked"
        await self._connection.write_headers(httputil.RequestStartLine(method, parts.path + target, "HTTP/1.1"), sent)
        self._reading = asyncio.ensure_future(self._connection.read_response(self))
        self._reading.add_done_callback(self._has_read)

    async def send(self, chunk: bytes) -> None:
        """A piece of the body; waits while the service is slow. What the service does not want any more is dropped."""
        if self._connection is None or self._broken:
            return
        try:
            await self._connection.write(chunk)
        except StreamClosedError:
            self._broken = True

    async def answer(self, on_head: Callable[[int, httputil.HTTPHeaders], None]) -> None:
        """Ends the request and passes the answer on; ConnectionError if there is none, or only a part of it, StreamClosedError
        if the client has gone."""
        assert self._connection is not None and self._reading is not None
        if not self._broken:
            with suppress(StreamClosedError):
                self._connection.finish()
        status, headers = await self._answered
        on_head(status, headers)
        self._may_answer.set()
        whole = False
        with suppress(StreamClosedError):
            whole = await self._reading
        if self._client_left:
            raise StreamClosedError
        if not whole and not self._complete:
            raise ConnectionError("the service broke off its answer")

    def close(self) -> None:
        """Whatever was going on ends."""
        self._client_left = True
        self._may_answer.set()
        if self._stream is not None:
            self._stream.close()  # which ends the reading: where it is cancelled, Tornado writes a traceback to the log
        if self._answered.done():
            if not self._answered.cancelled():
                self._answered.exception()
        else:
            self._answered.cancel()

    # what the connection reads

    _complete = False
    _client_left = False

    def _has_read(self, reading: asyncio.Future[bool]) -> None:
        """Where the service closes before the head of its answer, the connection ends with an error and tells nobody."""
        if not reading.cancelled():
            reading.exception()
        if not self._answered.done():
            self._answered.set_exception(ConnectionError("the service closed the connection without an answer"))

    def headers_received(
        self, start_line: httputil.RequestStartLine | httputil.ResponseStartLine, headers: httputil.HTTPHeaders
    ) -> Awaitable[None] | None:
        if isinstance(start_line, httputil.ResponseStartLine) and not self._answered.done():
            self._answered.set_result((start_line.code, headers))
        return None

    async def _pass_on(self, chunk: bytes) -> None:
        await self._may_answer.wait()
        if self._client_left:
            return
        try:
            await self._on_body(chunk)
        except StreamClosedError:
            self._client_left = True
            if self._stream is not None:
                self._stream.close()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._pass_on(chunk)

    def finish(self) -> None:
        self._complete = True

    def on_connection_close(self) -> None:
        if not self._answered.done():
            self._answered.set_exception(ConnectionError("the service closed the connection without an answer"))
