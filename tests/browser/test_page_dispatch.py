"""The page of a dispatch, as a person uses it: every tab, live and failed runs, sublattices, large graphs, hostile names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .lab import Lab
from .page import LabPage
from .runs import STARTED, Runs, boxes, click_box, open_dispatch, tab

Browse = Callable[..., LabPage]


@pytest.mark.timeout(600)
def test_a_failed_dispatch_in_every_tab(lab: Lab, runs: Runs, browse: Browse) -> None:
    dispatch = runs.start("experiment 1")
    page = browse(lab)
    view = open_dispatch(page, dispatch[:8])
    expect(view.get_by_role("heading", name="experiment")).to_be_visible(timeout=STARTED)
    expect(view.locator(".cv-facts")).to_contain_text("Failed")
    expect(view.locator(".cv-facts")).to_contain_text("start=1")
    shown = boxes(view)
    assert any("train × 4" in text for text in shown), shown
    assert any(text.startswith("✕ train, failed, c=3 · ValueError") for text in shown), shown
    click_box(view, "✕ train")
    details = view.get_by_role("complementary")
    expect(details.get_by_role("heading", name="train")).to_be_visible()
    expect(details.locator(".cv-errorMessage").first).to_contain_text("c must not be 3")
    expect(details.get_by_role("region", name="Inputs", exact=True)).to_contain_text("load 0")
    expect(details.get_by_role("region", name="Output", exact=True)).to_contain_text("fitting c=3 <script>")
    expect(details.get_by_role("region", name="Source", exact=True)).to_contain_text("def train(data, c):")
    expect(details.locator(".cv-curve")).to_contain_text("loss")

    tab(view, "Electrons")
    rows = view.locator(".cv-row[data-node]")
    expect(rows).to_have_count(7)
    expect(view.locator(".cv-row.cv-chosen")).to_contain_text("ValueError")
    view.get_by_label("Filter electrons").fill("c=2")
    expect(rows).to_have_count(1)
    view.get_by_label("Filter electrons").fill("")
    view.get_by_role("button", name="Electron", exact=True).click()
    expect(rows.first).to_contain_text("best")
    view.get_by_role("button", name="Failed 1").click()
    expect(rows).to_have_count(1)
    view.get_by_text("Columns ▾").click()
    view.get_by_label("Worker").check()
    expect(view.get_by_role("columnheader", name="Worker")).to_be_visible()

    tab(view, "Timeline")
    expect(view.locator(".cv-timeline")).to_contain_text("6 attempts")
    expect(view.locator(".cv-lanes [role=option]")).to_contain_text("train 3, failed")
    tab(view, "Logs")
    expect(view.get_by_role("log")).to_contain_text("fitting c=3")
    view.get_by_label("Electron", exact=True).select_option("")
    expect(view.get_by_role("log")).to_contain_text("loading 20")
    expect(view.locator(".cv-line .cv-ansi-red").first).to_have_text("fitting")
    tab(view, "Errors")
    expect(view.locator(".cv-errors section")).to_have_count(1)
    expect(view.locator(".cv-errors .cv-errorMessage")).to_contain_text("<img src=x onerror=")
    tab(view, "Source")
    expect(view.locator(".cv-function.cv-chosen")).to_contain_text("def train(data, c):")
    expect(view.locator(".cv-sources")).to_contain_text("def experiment(start):")
    tab(view, "Versions")
    expect(view.locator(".cv-versions")).to_contain_text("duckdb")
    view.get_by_label("Filter packages").fill("duckdb")
    expect(view.get_by_role("region", name="Packages", exact=True).locator("tr")).to_have_count(1)
    assert page.page.evaluate("window.hit") is None


@pytest.mark.timeout(600)
def test_a_run_is_followed_through_a_reload_to_its_end(lab: Lab, runs: Runs, browse: Browse, tmp_path: Path) -> None:
    go = tmp_path / "go"
    dispatch = runs.start(f"patient {str(go)!r}", wait=False)
    page = browse(lab)
    view = open_dispatch(page, dispatch, node=0)
    details = view.get_by_role("complementary")
    expect(details.locator(".cv-stateLine")).to_contain_text("running for", timeout=STARTED)
    tab(view, "Logs")
    expect(view.get_by_role("log")).to_contain_text("waiting", timeout=60_000)
    expect(page.page.locator(".lm-TabBar-tab.lm-mod-current", has_text="patient")).to_be_visible()
    page.page.wait_for_function("!location.search.includes('covalent')")
    page.saved('"tab": "logs"', tabs=(dispatch,))
    page.reload()
    expect(view.get_by_role("tab", name="Logs")).to_have_attribute("aria-selected", "true", timeout=60_000)
    expect(view.get_by_role("log")).to_contain_text("waiting", timeout=60_000)
    expect(details.get_by_role("heading", name="until")).to_be_visible()
    go.touch()
    expect(view.get_by_role("log")).to_contain_text("going on", timeout=60_000)
    expect(view.locator(".cv-facts")).to_contain_text("Completed", timeout=60_000)
    expect(view.locator(".cv-result")).to_contain_text("2", timeout=60_000)


@pytest.mark.timeout(600)
def test_one_electron_can_be_cancelled(lab: Lab, runs: Runs, browse: Browse, tmp_path: Path) -> None:
    dispatch = runs.start(f"patient {str(tmp_path / 'never')!r}", wait=False)
    view = open_dispatch(browse(lab), dispatch, node=0)
    details = view.get_by_role("complementary")
    expect(details.locator(".cv-stateLine")).to_contain_text("running", timeout=STARTED)
    details.get_by_role("button", name="Cancel Electron").click()
    expect(details.locator(".cv-stateLine")).to_contain_text("cancelled", timeout=60_000)
    expect(details.get_by_role("button", name="Cancel Electron")).to_have_count(0)


@pytest.mark.timeout(600)
def test_stacks_and_sublattices_open_in_place_by_keyboard(lab: Lab, runs: Runs, browse: Browse) -> None:
    view = open_dispatch(browse(lab), runs.start("nested"))
    canvas = view.locator(".cv-canvas")
    expect(canvas).to_have_attribute("data-boxes", "2", timeout=STARTED)
    canvas.focus()
    canvas.press("ArrowRight")
    canvas.press(" ")
    expect(canvas).to_have_attribute("data-boxes", "3", timeout=60_000)
    shown = boxes(view)
    assert any("double × 3" in text for text in shown), shown
    canvas.press("ArrowDown")
    canvas.press("Enter")
    expect(canvas).to_have_attribute("data-boxes", "6", timeout=60_000)
    click_box(view, "✓ 1, completed")
    details = view.get_by_role("complementary")
    expect(details.get_by_role("heading", name="double")).to_be_visible()
    expect(details.get_by_role("region", name="Result", exact=True)).to_contain_text("2")


@pytest.mark.timeout(600)
def test_hostile_names_are_text(lab: Lab, runs: Runs, browse: Browse) -> None:
    page = browse(lab)
    view = open_dispatch(page, runs.start("names"))
    expect(view.locator(".cv-canvas")).to_have_attribute("data-boxes", "4", timeout=STARTED)
    tab(view, "Electrons")
    expect(view.locator(".cv-row[data-node='0']")).to_contain_text("<b>bold</b>")
    assert view.locator(".cv-table b").count() == 0
    view.locator(".cv-row[data-node='2']").click()
    pane = view.locator(".cv-side").bounding_box()
    assert pane is not None and pane["width"] < 400
    assert page.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.timeout(600)
def test_a_table_is_shown_sanitised(lab: Lab, runs: Runs, browse: Browse) -> None:
    view = open_dispatch(browse(lab), runs.start("table"), node=0)
    result = view.get_by_role("complementary").get_by_role("region", name="Result", exact=True)
    expect(result.locator(".cv-html table")).to_contain_text("<i>a</i>", timeout=STARTED)
    assert result.locator("i").count() == 0


@pytest.mark.timeout(600)
def test_unknown_and_deleted_dispatches_say_so(lab: Lab, runs: Runs, browse: Browse) -> None:
    page = browse(lab)
    view = open_dispatch(page, "00000000")
    expect(view).to_contain_text("There is no dispatch 00000000 here", timeout=STARTED)
    other = runs.start("experiment 6")
    view = open_dispatch(page, other)
    expect(view.get_by_role("heading", name="experiment")).to_be_visible(timeout=60_000)
    runs.ask("DELETE", f"dispatches/{other}")
    del runs.known["experiment 6"]
    expect(view.get_by_role("alert")).to_contain_text("was deleted", timeout=60_000)
    expect(view.get_by_role("button", name="Run Again")).to_have_count(0)
    tab(view, "Timeline")  # never looked at before
    expect(view.get_by_role("tabpanel")).to_contain_text("deleted with the dispatch")


@pytest.mark.timeout(600)
def test_runs_of_a_lattice_are_plotted_and_compared(lab: Lab, runs: Runs, browse: Browse) -> None:
    first, second = runs.start("experiment 10"), runs.start("experiment 20")
    page = browse(lab)
    view = open_dispatch(page, first)
    expect(view.get_by_role("heading", name="experiment")).to_be_visible(timeout=STARTED)
    view.get_by_role("button", name="More actions").click()
    view.get_by_role("menuitem", name="All Runs of experiment").click()
    table = view.page.locator(".cv-runs")
    expect(table.get_by_role("heading", name="Runs of experiment")).to_be_visible(timeout=60_000)
    expect(table.locator(f"[data-run='{first}']")).to_contain_text("10")
    assert table.locator(".cv-point").count() >= 2
    table.get_by_label(f"Pick {first[:4]}").check()
    table.get_by_label(f"Pick {second[:4]}").check()
    assert page.barriers(".cv-runs") == []
    table.get_by_role("button", name="Compare 2").click()
    comparison = view.page.locator(".cv-compare")
    row = comparison.get_by_role("row", name=re.compile("^start"))
    expect(row).to_contain_text("10", timeout=60_000)
    expect(row).to_contain_text("20")
    expect(comparison).to_contain_text("The source is the same everywhere")
    expect(comparison.get_by_role("row", name=re.compile("^duckdb"))).to_have_count(0)
    assert page.barriers(".cv-compare") == []
    comparison.get_by_label("also what is the same").check()
    expect(comparison.get_by_role("row", name=re.compile("^duckdb"))).to_be_visible()


@pytest.mark.timeout(600)
def test_tabs_keep_their_names_through_a_reload(lab: Lab, runs: Runs, browse: Browse) -> None:
    first, second = runs.start("experiment 10"), runs.start("experiment 20")
    page = browse(lab)
    view = open_dispatch(page, first)
    names = [f"experiment {dispatch[:4]}" for dispatch in (first, second)] + ["Runs of experiment"]
    tabs = page.page.locator("#jp-main-dock-panel").get_by_role("tab")
    expect(tabs.filter(has_text=names[0])).to_be_visible(timeout=STARTED)
    view.get_by_role("button", name="More actions").click()
    view.get_by_role("menuitem", name="All Runs of experiment").click()
    page.page.locator(f"[data-run='{second}']").get_by_role("button", name="experiment", exact=True).click()
    for name in names:
        expect(tabs.filter(has_text=name)).to_be_visible(timeout=60_000)
    page.saved(*names, tabs=(first, second))
    page.reload()
    for name in names:  # the first two are not looked at
        expect(tabs.filter(has_text=name)).to_be_visible(timeout=60_000)


FRAMES = """
async seconds => {
    const frames = [];
    let last = performance.now();
    const end = last + 1000 * seconds;
    while (last < end) {
        await new Promise(resolve => requestAnimationFrame(resolve));
        const now = performance.now();
        frames.push(now - last);
        last = now;
    }
    frames.sort((a, b) => a - b);
    return {fps: 1000 * frames.length / (1000 * seconds), median: frames[frames.length >> 1]};
}
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("layers", [10, 100])
def test_large_graphs_move_smoothly(layers: int, lab: Lab, runs: Runs, browse: Browse) -> None:
    """1,000 and 10,000 electrons of which no two are alike."""
    dispatch = runs.start(f"mesh {layers}, 100")
    page = browse(lab)
    view = open_dispatch(page, dispatch)
    canvas = view.locator(".cv-canvas")
    expect(canvas).to_have_attribute("data-boxes", str(layers * 100), timeout=STARTED)
    page.shot(f"graph-{layers * 100}")
    box = canvas.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    figures = {}
    for name, zoom in (("whole", 0), ("near", 40)):
        page.page.mouse.move(*middle)
        for _ in range(zoom):
            page.page.mouse.wheel(0, -60)
        page.page.mouse.down()
        page.page.evaluate(f"window.measured = ({FRAMES})(3)")
        for i in range(60):
            page.page.mouse.move(middle[0] + 3 * (i % 30), middle[1] + 2 * (i % 20))
        figures[name] = page.page.evaluate("window.measured")
        page.page.mouse.up()
    print(f"{layers * 100} boxes: {figures}")
    page.shot(f"graph-{layers * 100}-near")
    assert all(each["fps"] > 5 for each in figures.values()), figures  # far below what an idle machine gives


