"""Nothing outlives its owner, whatever ends it; and nothing of the dead is mistaken for the living."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from covalent_jupyter.model import Began, Lit, Outcome
from covalent_jupyter.processes import (
    boot_id,
    children,
    descendants,
    end_survivors,
    kill,
    start_time,
    write_record,
)
from covalent_jupyter.spool import read_spool
from covalent_jupyter.worker.feeder import _decoder
from covalent_jupyter.worker.pool import RunnerPool

from .packs import Heard, PackMaker, fine, run, start

OWNER = """
import sys, threading
from tests.worker.packs import *
def hang(path, number):
    import ctypes, os, signal, subprocess, sys
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = "import os, time; os.setsid(); os.fork() and os._exit(0); time.sleep(100)"
    subprocess.run([sys.executable, "-c", code])  # a daemon of its own session
    if os.fork() == 0:
        while True: pass
    open(f"{path}/{number}.ready", "w").close()
    ctypes.PyDLL(None).sleep(100)  # holds the interpreter's lock: no thread of the runner runs
hang.__module__ = "__main__"
def main(path):
    pool = RunnerPool(slots=2, spool_dir=path + "/spool", scratch=path + "/scratch", fresh=sys.argv[2] == "fresh")
    for number in range(2):
        maker = PackMaker()
        maker.add(fine, Lit(number))
        maker.add(hang, path, number)
        threading.Thread(target=pool.run_pack, args=(maker.pack(), Heard())).start()
main(sys.argv[1])
"""


def wait_until(condition: object, timeout: float = 90.0) -> None:
    begun = time.monotonic()
    while not condition():  # type: ignore[operator]
        assert time.monotonic() - begun < timeout
        time.sleep(0.002)


def test_owner_is_killed(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path), "forked"], cwd=root)
    try:
        wait_until(lambda: len(list(tmp_path.glob("*.ready"))) == 2)
        # forkserver, runners and spares, what the electrons started
        wait_until(lambda: len(descendants(owner.pid)) >= 1 + 4 + 4)
        below = descendants(owner.pid)
    finally:
        owner.kill()
        owner.wait()
    wait_until(lambda: all(start_time(pid) is None for pid in below), 30.0)
    records = [_decoder.decode(record) for path in tmp_path.glob("spool/*.spool") for record in read_spool(path)]
    assert sum(isinstance(fact, Outcome) for fact in records) == 2  # what was done can be adopted
    assert sum(isinstance(fact, Began) for fact in records) == 4
    assert end_survivors(tmp_path / "spool") == []
    assert list(tmp_path.glob("spool/*.proc")) == []


def test_forkserver_is_killed(tmp_path: Path) -> None:
    def hang() -> None:
        import time

        time.sleep(100)

    pool = RunnerPool(slots=1, spool_dir=str(tmp_path / "spool"), scratch=str(tmp_path / "scratch"))
    try:
        maker = PackMaker()
        maker.add(hang)
        maker.add(fine, Lit(1))
        heard, thread = start(pool, maker.pack())
        heard.wait_for(lambda heard: heard.began == [0])
        kill(pool._nursery._process.pid)  # type: ignore[attr-defined]
        thread.join(60)
        assert not thread.is_alive()
        outcome = heard.outcomes[0]
        assert outcome.status == "interrupted" and outcome.error is not None and outcome.error.cause == "interrupted"
        assert heard.returned == [1]
        maker = PackMaker()
        maker.add(fine, Lit(1))
        for _ in range(
            3
        ):  # a spare runner of the dead one, as long as its own death is not known, gives back what it gets
            heard = run(pool, maker)
            if heard.returned != [0]:
                break
        assert heard.value(0) == 2
    finally:
        pool.close()


def test_close_ends_everything(tmp_path: Path) -> None:
    def hang() -> None:
        import subprocess

        subprocess.run(["sleep", "100"])

    pool = RunnerPool(slots=1, spool_dir=str(tmp_path / "spool"), scratch=str(tmp_path / "scratch"))
    maker = PackMaker()
    maker.add(hang)
    heard, thread = start(pool, maker.pack())
    heard.wait_for(lambda heard: heard.began == [0])
    below = children(pool._nursery._process.pid)  # type: ignore[attr-defined]
    pool.close()
    thread.join(60)
    assert heard.outcomes[0].status == "interrupted"
    assert all(start_time(pid) is None for pid in below)
    with pytest.raises(RuntimeError, match="closed"):
        pool.run_pack(maker.pack(), Heard())
    pool.close()


def test_end_survivors_ends_the_recorded_process_and_no_other(tmp_path: Path) -> None:
    code = "import os, sys, time; os.fork(); time.sleep(100)"
    one = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    other = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        write_record(tmp_path / "one.proc", one.pid)
        (tmp_path / "reused.proc").write_text(f'{{"pid": {other.pid}, "start": "1", "boot": "{boot_id()}"}}')
        (tmp_path / "earlier.proc").write_text(
            f'{{"pid": {other.pid}, "start": "{start_time(other.pid)}", "boot": "before"}}'
        )
        (tmp_path / "torn.proc").write_text('{"pid"')
        wait_until(lambda: children(one.pid))
        below = children(one.pid)
        assert end_survivors(tmp_path) == [one.pid]
        assert one.wait(30) == -signal.SIGKILL
        wait_until(lambda: all(start_time(pid) is None for pid in below))
        assert other.poll() is None
        assert end_survivors(tmp_path) == []
    finally:
        for process in (one, other):
            for pid in (*descendants(process.pid), process.pid):
                kill(pid)
            process.wait()


def test_fresh_interpreters(tmp_path: Path) -> None:
    """What macOS gets: no forkserver, the same promises."""

    def crash() -> None:
        import ctypes

        ctypes.string_at(0)

    def hang() -> None:
        import time

        time.sleep(100)

    pool = RunnerPool(slots=1, spool_dir=str(tmp_path / "spool"), scratch=str(tmp_path / "scratch"), fresh=True)
    try:
        maker = PackMaker()
        maker.add(fine, Lit(1))
        maker.add(crash)
        maker.add(fine, Lit(2))
        heard = run(pool, maker)
        assert heard.value(0) == 2 and heard.returned == [2]
        error = heard.outcomes[1].error
        assert error is not None and error.signal == "SIGSEGV"
        maker = PackMaker()
        maker.add(hang)
        pack = maker.pack()
        heard, thread = start(pool, pack)
        heard.wait_for(lambda heard: heard.began == [0])
        pool.cancel([(pack.dispatch_id, 0, 1)], grace=0.1)
        thread.join(60)
        assert heard.outcomes[0].status == "cancelled"
    finally:
        pool.close()


def test_fresh_interpreters_die_with_their_owner(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    code = OWNER.replace("import ctypes, os", "import os, time").replace("ctypes.PyDLL(None).sleep", "time.sleep")
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), "fresh"], cwd=root)
    try:
        wait_until(lambda: len(list(tmp_path.glob("*.ready"))) == 2)
        runners = children(owner.pid)
    finally:
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
    wait_until(lambda: all(start_time(pid) is None for pid in runners), 30.0)
