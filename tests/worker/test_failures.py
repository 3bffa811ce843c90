"""Everything bad that an electron can do: it is blamed by name, its neighbours are not, and the next pack works."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from covalent_jupyter import codec
from covalent_jupyter.model import Error, Facts, Frame, Lit, Options, Outcome, Ref
from covalent_jupyter.model.wire import decode_from_host, encode
from covalent_jupyter.processes import start_time
from covalent_jupyter.worker import feeder
from covalent_jupyter.worker.failure import behind
from covalent_jupyter.worker.pool import RunnerPool

from .packs import Heard, PackMaker, fine, run, start


@pytest.fixture(autouse=True)
def next_works(pool: RunnerPool) -> Iterator[None]:
    yield
    maker = PackMaker()
    maker.add(fine, Lit(1))
    assert run(pool, maker).value(0) == 2


def failed(heard: Heard, node: int = 0) -> Outcome:
    outcome = heard.outcomes[node]
    assert outcome.status == "failed"
    assert outcome.error is not None
    return outcome


def gone(pid: int, timeout: float = 20.0) -> bool:
    end = time.monotonic() + timeout
    while start_time(pid) is not None:
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def test_raises(pool: RunnerPool) -> None:
    def helper() -> None:
        {}["missing"]  # type: ignore[index]

    def train(x: int) -> None:
        helper()

    maker = PackMaker()
    first = maker.add(train, Lit(1))
    maker.add(fine, first)
    maker.add(fine, Lit(2))
    heard = run(pool, maker)
    error = failed(heard).error
    assert error is not None
    assert (error.type, error.message, error.cause) == ("KeyError", "'missing'", "raised")
    assert [(frame.function, frame.user) for frame in error.frames] == [("train", True), ("helper", True)]
    assert "covalent_jupyter" not in error.text
    assert error.exception is not None and error.exception.data is not None
    assert isinstance(codec.decode(error.exception.data), KeyError)
    assert heard.returned == [1]  # its input has no value: the service decides
    assert heard.value(2) == 3


def test_exception_whose_str_raises(pool: RunnerPool) -> None:
    def nasty() -> None:
        class Nasty(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no")

            def __reduce__(self) -> Any:
                raise RuntimeError("neither")

        raise Nasty

    maker = PackMaker()
    maker.add(nasty)
    error = failed(run(pool, maker)).error
    assert error is not None and error.type == "Nasty" and "__str__ raised RuntimeError" in error.message
    assert error.exception is None


def test_what_an_error_came_from_is_named(pool: RunnerPool) -> None:
    def caused() -> None:
        try:
            try:
                {}["x"]  # type: ignore[index]
            except KeyError:
                raise OSError("no\nfile")  # noqa: B904
        except OSError as error:
            raise RuntimeError("b") from error

    def silent() -> None:
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            raise RuntimeError("b") from None

    def group() -> None:
        inner = ExceptionGroup("inner", [TypeError("two"), TypeError()])
        raise ExceptionGroup("several", [ValueError("one"), inner]) from KeyError("x")

    maker = PackMaker()
    for function in (caused, silent, group):
        maker.add(function)
    heard = run(pool, maker)
    told = [error.behind for error in (failed(heard, node).error for node in range(3)) if error is not None]
    assert told == [
        ("caused by OSError: no file", "while handling KeyError: 'x'"),
        (),
        (
            "1 of 2: ValueError: one", "2 of 2: ExceptionGroup: inner (2 sub-exceptions)", "  1 of 2: TypeError: two",
            "  2 of 2: TypeError", "caused by KeyError: 'x'",
        ),
    ]  # fmt: skip


def test_many_exceptions_of_a_group_are_counted() -> None:
    told = behind(ExceptionGroup("g", [ValueError(str(n)) for n in range(100)]))
    assert len(told) == 21 and told[-1] == "... and 80 more"


def test_no_fact_is_lost_by_its_texts() -> None:
    lone = Outcome("d", 1, 2, "failed", warnings=("\ud800", "fine"), wrote=("/caf\udce9",), child=b"\xff\xfe",
                   progress={"report": {"\udce9": [1, None, "\udce9"]}}, error=Error("E\ud800", "m", [Frame("\udce9", 1, "f")]))  # fmt: skip
    [told] = decode_from_host(encode(Facts(3, [lone]))).facts  # type: ignore[union-attr]
    assert isinstance(told, Outcome) and told.error is not None
    assert (told.warnings, told.wrote, told.child) == ((r"\ud800", "fine"), (r"/caf\udce9",), b"\xff\xfe")
    assert told.progress == {"report": {r"\udce9": [1, None, r"\udce9"]}}
    assert (told.error.type, told.error.frames) == (r"E\ud800", [Frame(r"\udce9", 1, "f")])


def test_texts_that_utf8_cannot_carry(pool: RunnerPool) -> None:
    """As Python makes of a file name in Latin-1: told with the character written out; the value keeps it."""
    lone = "caf\udce9"

    def tells(text: str) -> Any:
        import covalent_jupyter as ct

        for _ in ct.progress([1], name=text):
            ct.report(**{text: text})
        with open(f"{ct.get_context().workdir}/{text}", "w"):
            pass
        return {text: [text], "plain": text}

    def fails(text: str) -> None:
        raise ValueError(text)

    maker = PackMaker()
    maker.add(tells, lone)
    maker.add(fails, lone, name=lone)
    maker.add(lambda text: text, lone)
    heard = run(pool, maker)
    assert heard.value(0) == {lone: [lone], "plain": lone} and heard.value(2) == lone
    written_out = "caf\\udce9"
    assert heard.outcomes[0].progress["report"] == {written_out: written_out}
    preview = heard.outcomes[2].preview
    assert preview is not None and (preview.scalar, preview.repr) == (written_out, f"'{written_out}'")
    error = failed(heard, 1).error
    assert error is not None and (error.type, error.message) == ("ValueError", written_out)
    assert error.exception is not None and error.exception.data is not None
    assert str(codec.decode(error.exception.data)) == lone


@pytest.mark.parametrize(
    "code, message, exitcode",
    [
        (3, "sys.exit(3)", 3), (None, "sys.exit()", 0), ("bye", "sys.exit('bye')", 1), (True, "sys.exit(True)", 1),
        (10**30, f"sys.exit({10**30})", 255), ("\udce9", r"sys.exit('\udce9')", 1),
    ],
)  # fmt: skip
def test_sys_exit(pool: RunnerPool, code: object, message: str, exitcode: int) -> None:
    def leave(code: object) -> None:
        import sys

        sys.exit(code)  # type: ignore[arg-type]

    maker = PackMaker()
    maker.add(leave, code)
    maker.add(fine, Lit(1))
    heard = run(pool, maker)
    error = failed(heard).error
    assert error is not None
    assert (error.type, error.message, error.exitcode) == ("SystemExit", message, exitcode)
    assert heard.value(1) == 2


def test_sys_exit_with_an_object_that_cannot_be_shown(pool: RunnerPool) -> None:
    def leave() -> None:
        class Nasty:
            def __repr__(self) -> str:
                raise RuntimeError("no")

        raise SystemExit(Nasty())

    maker = PackMaker()
    maker.add(leave)
    error = failed(run(pool, maker)).error
    assert error is not None and error.message == "sys.exit((its __repr__ raised RuntimeError))"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, BaseException])
def test_base_exceptions(pool: RunnerPool, kind: type[BaseException]) -> None:
    def leave(kind: type[BaseException]) -> None:
        raise kind("so")

    maker = PackMaker()
    maker.add(leave, kind)
    maker.add(fine, Lit(1))
    heard = run(pool, maker)
    error = failed(heard).error
    assert error is not None and (error.type, error.message) == (kind.__name__, "so")
    assert heard.value(1) == 2


def test_unpicklable_result(pool: RunnerPool) -> None:
    def opened() -> Any:
        return {"a": [open("/dev/null")]}

    maker = PackMaker()
    maker.add(opened)
    error = failed(run(pool, maker)).error
    assert error is not None and error.cause == "encode"
    assert "opened (node 0)" in error.message and "'a'" in error.message


def test_generator_is_refused(pool: RunnerPool) -> None:
    def numbers() -> Any:
        yield 1

    maker = PackMaker()
    maker.add(numbers)
    error = failed(run(pool, maker)).error
    assert error is not None and error.cause == "encode" and "generator" in error.message


def test_os_exit(pool: RunnerPool) -> None:
    def leave() -> None:
        import os

        print("last words", flush=True)
        os._exit(7)

    maker = PackMaker()
    maker.add(fine, Lit(0))
    maker.add(leave, node=12)
    maker.add(fine, Lit(5), node=13)
    heard = run(pool, maker)
    outcome = failed(heard, 12)
    assert outcome.error is not None
    assert outcome.error.message == "leave (node 12) ended its process with exit code 7"
    assert (outcome.error.type, outcome.error.exitcode, outcome.error.cause) == ("ElectronCrashed", 7, "crashed")
    assert outcome.stdout.text == "last words\n"
    assert outcome.worker and outcome.started
    assert heard.value(0) == 1
    assert heard.returned == [13]


def test_segfault(pool: RunnerPool) -> None:
    def crash() -> None:
        import ctypes

        ctypes.string_at(0)

    maker = PackMaker()
    maker.add(crash, name="train")
    maker.add(fine, Lit(1))
    heard = run(pool, maker)
    outcome = failed(heard)
    assert outcome.error is not None
    assert outcome.error.message == "train (node 0) was killed by SIGSEGV"
    assert (outcome.error.signal, outcome.error.cause) == ("SIGSEGV", "crashed")
    assert "in crash" in outcome.stderr.text  # where Python was
    assert heard.returned == [1]


def test_forks_and_the_child_goes_on(pool: RunnerPool) -> None:
    def fork() -> int:
        import os

        pid = os.fork()
        return pid and os.waitpid(pid, 0)[1]

    maker = PackMaker()
    for _ in range(3):
        maker.add(fork)
    maker.add(fine, Lit(1))
    heard = run(pool, maker)
    assert [heard.value(node) for node in range(4)] == [0, 0, 0, 2]


def test_forked_child_that_raises_or_lingers(pool: RunnerPool) -> None:
    def fork_and_raise() -> int:
        import os
        import time

        if os.fork() == 0:
            raise ValueError("in the child")
        if (pid := os.fork()) == 0:
            time.sleep(100)
        return pid

    maker = PackMaker()
    maker.add(fork_and_raise)
    maker.add(fine, Lit(1))
    heard = run(pool, maker)
    pid = heard.value(0)
    assert heard.value(1) == 2
    assert start_time(pid) is not None
    pool.release(maker.root)
    assert gone(pid)


def test_daemon_that_left_the_session(pool: RunnerPool) -> None:
    def daemonise_and_crash(path: str) -> None:
        import os
        import subprocess
        import sys

        code = "import os, time; os.setsid(); p = os.fork()\nif p: print(p, flush=True); os._exit(0)\ntime.sleep(100)"
        with open(path, "wb") as file:
            subprocess.run([sys.executable, "-c", code], stdout=file)
        os.abort()

    maker = PackMaker()
    maker.add(daemonise_and_crash, path := str(Path(pool._scratch) / "pid"))
    error = failed(run(pool, maker)).error
    assert error is not None and error.signal == "SIGABRT"
    assert start_time(int(Path(path).read_text())) is None  # gone before anybody was told


@pytest.mark.parametrize("stubborn", [False, True])
def test_timeout(pool: RunnerPool, stubborn: bool) -> None:
    def sleep(stubborn: bool) -> None:
        import signal
        import time

        if stubborn:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("sleeping")
        while True:
            time.sleep(1)

    maker = PackMaker()
    maker.add(sleep, stubborn, options=Options(timeout=1.5))
    maker.add(fine, Lit(1))
    begun = time.monotonic()
    heard = run(pool, maker)
    assert time.monotonic() - begun >= 1.5
    outcome = failed(heard)
    assert outcome.error is not None
    assert outcome.error.message == "sleep (node 0) ran longer than its timeout of 1.5 s"
    assert (outcome.error.type, outcome.error.cause) == ("ElectronTimeout", "timeout")
    assert outcome.stdout.text == "sleeping\n"
    assert heard.returned == [1]


def test_memory_limit(pool: RunnerPool) -> None:
    def grow() -> None:
        import time

        kept = []
        while True:
            kept.append(bytearray(b"x" * 10_000_000))
            time.sleep(0.005)

    maker = PackMaker()
    maker.add(grow, options=Options(resources={"memory": "200MB"}))
    outcome = failed(run(pool, maker))
    assert outcome.error is not None
    assert (outcome.error.type, outcome.error.cause) == ("MemoryLimitExceeded", "memory")
    assert "more than its limit of 200.0 MB" in outcome.error.message


def test_memory_of_grandchildren_counts(pool: RunnerPool) -> None:
    def grow() -> None:
        import subprocess
        import sys

        subprocess.run([sys.executable, "-c", "import time; x = bytearray(b'x' * 300_000_000); time.sleep(100)"])

    maker = PackMaker()
    maker.add(grow, options=Options(resources={"memory": 200_000_000}))
    error = failed(run(pool, maker)).error
    assert error is not None and error.cause == "memory"


def test_cancel_a_loop_that_ignores_sigterm_with_grandchildren(pool: RunnerPool) -> None:
    def hang(path: str) -> None:
        import os
        import signal
        import subprocess

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["sh", "-c", "trap '' TERM; while true; do sleep 1; done"])
        with open(path + ".new", "w") as file:
            file.write(f"{os.getpid()} {child.pid}")
        os.rename(path + ".new", path)
        while True:
            pass

    maker = PackMaker()
    path = Path(pool._scratch) / "pids"
    maker.add(hang, str(path))
    maker.add(fine, Lit(1))
    pack = maker.pack(budget=0.05)
    heard, thread = start(pool, pack)
    heard.wait_for(lambda heard: heard.returned == [1])
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    assert pool.cancel([(pack.dispatch_id, 0, 1)], grace=0.2) == []
    thread.join(60)
    assert heard.outcomes[0].status == "cancelled"
    assert all(start_time(int(pid)) is None for pid in path.read_text().split())


def test_cancel_lets_finally_run(pool: RunnerPool, tmp_path: Path) -> None:
    def careful(path: str) -> None:
        import time

        try:
            print("begun")
            time.sleep(100)
        finally:
            with open(path, "w") as file:
                file.write("tidy")

    maker = PackMaker()
    maker.add(careful, str(tmp_path / "done"))
    pack = maker.pack()
    heard, thread = start(pool, pack)
    heard.wait_for(lambda heard: bool(heard.grown))
    begun = time.monotonic()
    pool.cancel([(pack.dispatch_id, 0, 1)], grace=50)
    thread.join(60)
    assert time.monotonic() - begun < 40  # it did not wait for the grace time to pass
    assert heard.outcomes[0].status == "cancelled"
    assert heard.outcomes[0].stdout.text == "begun\n"
    assert (tmp_path / "done").read_text() == "tidy"


@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_a_cell_that_is_stopped_hands_out_what_it_had_assigned(
    pool: RunnerPool, monkeypatch: pytest.MonkeyPatch, how: str, stubborn: bool
) -> None:
    monkeypatch.setattr(feeder, "_GRACE", 0.2 if stubborn else 20.0)  # seconds

    def cell(stubborn: bool) -> Any:
        """As the function of a cell of ``%%dispatch``."""
        import time

        from covalent_jupyter.worker.cell import Running

        scope: dict[str, Any] = {}
        with Running(scope, ["rows", "later"]) as run:
            scope["rows"] = [1, 2]
            print("begun", flush=True)
            while True:
                try:
                    time.sleep(0.01)
                except SystemExit:
                    if not stubborn:
                        raise
        return run.names

    maker = PackMaker()
    maker.add(cell, stubborn, options=Options(timeout=2.0 if how == "timeout" else None))
    pack = maker.pack()
    heard, thread = start(pool, pack)
    if how == "cancel":
        heard.wait_for(lambda heard: bool(heard.grown))
        pool.cancel([(pack.dispatch_id, 0, 1)], grace=0.2 if stubborn else 20)
    thread.join(60)
    outcome = heard.outcomes[0]
    assert outcome.status == ("failed" if how == "timeout" else "cancelled") and outcome.stdout.text == "begun\n"
    if how == "timeout":
        assert outcome.error is not None and outcome.error.cause == "timeout" and "2 s" in outcome.error.message
    if stubborn:
        assert outcome.output is None and (outcome.error is None or not outcome.error.left)
        return
    assert outcome.output is not None and outcome.output.data is not None and outcome.error is not None
    assert outcome.error.left == outcome.output.digest
    assert codec.decode(outcome.output.data) == {"rows": [1, 2]}


def test_a_cell_that_stores_its_names_gets_the_time_for_it(pool: RunnerPool) -> None:
    def cell() -> Any:
        import time

        from covalent_jupyter.worker.cell import Running

        class Slow:
            """Takes longer to be pickled than the grace time."""

            def __reduce__(self) -> Any:
                time.sleep(3.0)
                return (int, (3,))

        scope: dict[str, Any] = {}
        with Running(scope, ["kept"]) as run:
            scope["kept"] = Slow()
            print("begun", flush=True)
            time.sleep(100)
        return run.names

    maker = PackMaker()
    maker.add(cell)
    pack = maker.pack()
    heard, thread = start(pool, pack)
    heard.wait_for(lambda heard: bool(heard.grown))
    pool.cancel([(pack.dispatch_id, 0, 1)], grace=1.5)
    thread.join(60)
    outcome = heard.outcomes[0]
    assert outcome.status == "cancelled" and outcome.output is not None and outcome.output.data is not None
    assert codec.decode(outcome.output.data) == {"kept": 3}


def test_cancel_before_it_begins(pool: RunnerPool, tmp_path: Path) -> None:
    def wait_for(path: str) -> None:
        import os
        import time

        while not os.path.exists(path):
            time.sleep(0.01)

    maker = PackMaker()
    flag = tmp_path / "go"
    maker.add(wait_for, str(flag))
    maker.add(fine, Lit(1))
    maker.add(fine, Lit(2))
    pack = maker.pack(budget=60.0)
    heard, thread = start(pool, pack)
    heard.wait_for(lambda heard: heard.began == [0])
    assert pool.cancel([(pack.dispatch_id, 1, 1), ("elsewhere", 1, 1)]) == [("elsewhere", 1, 1)]
    heard.wait_for(lambda heard: 1 in heard.outcomes)
    flag.touch()
    thread.join(60)
    assert heard.outcomes[1].status == "cancelled"
    assert heard.outcomes[0].status == "completed"
    assert heard.returned == [2]


def test_what_finished_first_stands(pool: RunnerPool) -> None:
    maker = PackMaker()
    maker.add(fine, Lit(1))
    pack = maker.pack()
    heard = Heard()
    pool.run_pack(pack, heard)
    assert pool.cancel([(pack.dispatch_id, 0, 1)]) == [(pack.dispatch_id, 0, 1)]
    assert heard.outcomes[0].status == "completed"


def test_overrun_and_revoke_give_the_tail_back(pool: RunnerPool, tmp_path: Path) -> None:
    def wait_for(path: str) -> int:
        import os
        import time

        while not os.path.exists(path):
            time.sleep(0.01)
        return 1

    for budget in (0.05, 60.0):
        flag = tmp_path / str(budget)
        maker = PackMaker()
        maker.add(wait_for, str(flag))
        for number in range(5):
            maker.add(fine, Lit(number))
        pack = maker.pack(budget=budget)
        heard, thread = start(pool, pack)
        heard.wait_for(lambda heard: heard.began == [0])
        if budget == 60.0:
            assert heard.returned == []
            assert pool.revoke(pack.pack_id)
        heard.wait_for(lambda heard: bool(heard.returned))
        assert heard.outcomes == {}
        flag.touch()
        thread.join(60)
        assert heard.value(0) == 1
        assert heard.returned == [1, 2, 3, 4, 5]
    assert not pool.revoke("unknown")


def test_input_and_breakpoint_raise(pool: RunnerPool) -> None:
    def ask() -> Any:
        return input("name?")

    def stop() -> None:
        breakpoint()

    def read() -> str:
        import sys

        return sys.stdin.readline()

    maker = PackMaker()
    for function in (ask, stop, read):
        maker.add(function)
    heard = run(pool, maker)
    for node in range(3):
        error = failed(heard, node).error
        assert error is not None and ".call()" in error.message and "inline=True" in error.message


def test_selector_that_does_not_fit(pool: RunnerPool) -> None:
    def pair() -> tuple[int, int]:
        return 1, 2

    maker = PackMaker()
    maker.add(pair)
    maker.add(fine, Ref(0, (("item", 5),)), name="train")
    error = failed(run(pool, maker), 1).error
    assert error is not None
    assert "train (node 1) in lattice flow, line 11" in error.message and "[5]" in error.message


def test_missing_blob(pool: RunnerPool, tmp_path: Path) -> None:
    maker = PackMaker()
    maker.add(fine, Lit(1))
    maker.values.clear()
    error = failed(run(pool, maker, blob_root=str(tmp_path))).error
    assert error is not None and error.cause == "decode" and "missing" in error.message


def test_a_killed_runner_names_the_signal(pool: RunnerPool) -> None:
    def suicide() -> None:
        import os
        import signal

        os.killpg(0, signal.SIGKILL)

    maker = PackMaker()
    maker.add(suicide)
    error = failed(run(pool, maker)).error
    assert error is not None and error.signal == signal.SIGKILL.name and error.cause == "crashed"


def test_closes_every_descriptor(pool: RunnerPool) -> None:
    def close() -> None:
        import os

        os.closerange(0, 3)

    def printing() -> int:
        print("still there")
        return 1

    maker = PackMaker()
    maker.add(close)
    maker.add(printing)
    heard = run(pool, maker)
    assert heard.value(0) is None
    assert heard.value(1) == 1 and heard.outcomes[1].stdout.text == "still there\n"
