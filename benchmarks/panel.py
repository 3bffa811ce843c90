"""What a panel costs its kernel and its browser while it follows a wide lattice: a widget over a real kernel.

Prints how late an asyncio heartbeat in the kernel is, with and without the panel, and what was sent to the browser.
"""

from __future__ import annotations

import argparse
import os
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BEAT = """
import asyncio, time
import covalent_jupyter as ct

@ct.electron
def f(x):
    return x + 1

@ct.lattice
def many(n):
    return [f(i) for i in range(n)]

late = []

async def heart():
    while True:
        asked = time.perf_counter()
        await asyncio.sleep(0.01)
        late.append(1000 * (time.perf_counter() - asked - 0.01))

beating = asyncio.ensure_future(heart())
ct.dispatch_sync(many)(100)
"""

REPORT = """
beats = sorted(late); late.clear()
print("HEART", len(beats), f"median {beats[len(beats) // 2]:.1f} p99 {beats[int(0.99 * len(beats))]:.1f} max {beats[-1]:.1f} ms")
"""


class Kernel:
    """A kernel, and what it sent."""

    def __init__(self, environment: dict[str, str], folder: str) -> None:
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(env=environment, cwd=folder)
        self.sent: list[tuple[float, int, dict[str, Any]]] = []
        self.printed = ""

    def run(self, code: str) -> None:
        """Run a cell and read until it has ended."""
        parent = self.client.execute(code)
        self._read(lambda m: m["parent_header"].get("msg_id") == parent and _idle(m), 300)

    def wait_for_end(self) -> None:
        """Read until the panel has heard of the end of its dispatch."""
        self._read(lambda m: m["msg_type"] == "update_display_data", 300)

    def listen(self, seconds: float) -> None:
        self._read(lambda m: False, seconds)

    def _read(self, wanted: Any, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=max(0.01, min(1.0, deadline - time.monotonic())))
            except queue.Empty:
                continue
            content = message["content"]
            size = sum(memoryview(b).nbytes for b in message["buffers"])
            if message["msg_type"] == "comm_msg":
                self.sent.append((time.monotonic(), size, content["data"].get("content", {})))
            if message["msg_type"] == "stream":
                self.printed += content["text"]
            if wanted(message):
                return


def _idle(message: dict[str, Any]) -> bool:
    return message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"


@contextmanager
def world() -> Iterator[tuple[dict[str, str], str]]:
    """Folders of nobody else, and no Jupyter server."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY_", "COVALENT"))}
        for name in ("DATA", "RUNTIME", "CONFIG"):
            environment[f"JUPYTER_{name}_DIR"] = str(Path(folder, name.lower()))
        environment |= {"COVALENT_STORE_DIR": str(Path(folder, "store")), "COVALENT_PANEL": "widget"}
        try:
            yield environment, folder
        finally:
            subprocess.run([sys.executable, "-m", "covalent_jupyter.cli", "stop"], env=environment, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=10_000, help="electrons")
    n = parser.parse_args().n
    with world() as (environment, folder):
        kernel = Kernel(environment, folder)
        try:
            kernel.run(BEAT)
            kernel.run("late.clear()")
            kernel.listen(5)
            kernel.run(REPORT)
            kernel.run(f"i = ct.dispatch(many)({n})")
            kernel.run("await asyncio.sleep(0.1)\nlate.clear()\nresult = await i")
            kernel.run(REPORT)
            kernel.run(f"i = ct.dispatch(many)({n})")
            kernel.sent.clear()
            began = time.monotonic()
            # building the graph, and taking the snapshot that is displayed, are the cells' own work
            kernel.run("from IPython.display import display\ndisplay(i)\nawait asyncio.sleep(0.1)\nlate.clear()")
            kernel.wait_for_end()
            spent = time.monotonic() - began
            kernel.run(REPORT)
        finally:
            kernel.client.stop_channels()
            kernel.manager.shutdown_kernel(now=True)
    hearts = [line for line in kernel.printed.splitlines() if line.startswith("HEART")]
    changes = [(at, size) for at, size, content in kernel.sent if content.get("kind") == "changes"]
    rates = [[size for other, size in changes if at <= other < at + 1] for at, _ in changes] or [[]]
    for name, line in zip(("idle", f"{n:,} electrons, no panel", f"{n:,} electrons, panel"), hearts, strict=True):
        print(f"{name:28} heartbeat late: {line.split(' ', 2)[2]}")
    print(
        f"{'to the browser':28} {len(changes)} updates in {spent:.1f} s, {sum(s for _, s in changes) / 1000:.0f} kB; "
        f"at most {max(map(len, rates))} and {max(map(sum, rates)) / 1000:.0f} kB in any second"
    )


if __name__ == "__main__":
    main()
