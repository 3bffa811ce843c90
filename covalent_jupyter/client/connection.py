"""Where the service is: explicit address, connection file, or the Jupyter server that started this kernel."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from .. import config, launch
from ..errors import CovalentError, ServiceUnavailable, StoreError, VersionMismatch
from ..model import PROTOCOL, ConnectionFile
from ..paths import default_store_dir, runtime_dir


class Endpoint(NamedTuple):
    """One address of the service. ``store`` is its folder where that is on this machine, else ``""``."""

    url: str  # ends in "/covalent/"
    token: str
    store: str = ""
    pid: int = 0
    version: str = ""
    protocol: int = PROTOCOL
    store_id: str = ""
    direct: bool = False  # the service itself, not through a Jupyter server


class Settings(NamedTuple):
    """What decides where to look."""

    store_dir: Path
    url: str
    token: str


def settings() -> Settings:
    """The present settings; see :mod:`covalent_jupyter.config`."""
    found = config.load()
    store_dir = Path(found.store_dir).expanduser().absolute() if found.store_dir else default_store_dir()
    return Settings(store_dir, found.url, found.token)


def endpoint_of(file: ConnectionFile) -> Endpoint:
    """The endpoint that a connection file describes."""
    store = file.store if os.access(file.store, os.R_OK | os.X_OK) else ""
    return Endpoint(file.url, file.token, store, file.pid, file.version, file.protocol, file.store_id, direct=True)


def server_endpoint(url: str, token: str) -> Endpoint:
    """The service behind a Jupyter server (``http://host:8888/base/``), or at an address that ends in ``covalent/``."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServiceUnavailable(
            f"{url!r} is not the address of a Jupyter server: it must look like 'http://host:8888/'. "
            "Change it with ct.set_config(url=..., token=...) or COVALENT_JUPYTER_URL."
        )
    base = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
    if not base.endswith("/covalent"):
        base += "/covalent"
    return Endpoint(base + "/", token)


def parent_server() -> Endpoint | None:
    """The Jupyter server that started this kernel, by the file that it left in the runtime directory."""
    for pid in (os.environ.get("JPY_PARENT_PID", ""), str(os.getppid())):
        if not pid.isdigit():
            continue
        try:
            found = json.loads((runtime_dir() / f"jpserver-{pid}.json").read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(found, dict) and str(found.get("url", "")).startswith("http"):
            return server_endpoint(str(found["url"]), str(found.get("token", "")))
    return None


class Connector:
    """Finds the service, starts it where it must, and finds it again when it has gone. Thread-safe."""

    def __init__(self, chosen: Settings) -> None:
        self.settings = chosen
        self._lock = threading.Lock()
        self._endpoint: Endpoint | None = None

    def find(self) -> Endpoint | None:
        """The running service, or None; never starts one."""
        if self.settings.url:
            return server_endpoint(self.settings.url, self.settings.token)
        file = launch.find(self.settings.store_dir)
        return endpoint_of(file) if file is not None else None

    def endpoint(self) -> Endpoint:
        """The service; started if it does not run. Raises :class:`ServiceUnavailable` with the way out."""
        with self._lock:
            if self._endpoint is None:
                self._endpoint = self._locate()
            return self._endpoint

    def renew(self, failed: Endpoint) -> Endpoint:
        """Another look, after ``failed`` did not answer (or refused its token)."""
        with self._lock:
            if self._endpoint is None or self._endpoint == failed:
                self._endpoint = self._locate()
            return self._endpoint

    def forget(self) -> None:
        """Look again before the next request."""
        with self._lock:
            self._endpoint = None

    def _locate(self) -> Endpoint:
        if self.settings.url:
            return server_endpoint(self.settings.url, self.settings.token)
        try:
            file = launch.ensure_running(self.settings.store_dir, variables=config.environment(config.load()))
        except (StoreError, ServiceUnavailable, VersionMismatch) as error:
            server = parent_server()
            if server is None:
                raise
            _note(error, f"tried next: the Jupyter server at {server.url}")
            return server
        return endpoint_of(file)


def _note(error: CovalentError, text: str) -> None:
    """Python 3.11's ``add_note``, also on 3.10."""
    vars(error)["__notes__"] = [*getattr(error, "__notes__", ()), text]
