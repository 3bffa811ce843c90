"""The panel as Python makes it: what a notebook keeps, the widget that goes over the kernel, the terminal's line."""

from __future__ import annotations

import os
import signal
import time
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import covalent_jupyter as ct
from covalent_jupyter import launch
from covalent_jupyter.client.connection import settings
from covalent_jupyter.client.display import width_of
from covalent_jupyter.client.progress import fitting
from covalent_jupyter.client.rest import connect
from covalent_jupyter.notebook.panel import Panel
from covalent_jupyter.notebook.panel_clean import clean_html
from covalent_jupyter.notebook.panel_graph import graph_svg
from covalent_jupyter.notebook.panel_plot import plot_svg
from covalent_jupyter.notebook.panel_snapshot import BUDGET, MIME, take

from .frontend import FrontEnd, said

HOSTILE = '<img src=x onerror="hacked()"><script>hacked()</script>'
WIDGET = "application/vnd.jupyter.widget-view+json"


class Tags(HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs)}


def hostile(n: int) -> ct.Result:
    def fails(x: int) -> None:
        print(HOSTILE)
        raise ValueError(HOSTILE)

    fails.__name__ = fails.__qualname__ = HOSTILE
    electron = ct.electron(fails)

    @ct.electron
    def gives(x: int) -> str:
        return HOSTILE

    @ct.lattice
    def flow(n: int) -> list[object]:
        return [gives(0), *(electron(i) for i in range(n))]

    return ct.dispatch_sync(flow, name=HOSTILE)(n)


def test_what_a_notebook_keeps_shows_user_text_as_text() -> None:
    result = hostile(3)
    html = result._repr_html_() or ""
    acting = {t for t in Tags(html).found if t in ("img", "script", "onerror", "iframe") or t.startswith("on")}
    assert not acting and "&lt;img" in html and "<svg" in html
    snapshot = take(connect(), result.dispatch_id)
    bundle = snapshot.bundle()
    assert [e["status"] for e in bundle["electrons"]] == ["FAILED"] * 3 + ["COMPLETED"]
    assert (bundle["version"], bundle["more"]) == (1, 0) and bundle["graph"]["nodes"][0][1] == "gives"
    assert "data" not in str(bundle["row"]["output"])


def test_a_bundle_is_small_however_many_electrons_there_are() -> None:
    @ct.electron
    def chatty(x: int) -> str:
        print("y" * 5000)
        return "z" * 3000

    @ct.lattice
    def wide(n: int) -> list[object]:
        return [chatty(i) for i in range(n)]

    row = ct.dispatch_sync(wide)(400).row
    bundle = take(connect(), row.dispatch_id).bundle()
    assert len(str(bundle["electrons"])) < 1.5 * BUDGET and bundle["graph"] is None
    assert 0 < len(bundle["electrons"]) <= 200 and bundle["more"] == 400 - len(bundle["electrons"])


@pytest.mark.parametrize(
    ("html", "clean"),
    [
        ("<b onclick=x()>bold</b>", "<b>bold</b>"),
        ("<script>x()</script>a<style>*{}</style>", "a"),
        (HOSTILE, ""),
        (
            '<table class="x"><tr><td colspan="2">1<td rowspan=x>',
            '<table><tr><td colspan="2">1<td></td></td></tr></table>',
        ),
        ("<svg><b>in</b></svg>1 &lt; 2", "1 &lt; 2"),
        ("</b></div><p>open", "<p>open</p>"),
        ('<a href="javascript:x()">text</a>', "text"),
    ],
)
def test_html_of_values_cannot_act(html: str, clean: str) -> None:
    assert clean_html(html) == clean


def test_the_still_graph() -> None:
    nodes = [[0, "load", "electron", "COMPLETED", None]]
    nodes += [[n, "train", "electron", "FAILED" if n == 3 else "COMPLETED", None] for n in range(1, 6)]
    nodes += [[6, "<b>&", "electron", "SKIPPED", None]]
    edges = [[0, n, "data"] for n in range(1, 6)] + [[n, 6, ""] for n in range(1, 6)]
    svg = graph_svg({"nodes": nodes, "edges": edges})
    assert svg.count("<path") == 2 and "train × 5" in svg and "4 ✓" in svg and "1 ✕" in svg
    assert "&lt;b&gt;&amp;" in svg and "stroke-dasharray" in svg
    assert graph_svg({"nodes": nodes[:1], "edges": []}) == ""


