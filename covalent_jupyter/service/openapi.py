"""The OpenAPI 3.1 document of the table of routes."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from .._version import __version__
from . import queries as q
from .routes import BASE, ROUTES, Route

_PLAIN = ("bytes", "text", None)


def document() -> dict[str, Any]:
    """The whole document, as JSON data."""
    types = [q.Problem]
    for route in ROUTES:
        types += [t for t in (route.query, route.body, route.answer) if t not in _PLAIN and t not in types]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    known = dict(zip([_key(t) for t in types], schemas, strict=True))
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(BASE + route.path, {})[route.method.lower()] = _operation(route, known, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "covalent-jupyter", "version": __version__, "license": {"name": "BSD-3-Clause"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "token <token>"}
            },
        },
        "security": [{"token": []}],
    }


def _key(kind: Any) -> str:
    return repr(kind)


def _operation(route: Route, known: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    error = {"description": "Refused", "content": {"application/json": {"schema": known[_key(q.Problem)]}}}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}_{route.path}").strip("_"),
        "parameters": [
            *(
                {"name": n, "in": "path", "required": True, "schema": {"type": "string"}}
                for n in re.findall(r"\{(\w+)\}", route.path)
            ),
            *_query_parameters(route.query, components),
        ],
        "responses": {
            str(route.status): {"description": "Done", "content": _content(route.answer, known)},
            "default": error,
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(route.body, known)}
    if route.handler.is_open:
        operation["security"] = []
    return operation


def _query_parameters(kind: Any, components: dict[str, Any]) -> list[dict[str, Any]]:
    schema = components[kind.__name__]
    required = set(schema.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": part}
        for name, part in schema["properties"].items()
    ]


def _content(kind: Any, known: dict[str, Any]) -> dict[str, Any]:
    if kind == "bytes":
        return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    if kind == "text":
        return {"text/plain": {"schema": {"type": "string"}}}
    return {"application/json": {"schema": {"type": "object"} if kind is None else known[_key(kind)]}}
