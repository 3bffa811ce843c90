"""Servers that tests start: when they can be asked."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path


def url_of(process: subprocess.Popen[bytes], runtime: Path, log: Path, patience: float = 120.0) -> str:
    """Address of a Jupyter server that was started with ``--port=0``, once it can be asked: it writes the file that names its
    port before it listens there."""
    file = runtime / f"jpserver-{process.pid}.json"
    end = time.monotonic() + patience
    while True:
        text = file.read_text() if file.exists() else ""
        if text.strip():
            found = json.loads(text)
            if _listens(found["port"]):
                return str(found["url"])
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True
