"""The forkserver: a small process of one thread that has imported what electrons will need, and forks runners.

It runs no user code. It is the reaper of its runners: it says how each ended, and ends what a runner leaves behind,
also what left the runner's process group. The session is the forkserver's. When its owner is gone, so are all of them.

Messages are JSON texts on a SOCK_SEQPACKET socket. From the owner: ``{"op": "fork", "id", "sheet"}`` with three
descriptors (control, tokens, page), ``{"op": "signal", "pid", "signal", "tree"}``. To the owner: ``ready``, ``forked``,
``refused``, ``died`` (with the wait status, sent when everything that the runner started is gone too).
"""

from __future__ import annotations

import base64
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from typing import Any, NoReturn

from .. import processes
from ..crashpoint import crashpoint
from . import runner
from .sheet import decode_sheet

#: never preloaded: their state does not survive a fork
DENIED = frozenset({"torch", "jax", "jaxlib", "tensorflow", "cupy", "numba.cuda"})
#: what every runner needs sooner or later, and our own modules import late
_NEEDED = ("cloudpickle", "cloudpickle.cloudpickle", "asyncio", "linecache", "dis")
#: threads whose library does without them in a forked child: jemalloc's, which come with pyarrow, and so with pandas
_FORKABLE = frozenset({"jemalloc_bg_thd"})
_PR_SET_CHILD_SUBREAPER = 36
_GONE_LIMIT = 5.0  # seconds to wait for what cannot be killed (a process in an uninterruptible read)


def become_subreaper() -> None:
    """Orphaned descendants become children of this process, instead of init's."""
    if processes.LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def preload(names: list[str]) -> tuple[list[str], list[str]]:
    """Import what can be imported. Gives the names that could not be, and those that left threads running."""
    refused, threaded = [], []
    for name in names:
        before = threading.active_count(), _threads()
        try:
            if name.partition(".")[0] in DENIED or name in DENIED:
                raise ImportError(f"{name} does not survive a fork")
            importlib.import_module(name)
        except BaseException:  # border: any code may run in an import
            refused.append(name)
            continue
        if threading.active_count() > before[0] or _threads() > before[1]:
            threaded.append(name)
    return refused, threaded


def _threads() -> int:
    """How many threads there are that a forked child would miss."""
    try:
        return sum(_thread_name(number) not in _FORKABLE for number in os.listdir("/proc/self/task"))
    except OSError:
        return 1


def _thread_name(number: str) -> str:
    try:
        with open(f"/proc/self/task/{number}/comm", encoding="utf-8", errors="replace") as name:
            return name.read().strip()
    except OSError:  # it has ended
        return ""


class _Forkserver:
    def __init__(self, sock: socket.socket, lifeline: int) -> None:
        self.sock = sock
        self.lifeline = lifeline
        self.stepped_back = processes.step_back_in_session()
        self.wake_read, self.wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.runners: set[int] = set()  # not reaped yet
        self.ending: dict[int, tuple[int, int, float]] = {}  # reaped: status, peak bytes, since when

    def serve(self) -> NoReturn:
        """Until the owner is gone; whatever goes wrong here, no runner is left behind."""
        try:
            self.listen()
        except BaseException:  # border: the last that can be done
            traceback.print_exc()
        finally:
            self.leave()

    def listen(self) -> NoReturn:
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that the wakeup descriptor is written
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        poll = select.poll()
        for fd in (self.sock.fileno(), self.wake_read):
            poll.register(fd, select.POLLIN)
        poll.register(self.lifeline, 0)  # hang-up is reported without being asked for
        while True:
            for fd, _ in poll.poll(20 if self.ending else None):
                if fd == self.lifeline:
                    self.leave()
                elif fd == self.wake_read:
                    os.read(fd, 4096)
                else:
                    self.receive()
            self.reap()

    def receive(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, 65_536, 3, socket.MSG_CMSG_CLOEXEC)
        except ConnectionError:
            data = b""
        if not data:
            self.leave()
        message = json.loads(data)
        if message["op"] == "fork":
            self.fork(message, fds)
        elif message["op"] == "signal" and message["pid"] in self.runners:
            if message["tree"]:
                processes.kill_tree(message["pid"], message["signal"])
            else:
                processes.kill_group(message["pid"], message["signal"])

    def fork(self, message: dict[str, Any], fds: list[int]) -> None:
        sheet = decode_sheet(base64.b64decode(message["sheet"]))
        self.stepped_back = self.stepped_back or processes.step_back_in_session()
        try:
            pid = os.fork()
        except OSError as error:
            self.send({"op": "refused", "id": message["id"], "error": str(error)})
        else:
            if pid == 0:
                self.become_runner(sheet, fds)
            self.runners.add(pid)
            crashpoint("runner.forked")
            self.send({"op": "forked", "id": message["id"], "pid": pid})
        for fd in fds:
            os.close(fd)

    def become_runner(self, sheet: Any, fds: list[int]) -> NoReturn:
        status = 70
        log = open(os.dup(2), "w")  # descriptor 2 becomes an electron's stderr
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for fd in (self.wake_read, self.wake_write):
                os.close(fd)
            self.sock.close()
            os.setpgid(0, 0)  # to be ended with its children; in the forkserver's session, which has stepped back
            become_subreaper()
            status = runner.main(sheet, fds[0], fds[1], fds[2], self.lifeline)
        except BaseException:  # border: this copy must never go on as a forkserver
            traceback.print_exc(file=log)
            log.flush()
        finally:
            os._exit(status)

    def reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self.runners:
                self.runners.discard(pid)
                self.ending[pid] = (status, usage.ru_maxrss * 1024, time.monotonic())
        if self.ending:
            self.bury()

    def bury(self) -> None:
        """End what dead runners left behind; report the runners that left nothing any more."""
        strays = [pid for pid in processes.children(os.getpid()) if pid not in self.runners]
        for pid in strays:
            processes.kill_tree(pid)
        for pid, (status, peak, since) in list(self.ending.items()):
            waits = processes.kill_group(pid) or bool(strays)
            if waits and time.monotonic() - since < _GONE_LIMIT:
                continue
            del self.ending[pid]
            self.send({"op": "died", "pid": pid, "status": status, "peak": peak})

    def send(self, message: dict[str, Any]) -> None:
        try:
            self.sock.send(json.dumps(message).encode())
        except ConnectionError:
            self.leave()

    def leave(self) -> NoReturn:
        """The owner is gone: end every runner and everything that any of them started."""
        end = time.monotonic() + _GONE_LIMIT
        while (left := processes.children(os.getpid())) and time.monotonic() < end:
            for pid in left:
                processes.kill_tree(pid)
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                break
            time.sleep(0.001)
        os._exit(0)


def main(arguments: list[str]) -> NoReturn:
    """``forkserver <socket fd> <lifeline fd> <record file> <modules to preload, comma-separated>``."""
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]  # put there by ``python -m``; no module of anybody's folder is to be found
    sock = socket.socket(fileno=int(arguments[0]))
    sock.set_inheritable(False)
    lifeline = int(arguments[1])
    os.set_inheritable(lifeline, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the owner's business
    os.setsid()
    become_subreaper()
    processes.write_record(arguments[2], os.getpid())
    preload(list(_NEEDED))
    refused, threaded = preload([name for name in arguments[3].split(",") if name])
    gc.collect()
    gc.freeze()
    server = _Forkserver(sock, lifeline)
    server.send({"op": "ready", "refused": refused, "threaded": threaded})
    if threaded:  # what were forked here would miss these threads: the owner starts another one without them
        server.leave()
    server.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