def test_the_still_plot() -> None:
    rows = [{"C": c, "gamma": g, "kind": HOSTILE, "score": c * g} for c in (0.1, 1.0, 10.0, 100.0) for g in (1, 2)]
    rows.append({"C": 5.0, "gamma": 1, "kind": "failed", "score": None})
    plot = plot_svg(rows, "C", "score", "gamma")
    svg = ElementTree.fromstring(plot[: plot.index("</svg>") + 6])
    dots = [e for e in svg.iter() if e.tag.endswith("circle")]
    assert len(dots) == 8 and plot.count("stroke-width:1.5") == 2  # a line for each value of gamma
    across = [float(dot.get("cx", 0)) for dot in dots[:4]]
    assert [b - a for a, b in pairwise(across)] == pytest.approx([across[1] - across[0]] * 3, abs=0.2)  # decades
    texts = [e.text for e in svg.iter() if e.tag.endswith("text")]
    assert {"C", "score", "0.1", "100"} <= set(texts)
    names = plot_svg(rows, "kind", "score")
    assert "&lt;img" in names and not {t for t in Tags(names).found if t in ("img", "script", "onerror")}
    assert plot_svg(rows[:1], "C", "score") == plot_svg(rows, "C", "kind") == plot_svg([], "C", "score") == ""
    assert plot_svg([{"a": 1, "b": 2}, {"a": 1, "b": 2}], "a", "b")  # nothing differs


def test_what_is_sent_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    row = hostile(1).row
    kinds = {}
    for chosen in ("auto", "page", "widget", "still"):
        ct.set_config(panel=chosen)
        kinds[chosen] = set(Panel(connect(), row.dispatch_id).data())
    ct.set_config(panel="auto")
    text = {"text/plain", "text/html"}
    assert kinds == {"auto": text | {MIME, WIDGET}, "page": text | {MIME}, "widget": text | {WIDGET}, "still": text}
    with pytest.raises(ct.ConfigError, match="panel"):
        ct.set_config(panel="everything")


@pytest.mark.parametrize("columns", [3, 5, 12, 20, 40, 79, 200])
def test_the_line_fits(columns: int) -> None:
    row = hostile(1).row
    row.label = "a very long name of a dispatch, 日本語 and all"
    line = fitting(row, columns)
    assert 0 < width_of(line) <= columns and line.startswith("✕")


# the widget, in a real kernel


def start(front: FrontEnd, flag: Path, n: int = 2) -> str:
    front.run(f"i = ct.dispatch(waiting)({str(flag)!r}, {n})\ni")
    return str(front.displayed()[-1][MIME]["dispatch_id"])


