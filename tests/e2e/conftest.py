"""A real service with its executor hosts, shared by the tests of a module; folders of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import covalent_jupyter as ct
from covalent_jupyter import launch

FOLDERS = {
    "COVALENT_STORE_DIR": "store",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTER_CONFIG_DIR": "config",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The store's folder. The service is started by whoever dispatches first, and stopped afterwards."""
    root = tmp_path_factory.mktemp("covalent")
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in FOLDERS.items():
            patch.setenv(name, str(root / folder))
        patch.setenv("COVALENT_DASK_N_WORKERS", "2")
        for name in [n for n in os.environ if n.startswith(("JPY_", "JUPYTERHUB_"))]:
            patch.delenv(name)
        ct.reload_config()
        yield root / "store"
        stop_everything(root / "store")
    ct.reload_config()


def stop_everything(store: Path) -> None:
    """Ends the service, and its executor hosts with whatever a failed test left running there."""
    connection = launch.find(store)
    if connection is not None:
        launch.call(connection, "POST", "shutdown", {"reason": "the tests are over", "stop_hosts": True}, timeout=60)
        launch.stop(store, 60)


@pytest.fixture(params=["local", "dask"])
def executor(request: pytest.FixtureRequest, place: Path) -> str:
    return str(request.param)


@pytest.fixture
def service(place: Path) -> launch.ConnectionFile:
    """The running service's connection file."""
    return launch.ensure_running(place)
