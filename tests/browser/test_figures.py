"""Figures in a notebook: what is on the screen, in both themes, and that names of users stay text."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .lab import Lab
from .page import LabPage

pytestmark = pytest.mark.timeout(600)

DEFINE = """
import covalent_jupyter as ct
EVIL = "$x^2$ <img src=x onerror='window.caught=1'>"

@ct.electron
def load(n):
    return n

@ct.electron
def train(data, C):
    if C == 3:
        raise ValueError(EVIL)
    return C

@ct.electron
def score(model, data):
    return model

@ct.electron
@ct.lattice
def refine(x):
    return score(score(x, 1), 2)

@ct.lattice
def search(n, count):
    data = load(n)
    scores = [score(train(data, C), data) for C in range(count)]
    return scores, refine(data), ct.electron(load, name=EVIL)(1)
"""


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_graphs_in_a_notebook(theme: str, browse: Callable[..., LabPage], tmp_path: Path) -> None:
    lab = Lab(tmp_path, theme=theme)
    try:
        lab.wait().notebook(
            "graphs.ipynb",
            DEFINE,
            "search.draw(2, count=4)",
            "result = ct.dispatch_sync(search)(2, count=20)",
            "result.draw(open=True)",
            "result.draw(find='train[C=3]', collapse=False)",
        )
        page = browse(lab, width=1500, height=2600)
        page.open("graphs.ipynb")
        page.run_all_cells()
        plots = page.page.locator(".js-plotly-plot")
        expect(plots).to_have_count(3, timeout=180_000)
        for at in range(3):
            expect(plots.nth(at).locator(".main-svg").first).to_be_visible()
        before, after, found = (plots.nth(at) for at in range(3))
        expect(before).to_contain_text("train")
        expect(before).to_contain_text("C=1")
        expect(after).to_contain_text("train × 19")
        expect(after).to_contain_text("✕ failed (1)")
        expect(after).to_contain_text("⊟ refine")
        expect(after).to_contain_text("$x^2$ <img src=x")
        expect(found).to_contain_text("C=3 · ValueError")
        for _ in range(12):  # what is drawn late moves what was drawn before
            place = after.get_by_text("C=3 · ValueError").first.bounding_box()
            assert place is not None
            page.page.mouse.move(place["x"] + place["width"] / 2, place["y"])
            with suppress(AssertionError):
                expect(after.locator(".hoverlayer")).to_contain_text("ValueError: $x^2$ <img src=x", timeout=5_000)
                break
        expect(after.locator(".hoverlayer")).to_contain_text("ValueError: $x^2$ <img src=x", timeout=5_000)
        page.shot(f"graphs-{theme.split()[-1].lower()}")
        assert page.page.evaluate("window.caught") is None
        assert page.page.locator('[data-title="Share chart..."]').count() == 0, "nothing is sent anywhere"
        assert page.page.locator('[data-title="Zoom in"]').count() == 3
        assert page.page.locator('.js-plotly-plot img[src="x"]').count() == 0
    finally:
        lab.stop()
