"""Finding, starting and stopping the service of a store. Used by kernels, the command line and Jupyter servers alike.

The service is found through its connection file. Before anything that holds the token is sent, the service
proves itself: it answers a nonce with an HMAC over the nonce and its own address, so that neither a stranger on a
port that was left behind nor one who passes the question on to the real service can pose as it.
"""

from __future__ import annotations

import fcntl
import hmac
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ._version import __version__
from .errors import ServiceUnavailable, VersionMismatch
from .model.views import ConnectionFile
from .model.work import PROTOCOL
from .paths import connection_file

#: Exit status of a service that found another one at work.
ALREADY_RUNNING = 3
#: What belongs to the process that starts the service, or is a credential: the service outlives that process.
PRIVATE_VARIABLES = (
    "JPY_API_TOKEN", "JPY_PARENT_PID", "JPY_SESSION_NAME", "JUPYTERHUB_API_TOKEN", "JUPYTER_TOKEN", "MPLBACKEND",
    "PYTHONSTARTUP", "COVALENT_JUPYTER_TOKEN", "COVALENT_JUPYTER_URL",
)  # fmt: skip
_POLL = 0.02  # seconds


def boot_id() -> str:
    """Changes with every boot of the machine; "" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def proof(token: str, authority: str, nonce: str) -> str:
    """What a service that holds ``token`` and listens on ``authority`` (``host:port``) answers to ``nonce``."""
    return hmac.new(token.encode(), f"challenge {authority} {nonce}".encode(), "sha256").hexdigest()


def read_connection(store_dir: Path) -> ConnectionFile | None:
    """The connection file as it lies there: nobody has been asked. None if there is none, or if it is not our own."""
    path = connection_file(store_dir)
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_uid != os.getuid():
                return None
            return msgspec.json.decode(file.read(), type=ConnectionFile)
    except (OSError, msgspec.DecodeError):
        return None


def is_here(connection: ConnectionFile) -> bool:
    """Whether the service lives, or lived, on this machine, as far as one can tell from here."""
    if connection.boot_id and connection.boot_id == boot_id():
        return True  # a laptop may have another name than an hour ago
    return connection.host == socket.gethostname()


def is_alive(pid: int) -> bool:
    """Whether a process of this id runs; one that has ended and was not yet reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
    return True


def call(
    connection: ConnectionFile, method: str, path: str, body: Any = None, *, timeout: float = 5.0, token: bool = True
) -> tuple[int, Any]:
    """One request to the service: ``(status, decoded JSON)``. OSError if it cannot be reached or talks no HTTP."""
    parts = urlsplit(connection.url)
    http_connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    headers = {"Authorization": f"token {connection.token}"} if token else {}
    try:
        data = None if body is None else json.dumps(body).encode()
        http_connection.request(method, parts.path + path, data, headers)
        response = http_connection.getresponse()
        answer = response.read(1 << 20)
        return response.status, json.loads(answer) if answer else None
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"no service answered at {connection.url}: {error!r}") from error
    finally:
        http_connection.close()


def answers(connection: ConnectionFile, timeout: float = 2.0) -> bool:
    """Whether the service of this connection file is the one that listens there, without telling it the token."""
    nonce = secrets.token_hex(16)
    try:
        status, answer = call(connection, "GET", f"challenge?nonce={nonce}", timeout=timeout, token=False)
    except OSError:
        return False
    if status != 200 or not isinstance(answer, dict):
        return False
    expected = proof(connection.token, urlsplit(connection.url).netloc, nonce)
    return hmac.compare_digest(str(answer.get("proof", "")).encode(), expected.encode())


def find(store_dir: str | os.PathLike[str], timeout: float = 2.0) -> ConnectionFile | None:
    """The running service of the store, having proved itself; None if there is none.

    Raises ServiceUnavailable if it runs on another machine, where its loopback address cannot be reached from here.
    """
    store = Path(store_dir)
    connection = read_connection(store)
    if connection is None:
        return None
    if not is_here(connection):
        if not _is_locked(store / "store.lock"):
            return None  # its container or machine is gone
        raise ServiceUnavailable(_elsewhere(store, connection))
    if is_alive(connection.pid) and answers(connection, timeout):
        return connection
    return None


