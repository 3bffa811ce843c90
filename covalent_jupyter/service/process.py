"""The service process from its arguments to its exit status."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import secrets
import socket
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

from tornado.netutil import bind_sockets

from .. import config, launch
from .._version import __version__
from ..crashpoint import crashpoint
from ..errors import CovalentError, StoreLocked
from ..model import PROTOCOL, ConnectionFile
from ..paths import default_store_dir
from ..place import network_warning, surroundings
from ..store import Store
from .app import make_application, serve
from .backend import Context, Pools
from .lifecycle import Lifecycle, write_connection
from .uploads import remove_left_overs
from .wiring import Parts

log = logging.getLogger("covalent_jupyter.service")

FAILED = 1
#: Seconds for which a locked store is tried again: the service before this one may be about to leave.
_HANDOVER = 10.0
#: Seconds of a part of the start that are worth a line in the log.
_LONG = 1.0


def main(argv: list[str] | None = None) -> int:
    """Serve one store until asked to stop; the exit status."""
    options = _parse(argv)
    os.umask(0o077)
    store_dir = Path(options.store_dir).expanduser().absolute() if options.store_dir else default_store_dir()
    try:
        store_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _log_to(store_dir, options.log_level)
    except OSError as error:
        print(f"the store {store_dir} cannot be used: {error}", file=sys.stderr)
        return FAILED
    try:
        settings = config.load()
        store = _open(store_dir, settings.blob_root)
        if store is None:
            return launch.ALREADY_RUNNING
        asyncio.run(_serve(store, settings, options))
        return 0
    except CovalentError as error:
        log.error("%s", error)
        return FAILED
    except Exception:  # the border of the process: whoever started it reads the log
        log.exception("the service failed")
        return FAILED
    finally:
        logging.shutdown()


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m covalent_jupyter.service", description=main.__doc__)
    parser.add_argument("--store-dir", default="", help="folder of the store")
    parser.add_argument(
        "--idle-exit", type=float, default=None, metavar="SECONDS", help="go when idle for so long; 0: never"
    )
    parser.add_argument("--log-level", default="", help="DEBUG, INFO, WARNING or ERROR")
    parser.add_argument("--ready-fd", type=int, default=-1, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _log_to(store_dir: Path, level: str) -> None:
    handler = RotatingFileHandler(
        store_dir / "service.log", maxBytes=5_000_000, backupCount=3, encoding="utf-8", errors="backslashreplace"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("covalent_jupyter").setLevel(level.upper() or config.load().service_log_level)
    logging.captureWarnings(True)


def _open(store_dir: Path, blob_root: str) -> Store | None:
    """The store; None if another service has it."""
    began, locked = time.monotonic(), 0.0
    while True:
        try:
            store = Store.open(store_dir, blob_root=blob_root or None)
            if (took := time.monotonic() - began) > _LONG:
                log.info("the store was opened after %.1f s, for %.1f s of which another process held it", took, locked)
            return store
        except StoreLocked as error:
            other = launch.find(store_dir)
            if other is not None:
                log.info("already running: process %d at %s", other.pid, other.url)
                return None
            if time.monotonic() > began + _HANDOVER:
                log.error("%s", error)
                return None
        time.sleep(0.1)
        locked = time.monotonic() - began


async def _serve(store: Store, settings: config.Settings, options: argparse.Namespace) -> None:
    for repair in store.repairs:
        log.warning("%s", repair)
    remove_left_overs(Path(store.folder) / "uploads")
    sockets = bind_sockets(0, "127.0.0.1", family=socket.AF_INET)
    token = secrets.token_urlsafe(32)
    pools = Pools()
    parts = Parts(store, settings, token)
    began = time.monotonic()
    try:
        host_port = await parts.start()
        if (took := time.monotonic() - began) > _LONG:
            log.info("what was unfinished was taken up in %.1f s", took)
        connection = _connection(store, sockets[0].getsockname()[1], host_port, token)
        context = Context(
            store, parts.dispatcher, connection, settings, pools, Path(store.folder) / "unfinished",
            shutdown=lambda reason, stop_hosts: lifecycle.stop(reason, stop_hosts), cluster=parts.cluster,
            configure=parts.configure,
            idle_exit=options.idle_exit, warnings=_warnings(store), place=surroundings(),
            disk_warning=lambda: parts.housekeeping.disk_warning,
        )  # fmt: skip
        if parts.dispatcher.running():
            context.marker.touch()
        server = serve(make_application(context), sockets)
        lifecycle = Lifecycle(context, server, parts.close)
        crashpoint("service.starting")
        write_connection(Path(store.folder), connection)
        crashpoint("service.found")
    except BaseException:
        await parts.close()
        raise
    log.info("version %s serves %s at %s (process %d)", __version__, store.folder, connection.url, os.getpid())
    gc.freeze()
    gc.collect()  # counts what is left: with the frozen ones, garbage would stay until it is a quarter as many
    _say_ready(options.ready_fd)
    try:
        await lifecycle.run()
    finally:
        pools.close()


def _warnings(store: Store) -> tuple[str, ...]:
    """What is to be said of this store as long as the service runs."""
    found = network_warning(Path(store.folder), Path(store.blob_root))
    if found:
        log.warning("%s", found)
    return (found,) if found else ()


def _connection(store: Store, port: int, host_port: int, token: str) -> ConnectionFile:
    return ConnectionFile(
        url=f"http://127.0.0.1:{port}/covalent/", token=token, pid=os.getpid(), version=__version__, protocol=PROTOCOL,
        store=str(store.folder), store_id=store.store_id, host=socket.gethostname(), boot_id=launch.boot_id(),
        host_port=host_port, started=time.time(), prefix=sys.prefix,
    )  # fmt: skip


def _say_ready(descriptor: int) -> None:
    if descriptor < 0:
        return
    try:
        os.write(descriptor, b"1")
    except OSError:
        log.info("whoever started this service no longer waits for it")
    finally:
        os.close(descriptor)
