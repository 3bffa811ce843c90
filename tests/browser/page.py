"""What a person does in JupyterLab with the Covalent panel, in the words of the tests."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
import urllib.error
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Error, Locator, Page, Request, expect

from .lab import Lab

#: Milliseconds that a busy machine may take for what a quiet one does at once.
PATIENCE = 90_000
PANEL = '[id="covalent-jupyter:panel"]'
#: A development dependency of the labextension, which an installation from the checkout brings.
AXE = Path(__file__).parents[2] / "labextension/node_modules/axe-core/axe.min.js"
BARRIERS = """
async selector => {
    const { violations } = await axe.run(selector, { resultTypes: ['violations'] });
    return violations
        .filter(({ impact }) => ['serious', 'critical'].includes(impact))
        .flatMap(({ id, help, nodes }) => nodes.map(({ target, html }) => `${id}: ${help}: ${target}: ${html}`));
}
"""


class LabPage:
    """A page on a Lab, which notes what it should not do: reach out, or complain."""

    def __init__(self, page: Page, lab: Lab, shots: Path) -> None:
        self.page = page
        self.lab = lab
        self.shots = shots
        self.workspace = f"test-{secrets.token_hex(4)}"  # the layout that Lab keeps
        self.elsewhere: list[str] = []
        self.complaints: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.set_default_navigation_timeout(PATIENCE)
        page.on("request", self._on_request)
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self.lab.url, "data:", "blob:")):
            self.elsewhere.append(request.url)

    def _on_error(self, error: Error) -> None:
        stack = error.stack or ""
        # Notebook 7 has errors of its own, on a page without Covalent too
        if "/static/notebook/" not in stack or "covalent" in stack:
            self.complaints.append(str(error))

    def _on_console(self, message: ConsoleMessage) -> None:
        place = message.location.get("url", "")
        refused = message.text.startswith("Failed to load resource")  # an HTTP status: the panel's to show
        if message.type == "error" and not refused and ("covalent" in place or "covalent" in message.text):
            self.complaints.append(f"{message.text} ({place})")

    def open(self, path: str = "") -> None:
        """Open Lab, or a notebook in it, and wait until it stands."""
        tree = f"/tree/{path}" if path else ""
        self.page.goto(f"{self.lab.url}/lab/workspaces/{self.workspace}{tree}?token={self.lab.token}")
        self.wait_for_lab()

    def wait_for_lab(self) -> None:
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")
        self.page.locator("#jp-main-dock-panel").wait_for()

    def saved(self, *words: str, tabs: tuple[str, ...] = ()) -> None:
        """Until the layout that Lab keeps has these words and tabs: it saves it a while after a change, and tells nobody."""
        deadline = time.monotonic() + PATIENCE / 1000
        while True:
            try:
                found: dict[str, Any] = self.lab.get(f"lab/api/workspaces/{self.workspace}")["data"]  # type: ignore[index]
            except urllib.error.HTTPError:  # nothing was saved yet
                found = {}
            text, shown = json.dumps(found), json.dumps(found.get("layout-restorer:data"))
            if all(word in text for word in words) and all(tab in shown for tab in tabs):
                return
            assert time.monotonic() < deadline, found
            self.page.wait_for_timeout(100)

    def reload(self) -> None:
        self.page.reload()
        self.wait_for_lab()

    @property
    def panel(self) -> Locator:
        return self.page.locator(PANEL)

    @property
    def rows(self) -> Locator:
        return self.panel.locator(".jp-Covalent-row")

    def row(self, name: str) -> Locator:
        """The row of the dispatch that bears this name."""
        return self.rows.filter(has=self.page.locator(".jp-Covalent-name").get_by_text(name, exact=True))

    @property
    def headings(self) -> Locator:
        return self.panel.locator(".jp-Covalent-heading")

    def choose(self, item: str) -> None:
        """An entry of the menu that is open."""
        self.page.get_by_role("menuitem", name=re.compile(rf"^{re.escape(item)}")).click()

    @property
    def health(self) -> Locator:
        return self.panel.locator(".jp-Covalent-health").get_by_role("status")

    def open_panel(self) -> None:
        self.page.locator('[data-id="covalent-jupyter:panel"]').click()
        self.panel.wait_for()

    def wait_for_service(self) -> None:
        expect(self.panel.locator(".jp-Covalent-dot.jp-mod-good")).to_be_visible(timeout=60_000)

    def run_all_cells(self) -> None:
        """Run the open notebook, once its kernel is there."""
        # the status bar; the toolbar's indicator says idle before there is a kernel
        self.page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
        self.menu("Run", "Run All Cells")

    def menu(self, menu: str, item: str) -> None:
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        # what follows the item's words is its shortcut
        self.page.get_by_role("menuitem", name=re.compile(rf"^{re.escape(item)}( Ctrl|$)")).click()

    def barriers(self, selector: str) -> list[str]:
        """What keeps people out below ``selector``, as axe-core finds it: what is serious or critical."""
        if not self.page.evaluate("typeof axe !== 'undefined'"):
            self.page.evaluate(AXE.read_text())
        found: list[str] = self.page.evaluate(BARRIERS, selector)
        return found

    def point_away(self) -> None:
        self.page.mouse.move(700, 500)

    def shot(self, name: str) -> None:
        self.page.screenshot(path=self.shots / f"{name}.png")


def shots_folder(fallback: Path) -> Path:
    """Where pictures go: ``$COVALENT_SCREENSHOTS``, else a folder of the test's."""
    folder = Path(os.environ.get("COVALENT_SCREENSHOTS") or fallback)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
