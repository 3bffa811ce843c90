"""The runner: the process that runs user code, one pack after another, for one root dispatch.

It reads packs from its control socket and takes the number of the next task, a *token*, from another: what the pool
takes back from that socket never begins here. What happened goes to the spool; a byte on the control
socket tells the pool to look there: ``F`` facts, ``E`` end of the pack.
"""

from __future__ import annotations

import base64
import errno
import faulthandler
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from .. import processes
from ..crashpoint import crashpoint
from ..folders import FolderGone
from ..model.wire import encode
from ..model.work import Began, Pack, Returned, Task
from ..spool import SpoolWriter
from .bars import recognise_tqdm
from .bench import Bench
from .call import Copied, Stopped, run_task
from .context import shown, watch_writes
from .lifeline import die_with_owner
from .page import Page
from .protocol import CLOSED, END, FACTS, LAST, TOKEN
from .room import say, wait_for_room
from .sheet import RunnerSheet, decode_sheet

_SOON = 0.05  # seconds between two looks of the pool while electrons are short
_SLOW = 0.005  # seconds: what took longer is told at once
_SPOOL_RETRY = 0.2  # seconds between attempts to write to a full disk

_pack_decoder = msgspec.msgpack.Decoder(Pack)


class Runner:
    def __init__(self, sheet: RunnerSheet, control: socket.socket, tokens: socket.socket, page: Page) -> None:
        self.sheet = sheet
        self.control = control
        self.tokens = tokens
        self.page = page
        self.spool = SpoolWriter(sheet.spool)
        self.worker = f"{socket.gethostname()}:{os.getpid()}"
        self.bench = Bench(sheet, page, self.write)
        recognise_tqdm(shown)
        watch_writes()
        sys.argv = [""]  # ours say nothing to electrons
        self.told = 0.0
        self.pid = os.getpid()
        self.in_electron = False

    def serve(self) -> None:
        """Run packs until the pool closes the connection."""
        signal.signal(signal.SIGTERM, self.on_term)
        os.register_at_fork(after_in_child=self.in_copy)
        while (data := self.receive()) is not None:
            pack = _pack_decoder.decode(data)
            self.bench.lay_out(pack)
            self.run_pack(pack)
            self.tell(END)

    def receive(self) -> memoryview | None:
        """The next frame of the control socket: length (8 bytes) and body."""
        head = self.read_exactly(8)
        return None if head is None else self.read_exactly(int.from_bytes(head, "big"))

    def read_exactly(self, size: int) -> memoryview | None:
        data = memoryview(bytearray(size))
        at = 0
        while at < size:
            count = self.control.recv_into(data[at:])
            if count == 0:
                return None
            at += count
        return data

    def run_pack(self, pack: Pack) -> None:
        recv, unpack = self.tokens.recv, TOKEN.unpack
        tasks = pack.tasks
        while True:
            token = recv(4, socket.MSG_WAITALL)
            if len(token) < 4:
                os._exit(0)  # the pool is gone
            (number,) = unpack(token)
            if number == LAST:
                return
            self.run_one(pack, tasks[number], number)

    def run_one(self, pack: Pack, task: Task, number: int) -> None:
        if not self.bench.can_run(task):
            self.write(Returned(pack.pack_id, pack.dispatch_id, [(task.node, task.attempt)]))
            return
        started = time.monotonic()
        self.page.begin(number, started)
        self.write(Began(pack.dispatch_id, task.node, task.attempt, time.time(), self.worker))
        crashpoint("runner.began")
        try:
            self.in_electron = True
            outcome = run_task(task, pack, self.bench)
            self.in_electron = False
        except Copied:
            leave_copy()
        outcome.worker = self.worker
        crashpoint("runner.computed")
        self.write(outcome)
        crashpoint("runner.spooled")
        self.page.idle()
        self.bench.keep(task, outcome)
        now = time.monotonic()
        spent = self.bench.state.spent
        if spent or now - self.told > _SOON or now - started > _SLOW:
            self.tell(FACTS)
        if spent:
            os._exit(0)  # the pool gives what is left of the pack to a new runner

    def write(self, fact: Began | Returned | Any) -> None:
        record = encode(fact)
        while True:
            try:
                return self.spool.append(record)
            except OSError as error:  # the disk is full: what was computed waits until there is room
                if error.errno == errno.EBADF:  # the electron closed it, and nobody can be told anything any more
                    say("covalent: the electron has closed descriptors that are not its own")
                    os._exit(CLOSED)
                say(f"covalent: cannot write to the spool: {error}")
                time.sleep(_SPOOL_RETRY)

    def tell(self, what: bytes) -> None:
        self.told = time.monotonic()
        self.control.send(what)

    def on_term(self, *_: Any) -> None:
        if not self.in_electron:
            os._exit(128 + signal.SIGTERM)
        raise Stopped(128 + signal.SIGTERM)

    def in_copy(self) -> None:
        """In a child that user code forked: none of our descriptors is its business."""
        self.bench.is_copy = True
        self.control.close()
        self.tokens.close()
        self.spool.close()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def leave_copy() -> NoReturn:
    """End a forked child of an electron that came out of the electron's function."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # border: the user's own stream
            pass
    os._exit(0)


def prefer_to_be_killed() -> None:
    """The kernel's out-of-memory killer takes a runner before the notebook."""
    try:
        Path("/proc/self/oom_score_adj").write_text("800")
    except OSError:
        pass


def _record(path: str) -> None:
    """Note who runs here; FolderGone if the store was moved away since the pool made the folder."""
    try:
        processes.write_record(path, os.getpid())
    except FileNotFoundError as error:
        raise FolderGone(os.path.dirname(path)) from error


def main(sheet: RunnerSheet, control: int, tokens: int, page: int, lifeline: int) -> int:
    """Serve; the caller leads a process group of its own. Gives the exit status."""
    die_with_owner(lifeline)
    prefer_to_be_killed()
    wait_for_room(lambda: _record(sheet.record), "a runner")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    view = Page(page)
    os.close(page)
    runner = Runner(sheet, socket.socket(fileno=control), socket.socket(fileno=tokens), view)
    faulthandler.enable(2, all_threads=False)
    runner.serve()
    return 0


def main_fresh(arguments: list[str]) -> NoReturn:
    """``runner <sheet> <control fd> <tokens fd> <page fd> <lifeline fd>`` in an interpreter of its own."""
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    fds = [int(fd) for fd in arguments[1:]]
    for fd in fds:
        os.set_inheritable(fd, False)
    processes.step_back_in_session()
    os._exit(main(decode_sheet(base64.b64decode(arguments[0])), *fds))


if __name__ == "__main__":
    main_fresh(sys.argv[1:])
