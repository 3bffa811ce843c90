"""The tornado application: the table of routes, served."""

from __future__ import annotations

from collections.abc import Sequence
from socket import socket

import msgspec
from tornado import httpserver, web

from .backend import Context
from .openapi import document
from .routes import ROUTES, pattern
from .web import Handler, NoSuchPath

#: Seconds that a connection may take for its headers, and without a request.
_IDLE = 600.0
#: Seconds that a body may take to arrive.
_BODY = 1800.0
_HEADERS = 64 << 10


def make_application(context: Context) -> web.Application:
    """Every route of the table, and an answer for what is none."""
    handlers: dict[str, type[Handler]] = {}
    for route in ROUTES:
        known = handlers.setdefault(route.path, route.handler)
        if known is not route.handler:
            raise AssertionError(f"two handlers for {route.path}")
        if route.method.lower() not in vars(route.handler):
            raise AssertionError(f"{route.handler.__name__} has no method {route.method} for {route.path}")
    # what is spelled out comes before what has placeholders: values/missing before values/{digest}
    ordered = sorted(handlers.items(), key=lambda item: ("{" in item[0], item[0].count("{")))
    rules = [(pattern(path), handler, {"context": context}) for path, handler in ordered]
    return web.Application(
        rules,
        default_handler_class=NoSuchPath,
        default_handler_args={"context": context},
        openapi=msgspec.json.encode(document()),
        log_function=lambda handler: None,  # handlers log what matters; a feed would fill the log
    )


def serve(application: web.Application, sockets: Sequence[socket]) -> httpserver.HTTPServer:
    """Answers on these sockets from now on."""
    server = httpserver.HTTPServer(
        application, idle_connection_timeout=_IDLE, body_timeout=_BODY, max_header_size=_HEADERS, xheaders=False
    )
    server.add_sockets(list(sockets))
    return server
