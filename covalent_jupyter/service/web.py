"""The border between HTTP and the service: who may ask, how bodies come in, how answers and errors go out.

Bodies of all requests are streamed: the token is checked in ``prepare``, before a byte of the body is kept. What a
refused request still sends is read and thrown away, so that the client hears the answer and not a broken connection.
"""

from __future__ import annotations

import errno
import hmac
import logging
import re
import sys
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from tornado import httputil, web
from tornado.http1connection import HTTP1Connection

from .._version import __version__
from ..errors import ConfigError, InvalidRequest, ServiceError, StorageFull, StoreError, TooLarge, VersionMismatch
from ..model.work import PROTOCOL
from .backend import Context

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Bytes of a JSON body; submissions and values have caps of their own.
JSON_CAP = 4 << 20
#: Protocols that this service speaks.
PROTOCOLS = tuple(p for p in (PROTOCOL - 1, PROTOCOL) if p > 0)
#: Query parameters that Jupyter and browsers add.
IGNORED_QUERY = frozenset({"_", "no_track_activity"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
_DRAIN_SECONDS = 60.0
#: how msgspec says what does not fit, and where
_AT = re.compile(r"(?P<text>.+) - at `\$\.(?P<name>[\w.\[\]]+)`", re.S)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: What else a disk, or the limits of a process, may answer; it goes away by itself or by somebody's hand.
_BROKEN = frozenset({errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM, errno.ESTALE})


@web.stream_request_body
class Handler(web.RequestHandler):
    """Base of all handlers."""

    #: Whether requests count as somebody being there, so that the service does not go.
    counts_as_activity = True
    #: Whether it answers without the token.
    is_open = False
    body_cap = JSON_CAP

    def initialize(self, context: Context, query: Any = None) -> None:
        self.context = context
        self._query_type = query
        self._body = bytearray()
        self._received = 0
        self._counted = False
        self._busy = False
        self._over = False
        self._refused = False
        self._failure: OSError | None = None

    def set_default_headers(self) -> None:
        self.set_header("Server", f"covalent-jupyter/{__version__}")
        self.set_header("X-Covalent-Version", __version__)
        self.set_header("X-Covalent-Protocol", str(PROTOCOL))
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")

    # coming in

    def prepare(self) -> None:
        self.context.activity.requests += 1
        try:
            self._admit()
        except Exception as error:
            if not self._has_body():
                raise
            self._refuse(error)

    def _admit(self) -> None:
        self._check_host()
        if not self.is_open:
            self._check_token()
        self._check_protocol()
        if self.context.stopping:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, "the service is stopping; it is started again when it is needed"
            )
        self._check_length()
        if self.counts_as_activity and not self.is_open:
            self._counted = True
            self.context.activity.open += 1
        self.begin()

    def begin(self) -> None:
        """Called once the request has been let in, before its body."""

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._received += len(chunk)
        if self._received <= self.body_cap and not self._refused:
            return self.receive(chunk)
        self._body.clear()
        return None

    def receive(self, chunk: bytes) -> Awaitable[None] | None:
        """One piece of the body, within the cap."""
        self._body += chunk
        return None

    def check_received(self) -> None:
        """Whether all of the body could be taken. Called by the methods that read it."""
        if self._received > self.body_cap:  # a body without a Content-Length
            raise self._too_large()
        if self._failure is not None:
            raise self._failure

    async def keep(self, function: Callable[..., Any], *args: Any) -> None:
        """Blocking work on a piece of the body. An OSError is kept for :meth:`check_received`: raised from here, it
        would break the connection before the client hears why."""
        try:
            if self._failure is None:
                await self.work(function, *args)
        except OSError as error:
            self._failure = error

    async def work(self, function: Callable[..., T], *args: Any) -> T:
        """Blocking work, in a thread, on what this request owns; :meth:`clean_up` waits for it."""
        self._busy = True
        try:
            return await self.context.file(function, *args)
        finally:
            self._busy = False
            if self._over:
                self.clean_up()

    def clean_up(self) -> None:
        """Called once or more after the request: files that it opened go."""

    def json_body(self, kind: type[T]) -> T:
        """The body as ``kind``; nothing at all counts as ``{}``."""
        self.check_received()
        try:
            return msgspec.json.decode(bytes(self._body) or b"{}", type=kind)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(
                f"the body is not what {self.request.method} {self.request.path} takes: {_said(error)}"
            ) from None

    def query(self, kind: type[T]) -> T:
        """The query as ``kind``."""
        given: dict[str, str] = {}
        for name in self.request.query_arguments:
            if name not in IGNORED_QUERY:
                given[name] = self.get_query_argument(name)
        try:
            return msgspec.convert(given, kind, strict=False)
        except (ValueError, OverflowError) as error:
            fields = ", ".join(getattr(kind, "__struct_fields__", ()))
            raise InvalidRequest(f"query: {_said(error)}. It takes: {fields or 'nothing'}") from None

    # going out

    def reply(self, answer: Any, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(answer))

    def compute_etag(self) -> str | None:
        return None  # answers change all the time; values set their own

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish(self._problem(kwargs.get("exc_info", (None, None, None))[1], status_code))

    def _problem(self, error: BaseException | None, status_code: int) -> bytes:
        status, message, details = describe(error, status_code)
        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = "Error"
        self.set_status(status, reason)
        self.set_header("Content-Type", "application/json")
        if status == 401:
            self.set_header("WWW-Authenticate", "token")
        if status == 503:
            self.set_header("Connection", "close")
        return msgspec.json.encode({"message": message, "reason": reason, "details": details})

    def _has_body(self) -> bool:
        headers = self.request.headers
        expected = headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers
        return expected and "Expect" not in headers  # who asks first sends no body to a refusal

    def _refuse(self, error: Exception) -> None:
        """Answers at once, but ends the exchange only when the body has come: an end in mid-body resets the
        connection, and the client would never read the answer."""
        self._refused = True
        self.log_exception(type(error), error, error.__traceback__)
        connection = self._connection()
        connection.set_max_body_size(sys.maxsize)
        connection.set_body_timeout(_DRAIN_SECONDS)
        data = self._problem(error, 500)
        self.set_header("Content-Length", str(len(data)))
        self.write(data)
        self.flush()
        setattr(self, (self.request.method or "").lower(), lambda *_, **__: self.finish())

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        status, message, _ = describe(value, 500)
        if status == 500:
            log.error("%s %r failed", self.request.method, self.request.path[:500], exc_info=(typ, value, tb))
        else:
            log.info("%s %r: %d %r", self.request.method, self.request.path[:500], status, message[:500])

    def on_finish(self) -> None:
        self._leave()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._leave()

    def _leave(self) -> None:
        self._over = True
        if not self._busy:
            self.clean_up()
        if self._counted:
            self._counted = False
            self.context.activity.open -= 1
            self.context.activity.last = time.monotonic()

    # checks

    def _check_host(self) -> None:
        name = httputil.split_host_and_port(self.request.host.lower())[0] if self.request.host else ""
        if name not in LOOPBACK:
            self.context.activity.refused += 1
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                "this service answers on loopback names only; from elsewhere use the Jupyter server",
            )

    def _check_token(self) -> None:
        kind, _, given = self.request.headers.get("Authorization", "").partition(" ")
        expected = self.context.connection.token
        right = kind.lower() in ("token", "bearer")
        if not hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected.encode()) or not right:
            self.context.activity.refused += 1
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "the header 'Authorization: token ...' is missing or wrong; the token is in the connection file",
            )

    def _check_protocol(self) -> None:
        given = self.request.headers.get("X-Covalent-Protocol")
        if given is None or given in map(str, PROTOCOLS):
            return
        theirs = self.request.headers.get("X-Covalent-Version", "unknown")[:40]
        newer = given.isdigit() and int(given[:9]) > PROTOCOL
        remedy = (
            "run `jupyter covalent restart`" if newer else "run `pip install -U covalent-jupyter` where the client is"
        )
        raise VersionMismatch(
            f"the client is version {theirs!r} and speaks protocol {given[:20]!r}; "
            f"this service is version {__version__} and speaks {' and '.join(map(str, PROTOCOLS))}: {remedy}",
            protocols=list(PROTOCOLS), version=__version__,
        )  # fmt: skip

    def _check_length(self) -> None:
        length = self.request.headers.get("Content-Length", "0")
        if not length.isdigit():
            raise InvalidRequest("Content-Length is not a number")
        if int(length) > self.body_cap:
            raise self._too_large()
        self._connection().set_max_body_size(sys.maxsize)  # ours counts

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"the body exceeds {self.body_cap:,} bytes, the cap for {self.request.method} {self.request.path}",
            cap=self.body_cap,
        )

    def _connection(self) -> HTTP1Connection:
        assert isinstance(self.request.connection, HTTP1Connection)
        return self.request.connection


