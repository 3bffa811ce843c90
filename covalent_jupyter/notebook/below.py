"""Messages that appear below one cell, from any thread, whichever cell runs by then."""

from __future__ import annotations

import importlib
import threading
import uuid
from typing import Any

Output = dict[str, Any]


class CellSender:
    """Sends what belongs below the cell that runs when this is made.

    What a thread displays is taken for an answer to the newest request of all, which need not be a cell: VS Code asks
    for variables in between, and passes over what comes as an answer to that.
    """

    def __init__(self, shell: Any) -> None:
        self._publisher = shell.display_pub
        parent = shell.get_parent() if hasattr(shell, "get_parent") else shell.parent_header
        self._parent = dict(parent)
        self._lock = threading.Lock()

    def send(self, kind: str, content: dict[str, Any]) -> None:
        publisher = self._publisher
        with self._lock:
            publisher.session.send(
                publisher.pub_socket, kind, content, parent=self._parent, ident=kind.encode()
            )  # fmt: skip

    def output(self, output: Output) -> None:
        content = {k: v for k, v in output.items() if k != "output_type"}
        if output["output_type"] == "clear_output":
            content = {"wait": True}
        elif output["output_type"] != "stream":
            content.setdefault("transient", {})
        self.send(output["output_type"], content)


class Place:
    """One display below the cell that runs when this is made, which may be drawn again later."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._id = uuid.uuid4().hex
        shell = importlib.import_module("IPython").get_ipython()
        self._sender = CellSender(shell) if hasattr(getattr(shell, "display_pub", None), "pub_socket") else None
        _display()(data, raw=True, display_id=self._id)

    def update(self, data: dict[str, Any]) -> None:
        if self._sender is not None:
            content = {"data": data, "metadata": {}, "transient": {"display_id": self._id}}
            self._sender.send("update_display_data", content)
            return
        _display()(data, raw=True, display_id=self._id, update=True)


def _display() -> Any:
    """IPython's, loaded late: nobody who has no notebook needs it."""
    return importlib.import_module("IPython.display").display
