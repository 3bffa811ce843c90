"""Kill anything: nothing recorded is lost, and the rest resumes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

import covalent_jupyter as ct
from covalent_jupyter import launch

from ..waiting import wait_for

LATTICE = """
import sys, time
import covalent_jupyter as ct

executor, folder = sys.argv[1:]

@ct.electron(executor=executor)
def load():
    from sklearn.datasets import load_wine
    return load_wine(return_X_y=True)

@ct.electron(executor=executor)
def split(data, seed):
    from sklearn.model_selection import train_test_split
    return train_test_split(*data, random_state=seed)

@ct.electron(executor=executor)
def train(parts, c):
    import os, time
    from pathlib import Path
    from sklearn.svm import SVC
    Path(folder, f"{c}.{os.getpid()}").touch()
    time.sleep(0.5)
    return SVC(C=c).fit(parts[0], parts[2])

@ct.electron(executor=executor)
def score(model, parts):
    return float(model.score(parts[1], parts[3]))

@ct.electron(executor=executor)
def best(scores):
    return max(scores, key=scores.get), scores

@ct.lattice
def tune(seed, candidates):
    parts = split(load(), seed)
    return best({c: score(train(parts, c), parts) for c in candidates})

print(ct.dispatch(tune)(1, [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]), flush=True)
"""

FETCH = """
import sys
import covalent_jupyter as ct
best, scores = ct.get_result(sys.argv[1], wait=True, timeout=200).value
assert len(scores) == 6 and best == max(scores, key=scores.get) and scores[best] > 0.6, scores
print("fetched", best)
"""


def python(code: str, *args: str) -> str:
    """Runs code in a process of its own: a kernel that is shut down afterwards."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *args], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def hosts_of(store: Path) -> list[psutil.Process]:
    """The executor hosts of this store."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if "covalent_jupyter.executors.host" in line and str(store) in line:
            found.append(process)
    return found


def test_the_main_job_survives_the_kernel_and_the_service(executor: str, place: Path, tmp_path: Path) -> None:
    dispatch_id = python(LATTICE, executor, str(tmp_path))  # that kernel is gone now
    wait_for(lambda: len(list(tmp_path.iterdir())) >= 2)
    connection = launch.read_connection(place)
    assert connection is not None
    os.kill(connection.pid, signal.SIGKILL)
    assert "fetched" in python(FETCH, dispatch_id)
    result = ct.get_result(dispatch_id)
    attempts = [e.attempt for e in result.electrons]
    assert set(attempts) == {1}, f"the host lived on, so nothing was to be run again: {attempts}"
    ran = [name.name.rpartition(".")[0] for name in tmp_path.iterdir()]
    assert sorted(ran) == sorted(set(ran)), "an electron ran twice"


def test_what_a_killed_host_had_begun_runs_again(executor: str, place: Path, tmp_path: Path) -> None:
    dispatch_id = python(LATTICE, executor, str(tmp_path))
    wait_for(lambda: len(list(tmp_path.iterdir())) >= 2)
    for host in hosts_of(place):
        host.kill()
    assert "fetched" in python(FETCH, dispatch_id)


def test_service_and_host_killed_together(executor: str, place: Path, tmp_path: Path) -> None:
    dispatch_id = python(LATTICE, executor, str(tmp_path))
    wait_for(lambda: len(list(tmp_path.iterdir())) >= 2)
    connection = launch.read_connection(place)
    assert connection is not None
    os.kill(connection.pid, signal.SIGKILL)
    for host in hosts_of(place):
        host.kill()
    assert "fetched" in python(FETCH, dispatch_id)


def test_an_outcome_that_came_while_the_service_was_down_is_adopted(executor: str, place: Path, tmp_path: Path) -> None:
    def slow(folder: str) -> str:
        with open(os.path.join(folder, "runs"), "a") as runs:
            runs.write("x")
        time.sleep(1.0)
        return "once"

    electron = ct.electron(slow, executor=executor)
    dispatch_id = ct.dispatch(ct.lattice(lambda folder: electron(folder)))(str(tmp_path))
    wait_for(lambda: (tmp_path / "runs").exists())
    connection = launch.read_connection(place)
    assert connection is not None
    os.kill(connection.pid, signal.SIGKILL)
    wait_for(lambda: not launch.is_alive(connection.pid))
    time.sleep(1.5)  # it ends while nobody listens
    assert ct.get_result(dispatch_id, wait=True, timeout=60).value == "once"
    assert (tmp_path / "runs").read_text() == "x"


def test_an_electron_that_must_not_be_repeated_fails_as_interrupted(executor: str, place: Path, tmp_path: Path) -> None:
    def slow(folder: str) -> None:
        (Path(folder) / "began").touch()
        time.sleep(60)

    electron = ct.electron(slow, executor=executor, on_interrupt="fail")
    dispatch_id = ct.dispatch(ct.lattice(lambda folder: electron(folder)))(str(tmp_path))
    wait_for(lambda: (tmp_path / "began").exists())
    time.sleep(0.3)  # 'begin' reaches the service
    for host in hosts_of(place):
        host.kill()
    result = ct.get_result(dispatch_id, wait=True, timeout=60)
    assert str(result.status) == "FAILED" and "cut off" in str(result.error)


@pytest.mark.parametrize("which", ["host", "service"])
def test_no_process_is_left_behind(place: Path, which: str) -> None:
    ct.dispatch_sync(ct.lattice(lambda: ct.electron(int, executor="local")(1)))()
    (host,) = hosts_of(place)
    family = [host, *host.children(recursive=True)]
    if which == "host":
        host.kill()
    else:
        ct.covalent_stop()  # the host had nothing to do, so it goes too
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive, alive
