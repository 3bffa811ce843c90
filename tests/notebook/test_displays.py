"""What electrons print and display, in order: recorded, and put together again by the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter.client.rest import connect
from covalent_jupyter.service.outputs import Cursor, Source, outputs_after, source_of_text
from covalent_jupyter.worker import displays
from covalent_jupyter.worker.capture import CAP, collect, fold_returns, take_displays
from covalent_jupyter.worker.displays import Recorder


@ct.electron
def shows() -> int:
    import sys

    import matplotlib.pyplot as plt
    from IPython.display import HTML, display

    print("one")
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    plt.show()
    print("two")
    print("careful", file=sys.stderr)
    handle = display("a", display_id="bar")
    handle.update("b")
    display(HTML("<b>bold</b>"), {"x": 1})
    print("last")
    return 3


@ct.electron
def plain(size: int) -> None:
    for number in range(size):
        print(number)
        display({"number": number})  # noqa: F821 - a notebook's builtin


@ct.electron
def draws_bars() -> None:
    for number in range(50):
        print(f"\rstep {number}", end="", flush=True)
    print()
    display("after")  # noqa: F821
    print("end")


@ct.electron
def dies() -> None:
    import os
    import signal

    print("before")
    display("shown")  # noqa: F821
    os.kill(os.getpid(), signal.SIGKILL)


def outputs(dispatch_id: str, limit: int = 1 << 20) -> list[dict[str, Any]]:
    """All outputs of its first electron, page by page."""
    rest, found, place = connect(), [], ""
    while True:
        page = rest.outputs(dispatch_id, 0, after=place, limit=limit)
        found += page["outputs"]
        place = page["next"]
        if not page["more"]:
            assert page["ended"]
            return found


def run(electron: Any, *args: Any) -> str:
    dispatch_id = ct.dispatch(electron)(*args)
    dispatch_id.wait(60)
    return str(dispatch_id)


def test_prints_figures_and_displays_in_order() -> None:
    found = outputs(run(shows))
    assert [o["output_type"] for o in found] == [
        "stream", "display_data", "stream", "stream", "display_data", "update_display_data", "display_data",
        "display_data", "stream",
    ]  # fmt: skip
    assert [o["text"] for o in found if "text" in o] == ["one\n", "two\n", "careful\n", "last\n"]
    assert found[1]["data"]["image/png"].startswith("iVBOR")
    assert found[4]["transient"] == found[5]["transient"] == {"display_id": "bar"}
    assert found[6]["data"]["text/html"] == "<b>bold</b>" and found[7]["data"] == {"text/plain": "{'x': 1}"}


def test_nothing_is_lost_or_given_twice_in_small_pieces() -> None:
    dispatch_id = run(plain, 300)
    found = outputs(dispatch_id, limit=100)
    assert [o["data"]["text/plain"] for o in found if "data" in o] == [f"{{'number': {n}}}" for n in range(300)]
    assert "".join(o["text"] for o in found if "text" in o) == "".join(f"{n}\n" for n in range(300))
    assert connect().electrons(dispatch_id).electrons[0].stdout.displays == 300


def test_lines_that_were_drawn_over() -> None:
    found = outputs(run(draws_bars))
    assert [o.get("text") or o["data"]["text/plain"] for o in found] == ["step 49\n", "'after'", "end\n"]


def test_what_an_electron_displayed_before_it_died_is_there() -> None:
    found = outputs(run(dies))
    assert found[0]["text"] == "before\n" and found[1]["data"] == {"text/plain": "'shown'"}


def test_an_impossible_place_is_refused() -> None:
    with pytest.raises(ct.ServiceError, match="no place that an answer gave"):
        connect().outputs(run(plain, 1), 0, after="x")


class TestPlaces:
    """Places of displays in a log of which the middle was cut out, or lines were drawn over."""

    def record(self, folder: Path, text: bytes, places: list[int]) -> tuple[list[int], bytes]:
        live = (str(folder / "r.out"), str(folder / "r.err"))
        Path(live[0]).write_bytes(text)
        Path(live[1]).write_bytes(b"")
        recorder = Recorder()
        recorder.path = str(folder / "r.dsp")
        for place in places:
            recorder.before = lambda at=place: (at, 0)  # type: ignore[misc]
            recorder.add({"text/plain": "x"})
        moved = [json.loads(line)["out"] for line in take_displays(live, str(folder), (0, 0)).splitlines()]
        log = collect(live[0], str(folder), "d", "0.1", "out")
        return moved, log.text.encode() or (folder / log.file).read_bytes()

    def test_of_text_that_is_kept_whole(self, tmp_path: Path) -> None:
        assert self.record(tmp_path, b"abc\ndef\n", [0, 4, 8]) == ([0, 4, 8], b"abc\ndef\n")

    def test_of_lines_that_were_drawn_over(self, tmp_path: Path) -> None:
        text = b"a\rbb\rccc\nnext\r\nlast\n"
        places = [text.index(b"next"), text.index(b"last"), len(text)]
        moved, log = self.record(tmp_path, text, places)
        assert log == fold_returns(text) == b"ccc\nnext\nlast\n"
        assert moved == [log.index(b"next"), log.index(b"last"), len(log)]

    def test_of_a_log_that_is_too_long(self, tmp_path: Path) -> None:
        line = b"x" * 99 + b"\n"
        text = line * (CAP // 100 * 2)
        moved, log = self.record(tmp_path, text, [100, len(text) // 2, len(text) - 100])
        assert moved == [100, CAP // 2, len(log) - 100]
        assert log[moved[2] :] == line

    def test_who_reads_the_live_file_goes_on_in_the_recorded_one(self, tmp_path: Path) -> None:
        live = (str(tmp_path / "r.out"), str(tmp_path / "r.err"))
        bar = b"".join(b"\rstep %d" % n for n in range(1000)) + b"\n"
        Path(live[0]).write_bytes(bar * 3)
        Path(live[1]).write_bytes(b"")
        recorder = Recorder()
        recorder.path = str(tmp_path / "r.dsp")
        places = [(len(bar) * n, n) for n in (1, 2, 3)]
        for number, place in enumerate(places):
            recorder.before = lambda at=place: at  # type: ignore[misc]
            recorder.add({"text/plain": str(number)})
        data = Path(recorder.path).read_bytes()
        nothing = source_of_text("")
        cursor = Cursor(0, 0, data.index(b"\n") + 1)  # the first was read
        recorded = take_displays(live, str(tmp_path), (0, 0))
        assert recorded.startswith(b'{"out":9,')
        found, _ = outputs_after(cursor, nothing, nothing, lambda: source_of_text(recorded.decode()), 1 << 20)
        assert [o["data"]["text/plain"] for o in found] == ["1", "2"]


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()
    found.path = str(tmp_path / "r.dsp")
    monkeypatch.setattr(displays, "_RECORDERS", [found])
    return found


def recorded(recorder: Recorder) -> list[dict[str, Any]]:
    return [json.loads(line)["data"] for line in Path(recorder.path).read_text().splitlines()]


def test_of_a_widget_its_text_is_shown(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    from ipywidgets import IntSlider

    displays.display(IntSlider(value=3))
    displays.publish({"application/vnd.jupyter.widget-view+json": {"model_id": "x"}})
    assert recorded(recorder) == [{"text/plain": "IntSlider(value=3)"}, {"text/plain": "(a widget)"}]
    assert capsys.readouterr().err.count("Widgets live in the kernel") == 1


def test_a_figure_of_plotly_is_shown_without_its_extension(recorder: Recorder) -> None:
    import plotly.graph_objects as go
    import plotly.io  # noqa: F401 - as the display of a figure does

    figure = go.Figure(go.Scatter(y=[1, 2])).to_dict()
    displays.publish({"application/vnd.plotly.v1+json": figure})
    (data,) = recorded(recorder)
    assert set(data) == {"application/vnd.plotly.v1+json", "text/html"} and "Plotly.newPlot" in data["text/html"]


def test_a_broken_line_is_left_out() -> None:
    text = b'lf of a line"}\n"text"\n{"out":0,"err":0,"data":{"text/plain":"x"}}\n\xff\n'
    shown = Source(len(text), lambda at, limit: text[at : at + limit])
    nothing = source_of_text("")
    found, cursor = outputs_after(Cursor(), nothing, nothing, lambda: shown, 1 << 20)
    assert [o["data"] for o in found] == [{"text/plain": "x"}] and cursor.shown == len(text)


def test_a_text_that_utf8_cannot_carry_is_written_out(tmp_path: Path) -> None:
    line = displays._line(displays.Shown(1, 2, {"text/plain": "caf\udce9"}))
    assert json.loads(line)["data"] == {"text/plain": "caf\\udce9"} and line.startswith(b'{"out":1,"err":2')
