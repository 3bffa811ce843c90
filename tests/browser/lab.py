"""A JupyterLab of the test's own: its folders, its process, its address."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from ..servers import url_of

START_SECONDS = 240.0  # on a busy machine


class Lab:
    """A running JupyterLab with the environment, the folders and the service of nobody else.

    ``root`` is where its notebooks lie. What it started, the service included, ends with ``stop``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        theme: str = "JupyterLab Light",
        options: tuple[str, ...] = (),
        prefix: str = "",
        application: str = "jupyterlab",
    ) -> None:
        self.prefix = prefix  # such as "/user/me", as JupyterHub gives its servers
        self.root = folder / "notebooks"
        self.store = folder / "store"
        self.runtime = folder / "runtime"
        self.log = folder / "lab.log"
        self.token = secrets.token_hex(16)
        self.leave: list[Callable[[], None]] = []  # what closes the pages that are open on it
        self.url = ""  # once it answers
        self.env = environment(folder)
        self.root.mkdir(parents=True)
        write_settings(folder / "settings", theme)
        command = [
            sys.executable, "-m", application, "--no-browser", "--allow-root", "--ip=127.0.0.1",
            "--port=0", f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={self.root}", f"--ServerApp.base_url={prefix}/", *options,
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=self.env, cwd=self.root, stdout=log, stderr=subprocess.STDOUT)

    def __enter__(self) -> Lab:
        try:
            return self.wait()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def wait(self) -> Lab:
        """Until it answers."""
        port = urlsplit(url_of(self.process, self.runtime, self.log, START_SECONDS)).port
        self.url = f"http://127.0.0.1:{port}{self.prefix}"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                self.get("api/status")
                return self
            time.sleep(0.1)
        raise RuntimeError(f"JupyterLab did not start; its log:\n{self.log.read_text()[-4000:]}")

    def get(self, path: str) -> object:
        """The JSON at ``path`` of the server."""
        request = urllib.request.Request(f"{self.url}/{path}", headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def post(self, path: str, body: object = None) -> object:
        """The answer to a POST at ``path`` of the server."""
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        data = json.dumps(body or {}).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data=data, headers=headers, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def notebook(self, name: str, *cells: str) -> str:
        """Write a notebook; its path below the server's root."""
        empty = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        content = {
            "cells": [{**empty, "id": f"c{i}", "source": cell.strip()} for i, cell in enumerate(cells)],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        (self.root / name).write_text(json.dumps(content))
        return name

    def stop(self) -> None:
        """End the server with its kernels, and then the service; pages first, for one whose server goes complains."""
        for close in self.leave:
            close()
        self.leave.clear()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        stop_services(self.runtime)


def stop_services(runtime: Path) -> None:
    """End the services whose connection files lie in ``runtime``: SIGTERM, and after ten seconds SIGKILL."""
    for file in runtime.glob("covalent-*.json"):
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            process = psutil.Process(json.loads(file.read_text())["pid"])
            process.terminate()
            try:
                process.wait(10)
            except psutil.TimeoutExpired:
                process.kill()


def environment(folder: Path) -> dict[str, str]:
    """The environment of a user who has nothing yet."""
    folders = {
        "HOME": "home",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
        "COVALENT_STORE_DIR": "store",
    }
    env = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY_", "COVALENT"))}
    for name, sub in folders.items():
        (folder / sub).mkdir(parents=True, exist_ok=True, mode=0o700)
        env[name] = str(folder / sub)
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"
    return env


def write_settings(folder: Path, theme: str) -> None:
    apputils = folder / "@jupyterlab" / "apputils-extension"
    apputils.mkdir(parents=True)
    (apputils / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    quiet = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": False}
    (apputils / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
