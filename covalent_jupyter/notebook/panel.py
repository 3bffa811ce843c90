"""The one panel of a dispatch in a notebook, in the forms that front ends understand.

- ``application/vnd.covalent.dispatch+json``: our labextension draws it from the service, with no kernel.
- A widget, where there is no labextension, or it is switched off: it goes over the kernel.
- ``text/html``: a still table and graph for pages without either (nbconvert, GitHub).

Where it is not known what the front end has, all of them are sent, and it takes what it can.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from .. import config
from ..client.rest import Rest
from ..client.sidebar import HINT, Server, server_side
from ..errors import CovalentError
from ..front import has_reader, in_vscode
from ..model import DispatchRow
from .below import Place
from .panel_ends import ends
from .panel_snapshot import MIME, Snapshot, store_id, take, unreachable

WIDGET = "application/vnd.jupyter.widget-view+json"
#: the widget's script, made from the sources of the labextension
SCRIPT = Path(__file__).parent / "static" / "panel.js"
#: what shells that draw HTML are called: Jupyter's, Colab's, and those derived from them
SHELLS = frozenset({"ZMQInteractiveShell", "Shell"})


#: what a page gets that keeps no panel alive, where all of it follows below: the still form of a sweep is its table
BELOW = "<div hidden>The sweep stands below.</div>"
#: least seconds between two drawings of a still panel
REDRAW = 0.5


class Forms(NamedTuple):
    """What is sent beside text and HTML, and what is said below the still panel."""

    page: bool
    widget: bool
    hint: str = ""


def in_notebook() -> bool:
    """Whether displays are rendered as HTML here."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and any(kind.__name__ in SHELLS for kind in type(shell).__mro__)


def forms_for(rest: Rest) -> Forms:
    """What this notebook's front end is likely to draw; everything where that is not known."""
    chosen = config.load().panel
    widget = chosen in ("auto", "widget") and _has_widgets()
    if chosen != "auto":
        return Forms(chosen == "page", widget)
    if not has_reader():  # a widget whose kernel is gone would be all that is left in a page made from the notebook
        return Forms(True, False, HINT if server_side().extension is False else "")
    if in_vscode():  # whatever the server has, its pages are shown elsewhere
        return Forms(widget, widget)
    side = server_side()
    if side.extension:
        return _beside(side, rest, widget)
    return Forms(True, widget, HINT if side.extension is False else "")


def _beside(side: Server, rest: Rest, widget: bool) -> Forms:
    """For a server with the extension: the labextension, where it is switched on, asks the service behind it, which must be
    that of this kernel."""
    try:
        same = side.store_id == store_id(rest)
    except CovalentError:
        same = True
    return Forms(True, False) if same and side.panels else Forms(not widget, widget)


def _has_widgets() -> bool:
    """Whether there are widgets, and ours was built (a checkout may be installed without)."""
    return importlib.util.find_spec("anywidget") is not None and SCRIPT.exists()


