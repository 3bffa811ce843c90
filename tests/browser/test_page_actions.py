"""What a person does on the page of a dispatch: tools of the graph, logs, values, links."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from .lab import Lab
from .page import LabPage
from .runs import STARTED, Runs, open_dispatch, tab

Browse = Callable[..., LabPage]


def figures(canvas: Locator) -> tuple[float, float, float]:
    """Scale, left and top of what the graph shows."""
    scale, left, top = (float(canvas.get_attribute(f"data-{name}") or 0) for name in ("scale", "left", "top"))
    return scale, left, top


def changes(canvas: Locator, act: Callable[[], object]) -> tuple[float, float, float]:
    """The figures after ``act``, which are others than before."""
    before = [canvas.get_attribute(f"data-{name}") for name in ("scale", "left", "top")]
    act()
    canvas.page.wait_for_function(
        "([box, before]) => ['scale', 'left', 'top'].some((name, i) => box.dataset[name] !== before[i])",
        arg=[canvas.element_handle(), before],
    )
    return figures(canvas)


def is_in_view(canvas: Locator, box: Locator) -> bool:
    """Whether the place of this box of the graph is in view."""
    scale, left, top = figures(canvas)
    x, y, width, height = map(float, (box.get_attribute("data-place") or "").split())
    shown = canvas.bounding_box()
    assert shown is not None
    across, down = left + (x + width / 2) * scale, top + (y + height / 2) * scale
    return 0 < across < shown["width"] and 0 < down < shown["height"]


@pytest.mark.timeout(600)
def test_tools_of_the_graph(lab: Lab, runs: Runs, browse: Browse) -> None:
    page = browse(lab)
    view = open_dispatch(page, runs.start("mesh 10, 100"))
    canvas, tools = view.locator(".cv-canvas"), view.get_by_role("toolbar", name="Graph", exact=True)
    expect(canvas).to_have_attribute("data-boxes", "1000", timeout=STARTED)
    minimap = view.locator(".cv-minimap")
    whole = figures(canvas)
    nearer = changes(canvas, tools.get_by_role("button", name="Zoom in").click)
    assert nearer[0] == pytest.approx(whole[0] * 1.25, rel=0.01)
    assert changes(canvas, tools.get_by_role("button", name="Zoom out").click)[0] == pytest.approx(whole[0], rel=0.01)
    canvas.focus()
    changes(canvas, lambda: [canvas.press("+") for _ in range(8)])
    expect(minimap).to_be_visible()
    frame = minimap.locator(".cv-minimapView")
    before = frame.bounding_box()
    changes(canvas, lambda: minimap.click(position={"x": 12, "y": 12}))
    after = frame.bounding_box()
    assert before and after and after["x"] < before["x"] and after["width"] == pytest.approx(before["width"], abs=2)
    page.shot("graph-minimap")

    tools.get_by_role("button", name="find").click()
    words = view.get_by_label("Find in the graph")
    words.fill("step 7.4")
    expect(tools).to_contain_text("11 found")  # 7.4, and 7.40 to 7.49
    first = changes(canvas, lambda: words.press("Enter"))
    assert first[0] >= 0.8, "what was found is to be readable"
    second = changes(canvas, lambda: words.press("Enter"))
    assert second[1:] != first[1:]
    words.press("Escape")
    expect(words).to_have_count(0)
    expect(canvas).to_be_focused()
    canvas.press("Enter")  # what was found last is chosen
    expect(view.get_by_role("complementary").get_by_role("heading", name=re.compile(r"step 7\.4"))).to_be_visible()

    changes(canvas, tools.get_by_role("button", name="Left to right, or top down").click)
    assert is_in_view(canvas, canvas.locator("[role=option][aria-selected=true]"))
    changes(canvas, tools.get_by_role("button", name="Fit").click)
    canvas.focus()
    changes(canvas, lambda: canvas.press("-"))
    changes(canvas, lambda: canvas.press("0"))


@pytest.mark.timeout(600)
def test_values_logs_and_links(lab: Lab, runs: Runs, browse: Browse, tmp_path: Path) -> None:
    go = tmp_path / "go"
    dispatch = runs.start(f"values {str(go)!r}", wait=False)
    page = browse(lab)
    view = open_dispatch(page, dispatch, node=0)
    details = view.get_by_role("complementary")
    result = details.get_by_role("region", name="Result", exact=True)
    picture = result.get_by_role("img", name="a green picture")
    expect(picture).to_be_visible(timeout=STARTED)
    assert picture.evaluate("node => [node.naturalWidth, node.naturalHeight]") == [60, 40]

    tab(view, "Electrons")
    view.locator(".cv-row[data-node='1']").click()
    tree = result.locator(".cv-tree")
    expect(tree).to_contain_text("'first': 'Ada'", timeout=60_000)
    expect(tree.get_by_text("129", exact=True)).to_be_visible()
    tree.locator("summary", has_text="rates").click()
    expect(tree.get_by_text("129", exact=True)).to_be_hidden()
    expect(tree).to_contain_text("… more")
    page.shot("value-tree")

    view.locator(".cv-row[data-node='2']").click()
    tab(view, "Logs")
    log = view.get_by_role("log")
    expect(log).to_contain_text("line 399", timeout=60_000)
    follow = view.get_by_role("button", name="Follow")
    expect(follow).to_have_count(0)
    log.evaluate("node => { node.scrollTop = 0; }")
    expect(log).to_contain_text("line 0")
    expect(follow).to_be_visible()
    go.touch()
    expect(view.locator(".cv-facts")).to_contain_text("Completed", timeout=60_000)
    expect(log).not_to_contain_text("the end")  # whoever reads above is left there
    follow.click()
    expect(log).to_contain_text("the end")
    expect(follow).to_have_count(0)
    view.get_by_role("button", name="stderr", exact=True).click()
    expect(log).not_to_contain_text("line 399")
    view.get_by_role("button", name="both", exact=True).click()
    with page.page.expect_download() as begun:
        view.get_by_role("button", name="Download").click()
    assert begun.value.suggested_filename == f"values-{dispatch[:8]}-2.log"
    saved = Path(begun.value.path()).read_text().splitlines()
    assert len(saved) == 401 and saved[7] == "line 7" and saved[-1].endswith("the end")

    def copied(item: str) -> str:
        view.get_by_role("button", name="More actions").click()
        page.page.get_by_role("menuitem", name=item).click()
        return str(page.page.evaluate("navigator.clipboard.readText()"))

    assert copied("Copy Id") == dispatch
    link = copied("Copy Link")
    assert link.startswith(lab.url) and dispatch in link
    other = browse(lab)  # somebody else on this server follows it
    other.page.goto(f"{link}&token={lab.token}")
    other.wait_for_lab()
    expect(other.page.locator(".jp-CovalentPage:visible").get_by_role("heading", name="values")).to_be_visible()
