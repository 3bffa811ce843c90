"""Whether the Jupyter server of this notebook has the extension, and what to say if not."""

from __future__ import annotations

import functools

from ..errors import CovalentError
from .connection import Connector, Endpoint, Settings, parent_server, settings
from .rest import ExtensionMissing, Rest

#: seconds that a notebook's first panel may wait for the answer
PATIENCE = 2.0
HINT = (
    "For the sidebar: pip install covalent-jupyter in the environment that JupyterLab was started from, "
    "then restart JupyterLab."
)


def sidebar_hint() -> str:
    """One line for notebooks whose Jupyter server does not know covalent-jupyter; else ``""``."""
    server = parent_server()
    return _hint_for(server) if server is not None else ""


@functools.lru_cache(maxsize=4)
def _hint_for(server: Endpoint) -> str:
    rest = Rest(Connector(Settings(settings().store_dir, server.url, server.token)))
    try:
        rest.health(PATIENCE)
        return ""
    except ExtensionMissing:
        return HINT
    except CovalentError:
        return ""  # it does not answer just now: that says nothing about what is installed
    finally:
        rest.disconnect()
