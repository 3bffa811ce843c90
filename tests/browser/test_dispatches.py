"""Dispatches from a notebook, as the panel shows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from .lab import Lab
from .page import PANEL, LabPage

Browse = Callable[[Lab], LabPage]

pytestmark = pytest.mark.timeout(600)

SUCCEEDS = """
import covalent_jupyter as ct

@ct.electron
def square(x):
    return x * x

@ct.lattice
def squares(n):
    return [square(i) for i in range(n)]

ct.dispatch(squares)(5)
None
"""

FAILS = """
import covalent_jupyter as ct

@ct.electron
def broken(x):
    raise ValueError(f"<b>nothing</b> is {x}")

@ct.lattice
def doomed(x):
    return broken(x)

ct.dispatch(doomed)(0)
None
"""

WAITS = """
import pathlib
import time
import covalent_jupyter as ct

@ct.electron
def first():
    return 1

@ct.electron
def until_told(x):
    while not pathlib.Path("go").exists():
        time.sleep(0.05)
    return x

@ct.lattice
def patient():
    return [until_told(first()) for _ in range(2)]

ct.dispatch(patient)()
None
"""

STARTED = 180_000  # ms: the first dispatch starts service, host and cluster


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab in which nobody has dispatched before."""
    with Lab(tmp_path_factory.mktemp("lab")) as own:
        yield own


def figures(row: Locator) -> Locator:
    return row.locator(".jp-Covalent-figures")


def test_a_dispatch_appears_live_and_stays_after_a_reload(lab: Lab, browse: Browse) -> None:
    page = browse(lab)
    page.open(lab.notebook("squares.ipynb", SUCCEEDS))
    page.open_panel()
    page.run_all_cells()
    row = page.row("squares")
    expect(row).to_have_attribute("data-status", "COMPLETED", timeout=STARTED)
    expect(row.get_by_role("img", name="completed", exact=True)).to_have_text("✓")
    expect(figures(row)).to_contain_text("5 electrons")
    page.reload()
    expect(page.panel).to_be_visible()
    expect(page.row("squares")).to_have_attribute("data-status", "COMPLETED")


def test_a_failure_says_why_in_its_row(lab: Lab, browse: Browse) -> None:
    page = browse(lab)
    page.open(lab.notebook("doomed.ipynb", FAILS))
    page.open_panel()
    page.run_all_cells()
    row = page.row("doomed")
    expect(row).to_have_attribute("data-status", "FAILED", timeout=STARTED)
    expect(figures(row)).to_contain_text("ValueError")
    expect(row.locator(".jp-Covalent-reason")).to_have_attribute("title", re.compile("<b>nothing</b> is 0"))
    page.panel.get_by_role("button", name=re.compile("^Failed")).click()
    expect(page.rows).to_have_count(1)
    page.panel.get_by_role("searchbox").fill("no such thing")
    expect(page.panel).to_contain_text("No dispatch matches")
    page.panel.get_by_role("button", name="Show All").click()
    expect(page.row("doomed")).to_be_visible()


def test_cancel_stops_what_runs(lab: Lab, browse: Browse) -> None:
    page = browse(lab)
    page.open(lab.notebook("patient.ipynb", WAITS))
    page.open_panel()
    page.run_all_cells()
    row = page.row("patient").first
    expect(row).to_have_attribute("data-status", "RUNNING", timeout=STARTED)
    expect(figures(row)).to_contain_text("2 of 4", timeout=STARTED)
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "2")
    row.hover()
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_have_attribute("data-status", "CANCELLED", timeout=90_000)
    expect(figures(row)).to_contain_text("cancelled after 2")
    expect(row.get_by_role("button", name="Cancel")).to_have_count(0)


def test_a_click_copies_the_whole_id(lab: Lab, browse: Browse) -> None:
    page = browse(lab)
    page.open()
    page.open_panel()
    row = page.rows.first
    dispatch_id = row.get_attribute("data-dispatch")
    row.locator(".jp-Covalent-id").click()
    expect(row.locator(".jp-Covalent-copied")).to_be_visible()
    assert page.page.evaluate("navigator.clipboard.readText()") == dispatch_id


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_how_it_looks(theme: str, browse: Browse, tmp_path: Path) -> None:
    """Completed, failed and running ones together, for the eye; the running one then ends by itself, seen live."""
    lab = Lab(tmp_path, theme=f"JupyterLab {theme}")
    try:
        page = browse(lab.wait())
        page.open(lab.notebook("all.ipynb", SUCCEEDS, FAILS, WAITS))
        page.open_panel()
        page.run_all_cells()
        expect(page.row("squares")).to_have_attribute("data-status", "COMPLETED", timeout=STARTED)
        expect(page.row("doomed")).to_have_attribute("data-status", "FAILED", timeout=STARTED)
        expect(figures(page.row("patient"))).to_contain_text("2 of 4", timeout=STARTED)
        expect(page.headings.first).to_have_text("Running")
        expect(page.rows.first).to_contain_text("patient")
        page.point_away()
        page.shot(f"dispatches-{theme.lower()}")
        assert page.barriers(PANEL) == []
        (lab.root / "go").touch()
        expect(page.row("patient")).to_have_attribute("data-status", "COMPLETED", timeout=90_000)
    finally:
        lab.stop()
