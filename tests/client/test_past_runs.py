"""``ct.dispatches`` and ``ct.compare``: what was run, and what differs."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter.client.when import moment_of
from covalent_jupyter.errors import Conflict, InvalidRequest, NotFound

from .flows import add, failing, gated, outer

NOW = datetime(2026, 11, 25, 15, 30).timestamp()
DAY = 86_400.0


class TestMoments:
    @pytest.mark.parametrize(
        ("said", "moment"),
        [
            ("2 days", NOW - 2 * DAY), ("2 days ago", NOW - 2 * DAY), ("3h", NOW - 3 * 3600), ("1.5 h", NOW - 5400),
            ("a week ago", NOW - 7 * DAY), ("last 10 minutes", NOW - 600), ("an hour", NOW - 3600), ("30 s", NOW - 30),
            ("yesterday", datetime(2026, 11, 24).timestamp()), ("Today", datetime(2026, 11, 25).timestamp()),
            ("2026-11-20", datetime(2026, 11, 20).timestamp()), ("2026-11-20 14:30", datetime(2026, 11, 20, 14, 30).timestamp()),
            (datetime(2026, 1, 2), datetime(2026, 1, 2).timestamp()), (date(2026, 1, 2), datetime(2026, 1, 2).timestamp()),
            (timedelta(hours=2), NOW - 7200), (12.5, 12.5),
        ],
    )  # fmt: skip
    def test_as_people_say_them(self, said: Any, moment: float) -> None:
        assert moment_of(said, NOW) == pytest.approx(moment)

    @pytest.mark.parametrize("said", ["soon", "2 parsecs", "", None, True, [], "2026-99-99"])
    def test_what_is_none_is_answered_with_examples(self, said: Any) -> None:
        with pytest.raises(InvalidRequest, match='is no moment: give a datetime, "2 days"'):
            moment_of(said, NOW)


@ct.electron
def measure(x: int, kind: str) -> dict[str, Any]:
    return {"height": x * 2, "x": 0.5}


@ct.lattice
def measured(x: int, kind: str = "flat") -> Any:
    return measure(x, kind)


class TestDispatches:
    def test_runs_of_one_lattice_have_inputs_and_results_as_columns(self) -> None:
        tag = uuid.uuid4().hex
        for x in (1, 2):
            ct.dispatch(measured, tags=[tag, f"n{x}"])(x).wait(60)
        table = ct.dispatches(tags=tag, pandas=False)
        assert table.columns[:8] == ["dispatch_id", "name", "lattice", "status", "x", "kind", "height", "result_x"]
        assert [(r["x"], r["kind"], r["height"], r["result_x"]) for r in table] == [
            (2, "flat", 4, 0.5),
            (1, "flat", 2, 0.5),
        ]
        assert "inputs" in ct.dispatches(tags=tag, values=False, pandas=False).columns
        assert [r["x"] for r in ct.dispatches(tags=[tag, "n1"], pandas=False)] == [1]

    def test_filters(self) -> None:
        tag = uuid.uuid4().hex
        ct.dispatch(measured, name=f"tall {tag}", tags=[tag])(1).wait(60)
        bad = ct.dispatch(failing, tags=[tag])("x")
        bad.wait(60)
        assert len(ct.dispatches(tags=tag, pandas=False)) == 2
        assert [r["lattice"] for r in ct.dispatches(tags=tag, status="failed", pandas=False)] == ["failing"]
        assert len(ct.dispatches(tags=tag, status=["FAILED", "COMPLETED"], pandas=False)) == 2
        assert len(ct.dispatches(name=f"tall {tag}", pandas=False)) == 1
        assert len(ct.dispatches(text=bad[:13], pandas=False)) == 1
        assert len(ct.dispatches(tags=tag, since="5 min", pandas=False)) == 2
        assert len(ct.dispatches(tags=tag, until="5 min ago", pandas=False)) == 0
        assert len(ct.dispatches(tags=tag, since=datetime.now() - timedelta(minutes=5), pandas=False)) == 2
        with pytest.raises(InvalidRequest, match="status is one or several of NEW_OBJECT"):
            ct.dispatches(status="SLEEPING")
        with pytest.raises(InvalidRequest, match="is no moment"):
            ct.dispatches(since="whenever")

    def test_runs_of_sublattices_on_request(self) -> None:
        result = ct.dispatch_sync(outer)(1)
        inner = ct.dispatches(parent=result.dispatch_id, pandas=False)
        assert [r["lattice"] for r in inner] == ["inner"]
        roots = {r["dispatch_id"] for r in ct.dispatches(1000, pandas=False)}
        every = {r["dispatch_id"] for r in ct.dispatches(1000, sublattices=True, pandas=False)}
        assert inner[0]["dispatch_id"] in every - roots and result.dispatch_id in roots


def lattice_of(body: str, folder: Path) -> Any:
    """A lattice ``flow(a)`` whose electron ``step`` has this body; from a file, so that there is a source."""
    file = folder / f"code_{uuid.uuid4().hex}.py"
    file.write_text(
        "import covalent_jupyter as ct\n\nN = 5\n\n@ct.electron\ndef step(a):\n"
        + body
        + "\n\n@ct.lattice\ndef flow(a):\n    return step(a)\n"
    )
    scope: dict[str, Any] = {"__name__": "__main__", "__file__": str(file)}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    return scope["flow"], scope


class TestCompare:
    def test_inputs_results_and_durations(self) -> None:
        ids = [str(ct.dispatch(measured, seed=1)(x)) for x in (1, 2)]
        for i in ids:
            ct.get_result(i, wait=True)
        found = ct.compare(ids[0][:12], ids[1])
        assert found.ids == ids
        assert found.inputs == {"x": [1, 2]} and found.results == {"height": [2, 4]}
        assert not found.code and not found.packages and not found.settings and not found.same
        assert list(found.durations) == ["total", "measure"] and all(v is not None for v in found.durations["measure"])
        text = repr(found)
        assert "height" in text and ids[0][:8] in text

    def test_code_as_a_diff(self, tmp_path: Path) -> None:
        one, scope = lattice_of("    b = a + 1\n    return b * N", tmp_path)
        two, _ = lattice_of("    b = a + 2\n    return b * N", tmp_path)
        first = str(ct.dispatch(one, seed=1)(1))
        second = str(ct.dispatch(two, seed=1)(1))
        scope["N"] = 6
        third = str(ct.dispatch(one, seed=1)(1))
        for i in (first, second, third):
            ct.get_result(i, wait=True)
        found = ct.compare(first, second)
        assert "-    b = a + 1\n+    b = a + 2" in found.code["step"] and "flow" not in found.code
        assert found.inputs == {} and found.results == {"result": [10, 15]}
        html = found._repr_html_()
        assert "+    b = a + 2</span>" in html
        captured = ct.compare(first, third).code["step"]
        assert "the same source" in captured and "N: 5 -> 6" in captured
        assert "only in" in ct.compare(first, ct.dispatch(measured)(1)).code["measure"]

    def test_the_same_twice(self) -> None:
        ids = [ct.dispatch(measured, seed=7)(3) for _ in range(3)]
        for i in ids:
            i.wait(60)
        found = ct.compare(*ids)
        assert found.same and not found.results
        assert "Nothing differs in inputs, code, packages and settings." in repr(found)

    def test_unfinished_and_failed(self, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        open_one = ct.dispatch(gated)(str(gate))
        bad = ct.dispatch(failing)("<img src=x>")
        bad.wait(60)
        found = ct.compare(open_one, bad)
        assert found.results["status"] == ["running", "failed"]
        assert "<img" not in found._repr_html_() and "&lt;img" in found._repr_html_()
        assert repr(found)
        gate.touch()
        open_one.wait(60)

    def test_large_inputs_differ_by_their_content(self) -> None:
        ids = [ct.dispatch(add, seed=1)(list(range(5000)), [last]) for last in (1, 2)]
        found = ct.compare(*ids)
        assert "b" in found.inputs and "a" not in found.inputs

    def test_mistakes(self) -> None:
        with pytest.raises(InvalidRequest, match="two or more"):
            ct.compare("7e05")
        with pytest.raises((NotFound, Conflict)):
            ct.compare("zzzz", "yyyy")
