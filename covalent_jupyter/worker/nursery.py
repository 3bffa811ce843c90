"""Where runners come from: forked by a forkserver (Linux), or as fresh interpreters (macOS)."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import processes
from ..errors import ExecutorError
from .process import Death, RunnerProcess
from .protocol import THREAD_VARIABLES
from .sheet import encode_sheet

_READY_TIMEOUT = 60.0  # seconds for the preloads
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])


def child_environment() -> dict[str, str]:
    """The variables of our own processes: this package is found, numeric libraries start no threads."""
    env = dict(os.environ)
    paths = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    if _PACKAGE_PARENT not in paths:
        env["PYTHONPATH"] = os.pathsep.join([*paths, _PACKAGE_PARENT])
    env.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    return env


def _start_python(
    arguments: Sequence[str], fds: Sequence[int], folder: Path, **options: Any
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [sys.executable, *arguments], pass_fds=fds, cwd=folder, env=child_environment(), **options
        )
    except FileNotFoundError as error:
        if os.path.exists(sys.executable):
            raise
        raise ExecutorError(
            f"the interpreter {sys.executable} is gone: its environment was moved or removed. Dispatch from one that is there"
        ) from error


class ForkNursery:
    """Forks runners from a forkserver, which is started at once, and again when it dies."""

    def __init__(self, folder: Path, preload: Sequence[str]) -> None:
        self._folder = folder
        self._preload = list(preload)
        self._denied: set[str] = set()
        self._lock = threading.RLock()
        self._closed = False
        self._number = 0
        self._waiting: dict[int, RunnerProcess] = {}  # by number of the request
        self._running: dict[int, RunnerProcess] = {}  # by pid
        self._retired = False
        self._ready = threading.Event()  # it has imported what it is to preload
        self._start()

    def _start(self) -> None:
        """Start a forkserver. Lock held, or nobody else knows of this object."""
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        lifeline, self._lifeline = os.pipe()
        names = ",".join(name for name in self._preload if name not in self._denied)
        record = self._folder / f"forkserver-{os.getpid()}-{secrets.token_hex(4)}.proc"  # a pool may have two
        fds = theirs.fileno(), lifeline
        try:
            self._process = _start_python(
                ["-m", f"{__package__}.forkserver", *map(str, fds), str(record), names],
                fds,
                self._folder,
                stdin=subprocess.DEVNULL,
            )
        except BaseException:
            self._sock.close()
            os.close(self._lifeline)
            raise
        finally:
            theirs.close()
            os.close(lifeline)
        threading.Thread(
            target=self._listen, args=(self._sock, self._process, record), name="covalent-nursery", daemon=True
        ).start()

    def wait_ready(self) -> bool:
        """Wait until runners come with everything preloaded that can be; False if it was closed meanwhile."""
        self._ready.wait()
        return not self._closed

    def retire(self) -> None:
        """Close as soon as the last of its runners has ended. Nothing is spawned any more."""
        with self._lock:
            self._retired = True
            if not self._waiting and not self._running:
                self.close()

    def spawn(self, process: RunnerProcess) -> None:
        with self._lock:
            if self._closed:
                process.end(Death(None, reason="the pool is closed"))
                return
            self._number += 1
            self._waiting[self._number] = process
            sheet = base64.b64encode(encode_sheet(process.sheet)).decode()
            message = json.dumps({"op": "fork", "id": self._number, "sheet": sheet}).encode()
            try:
                socket.send_fds(self._sock, [message], list(process.ends_for_child()))
            except OSError as error:  # it just died: the listener ends what waits and starts another
                del self._waiting[self._number]
                process.end(Death(None, reason=f"the forkserver is gone: {error}"))
            process.handed_over()

    def signal(self, process: RunnerProcess, number: int, *, tree: bool = False) -> None:
        process.started.wait(_READY_TIMEOUT)
        with self._lock:
            if not process.ended.is_set() and process.pid:
                message = {"op": "signal", "pid": process.pid, "signal": int(number), "tree": tree}
                try:
                    self._sock.send(json.dumps(message).encode())
                except OSError:  # the forkserver is gone: the listener ends all of its runners
                    pass

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._ready.set()
            if self._lifeline >= 0:
                os.close(self._lifeline)
            if self._retired:
                return  # it leaves by itself, as nothing of it is left
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self, sock: socket.socket, server: subprocess.Popen[bytes], record: Path) -> None:
        sock.settimeout(_READY_TIMEOUT)
        while True:
            try:
                data = sock.recv(65_536)
            except TimeoutError:  # an import that never ends
                self._denied.update(self._preload)
                server.kill()
                break
            except OSError:
                break
            if not data:
                break
            self._heard(json.loads(data), sock)
        server.wait()
        record.unlink(missing_ok=True)
        self._lost(sock)

    def _heard(self, message: dict[str, object], sock: socket.socket) -> None:
        op, pid = message["op"], message.get("pid", 0)
        assert isinstance(pid, int)
        if op == "ready":
            sock.settimeout(None)
            if message["threaded"]:
                self._restart_without(message["threaded"])
            else:
                self._ready.set()
            return
        with self._lock:
            if op == "died":
                process = self._running.pop(pid)
            else:
                process = self._waiting.pop(message["id"])  # type: ignore[call-overload]
                if op == "forked":
                    self._running[pid] = process
        if op == "forked":
            process.begun(pid)
        elif op == "refused":
            process.end(Death(None, reason=f"no process could be forked: {message['error']}"))
        else:
            process.end(Death(message["status"], message["peak"]))  # type: ignore[arg-type]
        if self._retired:
            self.retire()

    def _restart_without(self, names: object) -> None:
        """Preloads that leave threads running are on the deny list now; runners of this forkserver must not be used."""
        self._denied.update(names)  # type: ignore[arg-type]
        os.close(self._lifeline)
        self._lifeline = -1

    def _lost(self, sock: socket.socket) -> None:
        """The forkserver ended. Its runners are ended, another one is started unless the pool was closed."""
        with self._lock:
            waiting, self._waiting = list(self._waiting.values()), {}
            running, self._running = self._running, {}
            sock.close()
            if not self._closed:
                if self._lifeline >= 0:
                    os.close(self._lifeline)
                self._start()
        for pid in running:
            processes.kill_tree(pid)
        for process in (*waiting, *running.values()):
            process.end(Death(None, reason="its forkserver died"))


class FreshNursery:
    """A new interpreter for every runner: slower, but nothing was imported before, and no framework forked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lifeline, self._hold = os.pipe()
        self._lock = threading.Lock()
        self._running: dict[RunnerProcess, subprocess.Popen[bytes]] = {}
        self._closed = False

    def spawn(self, process: RunnerProcess) -> None:
        if self._closed:
            process.end(Death(None, reason="the pool is closed"))
            return
        fds = (*process.ends_for_child(), self._lifeline)
        sheet = base64.b64encode(encode_sheet(process.sheet)).decode()
        child = _start_python(
            ["-m", f"{__package__}.runner", sheet, *map(str, fds)], fds, self._folder, start_new_session=True
        )
        process.handed_over()
        with self._lock:
            self._running[process] = child
        process.begun(child.pid)
        threading.Thread(target=self._wait, args=(process, child), name="covalent-nursery", daemon=True).start()

    def _wait(self, process: RunnerProcess, child: subprocess.Popen[bytes]) -> None:
        code = child.wait()
        processes.kill_group(child.pid)
        with self._lock:
            del self._running[process]
        process.end(Death(-code if code < 0 else code << 8))

    def signal(self, process: RunnerProcess, number: int, *, tree: bool = False) -> None:
        with self._lock:
            if process in self._running and self._running[process].poll() is None:
                (processes.kill_tree if tree else processes.kill_group)(process.pid, number)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = list(self._running)
        for process in running:
            self.signal(process, signal.SIGKILL, tree=True)
        for process in running:
            process.ended.wait(10)
        os.close(self._hold)
        os.close(self._lifeline)
