"""The views for SQL: what the description says is what is there, and they answer over a large store."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
import msgspec
import pytest

from covalent_jupyter.model import AttemptRow, Error, Log, Output, Preview, Status
from covalent_jupyter.store import Batch, Metric, Store
from covalent_jupyter.store.views import VIEWS

from .records import digest, dispatch, electron


@pytest.fixture
def filled(store: Store) -> Store:
    scores = Preview("dict", "{'acc': 0.5, 'ok': True}", 90, scalars={"acc": 0.5, "ok": True, "name": "svm"})
    done = electron(
        "a", 0, attempt=2, status=Status.COMPLETED, queued=9.0, started=10.5, ended=12.0, duration=1.5, worker="box:7",
        host="h", output=Output(digest(1), 90), preview=scores, stdout=Log("hello\n", 6), stderr=Log("", 9000, "a/0.2.err"),
    )  # fmt: skip
    plain = electron(
        "a", 1, status=Status.COMPLETED, attempt=1, queued=9.0, started=9.5, ended=9.75, output=Output(digest(2), 8),
        preview=Preview("float", "0.25", 8, scalar=0.25),
    )  # fmt: skip
    crashed = AttemptRow(
        "a", 0, 1, "train", "FAILED", "dask", "h", "box:6", 5.0, 6.0, 8.0, 2.0, 77,
        Error("ElectronCrashed", "killed", signal="SIGKILL", exitcode=-9, cause="memory"), Log("first\n", 6), Log(),
    )  # fmt: skip
    row = dispatch(
        "a", status=Status.COMPLETED, inputs={"C": "1.5", "kernel": "'rbf'", "flag": "True"},
        results={"acc": 0.5, "name": "svm"}, started=1.0, ended=13.0,
    )  # fmt: skip
    inputs = [[0, "C", "literal", "1.5", 1.5], [1, "model", "node", "node 0", None]]
    store.append(
        Batch(
            events=[("a", "submitted", b"{}")], dispatches=[row], electrons=[done, plain, electron("a", 2)],
            attempts=[crashed], inputs=[("a", msgspec.json.encode(inputs))],
            metrics=[Metric("a", 0, 2, 0, 11.0, "loss", 0.1, None), Metric("a", 0, 2, 0, 11.0, "phase", None, "warm")],
        )
    ).result(20)  # fmt: skip
    return store


@pytest.mark.parametrize("name", VIEWS)
def test_the_description_is_what_is_there(filled: Store, name: str) -> None:
    table = filled.sql(f"DESCRIBE {name}")
    assert [(row[0], row[1]) for row in table.rows] == [(c.name, c.type) for c in VIEWS[name].columns]
    assert VIEWS[name].text.endswith(".") and all(c.text.endswith(".") for c in VIEWS[name].columns)
    assert filled.sql(f"SELECT * FROM {name}").rows


def test_the_documentation_names_every_view_and_column() -> None:
    text = (Path(__file__).parents[2] / "docs" / "sql.md").read_text()
    for view in VIEWS.values():
        section = text.partition(f"### `{view.name}`")[2].partition("###")[0]
        assert view.text in section
        for column in view.columns:
            assert f"| `{column.name}` | {column.type} | {column.text} |" in section, f"{view.name}.{column.name}"


def test_attempts(filled: Store) -> None:
    table = filled.sql(
        "SELECT node, attempt, status, worker, epoch(queued), epoch(ended), rss, error_type, cause, exit_code, signal, "
        "latest FROM attempts ORDER BY node, attempt"
    )
    assert table.rows == [
        [0, 1, "FAILED", "box:6", 5.0, 8.0, 77, "ElectronCrashed", "memory", -9, "SIGKILL", False],
        [0, 2, "COMPLETED", "box:7", 9.0, 12.0, 0, None, None, None, None, True],
        [1, 1, "COMPLETED", "", 9.0, 9.75, 0, None, None, None, None, True],
    ]
    rows, total = filled.attempts("a")
    assert total == 3 and [(r.node, r.attempt) for r in rows] == [(0, 1), (0, 2), (1, 1)]
    assert rows[0].stdout.text == "first\n" and rows[1].stdout.text == "hello\n" and rows[1].error is None
    assert [r.attempt for r in filled.attempts("a", node=0, offset=1)[0]] == [2]


def test_inputs_before_and_after_they_are_laid_out(filled: Store) -> None:
    query = "SELECT node, name, kind, text, number FROM inputs ORDER BY node NULLS FIRST, name"
    expected = [
        [None, "C", "value", "1.5", 1.5],
        [None, "flag", "value", "True", 1.0],
        [None, "kernel", "value", "'rbf'", None],
        [0, "C", "literal", "1.5", 1.5],
        [1, "model", "node", "node 0", None],
    ]
    assert filled.sql(query).rows == expected
    assert filled.lay_out_inputs() == 1
    assert filled.sql(query).rows == expected
    assert filled.lay_out_inputs() == 0


def test_results_and_logs_and_metrics(filled: Store) -> None:
    table = filled.sql("SELECT node, key, number, repr FROM results ORDER BY node NULLS FIRST, key NULLS FIRST")
    assert table.rows == [
        [None, "acc", 0.5, "0.5"],
        [None, "name", None, "svm"],
        [0, None, None, "{'acc': 0.5, 'ok': True}"],
        [0, "acc", 0.5, "0.5"],
        [0, "name", None, "svm"],
        [0, "ok", 1.0, "true"],
        [1, None, 0.25, "0.25"],
    ]
    table = filled.sql("SELECT node, attempt, stream, text, size, whole FROM logs ORDER BY attempt, stream")
    assert table.rows == [
        [0, 1, "stdout", "first\n", 6, True],
        [0, 2, "stderr", "", 9000, False],
        [0, 2, "stdout", "hello\n", 6, True],
    ]
    assert filled.sql("SELECT name, value, text FROM metrics ORDER BY name").rows == [
        ["loss", 0.1, None], ["phase", None, "warm"]
    ]  # fmt: skip


def test_all_of_it_goes_with_the_dispatch(filled: Store) -> None:
    filled.lay_out_inputs()
    filled.append(Batch(deletes=["a"])).result(20)
    for name in VIEWS:
        assert filled.sql(f"SELECT count(*) FROM {name}").rows == [[0]], name


def test_a_million_electrons_answer_at_once(folder: Path) -> None:
    """Queries that group a million rows; the figure to reach is 100 ms on an idle machine."""
    with Store.open(folder) as store:
        example = electron("d0", 0, status=Status.COMPLETED, queued=1.0, started=2.0, ended=3.0, duration=4.0)
        store.append(Batch(dispatches=[dispatch(f"d{i}") for i in range(10)], electrons=[example])).result(20)
    with duckdb.connect(folder / "store.duckdb") as connection:
        connection.execute(
            "INSERT INTO electron SELECT electron.* REPLACE ('d' || (i % 10) AS dispatch_id, (i // 10)::INTEGER AS node, "
            "'f' || (i % 7) AS name, i % 10 AS duration) FROM electron, range(1, 1000000) AS r(i)"
        )
    with Store.open(folder) as store:
        for query in (
            "SELECT name, count(*), avg(duration) FROM electrons GROUP BY name ORDER BY name",
            "SELECT name, count(*), avg(started - queued) FROM attempts GROUP BY name ORDER BY name",
        ):
            took = []
            for _ in range(5):
                begun = time.perf_counter()
                table = store.sql(query)
                took.append(time.perf_counter() - begun)
            assert sum(row[1] for row in table.rows) == 1_000_000
            assert min(took) < 2.0, f"{query}: {took}"  # with room for a busy machine
