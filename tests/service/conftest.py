"""A real service in a process of its own, and requests to it with every byte under control."""

from __future__ import annotations

import http.client
import json
import os
import sys
import uuid
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from covalent_jupyter import launch
from covalent_jupyter.model import (
    ConnectionFile,
    Environment,
    ExecutorSpec,
    FunctionDef,
    Manifest,
    Node,
    Options,
    Ref,
    Val,
    wire,
)


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    data: bytes

    def json(self) -> Any:
        return json.loads(self.data)


class Client:
    """Requests to one service; ``headers`` replace the usual ones where they have the same name."""

    def __init__(self, connection: ConnectionFile) -> None:
        self.connection = connection

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str | None] | None = None,
        timeout: float = 90,
    ) -> Answer:
        parts = urlsplit(self.connection.url)
        sent: dict[str, str | None] = {"Authorization": f"token {self.connection.token}", **(headers or {})}
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        try:
            connection.request(method, parts.path + path, data, {k: v for k, v in sent.items() if v is not None})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()


@pytest.fixture(scope="package")
def jupyter_dirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Jupyter's folders, for all tests here and the processes that they start."""
    folder = tmp_path_factory.mktemp("jupyter")
    patch = pytest.MonkeyPatch()
    for name in ("DATA", "RUNTIME", "CONFIG"):
        patch.setenv(f"JUPYTER_{name}_DIR", str(folder / name.lower()))
    for name in [n for n in os.environ if n.startswith("COVALENT_")]:
        patch.delenv(name)
    yield folder
    patch.undo()


@pytest.fixture
def store_dir(tmp_path: Path, jupyter_dirs: Path) -> Iterator[Path]:
    """A store of the test's own; its service is stopped at the end."""
    folder = tmp_path / "store"
    yield folder
    launch.stop(folder, 60)


@pytest.fixture(scope="package")
def shared_store(jupyter_dirs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("service") / "store"
    yield folder
    launch.stop(folder, 60)


@pytest.fixture(scope="package")
def ask(shared_store: Path) -> Client:
    """The service that most tests share."""
    return Client(launch.ensure_running(shared_store))


@pytest.fixture(scope="package")
def idle_interpreter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter whose executor host never says anything: what is dispatched to it stays unfinished."""
    path = tmp_path_factory.mktemp("bin") / "python"
    path.write_text("#!/bin/sh\nexec sleep 600\n")
    path.chmod(0o700)
    return str(path)


def blob(text: str) -> tuple[str, bytes]:
    data = text.encode()
    return sha256(data).hexdigest(), data


def make_manifest(
    interpreter: str = sys.executable, nodes: int = 2, **changes: Any
) -> tuple[Manifest, dict[str, bytes]]:
    """A chain of ``nodes`` electrons whose blobs are no pickles: nothing here ever runs them."""
    function, data = blob("a function")
    value, value_data = blob("a value")
    definition = FunctionDef(function, "code", "step", source="def step(x): ...", signature="(x)")
    chain = [
        Node(0, "step", args=[Ref(i - 1) if i else Val(value, "'a value'")], params=("x",), key=f"k{i}")
        for i in range(nodes)
    ]
    manifest = Manifest(
        dispatch_id=str(uuid.uuid4()), name="chain", nodes=chain, output=Ref(nodes - 1) if nodes else Val(value),
        lattice=definition, environment=Environment(interpreter, sys.prefix, "3.11.0", "3.1", digest="e" * 64),
        functions=[definition], options=[Options()], executors=[ExecutorSpec("local")],
        blobs={function: len(data), value: len(value_data)}, key="key",
    )  # fmt: skip
    for name, changed in changes.items():
        setattr(manifest, name, changed)
    return manifest, {function: data, value: value_data}


def framed(manifest: Manifest, blobs: dict[str, bytes]) -> bytes:
    return wire.pack_body(manifest, blobs.items())


def submit(ask: Client, manifest: Manifest, blobs: dict[str, bytes]) -> Answer:
    return ask("POST", "dispatches", framed(manifest, blobs))


def peak_memory(pid: int, *, reset: bool = False) -> int:
    """Bytes of memory that a process has had at most, since the last reset."""
    if reset:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
