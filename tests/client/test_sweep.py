"""``ct.sweep``: points, durability, the limit, the table, what is added and retried."""

from __future__ import annotations

import builtins
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter.client.display import duration_text
from covalent_jupyter.client.points import Points, as_points, varying
from covalent_jupyter.errors import BuildError, InvalidRequest, NotFound

from .flows import add, hold


@ct.electron
def train(C: float, gamma: float = 1.0, stop_at: float | None = None) -> float:
    if stop_at is not None and stop_at == C:
        raise ValueError(f"<b>no</b> luck at {C}")
    return C * gamma


@ct.electron
def judge(model: float) -> dict[str, Any]:
    return {"accuracy": model / 10, "kind": "svm"}


@ct.lattice
def search(C: float, gamma: float = 1.0, stop_at: float | None = None) -> Any:
    return judge(train(C, gamma, stop_at))


@ct.electron
def mend(C: float, folder: str) -> float:
    """Fails until there is a file ``ok`` in the folder."""
    if C == 2 and not Path(folder, "ok").exists():
        raise RuntimeError("not yet")
    return C


@ct.lattice
def mending(C: float, folder: str) -> float:
    return mend(C, folder)


@ct.lattice
def waiting(gate: str, value: int) -> Any:
    return add(hold(gate, value), 1)


class TestPoints:
    def test_grid_is_every_combination(self) -> None:
        found = ct.grid(C=[1, 2], gamma=[0.1, 0.2, 0.3])
        assert len(found) == 6 and found[0] == {"C": 1, "gamma": 0.1} and found[-1] == {"C": 2, "gamma": 0.3}
        assert repr(found) == "6 points (C × 2, gamma × 3)"

    def test_zip_is_side_by_side_and_still_pythons(self) -> None:
        assert ct.zip(C=[1, 2], gamma=[3, 4]) == [{"C": 1, "gamma": 3}, {"C": 2, "gamma": 4}]
        assert list(ct.zip([1, 2], "ab", strict=True)) == list(builtins.zip([1, 2], "ab", strict=True))
        with pytest.raises(BuildError, match=r"one length; these have C 2, gamma 1\. ct\.grid"):
            ct.zip(C=[1, 2], gamma=[3])

    def test_data_frames_and_numpy_become_plain(self) -> None:
        pandas = pytest.importorskip("pandas")
        found = as_points(pandas.DataFrame({"C": [1, 2], "name": ["a", "b"]}))
        assert found == [{"C": 1, "name": "a"}, {"C": 2, "name": "b"}] and type(found[0]["C"]) is int
        numpy = pytest.importorskip("numpy")
        assert type(ct.grid(C=numpy.linspace(0, 1, 3))[0]["C"]) is float

    @pytest.mark.parametrize(
        ("points", "message"),
        [
            ({"C": [1]}, r"ct\.grid\(\*\*points\)"),
            ("abc", "list of dicts"),
            (5, "list of dicts"),
            ([1], "point 0 of the sweep is no dict"),
            ([{1: 2}], "point 0 of the sweep is no dict"),
        ],
    )
    def test_what_is_no_points(self, points: Any, message: str) -> None:
        with pytest.raises(BuildError, match=message):
            as_points(points)

    @pytest.mark.parametrize(("name", "value"), [("C", 3), ("C", "abc")])
    def test_a_column_is_a_list(self, name: str, value: Any) -> None:
        with pytest.raises(BuildError, match=r"goes into fixed=\{'C'"):
            ct.grid(**{name: value})

    def test_what_varies(self) -> None:
        numpy = pytest.importorskip("numpy")
        points = [{"a": 1, "b": 1, "c": numpy.ones(2)}, {"a": 2, "b": 1, "c": numpy.ones(2)}]
        assert varying(points) == ["a", "c"]


