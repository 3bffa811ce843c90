"""A Jupyter server with the extension, in front of a real service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pytest_jupyter.jupyter_core import (  # noqa: F401  # fixtures
    echo_kernel_spec,
    jp_asyncio_loop,
    jp_config_dir,
    jp_data_dir,
    jp_env_config_path,
    jp_env_jupyter_path,
    jp_environ,
    jp_home_dir,
    jp_kernel_dir,
    jp_runtime_dir,
    jp_system_config_path,
    jp_system_jupyter_path,
)  # fmt: skip
from pytest_jupyter.jupyter_server import (  # noqa: F401  # fixtures
    jp_argv,
    jp_auth_header,
    jp_base_url,
    jp_configurable_serverapp,
    jp_extension_environ,
    jp_fetch,
    jp_http_port,
    jp_logging_stream,
    jp_nbconvert_templates,
    jp_root_dir,
    jp_server_cleanup,
    jp_serverapp,
    jp_template_dir,
    jp_web_app,
)  # fmt: skip
from pytest_jupyter.pytest_tornasync import (  # noqa: F401  # fixtures
    http_server,
    http_server_client,
    http_server_port,
    io_loop,
)  # fmt: skip
from tornado.httpclient import HTTPResponse

from covalent_jupyter import launch


class Answer(NamedTuple):
    status: int
    headers: Any
    data: bytes

    def json(self) -> Any:
        return json.loads(self.data)


@pytest.fixture
def store_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jp_environ: None) -> Iterator[Path]:  # noqa: F811
    """A store of the test's own; its service is stopped at the end."""
    folder = tmp_path / "store"
    monkeypatch.delenv("COVALENT_STORE_DIR", raising=False)
    yield folder
    launch.stop(folder, 60)


@pytest.fixture
def covalent_settings() -> dict[str, Any]:
    """What a test gives as ``c.Covalent``."""
    return {}


@pytest.fixture
def jp_server_config(store_dir: Path, covalent_settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"covalent_jupyter": True}},
        "Covalent": {"store_dir": str(store_dir), **covalent_settings},
    }


Fetch = Callable[..., Answer]


@pytest.fixture
def fetch(jp_fetch: Any, jp_asyncio_loop: Any) -> Fetch:  # noqa: F811
    """``fetch("health")`` asks the Jupyter server for ``<base_url>covalent/health``, with its token."""

    def ask(path: str, **options: Any) -> Answer:
        options.setdefault("raise_error", False)
        options.setdefault("request_timeout", 90)
        asyncio.set_event_loop(jp_asyncio_loop)  # tornado's client asks for it before the loop runs
        response: HTTPResponse = jp_asyncio_loop.run_until_complete(jp_fetch("covalent", *path.split("/"), **options))
        return Answer(response.code, response.headers, response.body)

    return ask