class Refusal(Exception):
    """An answer of the border itself."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = int(status)


class NoSuchPath(Handler):
    """Whatever no route matches."""

    counts_as_activity = False

    def begin(self) -> None:
        raise Refusal(
            HTTPStatus.NOT_FOUND,
            f"there is no {self.request.path[:200]!r} here; GET /covalent/openapi.json lists what there is",
        )


def describe(error: BaseException | None, status: int) -> tuple[int, str, dict[str, Any]]:
    """An exception as ``(HTTP status, message, details)``; what is nobody's mistake but ours is a 500."""
    if isinstance(error, ServiceError):
        return error.status, str(error), error.details
    if isinstance(error, Refusal):
        return error.status, str(error), {}
    if isinstance(error, web.HTTPError):
        text = error.log_message % error.args if error.log_message and error.args else error.log_message
        return error.status_code, text or _words(error.status_code), {}
    if isinstance(error, OSError) and error.errno in _FULL:
        return (
            StorageFull.status,
            f"the disk of the store is full: {error.strerror}. Free some space, or `jupyter covalent purge`",
            {},
        )
    if isinstance(error, OSError) and error.errno in _BROKEN:
        return (
            StorageFull.status,
            f"the disk of the store takes nothing at the moment: {error.strerror}. Nothing was accepted; send it again "
            "when that is mended",
            {},
        )
    if isinstance(error, ConfigError):
        return 400, str(error), {}
    if isinstance(error, StoreError):
        return 503, f"the store cannot be used at the moment: {error}", {}
    if error is None:
        return status, _words(status), {}
    return 500, "the service failed over this request; its log, service.log, has the details", {}


def _said(error: Exception) -> str:
    """What does not fit, its name first."""
    found = _AT.fullmatch(str(error))
    return f"{found['name']}: {found['text'][0].lower()}{found['text'][1:]}" if found else str(error)


def _words(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "error"
