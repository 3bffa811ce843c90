"""What the Jupyter server of this notebook knows of covalent-jupyter, and what to say if it knows nothing."""

from __future__ import annotations

import functools
import time
from typing import NamedTuple

from ..errors import CovalentError
from ..lab import PANELS
from .connection import Connector, Endpoint, Settings, parent_server, settings
from .rest import ExtensionMissing, Rest

#: seconds that a notebook's first panel may wait for the answer
PATIENCE = 2.0
#: seconds after which a server that did not answer is asked again
AGAIN = 60.0
HINT = (
    "For the sidebar: pip install covalent-jupyter in the environment that JupyterLab was started from, "
    "then restart JupyterLab."
)


class Server(NamedTuple):
    """``extension``: whether it has ours; None where there is no server, or it did not answer. ``store_id``: of the
    service behind it. ``panels``: whether its JupyterLab draws ours."""

    extension: bool | None
    store_id: str = ""
    panels: bool = True


@functools.cache
def _said() -> dict[Endpoint, tuple[Server, float]]:
    """Server -> what it said, and until when that holds."""
    return {}


def sidebar_hint() -> str:
    """One line for notebooks whose Jupyter server does not know covalent-jupyter; else ``""``."""
    return HINT if server_side().extension is False else ""


def server_side() -> Server:
    """What the Jupyter server that started this kernel says; asked once."""
    endpoint = parent_server()
    if endpoint is None:
        return Server(None)
    known, until = _said().get(endpoint, (Server(None), 0.0))
    if time.monotonic() < until:
        return known
    found = _ask(endpoint)
    _said()[endpoint] = (found, time.monotonic() + AGAIN if found.extension is None else float("inf"))
    return found


def _ask(endpoint: Endpoint) -> Server:
    rest = Rest(Connector(Settings(settings().store_dir, endpoint.url, endpoint.token)))
    try:
        answer = rest.request("GET", "health", timeout=PATIENCE)
        return Server(True, str(answer.json().get("store_id", "")), answer.headers.get(PANELS) != "off")
    except ExtensionMissing:
        return Server(False)
    except CovalentError:
        return Server(None)  # it does not answer just now: that says nothing about what is installed
    finally:
        rest.disconnect()
