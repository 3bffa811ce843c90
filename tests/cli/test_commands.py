"""``jupyter covalent ...`` against a real service."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter.cli import main
from covalent_jupyter.cli.runs import seconds_of
from covalent_jupyter.client.rest import connect
from covalent_jupyter.demo import probe
from covalent_jupyter.errors import InvalidRequest
from tests.client import flows

ROOT = Path(__file__).resolve().parents[2]


class Said:
    """What a command printed and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> Said:
        capsys.readouterr()
        code = main(list(words))
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call


def test_start_status_stop(run: Any) -> None:
    run("stop")
    gone = run("status", "--json")
    assert gone.code == 3 and gone.data["running"] is False and gone.data["pid"] is None
    assert "jupyter covalent start" in run("status").out
    started = run("start", "--json")
    assert started.code == 0 and started.data["started"] is True
    assert "It runs already" in run("start").out
    status = run("status", "--json").data
    assert (
        {"url", "pid", "version", "store", "running"} <= set(status)
        and status["running"] is True
        and status["ok"] is True
    )
    assert status["pid"] == started.data["pid"] and "token" not in status and status["version"] == ct.__version__
    assert f"process        {status['pid']}" in run("status").out
    restarted = run("restart", "--json").data
    assert restarted["pid"] != status["pid"]
    assert run("stop", "--if-idle").code == 0
    assert "No service runs" in run("stop").out


def test_list_and_show(run: Any) -> None:
    handle = ct.dispatch(flows.sums, name="a list", tags=("shown",))(1)
    handle.wait(60)
    rows = run("list", "--tag", "shown", "--json").data
    assert [row["dispatch_id"] for row in rows] == [handle] and rows[0]["status"] == "COMPLETED"
    table = run("list", "--tag", "shown").out.splitlines()
    assert table[1].split()[:5] == ["✓", handle[:8], "a", "list", "completed"] and "2 of 2" in table[1]
    assert "No dispatch fits" in run("list", "--name", "nothing of the kind").out
    assert len(run("list", "-n", "1", "--status", "completed", "--json").data) == 1
    shown = run("show", handle[:8], "--graph").out
    assert shown.startswith("✓ a list  completed  2 of 2") and handle in shown
    assert "│ ✓ add │ ──▶ │ ✓ add │" in shown
    data = run("show", handle, "--json").data
    assert data["dispatch"]["name"] == "a list" and [e["node"] for e in data["electrons"]] == [0, 1]
    assert run("show", "latest").out.startswith("✓ a list")


def test_a_failure_is_the_first_thing_said(run: Any) -> None:
    handle = ct.dispatch(flows.failing)("tea")
    handle.wait(60)
    shown = run("show", handle).out
    assert "✕ fail [1]: Unlucky: no luck with tea" in shown and "flows.py" in shown
    assert shown.index("Unlucky") < shown.index("what it gave")


def test_what_was_mistyped_is_answered_with_what_was_meant(run: Any) -> None:
    said = run("stauts")
    assert said.code == 2 and "Did you mean `jupyter covalent status`" in said.err
    handle = ct.dispatch(flows.sums, name="particular")(1)
    handle.wait(60)
    wrong = ("0" if handle[7] != "0" else "1").join([handle[:7], ""])
    said = run("show", wrong)
    assert said.code == 1 and f"Did you mean {handle[:8]} (particular, COMPLETED)?" in said.err
    assert f"Did you mean {handle[:8]} (particular" in run("logs", "particular").err
    assert (
        "no electron is called 'ad'; did you mean 'add'? Its electrons are 0 to 1, called add"
        in run("logs", handle, "ad").err
    )
    assert run("show", "ffffffff-ffff-ffff-ffff-ffffffffffff", "--json").data["error"] == "NotFound"
    assert run("frobnicate", "--json").code == 2
    assert run("list", "--limit", "many").code == 2
    assert run().code == 2
    assert run("--version").code == 0 and run("list", "--help").code == 0


def test_tag_note_rename(run: Any) -> None:
    handle = ct.dispatch(flows.sums, tags=["first"])(4)
    handle.wait(60)
    assert run("tag", handle, "good", "<b>bold</b>").out.strip().endswith(": first, good, <b>bold</b>")
    assert run("tag", handle[:8], "first", "--remove", "--json").data["tags"] == ["good", "<b>bold</b>"]
    assert "There is no note" in run("note", handle).out
    assert run("note", handle, "keep this one\nfor the paper").code == 0
    assert run("note", handle).out == "keep this one\nfor the paper\n"
    assert "is called the best now" in run("rename", handle, "the best").out
    assert [row["dispatch_id"] for row in run("list", "--tag", "good", "--since", "1h", "--json").data] == [handle]
    assert (
        "the best" in run("list", "--name", "the best").out and "No dispatch fits" in run("list", "--since", "0s").out
    )
    assert run("rename", handle, "").out.strip() == f"{handle[:8]} is called sums now."
    assert run("tag", handle, " ").code == 1 and "not empty" in run("tag", handle, " ").err


