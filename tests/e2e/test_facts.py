"""What is recorded of real dispatches: attempts, inputs, results, reports; also when the service is killed meanwhile."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter import launch

from ..waiting import wait_for

pytestmark = pytest.mark.timeout(300)


def ask(place: Path, path: str) -> Any:
    status, answer = launch.call(launch.ensure_running(place), "GET", path, timeout=30)
    assert status == 200, answer
    return answer


def rows(query: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in ct.sql(query, pandas=False)]


@ct.electron(retries=2)
def train(C: float, gamma: float = 0.1, fails: int = 0) -> dict[str, Any]:
    attempt = ct.get_context().attempt
    print("attempt", attempt)
    if attempt <= fails:
        if attempt == 1:
            raise ValueError(f"attempt {attempt}")
        os.kill(os.getpid(), signal.SIGKILL)
    return {"acc": C * gamma, "kernel": "rbf"}


@ct.electron
def score(model: dict[str, Any]) -> float:
    return float(model["acc"])


def test_attempts_inputs_and_results_of_a_real_dispatch(place: Path, executor: str) -> None:
    @ct.lattice(executor=executor)
    def fit(C: float, fails: int) -> Any:
        model = train(C, fails=fails)
        return {"score": score(model), "model": model}

    dispatch_id = ct.dispatch(fit, tags=["facts"])(2.0, 2)
    assert dispatch_id.wait(90) == "COMPLETED"
    attempts = ask(place, f"dispatches/{dispatch_id}/attempts")["attempts"]
    assert [(a["name"], a["attempt"], a["status"]) for a in attempts] == [
        ("train", 1, "FAILED"), ("train", 2, "FAILED"), ("train", 3, "COMPLETED"), ("score", 1, "COMPLETED")
    ]  # fmt: skip
    assert [a["error_type"] for a in attempts] == ["ValueError", "ElectronCrashed", "", ""]
    assert attempts[1]["signal"] == "SIGKILL" and attempts[1]["cause"] == "crashed"
    for a in attempts:
        assert a["queued"] <= a["started"] <= a["ended"] and a["executor"] == executor and a["host"] and a["worker"]
    assert attempts[0]["ended"] <= attempts[1]["queued"]
    electron = ask(place, f"dispatches/{dispatch_id}/electrons/0")
    assert [a["stdout"][0] for a in electron["attempts"]] == ["attempt 1\n", "attempt 2\n", "attempt 3\n"]

    assert rows(
        f"SELECT node, name, kind, number FROM inputs WHERE dispatch_id = '{dispatch_id}' ORDER BY node NULLS FIRST, name"
    ) == [
        (None, "C", "value", 2.0), (None, "fails", "value", 2.0),
        (0, "C", "literal", 2.0), (0, "fails", "literal", 2.0), (1, "model", "node", None),
    ]  # fmt: skip
    (run,) = ask(place, "runs?lattice=fit&limit=1")["runs"]
    assert run["inputs"] == {"C": 2.0, "fails": 2}
    assert run["results"] == {"score": 0.2, "model.acc": 0.2, "model.kernel": "rbf"}


def test_the_result_of_a_sublattice_is_a_column(place: Path) -> None:
    @ct.electron
    @ct.lattice
    def inner(C: float) -> Any:
        return score(train(C))

    @ct.lattice(executor="local")
    def outer(C: float) -> Any:
        return inner(C)

    dispatch_id = ct.dispatch(outer)(5.0)
    assert dispatch_id.wait(90) == "COMPLETED"
    assert ask(place, "runs?lattice=outer")["runs"][0]["results"] == {"result": 0.5}


def test_reports_are_live_and_survive_the_service(place: Path, executor: str, tmp_path: Path) -> None:
    @ct.electron
    def learn(folder: str) -> None:
        from pathlib import Path

        import covalent_jupyter as ct

        for step in ct.progress(range(30), name="learning"):
            ct.report(step=step, loss=1.0 / (1 + step), phase="warm" if step < 10 else "hot")
            while not (Path(folder) / str(step // 10)).exists():
                time.sleep(0.02)

    @ct.lattice(executor=executor)
    def learning(folder: str) -> Any:
        return learn(folder)

    def steps() -> list[int]:
        found = ask(place, f"dispatches/{dispatch_id}/electrons/0/metrics")["series"].get("loss", [])
        return [int(point[0]) for point in found]

    dispatch_id = ct.dispatch(learning)(str(tmp_path))
    wait_for(lambda: steps() == [0])
    (tmp_path / "0").touch()
    wait_for(lambda: len(steps()) == 11)
    live = wait_for(lambda: ask(place, f"dispatches/{dispatch_id}/metrics")["electrons"])[0]
    assert live["status"] == "RUNNING" and live["total"] == 11
    bar = wait_for(lambda: ask(place, f"dispatches/{dispatch_id}/electrons/0/metrics")["bar"])
    assert (bar["total"], bar["name"]) == (30, "learning")
    (running,) = ask(place, f"dispatches/{dispatch_id}/attempts")["attempts"]
    assert running["status"] == "RUNNING" and running["queued"] <= running["started"] and running["ended"] is None

    os.kill(launch.ensure_running(place).pid, signal.SIGKILL)
    (tmp_path / "1").touch()
    assert wait_for(lambda: len(steps()) == 21), "the electron went on; a new service has all of it"
    (tmp_path / "2").touch()
    assert dispatch_id.wait(60) == "COMPLETED"
    assert steps() == list(range(30))
    found = rows(
        f"SELECT name, count(*), count(DISTINCT step) FROM metrics WHERE dispatch_id = '{dispatch_id}' "
        "GROUP BY name ORDER BY name"
    )
    assert found == [("loss", 30, 30), ("phase", 30, 30), ("step", 30, 30)], "each once"
    end = ask(place, f"dispatches/{dispatch_id}/electrons/0/metrics")
    assert (end["attempt"], end["bar"]["done"], end["bar"]["total"]) == (1, 30, 30)
    assert end["last"] == {"step": 29, "loss": pytest.approx(1 / 30), "phase": "hot"}
