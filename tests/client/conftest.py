from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .world import world


@pytest.fixture(scope="package", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the store of this package's tests."""
    with world(tmp_path_factory.mktemp("client")) as folder:
        yield folder


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


@pytest.fixture
def jupyter_server(store: Path, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Address and token of a real Jupyter server with the extension, in the environment of this package's tests."""
    token = "a-token-of-the-test"
    command = [
        sys.executable, "-m", "jupyter_server", "--no-browser", "--port=0", "--allow-root",
        f"--ServerApp.root_dir={tmp_path}",
        f"--IdentityProvider.token={token}", "--ServerApp.jpserver_extensions={'covalent_jupyter': True}",
    ]  # fmt: skip
    with open(tmp_path / "server.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    file = Path(os.environ["JUPYTER_RUNTIME_DIR"], f"jpserver-{process.pid}.json")
    try:
        deadline = time.monotonic() + 60
        while not file.exists() or not file.read_text().strip():
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "server.log").read_text()
            time.sleep(0.05)
        found = json.loads(file.read_text())
        while not listens(found["port"]):  # it writes the file, and then listens
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "server.log").read_text()
            time.sleep(0.05)
        yield found["url"], token
    finally:
        process.terminate()
        process.wait(30)
