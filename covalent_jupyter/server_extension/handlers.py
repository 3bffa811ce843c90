"""``<base_url>covalent/...``: the REST interface of the service, behind Jupyter's login and XSRF check."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado import httputil, web
from tornado.iostream import StreamClosedError

from .._version import __version__
from ..errors import ServiceUnavailable
from ..lab import PANELS, draws_panels
from ..model import PROTOCOL
from .link import NotRunning, ServiceLink
from .proxy import RESPONSE_HEADERS, Exchange

RESOURCE = "covalent"
#: What each method needs of Jupyter's authorizer.
ACTIONS = {"GET": "read", "POST": "execute", "PUT": "write", "PATCH": "write", "DELETE": "write"}
_DRAIN_SECONDS = 60.0
#: In the query of a request that is no reason to start a service: where none runs, the answer is 204.
NO_START = "no_start"
#: What may be in a query and stays here: credentials of Jupyter, and what is meant for us.
_PRIVATE_QUERY = frozenset({"token", "_xsrf", NO_START})


@web.stream_request_body
class ProxyHandler(ExtensionHandlerMixin, APIHandler):
    """Passes everything on. Login and authorization are checked before a byte of the body is read."""

    auth_resource = RESOURCE
    _exchange: Exchange | None = None
    _refused = False
    _gone = False  # the client closed its connection

    def initialize(self, name: str, link: ServiceLink) -> None:
        super().initialize(name)
        self._link = link

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("X-Covalent-Version", __version__)
        self.set_header("X-Covalent-Protocol", str(PROTOCOL))

    async def prepare(self) -> None:  # type: ignore[override]  # as Jupyter's own APIHandler
        try:
            await self._admit()
        except web.HTTPError as error:
            length = self.request.headers.get("Content-Length", "0")
            if self._finished or (length == "0" and "Transfer-Encoding" not in self.request.headers):
                raise
            self._refuse(error)

    def _refuse(self, error: web.HTTPError) -> None:
        """Answers at once, but ends the exchange only when the body has come: an end in mid-body resets the
        connection, and the client would never read the answer."""
        self._refused = True
        connection: Any = self.request.connection
        connection.set_body_timeout(_DRAIN_SECONDS)
        data = json.dumps(
            {"message": error.log_message or error.reason or "refused", "reason": error.reason, "details": {}}
        ).encode()
        self.set_status(error.status_code)
        self.set_header("Content-Type", "application/json")
        self.set_header("Content-Length", str(len(data)))
        self.write(data)
        self.flush()

        def finish(*_: Any) -> None:
            super(APIHandler, self).finish()

        setattr(self, (self.request.method or "").lower(), finish)

    async def _admit(self) -> None:
        method = self.request.method or ""
        self.request.connection.set_max_body_size(sys.maxsize)  # type: ignore[union-attr]  # the service has the caps
        await super().prepare()
        if self._finished or method not in ACTIONS:
            return
        if self.current_user is None:
            raise web.HTTPError(403, "log in to Jupyter, or send its token")
        if not await ensure_async(self.authorizer.is_authorized(self, self.current_user, ACTIONS[method], RESOURCE)):
            raise web.HTTPError(403, f"User is not authorized to {ACTIONS[method]} on resource: {RESOURCE}.")

    async def data_received(self, chunk: bytes) -> None:
        if self._refused:
            return
        try:
            if self._exchange is None:
                self._exchange = await self._open()
            await self._exchange.send(chunk)
        except (OSError, ServiceUnavailable):
            self._refused = True  # told by the method, once the client has sent all

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self, path: str) -> None:
        if path == "health" and not draws_panels():
            self.set_header(PANELS, "off")
        await self._forward()

    @web.authenticated
    @authorized("execute", resource=RESOURCE)
    async def post(self, path: str) -> None:
        await self._forward()

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def put(self, path: str) -> None:
        await self._forward()

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def patch(self, path: str) -> None:
        await self._forward()

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def delete(self, path: str) -> None:
        await self._forward()

    async def _forward(self) -> None:
        """Sends what is left to send, and passes the answer on."""
        repeatable = self._exchange is None and not self._refused
        for attempt in (1, 2):
            try:
                if self._exchange is None:
                    self._exchange = await self._open()
                await self._exchange.answer(self._head)
                break
            except StreamClosedError:
                return  # the client has gone
            except NotRunning:
                self.set_status(204)  # nothing went wrong: Jupyter's log need not hear of it
                break
            except asyncio.CancelledError:
                if self._gone:
                    return  # the same, noticed while the service was still to answer
                raise
            except OSError as error:
                self._let_go()
                if self._headers_written or attempt == 2 or not (repeatable and self.request.method == "GET"):
                    raise ServiceUnavailable(
                        f"the covalent service broke off over {self.request.method} {self._target()[:200]}: {error}. "
                        "It is started again when it is needed; ask once more."
                    ) from error
        if self.get_status() == 204:
            self.clear_header("Content-Type")
            await super(APIHandler, self).finish()
            return
        await self.finish(set_content_type=self._headers.get("Content-Type", "application/json"))

    async def _open(self) -> Exchange:
        """A request to the service under way; a service that is not there any more is looked for, or started, once."""
        start = self.get_query_argument(NO_START, "0") != "1"
        service = await self._link.connection(start=start)
        for attempt in (1, 2):
            exchange = Exchange(self._pass_on)
            try:
                await exchange.open(service, self.request.method or "", self._target(), self.request.headers)
                return exchange
            except (OSError, TimeoutError) as error:
                exchange.close()
                if attempt == 2:
                    raise ServiceUnavailable(
                        f"the covalent service at {service.url} cannot be reached: {error}"
                    ) from error
                service = await self._link.renew(service, start=start)
        raise AssertionError("unreachable")

    def _target(self) -> str:
        """Path below the service's base, and the query without Jupyter's credentials."""
        path = self.request.path[len(self.base_url) :].removeprefix("covalent/")
        query = [(k, v) for k, v in parse_qsl(self.request.query, keep_blank_values=True) if k not in _PRIVATE_QUERY]
        return f"{path}?{urlencode(query)}" if query else path

    def _head(self, status: int, headers: httputil.HTTPHeaders) -> None:
        self.set_status(status)
        for name in RESPONSE_HEADERS:
            if name in headers:
                self.set_header(name, headers[name])

    async def _pass_on(self, chunk: bytes) -> None:
        self.write(chunk)
        await self.flush()

    def compute_etag(self) -> str | None:
        return None  # the service has said what there is to say

    def _handle_request_exception(self, e: BaseException) -> None:
        if isinstance(e, ServiceUnavailable) and not self._finished:
            self.log.warning("covalent: %s", e)
            self.send_error(503, exc_info=(type(e), e, e.__traceback__))
            return
        super()._handle_request_exception(e)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, ServiceUnavailable):
            self.finish({"message": str(error), "reason": "Service Unavailable", "details": {}})
            return
        super().write_error(status_code, **kwargs)

    def on_finish(self) -> None:
        self._let_go()
        super().on_finish()

    def on_connection_close(self) -> None:
        self._gone = True
        self._let_go()
        super().on_connection_close()

    def _let_go(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.close()


def unprotected(handler: type[web.RequestHandler]) -> list[str]:
    """Methods of a handler that lack ``@web.authenticated`` or, under it, ``@authorized`` with both arguments."""
    found = []
    for name in handler.SUPPORTED_METHODS:
        method = getattr(handler, name.lower(), None)
        if method is None or method is web.RequestHandler._unimplemented_method or name == "OPTIONS":
            continue  # OPTIONS is Jupyter's own and says nothing about us
        inner = getattr(method, "__wrapped__", None)
        if not (_made_by(method, web.authenticated) and inner is not None and _made_by(inner, authorized)):
            found.append(f"{handler.__name__}.{name.lower()}")
            continue
        given = dict(zip(inner.__code__.co_freevars, (c.cell_contents for c in inner.__closure__ or ()), strict=True))
        if given.get("resource") != RESOURCE or given.get("action") != ACTIONS.get(name):
            found.append(f"{handler.__name__}.{name.lower()}")
    return found


def _made_by(wrapper: Any, decorator: Any) -> bool:
    """Whether a function was defined inside ``decorator``."""
    code = getattr(wrapper, "__code__", None)
    return code is not None and code.co_filename == decorator.__code__.co_filename and wrapper is not decorator
