"""The panel of a dispatch below a cell, as people see it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Locator, Page, expect, sync_playwright

from .conftest import CHROMIUM_FLAGS
from .lab import Lab
from .page import LabPage

Browse = Callable[..., LabPage]

pytestmark = pytest.mark.timeout(400)

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


def service_pid(lab: Lab) -> int:
    files = list(lab.runtime.glob("covalent-*.json"))
    return int(json.loads(files[0].read_text())["pid"])


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


def test_in_notebook_7_a_panel_goes_on_under_a_busy_kernel_and_a_service_that_dies(
    lab: Lab, browse: Browse, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    lab.notebook("seven.ipynb", DEFINE, f"ct.dispatch(flow)({str(flag)!r})", "while True: pass")
    shown = browse(lab)
    page = shown.page
    page.goto(f"{lab.url}/notebooks/seven.ipynb?token={lab.token}")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=PATIENCE)
    shown.menu("Run", "Run All Cells")
    panel = panel_of(page)
    expect(panel.locator(".cv-nowRow[data-status=RUNNING]").first).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".jp-InputPrompt", has_text="[*]")).to_be_visible(timeout=PATIENCE)  # it is busy
    os.kill(service_pid(lab), signal.SIGKILL)
    expect(panel.locator(".cv-word")).to_contain_text("cannot be reached", timeout=PATIENCE)
    expect(panel.locator(".cv-word")).to_have_count(0, timeout=PATIENCE)  # the server has started it again
    flag.touch()
    expect(panel).to_have_attribute("data-status", "FAILED", timeout=PATIENCE)
    expect(panel.get_by_role("tabpanel")).to_contain_text(HOSTILE, timeout=PATIENCE)
    expect(page.locator(".jp-InputPrompt", has_text="[*]")).to_be_visible()
    shown.shot("output-notebook-7")
    nothing_ran(page)


@pytest.fixture
def bare_lab(tmp_path: Path) -> Iterator[Lab]:
    """A JupyterLab that has neither the server extension nor the labextension."""
    folder = tmp_path / "bare"
    config = folder / "config" / "labconfig"
    config.mkdir(parents=True)
    (config / "page_config.json").write_text(json.dumps({"disabledExtensions": {"covalent-jupyter": True}}))
    server = Lab(folder, options=("--ServerApp.jpserver_extensions={'covalent_jupyter': False}",))
    try:
        yield server.wait()
    finally:
        server.stop()


def test_without_the_labextension_a_widget_does_the_same(bare_lab: Lab, browse: Browse, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    bare_lab.notebook("widget.ipynb", DEFINE, f"ct.dispatch(flow)({str(flag)!r})", "while True: pass")
    shown = browse(bare_lab)
    shown.open("widget.ipynb")
    shown.run_all_cells()
    panel = panel_of(shown.page)
    expect(panel.locator(".cv-nowRow[data-status=RUNNING]").first).to_contain_text(HOSTILE, timeout=PATIENCE)
    flag.touch()  # the kernel is in a loop, and will be
    expect(panel).to_have_attribute("data-status", "FAILED", timeout=PATIENCE)
    shown.menu("Kernel", "Interrupt Kernel")
    for name, said in (("Electrons", "broken"), ("Logs", HOSTILE), ("Errors", HOSTILE)):
        tab(panel, name)
        expect(panel.get_by_role("tabpanel")).to_contain_text(said[:20], timeout=PATIENCE)
    shown.shot("output-widget")
    nothing_ran(shown.page)
    panel.get_by_role("button", name="Run failed again").click()
    expect(shown.page.locator(".cv-notebookPanel")).to_have_count(2, timeout=PATIENCE)


def test_a_page_made_of_a_notebook_shows_a_still_table_and_graph(chromium: str, lab: Lab, tmp_path: Path) -> None:
    output = saved_output(lab, "kernel.ipynb")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[nbformat.from_dict(output)])])
    html, _ = HTMLExporter().from_notebook_node(notebook)
    (tmp_path / "page.html").write_text(html)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        page = browser.new_page()
        page.route("**/*", lambda r: r.continue_() if r.request.url.startswith("file:") else r.abort())
        page.goto((tmp_path / "page.html").as_uri())
        shown = page.locator(".jp-OutputArea-output")
        expect(shown.locator("table tbody tr")).to_have_count(2)
        expect(shown.locator("svg")).to_be_visible()
        expect(shown).to_contain_text(HOSTILE)
        assert page.evaluate("window.hacked") is None and shown.locator("img").count() == 0
        shown.screenshot(path=Path(os.environ.get("COVALENT_SCREENSHOTS") or tmp_path) / "output-still.png")
        browser.close()
