"""One world for these tests: a service, a Jupyter server with the extension in front of it, one dispatch that runs."""

from __future__ import annotations

import http.client
import json
import os
import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

import covalent_jupyter as ct
from covalent_jupyter import launch
from covalent_jupyter.model import ConnectionFile

from ..reliability.kills import TOKEN, Jupyter
from ..reliability.place import Place, place, wait_for
from ..reliability.workload import Kernel

SECRET = secrets.token_hex(16)


@dataclass
class Answer:
    status: int
    headers: Any
    data: bytes


@dataclass
class World:
    here: Place
    kernel: Kernel
    jupyter_url: str
    jupyter_pid: int
    completed: str  # id of a dispatch
    running: str
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def connection(self) -> ConnectionFile:
        found = launch.read_connection(self.here.store)
        assert found is not None
        return found

    def direct(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """A request to the service itself."""
        return request(self.connection.url, method, path, body, headers)

    def through(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """A request through the Jupyter server."""
        return request(f"{self.jupyter_url}covalent/", method, path, body, headers)

    def service(self) -> psutil.Process:
        return psutil.Process(self.connection.pid)


def request(base: str, method: str, path: str, body: bytes | None, headers: dict[str, str] | None) -> Answer:
    parts = urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        connection.putrequest(method, parts.path + path, skip_host=bool(headers and "Host" in headers))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


@pytest.fixture(scope="package")
def world() -> Iterator[World]:
    """As a careless user has it: everything may be read by everybody, and secrets are in the environment."""
    before = os.umask(0o000)
    try:
        with place("dask", USER_SECRET=SECRET, JUPYTER_TOKEN=TOKEN) as here:
            here.start()
            jupyter = Jupyter(here)
            jupyter.start()
            try:
                yield _world(here, jupyter)
            finally:
                jupyter.end()
                here.stop()
    finally:
        os.umask(before)


def _world(here: Place, jupyter: Jupyter) -> World:
    kernel = Kernel(here.marks, random.Random(1))
    completed = kernel.send_mixed()
    assert completed is not None, kernel.refused
    ct.get_result(completed.dispatch_id, wait=True, timeout=240)
    waits = kernel.send_waiting()  # one electron, so that there is a place for others
    assert waits is not None, kernel.refused
    url = jupyter.url()
    assert jupyter._process is not None
    world = World(here, kernel, url, jupyter._process.pid, completed.dispatch_id, waits.dispatch_id)
    wait_for(lambda: any(waits.folder.iterdir()), 120, "an electron that runs")
    page = request(url, "GET", f"tree?token={TOKEN}", None, None)
    for cookie in page.headers.get_all("Set-Cookie") or []:
        name, value = cookie.split(";")[0].split("=", 1)
        world.cookies[name] = value
    page = request(url, "GET", "login", None, {"Cookie": "; ".join(f"{k}={v}" for k, v in world.cookies.items())})
    for cookie in page.headers.get_all("Set-Cookie") or []:
        name, value = cookie.split(";")[0].split("=", 1)
        world.cookies[name] = value
    assert world.through("GET", "health", headers={"Authorization": f"token {TOKEN}"}).status == 200
    return world


def paths(root: Path) -> Iterator[Path]:
    for folder, _, files in os.walk(root):
        for name in files:
            yield Path(folder, name)


def json_of(answer: Answer) -> Any:
    return json.loads(answer.data)


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("COVALENT_SEED", "20260"))
