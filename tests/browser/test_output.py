"""The panel of a dispatch below a cell, as people see it."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import expect, sync_playwright

import covalent_jupyter as ct
from covalent_jupyter.client.rest import connect
from covalent_jupyter.notebook.panel import Panel

from ..client.world import world
from .conftest import CHROMIUM_FLAGS
from .page import shots_folder

pytestmark = pytest.mark.timeout(600)

PATIENCE = 90_000  # ms; a busy machine takes its time
HOSTILE = '<img src=x onerror="window.hacked = true">'


def test_a_page_made_of_a_notebook_shows_a_still_table_and_graph(chromium: str, tmp_path: Path) -> None:
    def broken(x: int) -> None:
        raise ValueError(HOSTILE)

    def first(n: int) -> str:
        return HOSTILE

    first.__name__ = first.__qualname__ = HOSTILE

    @ct.lattice
    def flow(n: int) -> object:
        return ct.electron(broken)(ct.electron(first)(n))

    with world(tmp_path):
        ct.set_config(panel="page")
        data = Panel(connect(), ct.dispatch_sync(flow)(1).dispatch_id).data()
    output = nbformat.v4.new_output("display_data", json.loads(json.dumps(data)))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])])
    html, _ = HTMLExporter().from_notebook_node(notebook)
    (tmp_path / "page.html").write_text(html)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        page = browser.new_page()
        page.route("**/*", lambda r: r.continue_() if r.request.url.startswith("file:") else r.abort())
        page.goto((tmp_path / "page.html").as_uri(), timeout=PATIENCE)
        shown = page.locator(".jp-OutputArea-output")
        expect(shown.locator("table tbody tr")).to_have_count(2)
        expect(shown.locator("svg")).to_be_visible()
        expect(shown).to_contain_text(HOSTILE)
        assert page.evaluate("window.hacked") is None and shown.locator("img").count() == 0
        shown.screenshot(path=shots_folder(tmp_path) / "output-still.png")
        browser.close()
