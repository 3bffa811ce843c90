"""A real kernel, spoken to as a front end does; outputs are kept by the cell that they belong to."""

from __future__ import annotations

import ast
import queue
import time
from collections.abc import Callable
from typing import Any

from jupyter_client.manager import KernelManager

SECONDS = 60.0


class Kernel:
    """One kernel and everything that it has said, by the id of the request."""

    def __init__(self, folder: str) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=folder)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=SECONDS)
        self.outputs: dict[str, list[dict[str, Any]]] = {}
        self._idle: set[str] = set()

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def send(self, code: str, **how: Any) -> str:
        """Start a cell; the id of its outputs."""
        cell = str(self.client.execute(code, **how))
        self.outputs.setdefault(cell, [])
        return cell

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Read what the kernel says until ``done``."""
        deadline = time.monotonic() + SECONDS
        while not done():
            assert time.monotonic() < deadline, f"{what}: {self.outputs}"
            try:
                message = self.client.get_iopub_msg(timeout=0.5)
            except queue.Empty:
                continue
            self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        cell, kind, content = message["parent_header"].get("msg_id", ""), message["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            self._idle.add(cell)
        elif kind in ("stream", "display_data", "update_display_data", "execute_result", "error", "clear_output"):
            self.outputs.setdefault(cell, []).append({"output_type": kind, **content})

    def finished(self, cell: str) -> list[dict[str, Any]]:
        """Wait for the end of a cell; its outputs so far."""
        self.until(lambda: cell in self._idle, "the cell did not end")
        return self.outputs[cell]

    def run(self, code: str) -> list[dict[str, Any]]:
        """Run a cell that must not fail; its outputs."""
        outputs = self.finished(self.send(code))
        assert not [o for o in outputs if o["output_type"] == "error"], outputs
        return outputs

    def value(self, expression: str) -> Any:
        """The value of an expression that is a literal."""
        outputs = self.run(f"print(repr({expression}))")
        return ast.literal_eval("".join(o["text"] for o in outputs if o.get("name") == "stdout"))

    def completed(self, code: str) -> list[str]:
        """What Tab makes of this code, with the cursor at its end: whole texts, in the order in which they are offered."""
        asked = self.client.complete(code, len(code))
        reply = self.client.get_shell_msg(timeout=SECONDS)
        while reply["parent_header"]["msg_id"] != asked:  # those of cells that were run before
            reply = self.client.get_shell_msg(timeout=SECONDS)
        found = reply["content"]
        return [code[: found["cursor_start"]] + text + code[found["cursor_end"] :] for text in found["matches"]]

    def interrupted(self, code: str, waits: Callable[[], bool]) -> list[dict[str, Any]]:
        """Run a cell and press the stop button once it waits; its outputs."""
        cell = self.send(f"print('waiting', flush=True)\n{code}")
        self.until(lambda: any("waiting" in o.get("text", "") for o in self.outputs[cell]), "it did not begin")
        deadline = time.monotonic() + SECONDS
        while not waits():
            assert time.monotonic() < deadline, "it does not wait"
        time.sleep(0.3)  # a person's
        self.manager.interrupt_kernel()
        return self.finished(cell)