class TestMistakes:
    """Nothing is dispatched, and the signature is named."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"points": [{"c": 1}]}, r"search has no parameter 'c'.*its signature is search\(C"),
            ({"points": [{"gamma": 1}]}, r"search misses the argument 'C'.*signature"),
            ({"points": []}, "at least one point"),
            ({"points": [{"C": 1}], "fixed": {"C": 2}}, "C is fixed, and in point 0"),
            ({"points": [{"C": 1}], "max_running": 0}, "max_running is a whole number"),
            ({"points": [{"C": 1}], "max_running": True}, "max_running is a whole number"),
            ({"points": [{"C": 1}, {"C": 1, "nope": 2}]}, "no parameter 'nope'"),
            ({}, r"one argument: ct\.sweep\(search, ct\.grid\(C=\[\.\.\.\]\)\)"),
            ({"C": [1, 2], "gamma": [1]}, r"ct\.sweep\(search, ct\.grid\(C=\[\.\.\.\], gamma=\[\.\.\.\]\)\)"),
            ({"points": [{"C": 1}], "max_runing": 2}, "no option 'max_runing' .did you mean 'max_running'"),
        ],
    )
    def test_of_the_points(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(BuildError, match=message):
            ct.sweep(search, **arguments)

    def test_of_the_lattice(self) -> None:
        with pytest.raises(BuildError, match="dispatch takes a lattice"):
            ct.sweep(len, [{"obj": 1}])

    def test_another_dispatch_is_no_sweep(self) -> None:
        other = ct.dispatch(search)(1)
        with pytest.raises(InvalidRequest, match=r"is no sweep: ct\.get_result"):
            ct.get_sweep(other)
        with pytest.raises(NotFound):
            ct.get_sweep("00000000")


class TestSweep:
    def test_table_values_and_looks(self, capsys: pytest.CaptureFixture[str]) -> None:
        sweep = ct.sweep(search, ct.grid(C=[1, 2, 3], gamma=[0.5, 1.0]), fixed={"stop_at": 2}, tags=["mine"])
        assert "Sweep of search: 6 points (C × 3, gamma × 2)" in capsys.readouterr().out
        assert sweep.wait(60) == ct.status.FAILED
        table = sweep.table(pandas=False)
        assert table.columns == ["C", "gamma", "status", "error", "duration", "accuracy", "kind"]
        assert [(r["C"], r["gamma"], r["status"], r.get("accuracy")) for r in table] == [
            (1, 0.5, "COMPLETED", 0.05), (1, 1.0, "COMPLETED", 0.1), (2, 0.5, "FAILED", None), (2, 1.0, "FAILED", None),
            (3, 0.5, "COMPLETED", 0.15), (3, 1.0, "COMPLETED", 0.3),
        ]  # fmt: skip
        assert table[2]["error"].startswith("ValueError: <b>no</b> luck at 2")
        assert sweep.values[0] == {"accuracy": 0.05, "kind": "svm"} and isinstance(sweep.values[2], ct.Failed)
        assert sweep[0].value == sweep.values[0] and sweep[2].electrons[0].name == "train"
        with pytest.raises(NotFound, match="no point 6"):
            sweep[6]
        assert len(sweep) == 6 and sweep.fixed == {"stop_at": 2} and sweep.points[1] == {"C": 1, "gamma": 1.0}
        assert "4 completed, 2 failed" in repr(sweep)
        html = sweep._repr_html_()
        assert "&lt;b&gt;no" in html and "<b>no" not in html
        assert "COMPLETED" not in html + repr(sweep), "people read words"
        spent = [duration_text(row["duration"]) for row in table]
        for shown in (repr(sweep), repr(table), html):
            assert all(text in shown for text in spent), "durations read as everywhere else"
        pandas = pytest.importorskip("pandas")
        assert isinstance(sweep.table(), pandas.DataFrame)
        assert list(sweep.table()["duration"]) == [row["duration"] for row in table], "numbers stay numbers"
        assert ct.get_result(sweep.id).row.tags == ["mine", f"sweep:{sweep.id[:8]}"]

    def test_plot(self) -> None:
        sweep = ct.sweep(search, ct.grid(C=[3, 1, 2], gamma=[0.5, 1.0]), fixed={"stop_at": 2})
        sweep.wait(60)
        figure = sweep.plot()
        assert [(t.name, list(t.x)) for t in figure.data] == [("gamma = 0.5", [1, 3]), ("gamma = 1", [1, 3])]
        assert figure.layout.yaxis.title.text == "accuracy" and "2 of 6" in figure.layout.title.text
        assert sweep.plot("gamma", "duration").layout.xaxis.title.text == "gamma"
        with pytest.raises(InvalidRequest, match=r"no column 'loss': it has C, gamma, status"):
            sweep.plot(y="loss")

    def test_of_an_electron_there_are_no_sublattices(self) -> None:
        sweep = ct.sweep(train, ct.zip(C=[1, 2], gamma=[3, 4]))
        sweep.wait(60)
        assert [row["result"] for row in sweep.table(pandas=False)] == [3, 8]
        assert sweep[0].row.child is None

    def test_a_parameter_that_only_some_points_give_has_its_default_elsewhere(self) -> None:
        sweep = ct.sweep(train, [{"C": 3}, {"C": 2, "gamma": 3.0}, {"C": 5}])
        sweep.wait(60)
        table = sweep.table(pandas=False)
        assert table.columns[:2] == ["C", "gamma"]
        assert [(row["C"], row["gamma"], row["result"]) for row in table] == [(3, 1.0, 3), (2, 3.0, 6), (5, 1.0, 5)]

    async def test_awaited(self) -> None:
        sweep = await ct.sweep(train, [{"C": 5}])
        assert sweep.values == [5]

    def test_retried_and_added_in_another_process_it_is_one_table(self, tmp_path: Path) -> None:
        sweep = ct.sweep(mending, ct.grid(C=[1, 2]), fixed={"folder": str(tmp_path)}, max_running=1)
        assert sweep.wait(60) == ct.status.FAILED
        (tmp_path / "ok").touch()
        opened = ct.get_sweep(sweep.id[:8])
        assert opened.retry_failed() is opened
        opened.add(ct.grid(C=[7, 8]))
        assert opened.wait(60) == ct.status.COMPLETED
        assert [(r["C"], r["status"], r["result"]) for r in sweep.table(pandas=False)] == [
            (1, "COMPLETED", 1), (2, "COMPLETED", 2), (7, "COMPLETED", 7), (8, "COMPLETED", 8)
        ]  # fmt: skip
        assert len(opened.dispatch_ids) == 3 and ct.get_sweep(opened.dispatch_ids[2]).id == sweep.id
        assert opened.max_running == 1
        hovers = [t for trace in opened.timeline().data if trace.hovertext is not None for t in trace.hovertext]
        assert sum("of mending" in t for t in hovers) == 5, "the runs of all its dispatches"
        assert opened.retry_failed().dispatch_ids == opened.dispatch_ids, "nothing to do"
        with pytest.raises(BuildError, match="no parameter 'D'"):
            opened.add([{"D": 1}])

    def test_the_limit_holds_for_the_whole_group(self, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        sweep = ct.sweep(waiting, ct.grid(value=[1, 2, 3]), fixed={"gate": str(gate)}, max_running=2)
        sweep.add(ct.grid(value=[4, 5]))
        ids = sweep.dispatch_ids
        rest = sweep._rest

        def under_way() -> int:
            # in one answer: of two, the second may have the successor of what the first still shows
            rows = [row for row in rest.dispatches(limit=50).dispatches if row.dispatch_id in ids]
            assert len(rows) == len(ids)
            return sum(row.counts.running + row.counts.queued for row in rows)

        after, seen = 0, set()
        while under_way() < 2:
            after = rest.events(after, wait=5).seq
        seen.add(under_way())
        gate.touch()
        while not all(rest.dispatch(i).status.ended for i in ids):
            after = rest.events(after, wait=5).seq
            seen.add(under_way())
        assert max(seen) == 2
        assert sweep.values == [2, 3, 4, 5, 6]

    def test_cancelled_and_continued(self, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        sweep = ct.sweep(waiting, ct.grid(value=[1, 2, 3]), fixed={"gate": str(gate)}, max_running=1)
        done = sweep.cancel()
        assert done["cancelled"] + done["stopping"] == 3
        assert sweep.wait(60) == ct.status.CANCELLED
        gate.touch()
        assert sweep.retry_failed().wait(60) == ct.status.COMPLETED

    def test_it_goes_on_when_its_kernel_dies(self, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        script = tmp_path / "kernel.py"
        script.write_text(
            textwrap.dedent(
                f"""
                import os
                import covalent_jupyter as ct
                from pathlib import Path

                @ct.electron
                def hold(gate, value):
                    import time
                    while not os.path.exists(gate):
                        time.sleep(0.01)
                    return value

                @ct.lattice
                def flow(value):
                    return hold({str(gate)!r}, value)

                sweep = ct.sweep(flow, ct.grid(value=list(range(8))), max_running=2)
                print(sweep.id, flush=True)
                os.kill(os.getpid(), 9)
                """
            )
        )
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, timeout=60)
        assert done.returncode == -9, done.stderr
        sweep = ct.get_sweep(done.stdout.split()[-1])
        gate.touch()
        assert sweep.wait(60) == ct.status.COMPLETED
        assert sweep.values == list(range(8))

    def test_points_keep_their_shape(self) -> None:
        assert Points([{"a": 1}], "x") == [{"a": 1}]


class TestCodeOfNow:
    """What was mended and defined again is what runs again."""

    @pytest.fixture
    def define(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
        """Run a cell that defines ``fitting``."""
        main = sys.modules["__main__"]

        def run(body: str) -> Any:
            names: dict[str, Any] = {"__name__": "__main__"}
            exec(f"def fitting(C, gamma=2.0):\n    {body}", names)
            monkeypatch.setattr(main, "fitting", ct.electron(names["fitting"]), raising=False)
            return main.__dict__["fitting"]

        return run

    def test_retried_and_added(self, define: Callable[[str], Any], capsys: pytest.CaptureFixture[str]) -> None:
        sweep = ct.sweep(define("return 6 // (C - 1)"), ct.grid(C=[1, 2]))
        assert sweep.wait(60) == ct.status.FAILED
        capsys.readouterr()
        sweep.retry_failed().wait(60)
        assert capsys.readouterr().out == "Again: 1 point of 2, with the same code\n"
        define("return C * gamma")
        sweep.retry_failed(code="recorded").wait(60)
        assert sweep.status == ct.status.FAILED and capsys.readouterr().out == "Again: 1 point of 2\n"
        opened = ct.get_sweep(sweep.id)
        opened.retry_failed()
        assert "with fitting as it is now (its code has changed)" in capsys.readouterr().out
        opened.add([{"C": 5}])
        assert capsys.readouterr().out.endswith("1 point, with the same code\n")
        assert opened.wait(60) == ct.status.COMPLETED and opened.values == [2.0, 6, 10.0]
        names = [ct.get_result(i).row.name for i in opened.dispatch_ids]
        assert names == [
            "fitting × 2",
            "fitting × 1 again",
            "fitting × 1 again",
            "fitting × 1 again",
            "fitting × 1 more",
        ]

    def test_what_is_not_defined_here_is_as_recorded(
        self, define: Callable[[str], Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JPY_SESSION_NAME", "/tmp/one.ipynb")
        sweep = ct.sweep(define("return 6 // C"), ct.grid(C=[1, 0]))
        sweep.wait(60)
        capsys.readouterr()
        monkeypatch.setenv("JPY_SESSION_NAME", "/tmp/other.ipynb")
        define("return 'something else'")
        sweep.retry_failed().wait(60)
        assert "as recorded in another notebook" in capsys.readouterr().out
        monkeypatch.setenv("JPY_SESSION_NAME", "/tmp/one.ipynb")
        monkeypatch.delattr(sys.modules["__main__"], "fitting")
        sweep.retry_failed().wait(60)
        assert "with the code as recorded: no fitting is defined here" in capsys.readouterr().out
        assert sweep.status == ct.status.FAILED
        with pytest.raises(BuildError, match="no 'fitting' in this process"):
            sweep.retry_failed(code="current")
        with pytest.raises(InvalidRequest, match="not 'newest'"):
            sweep.retry_failed(code="newest")  # type: ignore[arg-type]


class TestSize:
    """More nodes than a dispatch may have: said before anything is built or sent."""

    def test_points_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COVALENT_MAX_NODES", "300")
        ct.reload_config()
        with pytest.raises(
            BuildError, match=r"400 points are 400 nodes under one dispatch; the limit is 300 \(max_nodes\)"
        ):
            ct.sweep(train, ct.grid(C=range(20), gamma=range(20)))

    def test_points_and_what_each_is_made_of(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COVALENT_MAX_NODES", "300")
        ct.reload_config()
        with pytest.raises(BuildError, match=r"150 points of 3 nodes each are 450 .* points\[:100\]\), and \.add"):
            ct.sweep(search, ct.grid(C=range(150)))
