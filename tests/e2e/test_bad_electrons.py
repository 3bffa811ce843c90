"""Whatever one electron does, it is named, it hurts nobody else, and the next dispatch works."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter import errors
from covalent_jupyter.client.rest import connect
from covalent_jupyter.launch import is_alive


def run(function: Callable[..., Any], executor: str, *args: Any, timeout: float = 120.0, **options: Any) -> ct.Result:
    """One electron beside a harmless one; the harmless one must always complete."""
    electron = ct.electron(function, executor=executor, **options)
    neighbour = ct.electron(lambda: "fine", executor=executor)

    @ct.lattice
    def pair(*values: Any) -> Any:
        return electron(*values), neighbour()

    result = ct.get_result(ct.dispatch(pair)(*args), wait=True, timeout=timeout)
    assert str(result.electrons[1].status) == "COMPLETED", result.electrons[1].error
    assert result.electrons[1].value == "fine"
    return result


def raises() -> None:
    raise ValueError("no such thing")


def exits() -> None:
    sys.exit(3)


def dies() -> None:
    os._exit(7)


def segfaults() -> None:
    ctypes.string_at(0)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def gives_a_lock() -> Any:
    return {"model": [threading.Lock()]}


class BadText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


def raises_what_has_no_text() -> None:
    raise BadText


def asks() -> str:
    return input("who? ")


def test_a_raised_exception_is_the_first_thing_said(executor: str) -> None:
    result = run(raises, executor)
    assert str(result.status) == "FAILED"
    assert "ValueError: no such thing" in str(result.error) and "raises" in str(result.error)
    with pytest.raises(ValueError, match="no such thing"):
        _ = result.value


def test_sys_exit_is_a_failure_of_the_electron(executor: str) -> None:
    assert "SystemExit" in str(run(exits, executor).error)


@pytest.mark.parametrize(
    ("function", "said"),
    [(dies, "exit code 7"), (segfaults, "SIGSEGV"), (killed, "SIGKILL")],
    ids=["exit", "segv", "kill"],
)
def test_a_crash_names_the_electron_and_the_signal(executor: str, function: Callable[[], None], said: str) -> None:
    result = run(function, executor)
    error = str(result.error)
    assert said in error and function.__name__ in error, error
    with pytest.raises(errors.ElectronCrashed):
        _ = result.value


def test_a_crash_is_retried_and_the_neighbour_is_not(executor: str, tmp_path: Path) -> None:
    def once(folder: str) -> int:
        tries = len(os.listdir(folder))
        Path(folder, str(tries)).touch()
        if tries < 2:
            os._exit(1)
        return tries

    result = run(once, executor, str(tmp_path), retries=2)
    assert result.electrons[0].value == 2 and result.electrons[0].attempt == 3 and result.electrons[1].attempt == 1


def test_what_cannot_be_pickled_is_named_with_its_path(executor: str) -> None:
    error = str(run(gives_a_lock, executor).error)
    assert "lock" in error and "model" in error, error


def test_an_exception_without_text_is_still_reported(executor: str) -> None:
    assert "BadText" in str(run(raises_what_has_no_text, executor).error)


def test_input_raises_at_once(executor: str) -> None:
    assert "input" in str(run(asks, executor).error)


def test_a_timeout_ends_it(executor: str) -> None:
    electron = ct.electron(lambda: time.sleep(240), executor=executor, timeout=0.5)
    start = time.monotonic()
    result = ct.get_result(ct.dispatch(ct.lattice(lambda: electron()))(), wait=True, timeout=120)
    assert "0.5" in str(result.error) and time.monotonic() - start < 120
    with pytest.raises(errors.ElectronTimeout):
        _ = result.value


def test_a_flood_of_output_is_capped(executor: str) -> None:
    def flood() -> str:
        for i in range(300_000):
            print(f"{i:0100d}")
        return "done"

    result = run(flood, executor)
    assert result.electrons[0].value == "done"
    text = result.electrons[0].stdout
    assert len(text) < 12_000_000 and text.startswith("0" * 100) and text.rstrip().endswith("299999")


def test_a_redefined_stdout_stays_with_the_electron(executor: str) -> None:
    def redefines() -> str:
        sys.stdout = open(os.devnull, "w")
        return "mine"

    def prints() -> None:
        print("heard")

    assert run(redefines, executor).electrons[0].value == "mine"
    assert "heard" in run(prints, executor).electrons[0].stdout


def test_a_fork_that_lives_on_is_ended(executor: str, tmp_path: Path) -> None:
    def forks(folder: str) -> int:
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
            os._exit(0)
        return pid

    pid = run(forks, executor, str(tmp_path)).electrons[0].value
    deadline = time.monotonic() + 60
    while is_alive(pid):
        assert time.monotonic() < deadline, "the electron's child still runs"
        time.sleep(0.05)


def test_memory_beyond_the_limit_is_refused_by_name(executor: str) -> None:
    def greedy() -> int:
        data = bytearray()
        for _ in range(200):
            data += b"x" * 10_000_000
            time.sleep(0.02)
        return len(data)

    result = run(greedy, executor, resources={"memory": "300MB"})
    assert "memory" in str(result.error).lower(), result.error


def test_cancel_stops_code_that_runs(executor: str, tmp_path: Path) -> None:
    def stubborn(folder: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            Path(folder, "beat").write_text(str(time.monotonic()))
            time.sleep(0.01)

    electron = ct.electron(stubborn, executor=executor)
    dispatch_id = ct.dispatch(ct.lattice(lambda folder: electron(folder)))(str(tmp_path))
    beat = tmp_path / "beat"
    deadline = time.monotonic() + 90
    while not beat.exists():
        assert time.monotonic() < deadline, ct.get_result(dispatch_id).error
        time.sleep(0.01)
    ct.cancel(dispatch_id)
    result = ct.get_result(dispatch_id, wait=True, timeout=60)
    assert str(result.status) == "CANCELLED"
    last = beat.read_text()
    time.sleep(0.2)
    assert beat.read_text() == last, "it still runs after CANCELLED"


def test_on_a_user_s_executor_a_killer_is_named_and_its_neighbour_completes(place: Path, tmp_path: Path) -> None:
    class InMyProcess(ct.executor.BaseExecutor):
        def run(self, function: Any, args: Any, kwargs: Any, task_metadata: Any) -> Any:
            return function(*args, **kwargs)

    def waits_and_dies(folder: str) -> None:
        with open(Path(folder, "runs"), "a") as file:
            file.write("x")
        while not Path(folder, "beside").exists():
            time.sleep(0.01)
        os._exit(9)

    def goes_on(folder: str) -> str:
        Path(folder, "beside").touch()
        time.sleep(0.3)
        return "fine"

    mine = InMyProcess()
    killer, neighbour = ct.electron(waits_and_dies, executor=mine), ct.electron(goes_on, executor=mine)

    @ct.lattice
    def pair(folder: str) -> Any:
        return killer(folder), neighbour(folder)

    result = ct.get_result(ct.dispatch(pair)(str(tmp_path)), wait=True, timeout=120)
    assert result.electrons[1].value == "fine"
    assert "ElectronCrashed" in str(result.error) and "exit code 9" in str(result.error)
    assert Path(tmp_path, "runs").read_text() == "xx"  # once beside the other, once alone


def test_every_attempt_is_recorded_with_its_output(executor: str, tmp_path: Path) -> None:
    def flaky(folder: str) -> str:
        attempt = ct.get_context().attempt
        print(f"this is attempt {attempt}")
        if attempt < 3:
            raise RuntimeError(f"not in attempt {attempt}")
        return "at last"

    result = run(flaky, executor, str(tmp_path), retries=2)
    assert result.electrons[0].value == "at last"
    attempts = ct.get_result(result.dispatch_id).electrons[0].attempts
    assert [a["status"] for a in attempts] == ["FAILED", "FAILED", "COMPLETED"]
    assert [a["stdout"][0].strip() for a in attempts] == [f"this is attempt {n}" for n in (1, 2, 3)]
    assert connect().stream(result.dispatch_id, 0, "stdout", attempt=2)[0] == "this is attempt 2\n"
    assert "not in attempt 1" in attempts[0]["error"]["message"] and attempts[0]["worker"]


DISPATCHES_AT_IMPORT = """
import sys
import covalent_jupyter as ct


class Here(ct.executor.BaseExecutor):
    def run(self, function, args, kwargs, task_metadata):
        return function(*args, **kwargs)


@ct.electron(executor={executor})
def square(x):
    return x * x


result = ct.get_result(ct.dispatch(ct.lattice(square))(3), wait=True, timeout=100)
print(result.status, result.error)
"""


@pytest.mark.parametrize("executor", ["'local'", "Here()"])
def test_a_module_that_dispatches_when_it_is_imported(executor: str, place: Path, tmp_path: Path) -> None:
    """Its electron imports it, which would dispatch it again, and wait for that."""
    (tmp_path / "steps.py").write_text(DISPATCHES_AT_IMPORT.replace("{executor}", executor))
    before = len(ct.dispatches(pandas=False))
    done = subprocess.run(
        [sys.executable, "-c", "import steps"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.startswith("FAILED"), done.stdout + done.stderr
    assert "steps (line 16) dispatches when it is imported" in done.stdout
    assert 'under `if __name__ == "__main__":`' in done.stdout
    assert len(ct.dispatches(pandas=False)) == before + 1
