"""The service behind Jupyter's login: who may, what arrives, and what happens when the service dies."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.auth import Authorizer
from jupyter_server.base.handlers import APIHandler
from tornado import web

from covalent_jupyter import launch
from covalent_jupyter.extension import CovalentApp, extension_points, labextension_paths
from covalent_jupyter.paths import connection_file
from covalent_jupyter.server_extension.handlers import ACTIONS, ProxyHandler, unprotected
from covalent_jupyter.service.routes import ROUTES, Route

from .conftest import Fetch

CLOSED = [route for route in ROUTES if not route.handler.is_open]


def path_of(route: Route) -> str:
    return re.sub(
        r"\{(\w+)\}",
        lambda m: {"stream": "stdout", "node": "0", "digest": "a" * 64}.get(m.group(1), "abcdef"),
        route.path,
    )


def body_of(route: Route) -> bytes | None:
    return b"{}" if route.method in ("POST", "PUT", "PATCH") else None


def wait_until_dead(pid: int) -> None:
    deadline = time.monotonic() + 60
    while launch.is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def until_open(jp_fetch: Any, count: int) -> None:
    """So many questions are with the service."""
    async with asyncio.timeout(60):
        while f"covalent_requests_open {count}\n" not in (await jp_fetch("covalent", "metrics")).body.decode():
            await asyncio.sleep(0.02)


def test_nobody_gets_in_without_jupyters_login(fetch: Fetch, store_dir: Path) -> None:
    for route in CLOSED:
        for headers in (
            {"Authorization": ""},
            {"Authorization": "token wrong"},
            {"Authorization": "", "Cookie": "username-localhost=x"},
        ):
            answer = fetch(
                path_of(route), method=route.method, body=body_of(route), headers=headers, follow_redirects=False
            )
            assert answer.status == 403, (route, headers)
        answer = fetch(
            path_of(route),
            method=route.method,
            body=body_of(route),
            headers={"Authorization": ""},
            params={"token": "x"},
        )
        assert answer.status == 403
    assert launch.find(store_dir) is None  # nobody who may not ask starts anything


def test_a_session_cookie_needs_the_xsrf_header(
    fetch: Fetch, jp_serverapp: Any, jp_fetch: Any, jp_asyncio_loop: Any
) -> None:
    token = jp_serverapp.identity_provider.token
    page = jp_asyncio_loop.run_until_complete(
        jp_fetch("tree", params={"token": token}, headers={"Authorization": ""}, raise_error=False)
    )
    cookies = dict(c.split(";")[0].split("=", 1) for c in page.headers.get_list("Set-Cookie"))
    session = {"Authorization": "", "Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())}
    assert fetch("executors", headers=session).status == 200
    for route in CLOSED:
        if route.method != "GET":
            answer = fetch(path_of(route), method=route.method, body=body_of(route), headers=session)
            assert answer.status == 403, route
            assert "_xsrf" in answer.json()["message"], route


def test_what_the_authorizer_forbids_is_not_passed_on(fetch: Fetch, jp_serverapp: Any, store_dir: Path) -> None:
    class Nothing(Authorizer):
        asked: list[tuple[str, str]] = []

        def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
            self.asked.append((action, resource))
            return False

    Nothing.asked = []
    jp_serverapp.web_app.settings["authorizer"] = Nothing(
        parent=jp_serverapp, identity_provider=jp_serverapp.identity_provider
    )
    for route in CLOSED:
        assert fetch(path_of(route), method=route.method, body=body_of(route)).status == 403
    assert set(Nothing.asked) == {(ACTIONS[route.method], "covalent") for route in CLOSED}
    assert launch.find(store_dir) is None


def test_every_route_is_there_for_those_who_may(fetch: Fetch) -> None:
    for route in CLOSED:
        if route.path == "shutdown":
            continue
        answer = fetch(path_of(route), method=route.method, body=body_of(route))
        assert answer.status < 500, route
        assert answer.headers["X-Covalent-Protocol"] == "1"
        assert answer.status != 404 or "there is no '/" not in answer.json()["message"], route
    missing = fetch("nothing/here")
    assert (missing.status, missing.headers["X-Covalent-Protocol"]) == (404, "1")
    assert fetch("challenge", params={"nonce": "x"}).status == 404


def test_values_pass_through_unchanged(fetch: Fetch, store_dir: Path) -> None:
    for size in (0, 10, 3_000_000):
        data = os.urandom(size)
        digest = hashlib.sha256(data).hexdigest()
        assert fetch(f"values/{digest}", method="PUT", body=data).status == 201
        answer = fetch(f"values/{digest}")
        assert answer.data == data
        assert answer.headers["Content-Type"] == "application/octet-stream"
        again = fetch(f"values/{digest}", headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status, again.data) == (304, b"")
    assert fetch("values/" + "0" * 64, method="PUT", body=b"other").status == 400
    assert fetch("events", params={"after": "0", "wait": "0.1", "no_track_activity": "1"}).json()["seq"] >= 0
    assert fetch("sql", method="POST", body=b" " * (5 << 20)).status == 413


def test_the_services_token_stays_on_the_server(fetch: Fetch, store_dir: Path, jp_serverapp: Any) -> None:
    for path in ("health", "config", "executors", "openapi.json"):
        answer = fetch(path)
        token = launch.read_connection(store_dir).token  # type: ignore[union-attr]
        assert token not in answer.data.decode() + str(dict(answer.headers))
    assert fetch("executors", headers={"X-Covalent-Protocol": "99"}).status == 426


def test_an_upload_without_login_costs_no_memory(
    jp_serverapp: Any, jp_fetch: Any, jp_asyncio_loop: Any, jp_base_url: str
) -> None:
    def upload() -> bytes:
        with socket.create_connection(("127.0.0.1", jp_serverapp.port)) as raw:
            raw.sendall(f"POST {jp_base_url}covalent/dispatches HTTP/1.1\r\n".encode())
            raw.sendall(f"Host: localhost\r\nContent-Length: {60 << 20}\r\n\r\n".encode())
            piece = b"x" * (1 << 20)
            for _ in range(60):
                raw.sendall(piece)
            return raw.recv(65536)

    Path("/proc/self/clear_refs").write_text("5")
    before = peak_memory()
    answer = jp_asyncio_loop.run_until_complete(jp_asyncio_loop.run_in_executor(None, upload))
    assert answer.startswith(b"HTTP/1.1 403")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"]
    assert peak_memory() - before < 16 << 20


def peak_memory() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_a_killed_service_is_started_again_and_the_log_says_so(
    fetch: Fetch, store_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = fetch("health").json()["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until_dead(first)
    second = fetch("health").json()["pid"]
    assert second != first
    assert f"process {first}) died" in caplog.text
    assert f"restarted the service of {store_dir}: process {second}" in caplog.text


def test_a_killed_service_comes_back_without_being_asked(
    fetch: Fetch, store_dir: Path, jp_serverapp: Any, jp_asyncio_loop: Any
) -> None:
    first = fetch("health").json()["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until_dead(first)

    async def came_back() -> int:
        for _ in range(3000):
            found = launch.read_connection(store_dir)
            if found is not None and found.pid != first:
                return found.pid
            await asyncio.sleep(0.02)
        return 0

    assert jp_asyncio_loop.run_until_complete(came_back())


def test_a_service_that_went_in_order_is_started_when_it_is_needed(fetch: Fetch, store_dir: Path) -> None:
    first = fetch("health").json()["pid"]
    assert fetch("shutdown", method="POST", body=b"{}").status == 202
    wait_until_dead(first)
    assert fetch("health").json()["pid"] != first


def test_who_only_looks_starts_no_service(fetch: Fetch, store_dir: Path) -> None:
    assert fetch("dispatches", params={"no_start": "1"}).status == 204
    assert launch.find(store_dir) is None
    first = fetch("health").json()["pid"]
    assert fetch("health", params={"no_start": "1"}).json()["pid"] == first
    fetch("shutdown", method="POST", body=b"{}")
    wait_until_dead(first)
    assert fetch("dispatches", params={"no_start": "1"}).status == 204


def test_who_follows_hears_that_the_service_was_stopped(
    fetch: Fetch, jp_fetch: Any, store_dir: Path, jp_asyncio_loop: Any
) -> None:
    seq = fetch("health").json()["seq"]

    async def follow() -> list[int]:
        query = {"after": str(seq), "wait": "25", "electrons": "false", "no_start": "1"}
        waiting = asyncio.ensure_future(jp_fetch("covalent", "events", params=query, request_timeout=60))
        await until_open(jp_fetch, 1)
        await jp_fetch("covalent", "shutdown", method="POST", body=b"{}")
        first = await waiting
        codes = [first.code]
        while codes[-1] != 204:
            answer = await jp_fetch("covalent", "events", params=query, request_timeout=60, raise_error=False)
            codes.append(answer.code)
            await asyncio.sleep(0.05)
        return codes

    codes = jp_asyncio_loop.run_until_complete(asyncio.wait_for(follow(), 120))
    assert codes[0] == 200 and set(codes) <= {200, 204, 503}


def test_a_service_that_died_is_started_for_who_only_looks(fetch: Fetch, store_dir: Path, jp_asyncio_loop: Any) -> None:
    first = fetch("health").json()["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until_dead(first)
    assert fetch("health", params={"no_start": "1"}).json()["pid"] != first


def test_a_service_found_by_a_kernel_is_shared(store_dir: Path, fetch: Fetch) -> None:
    connection = launch.ensure_running(store_dir)
    assert fetch("health").json()["pid"] == connection.pid


def test_a_service_that_cannot_start_is_a_plain_503(store_dir: Path, fetch: Fetch) -> None:
    store_dir.mkdir()
    (store_dir / "store.duckdb").write_bytes(b"no database" * 1000)
    for options in ({}, {"method": "POST", "body": b"x" * 200_000}):
        answer = fetch("dispatches", **options)
        assert answer.status == 503
        assert answer.json()["reason"] == "Service Unavailable"
        assert "store.duckdb" in answer.json()["message"]


@pytest.mark.parametrize("covalent_settings", [{"restart": "never", "idle_timeout": 123.0, "dask_n_workers": 2}])
def test_settings_reach_the_service(fetch: Fetch, store_dir: Path) -> None:
    settings = fetch("config").json()["settings"]
    assert (settings["idle_timeout"], settings["dask_n_workers"]) == (123.0, 2)
    os.kill(launch.read_connection(store_dir).pid, signal.SIGKILL)  # type: ignore[union-attr]
    wait_until_dead(launch.read_connection(store_dir).pid)  # type: ignore[union-attr]
    answer = fetch("health")
    assert answer.status == 503
    assert "c.Covalent.restart" in answer.json()["message"]


def test_stopping_jupyter_leaves_the_service(
    fetch: Fetch, jp_serverapp: Any, jp_asyncio_loop: Any, store_dir: Path
) -> None:
    pid = fetch("health").json()["pid"]
    app = jp_serverapp.extension_manager.extension_apps["covalent_jupyter"]
    jp_asyncio_loop.run_until_complete(next(iter(app)).stop_extension())
    assert launch.is_alive(pid)
    assert connection_file(store_dir).exists()


def test_running_work_is_activity(fetch: Fetch, jp_serverapp: Any, jp_asyncio_loop: Any, store_dir: Path) -> None:
    fetch("health")

    async def noticed() -> bool:
        for _ in range(3000):
            if "covalent" in jp_serverapp.web_app.settings["last_activity_times"]:
                return True
            (store_dir / "unfinished").touch()  # again and again: the service knows better, and removes it
            await asyncio.sleep(0.02)
        return False

    assert jp_asyncio_loop.run_until_complete(noticed())
    assert jp_serverapp.web_app.last_activity()


def test_pages_hear_the_whole_path_of_the_servers_root(jp_serverapp: Any, jp_root_dir: Path) -> None:
    assert jp_serverapp.web_app.settings["page_config_data"]["covalentRoot"] == str(jp_root_dir)


def test_the_self_check_sees_what_is_open() -> None:
    class Open(APIHandler):
        def get(self) -> None: ...

        @web.authenticated
        def post(self) -> None: ...

    assert unprotected(ProxyHandler) == []
    assert unprotected(Open) == ["Open.get", "Open.post"]


def test_entry_points() -> None:
    import covalent_jupyter

    assert (
        covalent_jupyter._jupyter_server_extension_points()
        == extension_points()
        == [{"module": "covalent_jupyter", "app": CovalentApp}]
    )
    assert covalent_jupyter._jupyter_labextension_paths() == labextension_paths()
    enabled = json.loads((Path(__file__).parents[2] / "jupyter-config/server-config/covalent_jupyter.json").read_text())
    assert enabled == {"ServerApp": {"jpserver_extensions": {"covalent_jupyter": True}}}


def test_a_client_that_goes_during_a_long_poll_leaves_no_traceback(
    jp_serverapp: Any,
    jp_base_url: str,
    jp_auth_header: dict[str, str],
    jp_asyncio_loop: Any,
    jp_fetch: Any,
    fetch: Fetch,
    caplog: Any,
) -> None:
    seq = fetch("health").json()["seq"]

    async def ask_and_go() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", jp_serverapp.port)
        token = jp_auth_header["Authorization"]
        target = f"{jp_base_url}covalent/events?after={seq}&wait=30"
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: localhost:{jp_serverapp.port}\r\nAuthorization: {token}\r\n\r\n".encode()
        )
        await writer.drain()
        await until_open(jp_fetch, 1)
        writer.close()
        await until_open(jp_fetch, 0)

    jp_asyncio_loop.run_until_complete(ask_and_go())
    assert not [r for r in caplog.records if r.exc_info or "Uncaught" in r.getMessage()]


def test_kernels_hear_whether_the_labextension_draws_their_panels(
    fetch: Fetch, jp_data_dir: Path, jp_config_dir: Path
) -> None:
    def told() -> str | None:
        found: str | None = fetch("health").headers.get("X-Covalent-Panels")
        return found

    assert told() == "off"  # it is not installed for this server
    package = jp_data_dir / "labextensions/covalent-jupyter/package.json"
    package.parent.mkdir(parents=True)
    package.write_text("{}")
    assert told() is None
    page = jp_config_dir / "labconfig/page_config.json"
    page.parent.mkdir()
    for disabled, expected in (
        ({"covalent-jupyter": True}, "off"),
        ({"covalent-jupyter:output": True}, "off"),
        (["covalent-jupyter"], "off"),
        ({"covalent-jupyter": False, "another": True}, None),
    ):
        page.write_text(json.dumps({"disabledExtensions": disabled}))
        assert told() == expected
    page.write_text("not JSON")
    assert told() is None
