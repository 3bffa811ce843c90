"""The panel before anything was dispatched."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError, expect

from .lab import Lab
from .page import LabPage


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_an_empty_store_shows_health_and_a_first_example(
    theme: str, browse: Callable[[Lab], LabPage], tmp_path: Path
) -> None:
    lab = Lab(tmp_path, theme=theme)
    try:
        page = browse(lab.wait())
        page.open()
        page.open_panel()
        page.wait_for_service()
        expect(page.health).to_contain_text("service")
        expect(page.panel).to_contain_text("Nothing was dispatched yet")
        page.shot(f"empty-{theme.split()[-1].lower()}")
    finally:
        lab.stop()


def test_without_the_server_extension_the_panel_says_what_to_run(
    browse: Callable[[Lab], LabPage], tmp_path: Path
) -> None:
    lab = Lab(tmp_path, options=("--ServerApp.jpserver_extensions={'covalent_jupyter': False}",))
    try:
        page = browse(lab.wait())
        page.open()
        page.open_panel()
        expect(page.panel).to_contain_text("jupyter server extension enable covalent_jupyter", timeout=90_000)
        expect(page.health).to_have_text("server extension missing")
        page.shot("missing-light")
    finally:
        lab.stop()


def test_the_palette_has_the_commands(lab: Lab, browse: Callable[[Lab], LabPage]) -> None:
    page = browse(lab)
    page.open()
    search = page.page.get_by_placeholder("Search").locator("visible=true")
    for _ in range(6):  # a palette that opens while Lab still settles loses the focus, and closes
        page.menu("View", "Activate Command Palette")
        with suppress(TimeoutError):
            search.fill("covalent dispatches", timeout=8_000)
            item = page.page.locator('.lm-CommandPalette-item[data-command="covalent:show-dispatches"]')
            item.click(timeout=8_000)
            break
    expect(page.panel).to_be_visible()


def test_the_view_menu_opens_the_panel(lab: Lab, browse: Callable[[Lab], LabPage]) -> None:
    page = browse(lab)
    page.open()
    page.menu("View", "Show Covalent Dispatches")
    expect(page.panel).to_be_visible()
