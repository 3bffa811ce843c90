"""Who may ask, and what comes back for requests that are wrong."""

from __future__ import annotations

import json
import re
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from covalent_jupyter.model import PROTOCOL
from covalent_jupyter.service.openapi import document
from covalent_jupyter.service.routes import ROUTES, Route

from .conftest import Client, make_manifest, peak_memory, submit

CLOSED = [route for route in ROUTES if not route.handler.is_open]
names = pytest.mark.parametrize("route", CLOSED, ids=lambda r: f"{r.method} {r.path}")


def path_of(route: Route) -> str:
    return re.sub(
        r"\{(\w+)\}",
        lambda m: {"stream": "stdout", "node": "0", "digest": "a" * 64}.get(m.group(1), "abcdef"),
        route.path,
    )


def body_of(route: Route) -> bytes | None:
    return b"{}" if route.method in ("POST", "PUT", "PATCH") else None


@names
def test_nothing_is_told_without_the_token(ask: Client, route: Route) -> None:
    path, body, token = path_of(route), body_of(route), ask.connection.token
    for headers in (
        {"Authorization": None},
        {"Authorization": "token wrong"},
        {"Authorization": f"Basic {token}"},
        {"Authorization": token},
        {"Authorization": None, "Cookie": f"token={token}"},
        {"Authorization": "token " + "é".encode().decode("latin-1") * 20},
    ):
        answer = ask(route.method, path, body, headers)
        assert answer.status == 401, headers
        assert token not in answer.data.decode()
    assert ask(route.method, f"{path}?token={token}", body, {"Authorization": None}).status == 401


@names
def test_other_host_names_are_refused(ask: Client, route: Route) -> None:
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", ""):
        assert ask(route.method, path_of(route), body_of(route), {"Host": host}).status in (400, 403)


def test_bearer_and_localhost_are_accepted(ask: Client) -> None:
    port = urlsplit(ask.connection.url).port
    assert ask("GET", "executors", headers={"Authorization": f"Bearer {ask.connection.token}"}).status == 200
    assert ask("GET", "executors", headers={"Host": f"localhost:{port}"}).status == 200


def test_no_cors_headers(ask: Client) -> None:
    answer = ask("GET", "executors", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert ask("OPTIONS", "executors", headers={"Origin": "https://evil.example"}).status == 405


def test_protocols(ask: Client) -> None:
    assert ask("GET", "executors", headers={"X-Covalent-Protocol": str(PROTOCOL)}).status == 200
    for wrong in (str(PROTOCOL + 1), "-1", "x", "9" * 50):
        answer = ask("GET", "executors", headers={"X-Covalent-Protocol": wrong, "X-Covalent-Version": "9.9"})
        assert answer.status == 426
        assert "9.9" in answer.json()["message"]
    assert "jupyter covalent restart" in ask("GET", "executors", headers={"X-Covalent-Protocol": "7"}).json()["message"]


def test_table_handlers_and_document_agree(ask: Client) -> None:
    served = ask("GET", "openapi.json").json()
    assert served == json.loads(json.dumps(document()))
    described = {(method.upper(), path) for path, item in served["paths"].items() for method in item}
    assert described == {(route.method, f"/covalent/{route.path}") for route in ROUTES}
    for route in ROUTES:
        implemented = {
            name.upper() for name in ("get", "post", "put", "patch", "delete") if name in vars(route.handler)
        }
        assert implemented == {r.method for r in ROUTES if r.path == route.path}, route.path
    dangling = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(served))) - set(served["components"]["schemas"])
    assert not dangling


GARBAGE = [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b'"x"', b"[" * 100_000, b"CJ1\n", b"CJ1\n" + b"\xff" * 8,
    b"CJ1\n" + b"\0" * 8,
    b'{"nodes": ["a"]}', b'{"nodes": [-1]}', b'{"x": 1}', b'{"query": 1}', b'{"query": "drop table x", "max_rows": 0}',
    b'{"digests": ["../../etc/passwd"]}', b'{"reuse": "x", "seed": 1e400}', b'{"action": "x"}', b'{"label": "\\ud800"}',
    b'{"states": ["RUNNING"]}', b'{"no_such_setting": 1}', b"CJ1\n" + (2).to_bytes(8, "big") + b"{}",
]  # fmt: skip


WRITING = [r for r in CLOSED if r.method in ("POST", "PUT", "PATCH") and r.path != "shutdown"]


