"""Attempts, metrics, runs of a lattice and the views for SQL over REST, from a store that was filled before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from covalent_jupyter import launch
from covalent_jupyter.model import Error, Log, Output, Preview, Status
from covalent_jupyter.model.views import AttemptRow
from covalent_jupyter.store import Batch, Metric, Store

from ..store.records import digest, dispatch, electron
from .conftest import Client

IDS = [f"{i:08x}-0000-4000-8000-000000000000" for i in range(1, 6)]
CHILD = "0000000c-0000-4000-8000-000000000000"


def filled(folder: Path) -> None:
    """Four runs of one lattice and one of another; the first has electrons that reported."""
    a = IDS[0]
    rows = [
        dispatch(
            each, status=Status.COMPLETED, lattice="svm" if i < 4 else "other", name=f"run {i}", created=1000.0 + i,
            started=1001.0 + i, ended=1003.5 + i, inputs={"C": repr(0.1 * 10**i), "kernel": "'rbf'", "data": "DataFrame"},
            results={"result": i / 4} if i else {"acc": 0.5, "loss": 2}, tags=["grid"] + ["fine"] * (i == 2),
        )
        for i, each in enumerate(IDS)
    ]  # fmt: skip
    child = dispatch(CHILD, status=Status.COMPLETED, lattice="svm", root_id=a, parent_id=a, parent_node=1)
    trained = electron(
        a, 0, attempt=2, status=Status.COMPLETED, queued=9.0, started=10.0, ended=20.0, output=Output(digest(1), 9),
        preview=Preview("float", "0.5", scalar=0.5, mime={"text/html": "<table></table>"}),
        progress={"done": 3, "total": 4, "elapsed": 1.5, "report": {"loss": 0.25, "phase": "warm"}},
    )  # fmt: skip
    first = AttemptRow(
        a, 0, 1, "train", "INTERRUPTED", "dask", "h1", "box:1", 1.0, 2.0, 8.0, None, 5,
        Error("ElectronInterrupted", "cut off", cause="interrupted"), Log("early\n", 6), Log(),
    )  # fmt: skip
    metrics = [
        Metric(a, 0, 2, step, 10.0 + step, "loss", 1.0 / (1 + step), None) for step in range(2000)
    ] + [Metric(a, 0, 1, 0, 3.0, "loss", 7.0, None), Metric(a, 0, 2, 1999, 12.0, "phase", None, "warm")]  # fmt: skip
    with Store.open(folder) as store:
        store.append(
            Batch(
                events=[(each, "closed", b"{}") for each in IDS], dispatches=[*rows, child],
                electrons=[trained, electron(a, 1), electron(a, 2, status=Status.RUNNING, queued=5.0, started=6.0)],
                attempts=[first], metrics=metrics,
            )
        ).result(20)  # fmt: skip


@pytest.fixture(scope="module")
def ask(jupyter_dirs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("facts") / "store"
    filled(folder)
    yield Client(launch.ensure_running(folder))
    launch.stop(folder, 60)


def test_rows_come_without_pictures_where_they_are_not_wanted(ask: Client) -> None:
    page = f"dispatches/{IDS[0]}/electrons"
    assert ask("GET", page).json()["electrons"][0]["preview"]["mime"] == {"text/html": "<table></table>"}
    thin = ask("GET", f"{page}?pictures=false").json()["electrons"]
    assert (len(thin), thin[0]["preview"]) == (3, {"type": "float", "repr": "0.5", "scalar": 0.5})
    feed = f"events?after=0&electrons_of={IDS[0]}"
    rows = {each["node"]: each for each in ask("GET", feed).json()["electrons"]}
    told = {each["node"]: each for each in ask("GET", f"{feed}&pictures=false").json()["electrons"]}
    assert rows[0]["preview"]["mime"] and told == {each["node"]: each for each in thin}


def test_attempts(ask: Client) -> None:
    answer = ask("GET", f"dispatches/{IDS[0][:8]}/attempts").json()
    assert answer["total"] == 3
    told = [(a["node"], a["attempt"], a["status"], a["queued"], a["started"], a["ended"]) for a in answer["attempts"]]
    assert told == [
        (0, 1, "INTERRUPTED", 1.0, 2.0, 8.0),
        (0, 2, "COMPLETED", 9.0, 10.0, 20.0),
        (2, 0, "RUNNING", 5.0, 6.0, None),
    ]
    first = answer["attempts"][0]
    assert (first["worker"], first["host"], first["executor"]) == ("box:1", "h1", "dask")
    assert (first["error_type"], first["error_message"], first["cause"]) == (
        "ElectronInterrupted", "cut off", "interrupted"
    )  # fmt: skip
    page = ask("GET", f"dispatches/{IDS[0]}/attempts?offset=1&limit=1").json()
    assert [a["attempt"] for a in page["attempts"]] == [2] and page["total"] == 3
    assert [a["attempt"] for a in ask("GET", f"dispatches/{IDS[0]}/attempts?node=0").json()["attempts"]] == [1, 2]
    assert ask("GET", f"dispatches/{IDS[0]}/attempts?limit=0").status == 400
    assert ask("GET", "dispatches/ffffffff/attempts").status == 404


def test_the_log_of_an_earlier_attempt(ask: Client) -> None:
    assert ask("GET", f"dispatches/{IDS[0]}/electrons/0/stdout?attempt=1").data == b"early\n"


def test_metrics_of_one_electron(ask: Client) -> None:
    path = f"dispatches/{IDS[0]}/electrons/0/metrics"
    answer = ask("GET", path + "?points=100").json()
    assert (answer["attempt"], answer["total"], answer["status"]) == (2, 2000, "COMPLETED")
    ((name, series),) = answer["series"].items()
    assert name == "loss" and series[0] == [0, 10.0, 1.0] and series[-1][0] == 1999 and len(series) <= 101
    assert answer["bar"] == {"done": 3, "total": 4, "elapsed": 1.5, "name": ""}
    assert answer["last"] == {"loss": 0.25, "phase": "warm"}
    assert len(ask("GET", path).json()["series"]["loss"]) == 2000
    assert [p[0] for p in ask("GET", path + "?after=1997").json()["series"]["loss"]] == [1998, 1999]
    assert ask("GET", path + "?attempt=1").json()["series"] == {"loss": [[0, 3.0, 7.0]]}
    assert ask("GET", path + "?attempt=3").status == 404
    quiet = ask("GET", f"dispatches/{IDS[0]}/electrons/1/metrics").json()
    assert (quiet["series"], quiet["total"], quiet["bar"]) == ({}, 0, None)


def test_metrics_of_a_dispatch_are_thinned(ask: Client) -> None:
    answer = ask("GET", f"dispatches/{IDS[0]}/metrics").json()
    (only,) = answer["electrons"]
    assert (only["node"], only["name"], only["total"]) == (0, "train", 2000)
    assert 400 <= len(only["series"]["loss"]) <= 501 and only["series"]["loss"][-1][0] == 1999
    assert ask("GET", f"dispatches/{IDS[1]}/metrics").json()["electrons"] == []


def test_runs_of_a_lattice_are_a_table(ask: Client) -> None:
    answer = ask("GET", "runs?lattice=svm").json()
    assert (answer["inputs"], answer["total"], answer["next"]) == (["C", "kernel", "data"], 4, None)
    assert sorted(answer["results"]) == ["acc", "loss", "result"]
    newest, oldest = answer["runs"][0], answer["runs"][-1]
    assert (newest["dispatch_id"], newest["duration"], newest["status"]) == (IDS[3], 2.5, "COMPLETED")
    assert newest["inputs"] == {"C": pytest.approx(100), "kernel": "rbf", "data": "DataFrame"}
    assert newest["results"] == {"result": 0.75} and oldest["results"] == {"acc": 0.5, "loss": 2}
    page = ask("GET", "runs?lattice=svm&limit=3").json()
    rest = ask("GET", f"runs?lattice=svm&limit=3&before={page['next']}").json()
    assert [r["dispatch_id"] for r in page["runs"] + rest["runs"]] == IDS[3::-1]
    assert ask("GET", "runs?lattice=svm&sublattices=true").json()["total"] == 5
    inner = ask("GET", f"runs?lattice=svm&parent={IDS[0]}").json()
    assert [run["lattice"] for run in inner["runs"]] == ["svm"] and inner["total"] == 1
    assert ask("GET", "runs?parent=ffffffff").status == 404
    assert ask("GET", "runs?lattice=svm&tags=grid,fine").json()["total"] == 1
    assert ask("GET", "runs?lattice=svm&since=1002&status=completed").json()["total"] == 2
    assert ask("GET", "runs?lattice=nothing").json()["runs"] == []
    assert ask("GET", "runs?status=odd").status == 400 and ask("GET", "runs?before=x").status == 400


def test_dispatches_by_name_time_and_tags(ask: Client) -> None:
    def found(query: str) -> list[str]:
        return [row["dispatch_id"] for row in ask("GET", f"dispatches?parent=none&{query}").json()["dispatches"]]

    assert found("name=RUN%202") == [IDS[2]]
    assert found("since=1001&until=1003") == [IDS[2], IDS[1]]
    assert found("tags=fine,grid") == [IDS[2]] and found("tags=fine,absent") == []
    assert len(found("tags=grid")) == 5


def test_the_schema_for_sql(ask: Client) -> None:
    answer = ask("GET", "sql/schema").json()
    assert answer["version"] == 1
    names = [view["name"] for view in answer["views"]]
    assert names == ["dispatches", "electrons", "attempts", "inputs", "results", "metrics", "logs", "events"]
    for view in answer["views"]:
        told = ask("POST", "sql", {"query": f"SELECT * FROM {view['name']} LIMIT 0"}).json()
        assert told["columns"] == [column["name"] for column in view["columns"]]
