"""The calls of the REST interface, over plain ``http.client`` with one kept connection per thread.

Everything that may be repeated is repeated: on a kept connection that the other side has closed, and on a service that
went away and came back (its connection file is read again, and it is started where nobody runs it).
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import platform
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from .._version import __version__
from ..errors import SERVICE_ERRORS, NotFound, ServiceError, ServiceUnavailable, VersionMismatch
from ..model import PROTOCOL, DispatchRow, ElectronRow, Manifest
from ..model.wire import decode_manifest
from .connection import Connector, Endpoint, Settings, settings
from .sent import Sent

#: seconds until a request that should be quick is given up
TIMEOUT = 30.0
#: attempts on services that went away before the caller hears of it
ATTEMPTS = 4

#: small values that one request asks for
SMALL_AT_ONCE = 4000

RESTART = "jupyter covalent restart"


class ExtensionMissing(ServiceUnavailable):
    """The Jupyter server does not know covalent-jupyter."""


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    data: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.data)


class EventsAnswer(msgspec.Struct):
    """What came after a sequence number."""

    seq: int
    next: int | None = None
    reset: bool = False
    dispatches: list[DispatchRow] = []
    electrons: list[ElectronRow] = []
    deleted: list[str] = []
    logs: list[dict[str, Any]] = []  # how much running attempts have printed, and how far they are


class ElectronsPage(msgspec.Struct):
    electrons: list[ElectronRow]
    total: int


class DispatchesPage(msgspec.Struct):
    dispatches: list[DispatchRow]
    seq: int = 0
    total: int = 0
    next: str | int | float | None = None


_row_decoder = msgspec.json.Decoder(DispatchRow)
_electrons_decoder = msgspec.json.Decoder(ElectronsPage)
_dispatches_decoder = msgspec.json.Decoder(DispatchesPage)
_events_decoder = msgspec.json.Decoder(EventsAnswer)


class _ClosesItself:
    """A connection that is closed when the thread that kept it has ended."""

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # at the end of the interpreter, parts of it are gone
            self.close()  # type: ignore[attr-defined]


class _Http(_ClosesItself, http.client.HTTPConnection):
    """As the library's."""


class _Https(_ClosesItself, http.client.HTTPSConnection):
    """As the library's."""


class _Kept(threading.local):
    """The connection of one thread; a forked child makes its own."""

    connection: http.client.HTTPConnection | None = None
    endpoint: Endpoint | None = None
    pid: int = 0


