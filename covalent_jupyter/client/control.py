"""Starting and stopping the service from Python."""

from __future__ import annotations

from .. import config, launch
from ..errors import ServiceUnavailable
from .brief import brief
from .connection import server_endpoint, settings
from .rest import connect


@brief
def covalent_start(quiet: bool = False) -> None:
    """Start the service if it does not run. ``ct.dispatch`` does so by itself.

    Raises ServiceUnavailable with the last lines of its log if it does not start.
    """
    chosen = settings()
    if chosen.url:
        raise ServiceUnavailable(
            f"the service at {server_endpoint(chosen.url, '').url} is started by its Jupyter server; "
            'use a service of your own with ct.set_config(url="")'
        )
    file = launch.ensure_running(chosen.store_dir, variables=config.environment(config.load()))
    if not quiet:
        print(f"covalent-jupyter {file.version} runs: process {file.pid}, store {file.store}")


@brief
def covalent_stop(quiet: bool = False) -> None:
    """Suspend the service: unfinished runs stay recorded and go on when it is started again."""
    stopped = launch.stop(settings().store_dir, reason="covalent_stop()")
    connect().connector.forget()
    if not quiet:
        print(
            "The service has stopped; unfinished runs go on when it is started again." if stopped else "No service ran."
        )


def is_covalent_running() -> bool:
    """Whether the service runs and answers; never starts it."""
    try:
        found = connect().connector.find()
        return found is not None and (found.direct or bool(connect().health(timeout=5.0).get("ok")))
    except ServiceUnavailable:
        return False