def test_tags_and_notes_from_python(run: Any) -> None:
    handle = ct.dispatch(flows.sums)(5)
    assert handle.tag("a", "b", "a") == ["a", "b"] and handle.untag("a", "never") == ["b"]
    handle.note("while it runs")
    handle.rename("again")
    handle.wait(60)
    assert ct.annotate(handle[:8], tags=["x"], add=["y"]) == ["x", "y"]
    assert ct.annotate(handle) == ["x", "y"]
    (row,) = ct.sql(f"SELECT name, note, tags FROM dispatches WHERE dispatch_id = '{handle}'", pandas=False)
    assert row == {"name": "again", "note": "while it runs", "tags": ["x", "y"]}
    with pytest.raises(InvalidRequest, match="note is a text"):
        ct.annotate(handle, note=3)  # type: ignore[arg-type]


def test_sql(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ct.dispatch(flows.sums, name="asked for")(6).wait(60)
    query = "SELECT name, status FROM dispatches WHERE name = 'asked for'"
    assert run("sql", query).out.split() == ["name", "status", "asked", "for", "COMPLETED"]
    assert run("sql", query, "--json").data["rows"] == [["asked for", "COMPLETED"]]
    monkeypatch.setattr("sys.stdin", io.StringIO(query))
    assert "asked for" in run("sql").out
    limited = run("sql", "FROM range(5)", "-n", "2")
    assert limited.out.split() == ["range", "0", "1"] and "only the first 2 rows" in limited.err
    refused = run("sql", "DELETE FROM dispatch")
    assert refused.code == 1 and "only SELECT" in refused.err
    schema = run("sql", "--schema").out
    assert "attempts: One row per attempt" in schema and "exit_code" in schema
    assert [view["name"] for view in run("sql", "--schema", "--json").data["views"]][:2] == ["dispatches", "electrons"]


def test_logs(run: Any) -> None:
    handle = ct.dispatch(flows.shouting)("tea\x1b[31m")
    handle.wait(60)
    said = run("logs", handle)
    assert "out tea\\x1b[31m\n" in said.out and "err tea" in said.out and "\x1b" not in said.out
    assert "err tea" not in run("logs", handle, "shout", "--stdout").out
    data = run("logs", handle, "0", "--json").data
    assert data[0]["stdout"] == "out tea\x1b[31m\n" and data[0]["name"] == "shout"
    quiet = ct.dispatch(flows.one)(1)
    quiet.wait(60)
    assert "Nothing was printed" in run("logs", quiet).out


def test_logs_follow_until_the_end(run: Any, tmp_path: Path) -> None:
    @ct.electron
    def talk(gate: str) -> None:
        print("before", flush=True)
        while not Path(gate).exists():
            time.sleep(0.01)
        print("after", flush=True)

    gate = tmp_path / "gate"
    handle = ct.dispatch(talk)(str(gate))
    timer = threading.Timer(1.0, gate.touch)
    timer.start()
    said = run("logs", "-f", handle)
    timer.join()
    assert said.out.index("before") < said.out.index("after") and said.out.count("before") == 1


def test_cancel_redispatch_delete(run: Any, tmp_path: Path) -> None:
    held = ct.dispatch(flows.gated)(str(tmp_path / "never"), 1)
    assert run("cancel", held[:8], "--json").data["dispatch_id"] == held
    assert held.wait(60) == "CANCELLED"
    assert "Nothing to cancel" in run("cancel", held).out
    done = ct.dispatch(flows.sums)(1)
    done.wait(60)
    again = run("redispatch", done, "--reuse", "changed", "--wait", "--json").data
    assert again["status"] == "COMPLETED" and again["redispatch_of"] == done and again["counts"]["reused"] == 2
    assert run("redispatch", done).out.strip() != done
    refused = run("delete", done, "--json")  # nobody can be asked
    assert refused.code == 1 and "--yes" in refused.data["message"] and "--yes" in refused.err
    assert ct.get_result(done).status == "COMPLETED"
    deleted = run("delete", done[:13], "--yes", "--json").data
    assert deleted["deleted"] == [done]
    with pytest.raises(ct.NotFound):
        ct.get_result(done)


def test_mistyped_lines_are_json_where_that_is_asked_for(run: Any) -> None:
    for words in (
        ["list", "-n", "0"],
        ["list", "--nonsense"],
        ["lst"],
        ["show"],
        ["redispatch", "latest", "--reuse", "all"],
        [],
    ):
        said = run(*words, "--json")
        assert said.code == 2 and said.data["error"] == "Mistyped" and said.data["message"] in said.err
    assert "-n/--limit: '0' is not a whole number from 1" in run("list", "-n", "0").err
    assert run("lst").out == "" and "limit: expected `int` <= 10000" in run("list", "-n", "10001").err


def test_one_is_no_several(run: Any) -> None:
    handle = ct.dispatch(flows.one)(1)
    handle.wait(60)
    assert "Its only electron is 0, called add" in run("cancel", handle, "nothing").err
    assert "there is no electron 7: this dispatch has one, 0" in run("logs", handle, "7").err
    assert run("delete", handle, "--yes").out.startswith("Deleted 1 dispatch; ")


def test_purge_disk_cluster(run: Any) -> None:
    ct.dispatch(flows.one)(1).wait(60)
    assert "0 dispatches ended more than 30d ago" in run("purge").out
    assert len(run("purge", "--older-than", "0", "--dry-run", "--json").data["would_delete"]) >= 1
    assert run("purge", "--older-than", "soon").code == 1
    assert run("disk", "--json").data["total"] > 0 and "free" in run("disk").out
    assert "largest dispatches  lattice" in run("disk").out and "largest dispatches  lattice" in repr(ct.disk())
    assert "{" not in repr(ct.disk()) and "largest lattices" in ct.disk()._repr_html_()
    executors = run("cluster", "--json").data["executors"]
    assert [e["name"] for e in executors] == ["local"] and "local" in run("cluster").out
    assert "how many slots" in run("cluster", "scale").err
    scaled = run("cluster", "scale", "3", "--executor", "local")
    assert scaled.code == 0 and "local: 3 slots" in scaled.out
    assert [e["slots"] for e in run("cluster", "--json").data["executors"]] == [3]
    nothing = run("cluster", "scale", "3")
    assert nothing.code != 0 and "no executor 'dask' runs" in nothing.err and "dask_n_workers" in nothing.err
    many = run("cluster", "scale", "9999", "--executor", "local")
    assert many.code != 0 and "too many for this machine" in many.err
    assert (seconds_of("90"), seconds_of("2h"), seconds_of("1.5d")) == (90.0, 7200.0, 129_600.0)


def test_config(run: Any) -> None:
    assert run("config", "value_cap", "10000000").code == 0
    assert run("config", "value_cap").out.strip() == "10000000"
    assert run("config", "--json").data["settings"]["value_cap"] == 10_000_000
    assert connect().get("config")["settings"]["value_cap"] == 10_000_000
    assert run("config", "value_cap", "--unset").code == 0
    assert run("config", "value_cap").out.strip() == str(64 << 30)
    said = run("config", "value_kap")
    assert said.code == 1 and "Did you mean 'value_cap'" in said.err
    assert "value_cap cannot be" in run("config", "value_cap", "-5").err
    assert run("config", "token", "geheim").code == 0
    assert "geheim" not in run("config").out and run("config", "token").out.strip() == "***"
    assert run("config", "token", "--unset").code == 0
    assert "what it is" in run("config").out


def test_another_store(run: Any, tmp_path: Path) -> None:
    said = run("status", "--store", str(tmp_path / "other"), "--json")
    assert said.code == 3 and said.data["store"] == str(tmp_path / "other")
    ct.set_config(store_dir=None, persist=False)


def test_doctor(run: Any) -> None:
    before = ct.dispatch(flows.outer)(1)
    before.wait(60)
    said = run("doctor")
    assert run("show", "latest", "--json").data["dispatch"]["dispatch_id"] == before  # nor a run of its sublattice
    assert "doctor" not in run("list").out
    ct.dispatch(probe, tags=["doctor"])().wait(60)  # one that went wrong stays
    assert run("show", "latest", "--json").data["dispatch"]["dispatch_id"] == before
    assert said.code == 0 and "test dispatch: 41 + 1 = 42" in said.out and "Everything works" in said.out
    data = run("doctor", "--no-dispatch", "--json").data
    assert data["ok"] and data["packages"]["covalent-jupyter"] == ct.__version__
    assert {c["name"] for c in data["checks"]} >= {
        "server extension",
        "lab extension",
        "widget manager",
        "store",
        "service",
    }


def test_doctor_names_a_store_that_cannot_be_used(run: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    said = run("doctor", "--store", str(tmp_path / "file" / "store"))
    ct.set_config(store_dir=None, persist=False)
    assert (
        said.code == 1 and "✕ store" in said.out and "COVALENT_STORE_DIR" in said.out and "✕ test dispatch" in said.out
    )


def test_demo(run: Any) -> None:
    said = run("demo", "--data-set", "wine")
    assert said.code == 0 and "The best is" in said.out and "│ ✓ train ×5 │" in said.out
    assert "178 samples" in run("logs", "latest", "load").out
    data = run("demo", "--data-set", "iris", "--json").data
    assert data["status"] == "COMPLETED" and 0.8 < data["result"]["accuracy"] <= 1


def test_the_demo_without_sklearn(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covalent_jupyter.cli.demo.has_sklearn", lambda: False)
    said = run("demo")
    assert said.code == 0 and "covalent-jupyter[demo]" in said.out and "The best is" in said.out


def test_as_a_program() -> None:
    ct.dispatch(flows.one)(1).wait(60)
    command = [sys.executable, "-m", "covalent_jupyter.cli"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*command, "list"], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0 and "?" in done.stdout and "\x1b" not in done.stdout  # signs that ASCII does not have
    piped = subprocess.run(
        f"{sys.executable} -m covalent_jupyter.cli config | head -1",
        shell=True,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert "Traceback" not in piped.stderr and "setting" in piped.stdout
