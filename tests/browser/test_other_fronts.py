"""The panel of a dispatch where there is no JupyterLab, and where there is one without the labextension."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .lab import Lab
from .page import LabPage

Browse = Callable[..., LabPage]

pytestmark = pytest.mark.timeout(600)

STARTED = 180_000  # ms: the first dispatch starts service, host and runner

DEFINE = """
import os, time
import covalent_jupyter as ct

@ct.electron(executor="local")
def until(path, n):
    while not os.path.exists(path):
        time.sleep(0.05)
    return n * n

@ct.lattice
def squares(path):
    return [until(path, n) for n in range(5, 8)]
"""


def run_all(page: LabPage) -> None:
    """Run the open notebook, once its kernel is there."""
    expect(page.page.locator(".jp-Toolbar-kernelName")).to_contain_text("Python 3 (ipykernel)", timeout=STARTED)
    expect(page.page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute(
        "data-status", "idle", timeout=STARTED
    )
    page.menu("Run", "Run All Cells")


def follow_to_its_end(page: Page, go: Path) -> None:
    """The first panel shows the run, live, and then what came of it."""
    panel = page.locator(".cv-notebookPanel").first
    expect(panel).to_have_attribute("data-status", "RUNNING", timeout=STARTED)
    expect(panel).to_contain_text("squares")
    expect(panel.locator(".cv-nowRow[data-status=RUNNING]").first).to_contain_text("until", timeout=STARTED)
    go.touch()
    expect(panel).to_have_attribute("data-status", "COMPLETED", timeout=STARTED)
    expect(panel.get_by_role("tab", name="Result")).to_have_attribute("aria-selected", "true")
    for square in ("25", "36", "49"):
        expect(panel.get_by_role("tabpanel")).to_contain_text(square)


def test_notebook_7_shows_a_dispatch_from_its_start_to_its_end(browse: Browse, tmp_path: Path) -> None:
    lab = Lab(tmp_path, application="notebook")
    try:
        lab.wait().notebook("plain.ipynb", DEFINE, f"ct.dispatch(squares)({str(tmp_path / 'go')!r})")
        page = browse(lab)
        page.page.goto(f"{lab.url}/notebooks/plain.ipynb?token={lab.token}")
        run_all(page)
        follow_to_its_end(page.page, tmp_path / "go")
        page.shot("notebook-7")
    finally:
        lab.stop()


def test_without_the_labextension_a_widget_shows_it(browse: Browse, tmp_path: Path) -> None:
    """Live over the kernel, and its Cancel too: there is neither our labextension nor our part of the server."""
    off = tmp_path / "config" / "labconfig"
    off.mkdir(parents=True)
    (off / "page_config.json").write_text(json.dumps({"disabledExtensions": {"covalent-jupyter": True}}))
    lab = Lab(tmp_path, options=("--ServerApp.jpserver_extensions={'covalent_jupyter': False}",))
    try:
        dispatches = [f"ct.dispatch(squares)({str(tmp_path / name)!r})" for name in ("go", "never")]
        page = browse(lab.wait())
        page.open(lab.notebook("widget.ipynb", DEFINE, *dispatches))
        expect(page.page.locator('[data-id="covalent-jupyter:panel"]')).to_have_count(0)
        run_all(page)
        follow_to_its_end(page.page, tmp_path / "go")
        second = page.page.locator(".cv-notebookPanel").nth(1)
        second.get_by_role("button", name="Cancel").click()
        expect(second).to_have_attribute("data-status", "CANCELLED", timeout=STARTED)
        page.shot("widget")
    finally:
        lab.stop()