@pytest.mark.timeout(600)
def test_a_run_of_ten_thousand_leaves_the_page_quick(lab: Lab, runs: Runs, browse: Browse) -> None:
    page = browse(lab)
    dispatch = runs.start("squares 10000", wait=False)
    view = open_dispatch(page, dispatch)
    canvas = view.locator(".cv-canvas")
    expect(canvas).to_have_attribute("data-boxes", "2", timeout=STARTED)
    live = page.page.evaluate(f"({FRAMES})(3)")
    expect(view.locator(".cv-facts")).to_contain_text("Completed", timeout=STARTED)
    tab(view, "Electrons")
    expect(view.get_by_role("grid")).to_have_attribute("aria-rowcount", "10002", timeout=60_000)
    table = view.locator(".cv-table")
    page.page.evaluate(f"window.measured = ({FRAMES})(3)")
    for i in range(60):
        table.evaluate("(node, top) => { node.scrollTop = top; }", 2000 * (i % 50))
    scrolled = page.page.evaluate("window.measured")
    print(f"10,000 electrons: live {live}, scrolled {scrolled}")
    assert live["fps"] > 5 and scrolled["fps"] > 5  # far below what an idle machine gives


@pytest.mark.timeout(600)
@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_how_it_looks(theme: str, lab: Lab, runs: Runs, browse: Browse) -> None:
    """Every view, for the eye; none is wider than its place."""
    dispatch = runs.start("experiment 1")
    page = browse(lab)
    settings = Path(lab.env["JUPYTERLAB_SETTINGS_DIR"]) / "@jupyterlab/apputils-extension/themes.jupyterlab-settings"
    settings.write_text(json.dumps({"theme": f"JupyterLab {theme}"}))
    try:
        view = open_dispatch(page, dispatch, node=3)
        expect(view.get_by_role("complementary").locator(".cv-errorMessage").first).to_be_visible(timeout=STARTED)
        for name in ("Graph", "Electrons", "Timeline", "Logs", "Errors", "Source", "Versions"):
            tab(view, name)
            expect(view.get_by_role("tabpanel").locator(".cv-empty")).to_have_count(0, timeout=60_000)
            page.shot(f"page-{name.lower()}-{theme.lower()}")
            assert view.locator(".cv-body").evaluate("node => node.scrollWidth <= node.clientWidth")
            assert page.barriers(".jp-CovalentPage:not(.lm-mod-hidden)") == []
    finally:
        settings.write_text(json.dumps({"theme": "JupyterLab Light"}))
