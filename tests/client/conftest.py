from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..servers import url_of
from .world import world


@pytest.fixture(scope="package", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the store of this package's tests."""
    with world(tmp_path_factory.mktemp("client")) as folder:
        yield folder


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
    try:
        yield url_of(process, Path(os.environ["JUPYTER_RUNTIME_DIR"]), tmp_path / "server.log"), token
    finally:
        process.terminate()
        process.wait(90)