def test_a_panel_goes_on_while_its_kernel_is_busy_and_ends_with_its_dispatch(front: FrontEnd, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    dispatch_id = start(front, flag)
    assert WIDGET in front.displayed()[-1]
    comm = front.panel()
    answer = front.ask(comm, f"dispatches/{dispatch_id}")
    assert answer["status"] == 200 and answer["data"]["dispatch_id"] == dispatch_id
    busy = front.send("while True: pass")
    front.until(lambda m: m["msg_type"] == "execute_input" and m["parent_header"].get("msg_id") == busy)
    flag.touch()
    last = front.changes(dispatch_id, ended=True)
    assert last["data"]["dispatches"][-1]["status"] == "COMPLETED"
    # what the notebook saves is the end, although nothing but a loop runs in its kernel
    assert front.until_updated()[MIME]["row"]["status"] == "COMPLETED"
    front.manager.interrupt_kernel()
    front.until(lambda m: m["parent_header"].get("msg_id") == busy and m["msg_type"] == "error")
    assert front.ask(comm, f"dispatches/{dispatch_id}/electrons", query={"limit": 1})["data"]["total"] == 2
    front.run(
        "from covalent_jupyter.notebook.panel_feed import feed\nt = time.time()\n"
        "while feed().busy and time.time() < t + 20: time.sleep(0.1)\nprint('busy', feed().busy)"
    )
    assert "busy False" in front.printed()


def test_a_sweep_is_a_panel_with_a_table_and_a_plot_that_go_on(front: FrontEnd, tmp_path: Path) -> None:
    flags = [tmp_path / name for name in ("first", "second", "third")]
    front.run(f"s = ct.sweep(wait_for, ct.zip(path={[str(f) for f in flags]!r}, n=[3, 1, 2]))\ns")
    panel, below = front.displayed("display_data")[-2:]
    assert panel[MIME]["row"]["counts"]["total"] == 3 and WIDGET in panel
    assert "sweep of wait_for" in below["text/html"] and "3 points" in below["text/html"]

    def drawn(message: dict[str, Any]) -> str:
        data = message["content"]["data"] if message["msg_type"] == "update_display_data" else {}
        return str(data.get("text/html", "")) if MIME not in data else ""

    flags[0].touch()
    front.until(lambda m: "1 completed" in drawn(m))  # while the others run
    flags[1].touch()
    flags[2].touch()
    last = drawn(front.until(lambda m: "3 completed" in drawn(m)))
    assert "<svg" in last and last.count("<circle") == 3 and "<table" in last
    front.run("s")
    panel, below = front.displayed("display_data")[-2:]
    assert panel[MIME]["row"]["status"] == "COMPLETED" and below["text/html"].count("<circle") == 3


def test_every_display_of_a_sweep_shows_what_was_added_later(front: FrontEnd, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    front.run(f"s = ct.sweep(wait_for, [{{'path': {str(first)!r}, 'n': 1}}])\ns")
    first.touch()
    front.run("s.wait()")
    front.until(lambda m: m["msg_type"] == "update_display_data" and "1 point:" in str(m) and "1 completed" in str(m))
    front.run(f"s.add([{{'path': {str(second)!r}, 'n': 2}}])")
    panel, below = front.displayed("display_data")[-2:]
    assert panel[MIME]["row"]["name"] == "wait_for × 1 more" and "2 points" in below["text/html"]
    turned = [
        m["content"] for m in front.messages if m["msg_type"] == "update_display_data" and MIME in m["content"]["data"]
    ]
    assert turned[-1]["data"][MIME]["row"]["name"] == "wait_for × 1 more", "the first display shows the new one, too"
    second.touch()
    drawn: set[str] = set()

    def both(message: dict[str, Any]) -> bool:
        content = message["content"]
        if message["msg_type"] == "update_display_data" and "2 points: 2 completed" in content["data"]["text/html"]:
            drawn.add(content["transient"]["display_id"])
        return len(drawn) == 2

    front.until(both)


def test_a_saved_sweep_is_one_still_table(front: FrontEnd, tmp_path: Path) -> None:
    """A page that keeps no panel alive would show a dispatch beside counts that are not its own."""
    flag = tmp_path / "flag"
    flag.touch()
    front.run(f"s = ct.sweep(wait_for, ct.zip(path=[{str(flag)!r}] * 2, n=[1, 2]))\ns.wait()")
    front.run(f"s.add([{{'path': {str(flag)!r}, 'n': 3}}]).wait()\ns")
    panel, below = (data["text/html"] for data in front.displayed("display_data")[-2:])
    assert Tags(panel).found == {"div", "hidden"} and "wait_for" not in panel
    assert "3 points: 3 completed" in below and "2 dispatches" in below and "width:100.00%" in below
    assert (
        below.index("cv-stillOnly")
        < below.index("wait_for × 2")
        < below.index("wait_for × 1 more")
        < below.index("<svg")
        < below.index("<table")
    )
    front.run("ct.get_result(s.dispatch_ids[-1])")
    alone = front.displayed()[-1]["text/html"]
    assert "wait_for × 1 more" in alone and "numbers=" not in alone


def test_an_interrupt_leaves_panel_and_dispatch_alone(front: FrontEnd, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    waiting = front.send(f"ct.dispatch_sync(waiting)({str(flag)!r}, 2)")
    shown = front.until(lambda m: m["msg_type"] == "display_data")
    dispatch_id = str(shown["content"]["data"][MIME]["dispatch_id"])
    front.changes(dispatch_id)
    front.manager.interrupt_kernel()
    front.until(lambda m: m["msg_type"] == "error" and m["parent_header"].get("msg_id") == waiting)
    assert "runs on" in front.printed()
    flag.touch()
    assert front.changes(dispatch_id, ended=True)["data"]["dispatches"][-1]["counts"]["completed"] == 2
    assert front.until_updated()[MIME]["row"]["counts"]["completed"] == 2


def test_a_panel_cancels_and_is_refused_what_is_no_request(front: FrontEnd, tmp_path: Path) -> None:
    dispatch_id = start(front, tmp_path / "never")
    comm = front.panel()
    front.changes(dispatch_id)
    refused = front.ask(comm, "../../etc/passwd")
    assert refused["status"] == 400 and "no request" in refused["message"]
    assert front.ask(comm, "dispatches/ffff0000")["status"] == 404
    answer = front.ask(comm, f"dispatches/{dispatch_id}/cancel", "POST", body={"nodes": None})
    assert answer["status"] == 200
    assert front.changes(dispatch_id, ended=True)["data"]["dispatches"][-1]["status"] == "CANCELLED"


def test_a_panel_says_that_the_service_is_away_and_goes_on_when_it_is_back(front: FrontEnd, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    dispatch_id = start(front, flag)
    front.changes(dispatch_id)
    file = launch.find(settings().store_dir)
    assert file is not None
    os.kill(file.pid, signal.SIGKILL)
    front.until(lambda m: said(m).get("kind") == "link" and said(m)["link"] == "starting")
    time.sleep(2 * 3)  # the feed looks every three seconds, and must not start the service by itself
    assert launch.find(settings().store_dir) is None
    launch.ensure_running(settings().store_dir)
    front.until(lambda m: said(m).get("kind") == "link" and said(m)["link"] == "online")
    flag.touch()
    assert front.changes(dispatch_id, ended=True)["data"]["dispatches"][-1]["status"] == "COMPLETED"


def test_a_browser_gets_four_updates_and_100_kb_a_second_at_most(front: FrontEnd) -> None:
    front.run(
        "@ct.electron\ndef f(x):\n    return 'y' * 100 + str(x)\n\n@ct.lattice\ndef many(n):\n"
        "    return [f(i) for i in range(n)]\ni = ct.dispatch(many)(5000)\ni"
    )
    dispatch_id = str(front.displayed()[-1][MIME]["dispatch_id"])
    first = len(front.messages)
    front.changes(dispatch_id, ended=True)
    sent = [  # when the kernel sent it: this process may have been late to read it
        (m["header"]["date"].timestamp(), said(m).get("size", 0))
        for m in front.messages[first:]
        if said(m).get("kind") == "changes"
    ]
    assert len(sent) > 2
    for at, _ in sent:
        window = [size for other, size in sent if at <= other < at + 1]
        # a message that was late is followed sooner by the next
        assert len(window) <= 5 and sum(window) < 125_000


def test_many_panels_share_what_is_large(front: FrontEnd, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    front.run(f"ct.dispatch_sync(waiting)({str(flag)!r}, 2)")
    front.run(
        "import psutil, gc\nfrom IPython.display import display\n"
        f"ids = [ct.dispatch(waiting)({str(flag)!r}, 2) for _ in range(100)]\n"
        "for j in ids: j.wait(150)\n"
        "display(ids[0]); gc.collect(); before = psutil.Process().memory_info().rss\n"
        "for j in ids: display(j)\n"
        "gc.collect(); print('grown', psutil.Process().memory_info().rss - before)\n"
        "import threading; print('threads', sum(t.name.startswith('covalent-panel') for t in threading.enumerate()))"
    )
    printed = front.printed()
    assert int(printed.rpartition("grown ")[2].split()[0]) < 60_000_000, printed
    assert int(printed.rpartition("threads ")[2].split()[0]) <= 1, printed
