"""The panel of a dispatch below a cell, live: with a kernel, and without one."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

from .lab import Lab
from .page import LabPage

Browse = Callable[..., LabPage]

pytestmark = pytest.mark.timeout(600)

PATIENCE = 90_000  # ms; a busy machine takes its time
MIME = "application/vnd.covalent.dispatch+json"
HOSTILE = '<img src=x onerror="window.hacked = true">'

DEFINE = f"""
import os, time
import covalent_jupyter as ct

def wait_for(path, n):
    print({HOSTILE!r})
    for _ in ct.progress(range(100000)):
        if os.path.exists(path):
            break
        time.sleep(0.1)
    return n

wait_for.__name__ = wait_for.__qualname__ = {HOSTILE!r}
wait_for = ct.electron(wait_for, executor="local")

@ct.electron(executor="local")
def broken(x):
    raise ValueError({HOSTILE!r})

@ct.lattice
def flow(path):
    return wait_for(path, 0), broken(0)
"""


def panel_of(page: Page) -> Locator:
    return page.locator(".cv-notebookPanel").first


def tab(panel: Locator, name: str) -> None:
    panel.get_by_role("tab", name=name).click()


def nothing_ran(page: Page) -> None:
    assert page.evaluate("window.hacked") is None
    assert page.locator(".cv-notebookPanel img").count() == 0


def saved_output(lab: Lab, name: str) -> dict[str, Any]:
    """The output with the panel, once the notebook with it was saved."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        cells = json.loads((lab.root / name).read_text())["cells"]
        found = [o for c in cells for o in c["outputs"] if MIME in o.get("data", {})]
        if found:
            return dict(found[-1])
        time.sleep(0.1)
    raise AssertionError("no panel was saved")


def test_a_panel_lives_without_a_kernel(lab: Lab, browse: Browse, tmp_path: Path) -> None:
    lab.notebook("kernel.ipynb", DEFINE, f"ct.dispatch(flow)({str(tmp_path / 'never')!r})")
    with_kernel = browse(lab)
    with_kernel.open("kernel.ipynb")
    with_kernel.run_all_cells()
    panel = panel_of(with_kernel.page)
    running = panel.locator(".cv-nowRow[data-status=RUNNING]").first
    expect(running).to_contain_text(HOSTILE, timeout=PATIENCE)
    expect(running.get_by_role("progressbar")).to_be_visible(timeout=PATIENCE)
    expect(panel.locator(".cv-nowRow[data-status=FAILED]")).to_contain_text(f"ValueError: {HOSTILE}")
    for name, said in (("Errors", HOSTILE), ("Logs", HOSTILE), ("Graph", "broken"), ("Electrons", HOSTILE)):
        tab(panel, name)
        expect(panel.get_by_role("tabpanel")).to_contain_text(said[:20], timeout=PATIENCE)
    with_kernel.shot("output-running")
    nothing_ran(with_kernel.page)
    with_kernel.page.keyboard.press("Control+s")
    output = saved_output(lab, "kernel.ipynb")
    assert output["data"][MIME]["row"]["status"] == "RUNNING"

    # the notebook is opened again by somebody who has no kernel for it
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[nbformat.from_dict(output)])])
    nbformat.write(notebook, lab.root / "alone.ipynb")
    alone = browse(lab)
    alone.open("alone.ipynb")
    alone.page.get_by_role("dialog").get_by_role("button", name="No Kernel").click(timeout=PATIENCE)
    panel = panel_of(alone.page)
    expect(panel).to_have_attribute("data-status", "RUNNING", timeout=PATIENCE)
    panel.get_by_role("button", name="Cancel").click(timeout=PATIENCE)
    expect(panel).to_have_attribute("data-status", "CANCELLED", timeout=PATIENCE)
    alone.shot("output-cancelled")
    nothing_ran(alone.page)


SWEEP = (
    DEFINE
    + """
@ct.electron(executor="local")
def point(C, path):
    if os.path.exists(path + ".bad") and C % 2:
        raise ValueError("no luck")
    while C > 5 and not os.path.exists(path):
        time.sleep(0.05)
    return C
"""
)


def test_a_sweep_is_one_panel_of_all_its_dispatches(lab: Lab, browse: Browse, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    Path(f"{flag}.bad").touch()
    cells = [
        SWEEP,
        f"s = ct.sweep(point, ct.grid(C=[1, 2, 3, 4]), fixed={{'path': {str(flag)!r}}})\ns",
        f"s.wait()\nos.remove({str(flag)!r} + '.bad')\ns.retry_failed().wait()\ns.add(ct.grid(C=[6, 8, 10])).dispatch_ids",
    ]
    lab.notebook("sweep.ipynb", *cells)
    page = browse(lab)
    page.open("sweep.ipynb")
    page.run_all_cells()
    panel = panel_of(page.page)
    whole = panel.get_by_role("group", name="The whole sweep of point")
    expect(whole).to_contain_text("4 of 7 points completed", timeout=PATIENCE)
    parts = whole.get_by_role("group", name="Dispatches of the sweep").get_by_role("button")
    expect(parts).to_have_text([re.compile(each) for each in ("4 points", "2 again", "3 more")])
    expect(parts.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(whole).to_contain_text("running")
    parts.nth(0).click()
    expect(panel.get_by_role("group", name="Dispatch point × 4", exact=True)).to_be_visible(timeout=PATIENCE)
    expect(panel.get_by_role("tab", name="Errors")).to_be_visible(timeout=PATIENCE)
    page.shot("output-sweep")
    parts.nth(1).click()
    expect(panel).to_have_attribute("data-status", "COMPLETED", timeout=PATIENCE)
    expect(parts.nth(1)).to_have_attribute("aria-pressed", "true")
    flag.touch()
    expect(whole.locator(".cv-figures")).to_have_text("7 points", timeout=PATIENCE)
    expect(whole.locator(".cv-sign").first).to_have_attribute("aria-label", "completed", timeout=PATIENCE)
    expect(page.page.locator(".cv-notebookPanel")).to_have_count(1)
    nothing_ran(page.page)
