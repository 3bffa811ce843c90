"""A real service with a store of its own; electrons run on the local executor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from covalent_jupyter import config, launch
from covalent_jupyter.client.connection import settings
from covalent_jupyter.client.rest import connect


@contextmanager
def world(folder: Path, executor: str = "local") -> Iterator[Path]:
    """A user's environment: folders of Jupyter and the store below ``folder``. The service is stopped at the end."""
    patch = pytest.MonkeyPatch()
    for name in ("DATA", "RUNTIME", "CONFIG"):
        (folder / name.lower()).mkdir(parents=True, exist_ok=True)
        patch.setenv(f"JUPYTER_{name}_DIR", str(folder / name.lower()))
    for name in (
        "COVALENT_JUPYTER_URL",
        "COVALENT_JUPYTER_TOKEN",
        "COVALENT_STORE_DIR",
        "COVALENT_URL",
        "JPY_PARENT_PID",
    ):
        patch.delenv(name, raising=False)
    patch.setenv("COVALENT_EXECUTOR", executor)
    patch.setenv("COVALENT_IDLE_TIMEOUT", "600")
    config.reload_config()
    try:
        yield settings().store_dir
    finally:
        connect().disconnect()
        launch.stop(settings().store_dir, 60, reason="the tests are over")
        patch.undo()
        config.reload_config()
