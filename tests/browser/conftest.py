from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from .lab import Lab
from .page import LabPage, shots_folder
from .runs import Runs

CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium. Where there is none the browser tests are left out, but never in continuous integration."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("COVALENT_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found:
        return found
    message = "no Chromium on the PATH; install one (Debian: apt-get install chromium) or set COVALENT_CHROMIUM"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for the tests that do not need one of their own."""
    with Lab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture
def browse(chromium: str, tmp_path: Path) -> Iterator[Callable[..., LabPage]]:
    """``browse(lab)`` opens a fresh browser profile; at the end nothing may have been fetched from elsewhere."""
    pages: list[LabPage] = []
    expect.set_options(timeout=60_000)  # a busy machine takes its time
    # Not kept open between tests: Playwright's loop would be in the way of asynchronous ones.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)

        def browse(lab: Lab, *, width: int = 1280, height: int = 800) -> LabPage:
            context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB")
            context.grant_permissions(["clipboard-read", "clipboard-write"], origin=lab.url)
            page = LabPage(context.new_page(), lab, shots_folder(tmp_path / "shots"))
            pages.append(page)
            lab.leave.append(context.close)
            return page

        yield browse
        browser.close()
    for page in pages:
        page.lab.leave.clear()
        assert page.elsewhere == []
        assert page.complaints == []


@pytest.fixture(scope="module")
def runs(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    yield Runs(lab, tmp_path_factory.mktemp("lattices"))
