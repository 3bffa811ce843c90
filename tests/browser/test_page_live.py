"""What people see of a run that reports, what they take from it into their notebook, and two tabs on the same server."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from .lab import Lab
from .page import LabPage

Browse = Callable[..., LabPage]

pytestmark = pytest.mark.timeout(600)

STARTED = 180_000  # ms: the first dispatch starts service, host and runner
SOON = 90_000

DEFINE = """
import os, time
import covalent_jupyter as ct

@ct.electron(executor="local")
def learn(path, steps):
    for step in ct.progress(range(steps)):
        ct.report(step=step, loss=1 / (1 + step))
        time.sleep(0.1)
        while step == 20 and not os.path.exists(path):
            time.sleep(0.05)
    if steps > 30:
        raise ValueError("too many steps")
    return steps

@ct.lattice
def lessons(path):
    return learn(path, 30), learn(path, 40)

@ct.lattice
def shared_by_two_tabs(path):
    return learn(path, 30)
"""


def open_page(page: LabPage) -> Locator:
    """Follow the button of the notebook's panel to the page of its dispatch."""
    page.page.locator(".cv-notebookPanel").first.get_by_role("button", name="Open", exact=True).click()
    view = page.page.locator(".jp-CovalentPage:visible")
    view.wait_for()
    return view


def choose_electron(view: Locator, node: int) -> Locator:
    """Its details."""
    view.get_by_role("tab", name="Electrons").click()
    view.locator(f".cv-row[data-node='{node}']").click()
    details = view.get_by_role("complementary")
    expect(details.locator(".cv-detailsTitle")).to_contain_text(f"learn{node}")
    return details


def test_reports_are_drawn_live_and_cells_are_inserted(lab: Lab, browse: Browse, tmp_path: Path) -> None:
    page = browse(lab)
    page.open(lab.notebook("lessons.ipynb", DEFINE, f"ct.dispatch(lessons)({str(tmp_path / 'go')!r})"))
    page.run_all_cells()
    expect(page.page.locator(".cv-notebookPanel")).to_have_attribute("data-status", "RUNNING", timeout=STARTED)
    dispatch = page.page.locator(".cv-notebookPanel").get_attribute("data-dispatch")
    told = page.page.locator(".cv-notebookPanel").get_by_role("progressbar", name=re.compile("Progress of learn"))
    expect(told).to_have_count(2, timeout=STARTED)
    assert page.barriers(".cv-notebookPanel") == []
    view = open_page(page)
    details = choose_electron(view, 1)
    bar = details.get_by_role("progressbar", name="Progress of the electron")
    expect(bar).to_have_attribute("aria-valuenow", re.compile("^[1-9]"), timeout=STARTED)
    expect(bar).to_have_attribute("aria-valuemax", "40")
    curve = details.locator(".cv-curve")
    expect(curve).to_contain_text("loss", timeout=SOON)
    expect(details.locator(".cv-stateLine")).to_contain_text("running")
    assert page.barriers(".jp-CovalentPage:not(.lm-mod-hidden)") == []
    page.shot("reports-running")
    (tmp_path / "go").touch()
    expect(details.locator(".cv-stateLine")).to_contain_text("failed", timeout=SOON)
    expect(bar).to_have_attribute("aria-valuenow", "40", timeout=SOON)
    expect(curve).to_contain_text("loss")
    assert page.barriers(".jp-CovalentPage:not(.lm-mod-hidden)") == []
    page.shot("reports-failed")

    def active(press: str, node: int, code: str) -> None:
        page.page.locator(".lm-TabBar-tab").filter(has_text="lessons " + str(dispatch)[:4]).first.click()
        choose_electron(view, node).get_by_role("button", name=press).click()
        cell = page.page.locator(".jp-NotebookPanel:visible .jp-Cell.jp-mod-active")
        expect(cell).to_contain_text("import covalent_jupyter as ct", timeout=SOON)
        expect(cell).to_contain_text(code, timeout=SOON)

    short = str(dispatch)[:8]
    active("Run Failed Again with Current Code", 1, f'ct.redispatch("{short}", code="current", rerun="failed")()')
    active("Debug in Notebook", 1, f'ct.debug("{short}", 1)')
    active("Insert Fetch Code", 0, f'ct.get_result("{short}").electrons[0].value')
    page.page.keyboard.press("Shift+Enter")  # the notebook has the focus, and its kernel knows the way
    expect(page.page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output").last).to_have_text("30", timeout=SOON)

    page.page.locator(".lm-TabBar-tab").filter(has_text="lessons " + str(dispatch)[:4]).first.click()
    choose_electron(view, 1).get_by_role("button", name="Run Failed Again", exact=True).click()
    expect(view.locator(".cv-facts")).to_contain_text(f"repeats {str(dispatch)[:4]}", timeout=SOON)
    expect(view.locator(".cv-row[data-node='0']").or_(view.locator(".cv-canvas"))).to_be_visible(timeout=SOON)
    expect(view.locator(".cv-facts")).to_contain_text("Failed", timeout=SOON)


def test_two_tabs_say_the_same(lab: Lab, browse: Browse, tmp_path: Path) -> None:
    first, second = browse(lab), browse(lab)
    first.open(lab.notebook("tabs.ipynb", DEFINE, f"ct.dispatch(shared_by_two_tabs)({str(tmp_path / 'never')!r})"))
    first.open_panel()
    second.open()
    second.open_panel()
    first.run_all_cells()
    here, there = first.row("shared_by_two_tabs"), second.row("shared_by_two_tabs")
    expect(here).to_have_attribute("data-status", "RUNNING", timeout=STARTED)
    expect(there).to_have_attribute("data-status", "RUNNING", timeout=SOON)
    view = open_page(first)
    expect(view.get_by_role("heading", name="shared_by_two_tabs")).to_be_visible(timeout=SOON)

    there.locator(".jp-Covalent-figures").click()
    second.panel.locator(".jp-Covalent-tree").focus()
    second.page.keyboard.press("F2")
    second.page.keyboard.type("renamed there")
    second.page.keyboard.press("Enter")
    here, there = first.row("renamed there"), second.row("renamed there")
    expect(here).to_be_visible(timeout=SOON)
    expect(view.get_by_role("heading", name="renamed there")).to_be_visible(timeout=SOON)

    here.hover()
    here.get_by_role("button", name="Cancel").click()
    expect(there).to_have_attribute("data-status", "CANCELLED", timeout=SOON)
    expect(view.locator(".cv-facts")).to_contain_text("Cancelled", timeout=SOON)

    there.locator(".jp-Covalent-figures").click()
    second.panel.locator(".jp-Covalent-tree").focus()
    second.page.keyboard.press("Delete")
    second.page.locator(".jp-Dialog").get_by_role("button", name="Delete").click()
    expect(there).to_have_count(0, timeout=SOON)
    expect(here).to_have_count(0, timeout=SOON)
    expect(view.get_by_role("alert")).to_contain_text("was deleted", timeout=SOON)
    first.shot("deleted-in-another-tab")