class Panel:
    """A dispatch as it is displayed. ``show`` gives it a place in the cell's output; without it, ``data`` is for IPython
    to place. ``turns``: it may show another dispatch later (``turn_to``), so that its widget is no other's."""

    def __init__(self, rest: Rest, dispatch_id: str, *, turns: bool = False) -> None:
        self.rest = rest
        self.dispatch_id = str(dispatch_id)
        self.forms = forms_for(rest)
        self._turns = turns
        self._place: Place | None = None  # in the cell's output
        self._handle: Place | None = None  # the same, until its dispatch has ended
        self._widget: Any = None
        self._drawn = 0.0

    def data(self, text: str = "") -> dict[str, Any]:
        """The MIME bundle as of now; ``text`` stands for it where there is nothing but text."""
        return self._data(self.snapshot(), text)

    def html(self) -> str | None:
        """The still panel; None where the service does not answer."""
        snapshot = self.snapshot()
        return snapshot.html(self.forms.hint) if isinstance(snapshot, Snapshot) else None

    def snapshot(self) -> Snapshot | CovalentError:
        try:
            return take(self.rest, self.dispatch_id)
        except CovalentError as error:
            return error

    def _data(self, snapshot: Snapshot | CovalentError, text: str) -> dict[str, Any]:
        if isinstance(snapshot, CovalentError):
            bundle, html = unreachable(self.dispatch_id, snapshot)
            plain = self.dispatch_id
        else:
            bundle, html, plain = snapshot.bundle(), snapshot.html(self.forms.hint), snapshot.text()
            if self._turns:
                html = BELOW
        data: dict[str, Any] = {"text/plain": text or plain, "text/html": html}
        if self.forms.page:
            data[MIME] = bundle
        if self.forms.widget:
            if self._widget is None:
                self._widget = _widget_for(self.dispatch_id, bundle, shared=not self._turns)
            self._widget.turn_to(self.dispatch_id, bundle)
            data.update(self._widget.view())
        return data

    def show(self, text: str = "", *, only_running: bool = False) -> bool:
        """Display it; what the notebook saves is brought up to date when the dispatch has ended.

        ``only_running``: do nothing, and say so, for one that has ended.
        """
        snapshot = self.snapshot()
        running = isinstance(snapshot, Snapshot) and not snapshot.row.status.ended
        if only_running and not running:
            return False
        self._place = self._handle = Place(self._data(snapshot, text))
        if running:
            ends().call(self.dispatch_id, self.finish)
        return True

    def turn_to(self, dispatch_id: str) -> None:
        """Show another dispatch, which has just begun, in the same place, and by the same widget: VS Code draws none that
        comes with an update."""
        if self._place is None:
            return
        ends().forget(self.dispatch_id, self.finish)
        self.dispatch_id, self._handle = str(dispatch_id), self._place
        self._handle.update(self.data())
        ends().call(self.dispatch_id, self.finish)

    @property
    def still(self) -> bool:
        """Whether nothing but us can bring it up to date."""
        return not (self.forms.page or self.forms.widget)

    def redraw(self, row: DispatchRow) -> None:
        """Draw the still panel again, at most twice a second."""
        now = time.monotonic()
        if self._handle is not None and now - self._drawn > REDRAW and not row.status.ended:
            self._drawn = now
            self._handle.update(self.data())

    def finish(self) -> None:
        """Put what is known now in the place of what was shown, once."""
        handle, self._handle = self._handle, None
        if handle is not None:
            ends().forget(self.dispatch_id, self.finish)
            handle.update(self.data())


class Redrawn:
    """HTML in a cell's output that is drawn again while dispatches go on, and once more when they have ended. ``running``
    gives those that go on; it is asked anew with each drawing, for others may have joined them."""

    def __init__(self, html: Callable[[], str], text: str, running: Callable[[], Sequence[str]]) -> None:
        self._html = html
        self._text = text
        self._running = running
        self._followed: set[str] = set()
        self._handle: Place | None = None
        self._next = 0.0

    def show(self) -> None:
        """Display it."""
        running = self._running()  # before it is drawn: what ends in between is drawn once more
        self._handle = Place(self._data())
        self.follow(running)

    def follow(self, running: Sequence[str]) -> None:
        """Draw it again when these dispatches go on, and when they end."""
        for dispatch_id in running:
            if dispatch_id not in self._followed:
                self._followed.add(dispatch_id)
                ends().call(dispatch_id, self._draw, self._changed)

    def _data(self) -> dict[str, str]:
        return {"text/plain": self._text, "text/html": self._html()}

    def _changed(self) -> None:
        """Draw again, unless that would be most of what this kernel does."""
        if time.monotonic() >= self._next:
            self._draw()

    def _draw(self) -> None:
        began = time.monotonic()
        with suppress(CovalentError):  # the service is away, or the dispatch was deleted: what was drawn stays
            self.follow(self._running())
            if self._handle is not None:
                self._handle.update(self._data())
        self._next = time.monotonic() + 5 * (time.monotonic() - began)


def _widget_for(dispatch_id: str, bundle: dict[str, Any], *, shared: bool) -> Any:
    """The widget of this dispatch; loaded late, for ipywidgets takes its time."""
    module = importlib.import_module(".panel_widget", __package__)
    return module.widget_for(dispatch_id, bundle) if shared else module.PanelWidget(dispatch_id, bundle)