@pytest.mark.parametrize("route", WRITING, ids=lambda r: f"{r.method} {r.path}")
def test_garbage_gets_a_reason_and_never_a_500(ask: Client, route: Route, idle_interpreter: str) -> None:
    manifest, blobs = make_manifest(idle_interpreter, nodes=0)
    assert submit(ask, manifest, blobs).status == 201
    path = path_of(route).replace("abcdef", manifest.dispatch_id)
    for body in GARBAGE:
        answer = ask(route.method, path, body)
        assert answer.status < 500, (body[:40], answer.data)
        if answer.status >= 400:
            assert set(answer.json()) == {"message", "reason", "details"}
            assert len(answer.json()["message"]) > 10


def test_hostile_paths(ask: Client) -> None:
    for path in (
        "dispatches/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "dispatches/abc%00def", "dispatches/%0d%0aX-Evil:1",
        "values/%ff", "dispatches/%25",
        "dispatches/_%25__", "values/" + "A" * 64, "dispatches/abcdef/electrons/1e3",
        "dispatches/abcdef/electrons/-1",
        "dispatches//",
        "events?after=x", "events?after=99999999999999999999999", "events?wait=nan&after=0", "dispatches?limit=0",
        "dispatches?status=x",
        "dispatches?before=x", "dispatches?before=nan,x", "dispatches?limit=5&limit=6", "dispatches?q=%ff",
        "..%2f..%2f",
        "a" * 5000,
    ):  # fmt: skip
        answer = ask("GET", path)
        assert answer.status in (200, 400, 404, 414), path
        assert "X-Evil" not in answer.headers


def test_a_body_over_the_cap_is_refused_by_name(ask: Client) -> None:
    answer = ask("POST", "sql", b" " * (5 << 20))
    assert answer.status == 413
    assert "4,194,304" in answer.json()["message"]
    chunks = iter([b" " * (1 << 20)] * 5)
    assert ask("POST", "sql", chunks).status == 413
    assert ask("POST", "dispatches", b"", {"Content-Length": str(10**15)}).status == 413
    assert ask("POST", "dispatches", b"", {"Content-Length": "x"}).status == 400


def test_uploads_without_the_token_cost_no_memory_and_no_disk(ask: Client, shared_store: Path) -> None:
    pid = ask.connection.pid
    assert ask("GET", "dispatches").status == 200  # what others left to be written is written
    before = peak_memory(pid, reset=True)
    for path, method in (("dispatches", "POST"), (f"values/{'a' * 64}", "PUT")):
        chunks = (b"x" * (1 << 20) for _ in range(60))
        answer = ask(method, path, chunks, {"Authorization": "token wrong", "Content-Length": str(60 << 20)})
        assert answer.status == 401
    assert peak_memory(pid) - before < 8 << 20
    assert not list((shared_store / "uploads").glob("*"))


def test_a_request_that_breaks_off_leaves_nothing(ask: Client, shared_store: Path) -> None:
    parts = urlsplit(ask.connection.url)
    with socket.create_connection((parts.hostname, parts.port)) as raw:
        raw.sendall(b"POST /covalent/dispatches HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000000\r\n")
        raw.sendall(f"Authorization: token {ask.connection.token}\r\n\r\n".encode() + b"x" * 3_000_000)
    assert ask("GET", "health").json()["ok"]
    deadline = time.monotonic() + 60
    while (
        list((shared_store / "uploads").glob("*"))
        or "covalent_requests_open 0\n" not in ask("GET", "metrics").data.decode()
    ):
        assert time.monotonic() < deadline


def test_metrics_and_config(ask: Client) -> None:
    text = ask("GET", "metrics").data.decode()
    assert re.search(r'^covalent_info\{version="[^"]+"\} 1$', text, re.M)
    assert ask("PATCH", "config", {"token": "x"}).status == 403
    assert "did you mean" in ask("PATCH", "config", {"idle_timout": 5}).json()["message"].lower()
    assert ask("PATCH", "config", {"dask_n_workers": 3}).json()["settings"]["dask_n_workers"] == 3
    assert ask("PATCH", "config", {"executor": "a/b"}).status == 400
    known = ask("PATCH", "config", {"executor": "local"}).json()
    unknown = ask("PATCH", "config", {"executor": "of-another-environment"}).json()
    assert known["warnings"] == [] and "has no executor 'of-another-environment'" in unknown["warnings"][0]
    assert ask("PATCH", "config", {"executor": None}).json()["settings"]["executor"] == "dask"
    assert ask("PATCH", "config", {"dask_n_workers": None}).json()["settings"]["dask_n_workers"] is None