class Rest:
    """The service as function calls. Thread-safe."""

    def __init__(self, connector: Connector) -> None:
        self.connector = connector
        self._kept = _Kept()
        self.sent = Sent()

    # transport

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        raw: bytes | Sequence[Any] | None = None,
        timeout: float = TIMEOUT,
        repeat: bool = True,
    ) -> Answer:
        """One request; errors of the service are raised as :mod:`covalent_jupyter.errors`.

        ``body`` is sent as JSON, ``raw`` as bytes (or a sequence of buffers). ``repeat`` False: the request must not
        reach the service twice.
        """
        payload = msgspec.json.encode(body) if body is not None else raw
        kind = "application/json" if body is not None else "application/octet-stream"
        endpoint = self.connector.endpoint()
        for attempt in range(ATTEMPTS):
            try:
                answer = self._send(endpoint, method, path, query, payload, kind, timeout, fresh=not repeat)
            except TimeoutError as error:
                raise ServiceUnavailable(
                    f"The service at {endpoint.url} did not answer {method} {path} within {timeout:g} s. "
                    "`jupyter covalent doctor` says how it is."
                ) from error
            except (OSError, http.client.HTTPException) as error:
                if not repeat and not isinstance(error, ConnectionRefusedError):
                    raise ServiceUnavailable(
                        f"The connection to {endpoint.url} broke during {method} {path}"
                    ) from error
                if attempt == ATTEMPTS - 1:
                    raise self._unreachable(endpoint, error) from error
                time.sleep(0.05 * attempt * attempt)  # the next look may find the file of a service that is closing
                endpoint = self.connector.renew(endpoint)
                continue
            if answer.status < 400:
                return answer
            if (
                answer.status in (401, 403, 502, 503, 504)
                and attempt < ATTEMPTS - 1
                and (repeat or answer.status < 500)
            ):
                time.sleep(0.05 * (attempt + 1))
                renewed = self.connector.renew(endpoint)
                if renewed != endpoint or answer.status >= 500:
                    endpoint = renewed
                    continue
            raise self._error(endpoint, method, path, answer)
        raise AssertionError("unreachable")  # pragma: no cover

    def _send(
        self, endpoint: Endpoint, method: str, path: str, query: dict[str, Any] | None, payload: Any, kind: str,
        timeout: float, fresh: bool,
    ) -> Answer:  # fmt: skip
        kept = self._kept
        if fresh or kept.endpoint != endpoint or kept.pid != os.getpid():
            self.disconnect()
        reused = kept.connection is not None
        target = _target(endpoint, path, query)
        headers = _headers(endpoint, payload, kind)
        while True:
            connection = kept.connection or self._connect(endpoint)
            connection.timeout = timeout
            if connection.sock is not None:
                connection.sock.settimeout(timeout)
            try:
                connection.request(method, target, body=payload, headers=headers)
                response = connection.getresponse()
                return Answer(response.status, response.headers, response.read())
            except TimeoutError:
                self.disconnect()
                raise
            except (OSError, http.client.HTTPException):
                self.disconnect()
                if not reused:
                    raise
                reused = False  # the other side closed a kept connection: once more on a new one
            except BaseException:  # Ctrl-C: half an answer is on this connection
                self.disconnect()
                raise

    def _connect(self, endpoint: Endpoint) -> http.client.HTTPConnection:
        parts = urlsplit(endpoint.url)
        host = parts.hostname or ""
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = _Https(host, parts.port, context=ssl.create_default_context())
        else:
            connection = _Http(host, parts.port)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._kept.connection, self._kept.endpoint, self._kept.pid = connection, endpoint, os.getpid()
        return connection

    def disconnect(self) -> None:
        """Close this thread's connection."""
        connection, self._kept.connection = self._kept.connection, None
        if connection is not None and self._kept.pid == os.getpid():
            connection.close()

    # errors

    def _unreachable(self, endpoint: Endpoint, error: Exception) -> ServiceUnavailable:
        advice = "`jupyter covalent doctor` looks for the reason." if endpoint.direct else (
            "Is that Jupyter server running? The address comes from ct.set_config(url=...) or "
            "COVALENT_JUPYTER_URL.")  # fmt: skip
        return ServiceUnavailable(f"Nothing answers at {endpoint.url} ({type(error).__name__}: {error}). {advice}")

    def _error(self, endpoint: Endpoint, method: str, path: str, answer: Answer) -> Exception:
        message, details = _message_of(answer)
        if answer.status in (401, 403):
            return ServiceUnavailable(
                f"{endpoint.url} refused the token ({answer.status}). "
                + (
                    "`jupyter covalent restart` gives a new one."
                    if endpoint.direct
                    else "Give the Jupyter server's token: ct.set_config(token=...)."
                )
            )
        if answer.status == 426:
            command = RESTART if endpoint.direct else "pip install -U covalent-jupyter (on both sides)"
            return VersionMismatch(message if RESTART in message else f"{message} {command}", **details)
        if answer.status == 404 and answer.headers.get("X-Covalent-Protocol") is None:
            return ExtensionMissing(
                f"The Jupyter server at {endpoint.url} does not know covalent-jupyter: install it in the server's "
                "environment (pip install covalent-jupyter) and restart that server."
            )
        if answer.status in (502, 503, 504):
            return ServiceUnavailable(message or f"{endpoint.url} answers {answer.status}")
        kind = SERVICE_ERRORS.get(answer.status, ServiceError)
        return kind(message or f"{method} {path}: the service answered {answer.status}", **details)

    # calls

    def health(self, timeout: float = TIMEOUT) -> dict[str, Any]:
        return _object(self.request("GET", "health", timeout=timeout).json())

    def submit(self, body: bytes) -> dict[str, Any]:
        """POST of a framed body; repeated safely, because the dispatch id is in it."""
        return _object(self.request("POST", "dispatches", raw=body, timeout=600.0).json())

    def reuse(self, body: bytes) -> dict[str, list[int]]:
        """POST of a framed body, for what a redispatch would take over: ``reused, gone, unfit``, numbers of nodes."""
        return _object(self.request("POST", "reuse", raw=body, timeout=600.0).json())

    def missing(self, digests: list[str]) -> list[str]:
        return [
            str(d) for d in _object(self.request("POST", "values/missing", body={"digests": digests}).json())["missing"]
        ]

    def put_value(self, digest: str, chunks: Sequence[Any]) -> None:
        self.request("PUT", f"values/{digest}", raw=chunks, timeout=600.0)

    def small_values(self, digests: list[str]) -> dict[str, bytes]:
        """Those that are small enough to lie in the database; few requests, however many they are."""
        found: dict[str, bytes] = {}
        for start in range(0, len(digests), SMALL_AT_ONCE):
            body = {"digests": digests[start : start + SMALL_AT_ONCE]}
            answer = self.request("POST", "values/small", body=body)
            found.update(msgspec.msgpack.decode(answer.data, type=dict[str, bytes]))
        return found

    def value(self, digest: str) -> bytes:
        return self.request("GET", f"values/{digest}", timeout=600.0).data

    def dispatch(self, dispatch_id: str) -> DispatchRow:
        """The row of a dispatch; ``dispatch_id`` may be a unique prefix."""
        return _row_decoder.decode(self.request("GET", f"dispatches/{_safe(dispatch_id)}").data)

    def dispatches(self, **query: Any) -> DispatchesPage:
        return _dispatches_decoder.decode(self.request("GET", "dispatches", query=query).data)

    def electrons(self, dispatch_id: str, **query: Any) -> ElectronsPage:
        """One page: ``offset, limit, status, name, nodes``."""
        return _electrons_decoder.decode(
            self.request("GET", f"dispatches/{_safe(dispatch_id)}/electrons", query=query).data
        )

    def electron(self, dispatch_id: str, node: int) -> dict[str, Any]:
        """The electron's row with ``inputs, source, options``, as JSON."""
        return _object(self.request("GET", f"dispatches/{_safe(dispatch_id)}/electrons/{int(node)}").json())

    def attempts(self, dispatch_id: str, **query: Any) -> dict[str, Any]:
        """One page of the attempts of its electrons: ``offset, limit, node``."""
        return _object(self.request("GET", f"dispatches/{_safe(dispatch_id)}/attempts", query=query).json())

    def graph(self, dispatch_id: str) -> dict[str, Any]:
        return _object(self.request("GET", f"dispatches/{_safe(dispatch_id)}/graph").json())

    def waiting(self, dispatch_id: str) -> list[str]:
        """Why what is ready of it does not run yet; a service of before that question has no answer."""
        try:
            found = _object(self.request("GET", f"dispatches/{_safe(dispatch_id)}/waiting").json())
        except NotFound:
            return []
        return [str(reason) for reason in found.get("reasons", ())]

    def manifest(self, dispatch_id: str) -> Manifest:
        return decode_manifest(self.request("GET", f"dispatches/{_safe(dispatch_id)}/manifest").data)

    def stream(
        self,
        dispatch_id: str,
        node: int,
        name: str,
        *,
        attempt: int | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> tuple[str, int]:
        """Text of ``stdout`` or ``stderr`` from ``offset``, and the offset of what comes next."""
        path = f"dispatches/{_safe(dispatch_id)}/electrons/{int(node)}/{name}"
        answer = self.request("GET", path, query={"attempt": attempt, "offset": offset, "limit": limit})
        after = answer.headers.get("X-Next-Offset")
        return answer.data.decode("utf-8", "replace"), int(after) if after else offset + len(answer.data)

    def outputs(self, dispatch_id: str, node: int, **query: Any) -> dict[str, Any]:
        """What an electron printed and displayed, in order: ``outputs, next, more, ended``; ``attempt, after, limit``."""
        path = f"dispatches/{_safe(dispatch_id)}/electrons/{int(node)}/outputs"
        return _object(self.request("GET", path, query=query).json())

    def cancel(self, dispatch_id: str, nodes: Iterable[int] | None = None) -> dict[str, Any]:
        body = {"nodes": None if nodes is None else [int(n) for n in nodes]}
        return _object(self.request("POST", f"dispatches/{_safe(dispatch_id)}/cancel", body=body).json())

    def annotate(self, dispatch_id: str, **changes: Any) -> DispatchRow:
        """Change ``label``, ``tags`` or ``note``; the row as it is then."""
        return _row_decoder.decode(self.request("PATCH", f"dispatches/{_safe(dispatch_id)}", body=changes).data)

    def delete(self, dispatch_id: str) -> dict[str, Any]:
        return _object(self.request("DELETE", f"dispatches/{_safe(dispatch_id)}").json())

    def events(self, after: int, *, wait: float = 0.0, **query: Any) -> EventsAnswer:
        """What came after ``after``; answers at once, or within ``wait`` seconds. Following keeps no idle Jupyter server alive."""
        full = {"after": after, "wait": wait, "no_track_activity": 1, **query}
        return _events_decoder.decode(self.request("GET", "events", query=full, timeout=TIMEOUT + wait).data)

    def sql(self, query: str, max_rows: int) -> dict[str, Any]:
        return _object(self.request("POST", "sql", body={"query": query, "max_rows": max_rows}, timeout=60.0).json())

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Any other GET that answers with an object: ``disk``, ``executors``, ``cluster``, ``config``."""
        return _object(self.request("GET", path, query=query).json())

    def post(self, path: str, *, repeat: bool = True, timeout: float = TIMEOUT, **body: Any) -> dict[str, Any]:
        answer = self.request("POST", path, body=body, repeat=repeat, timeout=timeout)
        return _object(answer.json()) if answer.data else {}

    def patch(self, path: str, **body: Any) -> dict[str, Any]:
        return _object(self.request("PATCH", path, body=body).json())


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ServiceError(f"the service answered with {type(data).__name__} where an object was expected")
    return data


def _safe(text: str) -> str:
    return quote(str(text).strip(), safe="", errors="backslashreplace")


def _target(endpoint: Endpoint, path: str, query: dict[str, Any] | None) -> str:
    target = urlsplit(endpoint.url).path + path
    given = {k: _plain(v) for k, v in (query or {}).items() if v is not None}
    return f"{target}?{urlencode(given, errors='backslashreplace')}" if given else target


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _headers(endpoint: Endpoint, payload: Any, kind: str) -> dict[str, str]:
    headers = {
        "X-Covalent-Version": __version__,
        "X-Covalent-Protocol": str(PROTOCOL),
        "Accept": "*/*",
        "User-Agent": f"covalent-jupyter/{__version__} python/{platform.python_version()}",
    }
    if endpoint.token:
        headers["Authorization"] = f"token {endpoint.token}"
    if payload is not None:
        headers["Content-Type"] = kind
        if not isinstance(payload, bytes):
            headers["Content-Length"] = str(sum(memoryview(chunk).nbytes for chunk in payload))
    return headers


def _message_of(answer: Answer) -> tuple[str, dict[str, Any]]:
    try:
        data = answer.json()
    except ValueError:
        return "", {}
    if not isinstance(data, dict):
        return "", {}
    details = data.get("details")
    clean = {str(k): v for k, v in details.items() if k not in ("message", "self")} if isinstance(details, dict) else {}
    return str(data.get("message") or ""), clean


@functools.lru_cache(maxsize=8)
def _rest_for(chosen: Settings) -> Rest:
    return Rest(Connector(chosen))


def connect() -> Rest:
    """The client for the present settings; the same object for the same settings."""
    return _rest_for(settings())
