"""What a terminal and a notebook show while a dispatch runs."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

ROOT = Path(__file__).resolve().parents[2]


def in_a_terminal(code: str) -> str:
    """What a person sees who runs it."""
    master, slave = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=slave, stdout=slave, stderr=slave, env=environment, close_fds=True
    ) as process:
        os.close(slave)
        seen = bytearray()
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other side has closed: Linux says EIO
                break
            if not piece:
                break
            seen += piece
        os.close(master)
        assert process.wait(60) == 0, seen.decode(errors="replace")
    return seen.decode("utf-8", "replace")


def test_dispatch_sync_shows_one_line_in_a_terminal() -> None:
    seen = in_a_terminal(
        "import covalent_jupyter as ct\nfrom tests.client import flows\n"
        "print(ct.dispatch_sync(flows.sums, name='a \\x1b[2J name')(1).value['sum'])"
    )
    lines = seen.replace("\r\n", "\n").split("\n")
    assert "\r\x1b[2K" in seen and lines[0].rpartition("\x1b[2K")[2].startswith(
        "\x1b[32m✓\x1b[0m a \\x1b[2J name  completed  2 of 2"
    )
    assert lines[1] == "3" and len(lines) == 3


def test_the_command_line_has_colours_in_a_terminal() -> None:
    seen = in_a_terminal("from covalent_jupyter.cli import main\nmain(['list'])")
    assert "\x1b[32m✓\x1b[0m" in seen


CELLS = [
    "import covalent_jupyter as ct\n\n@ct.electron\ndef add(a, b):\n    print('adding')\n    return a + b\n\n"
    "@ct.lattice\ndef flow(a):\n    return add(a, 1)",
    "handle = ct.dispatch(flow)(41)\nhandle.wait(60)\nhandle",
    "result = ct.dispatch_sync(flow)(1)\nresult.value",
    "(await ct.dispatch(flow)(2)).value",
    "ct.get_result(handle)",
    "handle.electrons",
    "handle.show()",
]


def test_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [cell.outputs for cell in notebook.cells]
    panel = outputs[1][-1].data
    assert panel["text/plain"].strip("'").count("-") == 4
    assert "✓" in panel["text/html"] and "flow" in panel["text/html"] and ">42</pre>" in panel["text/html"]
    bundle = panel["application/vnd.covalent.dispatch+json"]
    assert (bundle["version"], bundle["row"]["status"], bundle["more"]) == (1, "COMPLETED", 0)
    assert [e["name"] for e in bundle["electrons"]] == ["add"] and bundle["store_id"]
    assert bundle["result"]["parts"][0]["preview"]["scalar"] == 42
    assert "1 of 1" in outputs[2][0].data["text/html"] and outputs[2][-1].data["text/plain"] == "2"
    assert outputs[3][-1].data["text/plain"] == "3"
    assert "flow" in outputs[4][-1].data["text/html"] and "add" in outputs[5][-1].data["text/html"]
    assert "flow" in outputs[6][0].data["text/html"]


def test_an_interrupted_wait_leaves_the_line_and_says_that_the_dispatch_runs_on() -> None:
    seen = in_a_terminal(
        "import os, signal, threading, time\nimport covalent_jupyter as ct\nfrom tests.client import flows\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def stop():\n"
        "    while not ct.dispatches(limit=1, name='sleeps', status='RUNNING', pandas=False): time.sleep(0.05)\n"
        "    time.sleep(0.5)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=stop, daemon=True).start()\n"
        "try:\n    ct.dispatch_sync(flows.gated, name='sleeps')('/no/gate')\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
        "ct.cancel(ct.dispatches(limit=1, pandas=False)[0]['dispatch_id'])"
    )
    lines = seen.replace("\r\n", "\n").split("\n")
    assert "sleeps" in lines[0] and lines[1].startswith("Stopped waiting; sleeps ")
    assert "runs on" in lines[1] and lines[2] == "interrupted"


def test_a_dumb_terminal_gets_no_escapes() -> None:
    seen = in_a_terminal(
        "import os\nos.environ['TERM'] = 'dumb'\nimport covalent_jupyter as ct\nfrom tests.client import flows\n"
        "ct.dispatch_sync(flows.sums)(1)"
    )
    assert "\x1b" not in seen and "completed" in seen


def test_a_program_that_runs_a_notebook_gets_no_widgets(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``nbconvert --execute`` would keep them and draw nothing else: blank without a network, and dead with one."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    sources = [CELLS[0], "ct.dispatch_sync(flow)(40)", "run = ct.dispatch(flow)(40); run.wait(); run", "%%dispatch\nx = 1",
               "%covalent wait"]  # fmt: skip
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    data = [output.data for cell in notebook.cells for output in cell.outputs if "data" in output]
    assert len(data) >= 4 and not any("application/vnd.jupyter.widget-view+json" in each for each in data)
    assert "widgets" not in notebook.metadata
    html, _ = HTMLExporter().from_notebook_node(notebook)
    assert html.count("✓ completed") + html.count("<b>✓</b> completed") >= 3
