"""A kernel, and what a front end would see and say of it: displays and the messages of widgets."""

from __future__ import annotations

import json
import queue
import time
import zlib
from collections.abc import Callable
from typing import Any

from jupyter_client.manager import start_new_kernel


class FrontEnd:
    """Runs cells in a real kernel; keeps every message that a browser would get."""

    def __init__(self, cwd: str) -> None:
        self.manager, self.client = start_new_kernel(cwd=cwd)
        self.messages: list[dict[str, Any]] = []
        self._asked = 0

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def send(self, code: str) -> str:
        """Start a cell; what it will be known by."""
        return str(self.client.execute(code))

    def run(self, code: str) -> None:
        """Run a cell to its end."""
        parent = self.send(code)
        ended = self.until(lambda m: m["parent_header"].get("msg_id") == parent and _is_idle(m))
        assert ended
        errors = [m for m in self.messages if m["msg_type"] == "error" and m["parent_header"].get("msg_id") == parent]
        assert not errors, "\n".join(errors[0]["content"]["traceback"])

    def until(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 180.0) -> dict[str, Any]:
        """The next message that is wanted."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError(f"what was waited for did not come within {seconds} s") from None
            self.messages.append(message)
            if wanted(message):
                return message

    def until_updated(self) -> dict[str, Any]:
        """What the display was brought up to date with, now or before."""
        known = [m for m in self.messages if m["msg_type"] == "update_display_data"]
        found = known[-1] if known else self.until(lambda m: m["msg_type"] == "update_display_data")
        return dict(found["content"]["data"])

    def printed(self) -> str:
        return "".join(m["content"]["text"] for m in self.messages if m["msg_type"] == "stream")

    def displayed(self, kind: str = "") -> list[dict[str, Any]]:
        """The data of everything that was displayed, or of the messages of this kind."""
        kinds = (kind,) if kind else ("display_data", "execute_result", "update_display_data")
        return [m["content"]["data"] for m in self.messages if m["msg_type"] in kinds]

    def panel(self) -> str:
        """The comm of the newest panel."""
        opened = [m["content"] for m in self.messages if m["msg_type"] == "comm_open"]
        return str(next(c["comm_id"] for c in reversed(opened) if "bundle" in c["data"]["state"]))

    def say(self, comm: str, content: dict[str, Any]) -> None:
        """What the page of a panel says to its kernel."""
        message = {"comm_id": comm, "data": {"method": "custom", "content": content}}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", message))

    def ask(self, comm: str, path: str, method: str = "GET", **rest: Any) -> dict[str, Any]:
        """A request of the page, and its answer with what was packed into it as ``data``."""
        self._asked += 1
        number = f"test-{self._asked}"
        self.say(comm, {"kind": "ask", "number": number, "method": method, "path": path, **rest})
        return said(self.until(lambda m: said(m).get("number") == number))

    def changes(self, dispatch_id: str, ended: bool = False) -> dict[str, Any]:
        """The next message about changes (of its end, if wanted)."""

        def right(message: dict[str, Any]) -> bool:
            content = said(message)
            if content.get("kind") != "changes" or content.get("dispatch") != dispatch_id:
                return False
            return not ended or any(r["ended"] for r in content["data"]["dispatches"])

        return said(self.until(right))


def said(message: dict[str, Any]) -> dict[str, Any]:
    """The content of a panel's message, ``data`` being the document packed beside it; {} for other messages."""
    if message["msg_type"] != "comm_msg" or message["content"]["data"].get("method") != "custom":
        return {}
    content = dict(message["content"]["data"]["content"])
    if message["buffers"]:
        text = zlib.decompress(bytes(message["buffers"][0])).decode()
        content["data"] = json.loads(text) if text[:1] in ("{", "[") else text
        content["size"] = memoryview(message["buffers"][0]).nbytes
    return content


def _is_idle(message: dict[str, Any]) -> bool:
    return message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
