"""The sidebar while things run: real dispatches from a notebook."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .lab import Lab
from .page import LabPage

Browse = Callable[..., LabPage]

pytestmark = pytest.mark.timeout(600)

STARTED = 180_000  # ms: the first dispatch starts service, host and cluster, on a busy machine
SOON = 90_000

GOES_ON = """
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
def patient(n):
    return [until_told(first()) for _ in range(n)]

ct.dispatch(patient)(2)
"""


def test_a_run_from_its_start_to_its_end(browse: Browse, tmp_path: Path) -> None:
    """Seen live, after a reload, in the Running panel and the status bar; cancelled, continued, told of at its end."""
    settings = tmp_path / "settings" / "covalent-jupyter"
    settings.mkdir(parents=True)
    (settings / "plugin.jupyterlab-settings").write_text('{"notifications": "all"}')
    lab = Lab(tmp_path)
    try:
        page = browse(lab.wait())
        page.open(lab.notebook("patient.ipynb", "# nothing here", GOES_ON))
        page.open_panel()
        page.run_all_cells()
        row = page.row("patient").first
        expect(row).to_have_attribute("data-status", "RUNNING", timeout=STARTED)
        expect(row.locator(".jp-Covalent-figures")).to_contain_text("2 of 4", timeout=STARTED)
        expect(page.panel.get_by_title(re.compile("dask: ready"))).to_be_visible(timeout=SOON)
        page.point_away()
        page.shot("running-light")

        page.reload()
        expect(row).to_have_attribute("data-status", "RUNNING", timeout=SOON)
        expect(row.locator(".jp-Covalent-figures")).to_contain_text("2 of 4", timeout=SOON)
        page.panel.get_by_role("button", name="Service, cluster, settings").click()
        page.choose("Restart Cluster")
        asks = page.page.locator(".jp-Dialog")
        expect(asks).to_contain_text("Electrons that run on it are run again.")
        asks.get_by_role("button", name="Restart").click()
        wait_for_attempts(lab, row.get_attribute("data-dispatch") or "", [1, 1, 2, 2])
        expect(page.panel.get_by_title(re.compile("dask: ready"))).to_be_visible(timeout=SOON)
        expect(row.locator(".jp-Covalent-figures")).to_contain_text("2 of 4", timeout=SOON)
        page.panel.get_by_role("button", name="This notebook").click(timeout=SOON)
        expect(row).to_be_visible(timeout=SOON)

        row.locator(".jp-Covalent-figures").click(button="right")
        page.choose("Go to Cell")
        active = page.page.locator(".jp-Notebook .jp-Cell.jp-mod-active")
        expect(active).to_contain_text("ct.dispatch(patient", timeout=SOON)
        row.locator(".jp-Covalent-figures").click(button="right")
        page.choose("Insert Code That Fetches the Result")
        short = (row.get_attribute("data-dispatch") or "")[:8]
        expect(active).to_contain_text(f'ct.get_result("{short}")', timeout=SOON)

        expect(page.page.locator(".jp-Covalent-status")).to_contain_text("1 dispatch", timeout=SOON)
        page.page.locator('[data-id="jp-running-sessions"]').click()
        running = page.page.locator("#jp-running-sessions")
        expect(running).to_contain_text("Dispatches")
        expect(running).to_contain_text("patient", timeout=SOON)
        page.shot("running-panel-light")
        page.open_panel()

        row.hover()
        row.get_by_role("button", name="Cancel").click()
        expect(row).to_have_attribute("data-status", "CANCELLED", timeout=SOON)
        toasts = page.page.locator(".Toastify__toast")
        kept = toasts.filter(has_text="2 finished electrons are kept")
        expect(kept).to_be_visible(timeout=SOON)
        page.shot("continue-light")
        news = page.panel.get_by_role("status", name="News of dispatches")
        expect(news).to_have_text("patient: cancelled", timeout=SOON)  # or both ends are told in one sentence
        kept.get_by_role("button", name="Continue").click()
        again = page.rows.and_(page.panel.locator('[data-status="RUNNING"]'))
        expect(again).to_have_count(1, timeout=SOON)
        continued = again.get_attribute("data-dispatch")
        (lab.root / "go").touch()
        expect(again).to_have_count(0, timeout=SOON)
        page.point_away()
        expect(page.panel.get_by_role("img", name="completed, partly reused")).to_be_visible(timeout=SOON)
        completed = toasts.filter(has_text="patient is completed")
        expect(completed).to_be_visible(timeout=SOON)
        expect(news).to_have_text("patient: completed, partly reused", timeout=SOON)
        expect(page.page.locator(".jp-Covalent-status")).to_be_hidden()
        page.shot("completed-light")
        page.page.locator(".jp-Notification-Status").click()
        listed = page.page.locator(".jp-Notification-List-Item").filter(has_text="patient is completed")
        expect(listed).to_be_visible(timeout=SOON)  # there it stays, also when it has been shown for long enough
        lab.post("covalent/purge", {"dispatch_ids": [continued]})
        expect(listed).to_have_count(0, timeout=SOON)
    finally:
        lab.stop()


def wait_for_attempts(lab: Lab, dispatch_id: str, attempts: list[int]) -> None:
    """Until the electrons run, or have completed, at these attempts."""
    deadline = time.monotonic() + SOON / 1000
    while True:
        rows = lab.get(f"covalent/dispatches/{dispatch_id}/electrons")["electrons"]  # type: ignore[index]
        if sorted(r["attempt"] for r in rows if r["status"] in ("RUNNING", "COMPLETED")) == attempts:
            return
        assert time.monotonic() < deadline, [(r["name"], r["status"], r["attempt"]) for r in rows]
        time.sleep(0.1)