def ensure_running(
    store_dir: str | os.PathLike[str],
    timeout: float = 30.0,
    *,
    options: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> ConnectionFile:
    """The service of the store, started if need be.

    However many call this at once, one service results. ``options`` are further arguments of
    ``python -m covalent_jupyter.service``, ``variables`` are added to its environment: if it is started here.
    An older service is replaced if it is idle. Raises ServiceUnavailable (with the last lines of its log), or
    VersionMismatch if a busy service speaks another protocol.
    """
    store = Path(store_dir)
    deadline = time.monotonic() + timeout
    connection = find(store)
    if connection is not None and not _replace_if_older(store, connection, deadline):
        return connection
    try:
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(store / "start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServiceUnavailable(
            f"the store {store} cannot be used: {error}. Set COVALENT_STORE_DIR to a folder that you can write to."
        ) from error
    try:
        _take(lock, store, deadline, timeout)
        return find(store) or _start(store, deadline, timeout, options, variables or {})
    finally:
        os.close(lock)


def stop(store_dir: str | os.PathLike[str], timeout: float = 15.0, *, reason: str = "", if_idle: bool = False) -> bool:
    """Suspend the service: unfinished runs stay, and go on when it is started again.

    True when a service ran and has gone; False when none ran, or when ``if_idle`` and it was not idle.
    Raises ServiceUnavailable if it does not go in time.
    """
    store = Path(store_dir)
    connection = find(store)
    if connection is None:
        connection = read_connection(store)
        if connection is None or not is_here(connection) or not _is_ours(connection.pid):
            return False
        os.kill(connection.pid, signal.SIGTERM)  # alive, but it does not answer
    else:
        try:
            status, _ = call(connection, "POST", "shutdown", {"reason": reason, "if_idle": if_idle}, timeout=timeout)
        except OSError:
            status = 202  # it went while we asked
        if status == 409:
            return False
    deadline = time.monotonic() + timeout
    while is_alive(connection.pid):
        if time.monotonic() > deadline:
            raise ServiceUnavailable(
                f"the service of {store} (process {connection.pid}) did not stop within {timeout:g} s; its log is "
                f"{store / 'service.log'}"
            )
        time.sleep(_POLL)
    return True


def log_tail(store_dir: Path, lines: int = 12, *, start: int = 0) -> str:
    """The last lines of the service's log, from byte ``start`` on."""
    try:
        with open(store_dir / "service.log", "rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start if start <= end else 0, end - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _is_locked(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _is_ours(pid: int) -> bool:
    """Whether ``pid`` is a service, and not a process that got its number later."""
    with suppress(OSError):
        return b"covalent_jupyter.service" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _elsewhere(store: Path, connection: ConnectionFile) -> str:
    return (
        f"the service of this store runs on {connection.host} (process {connection.pid}, store {store}), "
        f"and can be reached from that machine only. Stop it there (`jupyter covalent stop`), or give this machine a "
        f"store of its own (COVALENT_STORE_DIR=/a/local/folder), or reach the other one through its Jupyter server "
        f"(COVALENT_JUPYTER_URL and COVALENT_JUPYTER_TOKEN)."
    )


def _take(lock: int, store: Path, deadline: float, timeout: float) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ServiceUnavailable(
                    f"another process has been starting the service of {store} for {timeout:g} s.\n{log_tail(store)}"
                ) from None
        time.sleep(_POLL)


def _start(
    store: Path, deadline: float, timeout: float, options: Sequence[str], variables: Mapping[str, str]
) -> ConnectionFile:
    log = store / "service.log"
    begin = log.stat().st_size if log.exists() else 0
    environment = {k: v for k, v in os.environ.items() if k not in PRIVATE_VARIABLES}
    daemon = Path(__file__).with_name("service") / "daemon.py"
    service = [sys.executable, "-m", "covalent_jupyter.service", "--store-dir", os.path.abspath(store), *options]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        # the store is the working directory: `-m` puts that on sys.path, and a notebook's folder may hold a json.py
        starter = subprocess.Popen(
            [sys.executable, "-I", "-S", str(daemon), *service],
            stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, cwd=store,
            env={**environment, **variables}, start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(descriptor)
    try:
        status = starter.wait(max(deadline - time.monotonic(), 1.0))
    except subprocess.TimeoutExpired:
        starter.kill()  # the service itself goes on, and the next caller may find it
        starter.wait()
        raise ServiceUnavailable(
            f"the service of {store} is not ready after {timeout:g} s; it may still be recovering. "
            f"Its log, {log}, ends with:\n{log_tail(store, start=begin)}"
        ) from None
    connection = find(store)
    if connection is not None:
        return connection
    if status == ALREADY_RUNNING:
        holder = read_connection(store)
        pid = f" (process {holder.pid})" if holder is not None and is_here(holder) else ""
        raise ServiceUnavailable(
            f"another service holds the store {store}{pid}, but does not answer. "
            f"Its log, {log}, ends with:\n{log_tail(store)}"
        )
    raise ServiceUnavailable(
        f"the service of {store} did not start (exit status {status}). Its log, {log}, ends with:\n"
        f"{log_tail(store, start=begin)}"
    )


def _version_key(version: str) -> tuple[int, ...]:
    digits = ("".join(c for c in part if c.isdigit()) for part in version.split("+")[0].split(".")[:3])
    return tuple(int(d or 0) for d in digits)


def _replace_if_older(store: Path, connection: ConnectionFile, deadline: float) -> bool:
    """Whether an older, idle service has been stopped, so that one of this version can be started."""
    if _version_key(connection.version) >= _version_key(__version__):
        return False
    reason = f"replaced by version {__version__}"
    if stop(store, max(deadline - time.monotonic(), 1.0), reason=reason, if_idle=True):
        return True
    if connection.protocol < PROTOCOL - 1:
        raise VersionMismatch(
            f"the service of {store} is of version {connection.version} and speaks protocol {connection.protocol}; "
            f"this is version {__version__} with protocol {PROTOCOL}. It is busy and was not replaced: when its runs "
            f"may pause, run `jupyter covalent restart`."
        )
    return False
