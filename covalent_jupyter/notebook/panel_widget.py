"""The panel as a widget: for front ends that have no labextension of ours. What it asks and hears goes over the kernel.

Everything is answered and sent from threads, so that no cell waits for a panel, nor a panel for a cell.
"""

from __future__ import annotations

import functools
import re
import threading
import time
import weakref
from pathlib import Path
from typing import Any, NamedTuple

import anywidget
import traitlets

from ..client.rest import Answer, Rest, connect
from ..errors import CovalentError, ServiceError
from .panel_feed import budget, compressed, feed

STATIC = Path(__file__).parent / "static"
#: requests of panels that are under way at once
AT_ONCE = 4
#: seconds after which a request is given up
TIMEOUT = 30.0
_PATH = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)*")


class Asked(NamedTuple):
    """A request of the page: ``number`` comes back with the answer."""

    number: str
    method: str
    path: str
    query: dict[str, Any]
    body: Any


class PanelWidget(anywidget.AnyWidget):
    """One dispatch, live. ``bundle`` is what was known of it when it was displayed."""

    _esm = (STATIC / "panel.js").read_text("utf-8")
    _css = (STATIC / "panel.css").read_text("utf-8")
    bundle = traitlets.Dict().tag(sync=True)

    def __init__(self, dispatch_id: str, bundle: dict[str, Any]) -> None:
        super().__init__(bundle=bundle)
        self.dispatch_id = dispatch_id
        self.on_msg(_heard)
        self._follow()

    def turn_to(self, dispatch_id: str, bundle: dict[str, Any]) -> None:
        """Show this dispatch, if it is another one."""
        if dispatch_id == self.dispatch_id:
            return
        feed().leave(self.dispatch_id, self.tell)
        self.dispatch_id, self.bundle = dispatch_id, bundle
        self._follow()

    def _follow(self) -> None:
        row = self.bundle["row"]
        if row is None or row["ended"] is None:
            feed().follow(self.dispatch_id, self.tell)

    def tell(self, content: dict[str, Any], data: bytes = b"") -> None:
        """Send a message to the page."""
        if self.comm is not None:
            self.send(content, [data] if data else None)

    def view(self) -> dict[str, Any]:
        """The part of a MIME bundle that shows it."""
        return {
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2, "version_minor": 0, "model_id": self.model_id,
            }
        }  # fmt: skip


def _heard(widget: PanelWidget, content: dict[str, Any], buffers: Any) -> None:
    """A message of the page; answered from a thread."""
    kind = content.get("kind")
    if kind == "ask":
        asked = Asked(
            str(content.get("number")), str(content.get("method") or "GET"), str(content.get("path")),
            dict(content.get("query") or {}), content.get("body"),
        )  # fmt: skip
        threading.Thread(target=_answer, args=(widget, asked), name="covalent-panel", daemon=True).start()
    elif kind == "follow":
        feed().follow(str(content.get("dispatch")), widget.tell)
    elif kind == "leave":
        feed().leave(str(content.get("dispatch")), widget.tell)


def _answer(widget: PanelWidget, asked: Asked) -> None:
    with _places():
        rest = connect()
        try:
            answer = _request(rest, asked)
            data = compressed(answer.data)
            found = {"status": answer.status, "next": answer.headers.get("X-Next-Offset")}
        except CovalentError as error:
            data, found = b"", {"status": _status(error), "message": str(error)}
        finally:
            rest.disconnect()
        time.sleep(budget().spend(len(data)))
        widget.tell({"kind": "answer", "number": asked.number, "now": time.time(), **found}, data)


def _request(rest: Rest, asked: Asked) -> Answer:
    if asked.method not in ("GET", "POST", "PATCH", "DELETE") or not _PATH.fullmatch(asked.path):
        raise ServiceError(f"a panel asks for {asked.method[:10]} {asked.path[:100]!r}, which is no request")
    query = {key: value for key, value in asked.query.items() if value is not None}
    repeat = asked.method == "GET"
    return rest.request(asked.method, asked.path, query=query, body=asked.body, timeout=TIMEOUT, repeat=repeat)


def _status(error: CovalentError) -> int:
    """The HTTP status that the page is told: 503 where there is nobody to ask."""
    if isinstance(error, ServiceError):
        return error.status
    return 503


@functools.cache
def _places() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(AT_ONCE)


@functools.cache
def _shown() -> weakref.WeakValueDictionary[str, PanelWidget]:
    """Those that are open, by dispatch: one that is shown twice is one widget with two views."""
    return weakref.WeakValueDictionary()


def widget_for(dispatch_id: str, bundle: dict[str, Any]) -> PanelWidget:
    """The widget of this dispatch, with ``bundle`` as what is known now."""
    known = _shown().get(dispatch_id)
    if known is not None and known.comm is not None:
        known.bundle = bundle
        return known
    widget = PanelWidget(dispatch_id, bundle)
    _shown()[dispatch_id] = widget
    return widget
