"""What VS Code's Jupyter extension does otherwise than JupyterLab: how it names the notebook, which widgets it draws, and which
messages it hears."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

import covalent_jupyter as ct
from covalent_jupyter.client.sidebar import Server
from covalent_jupyter.front import VSCODE, in_vscode, notebook_path
from covalent_jupyter.notebook.panel import SCRIPT
from covalent_jupyter.notebook.panel_snapshot import MIME

from .frontend import FrontEnd

WIDGET = "application/vnd.jupyter.widget-view+json"
#: where VS Code looks for widgets without a server of strangers: in itself, and in the environment of the kernel
MODULES = {"@jupyter-widgets/base", "@jupyter-widgets/controls", "@jupyter-widgets/output", "anywidget"}


@pytest.fixture
def vscode(front: FrontEnd, tmp_path: Path) -> FrontEnd:
    """A kernel as VS Code starts it: what it runs in it before anything else."""
    front.run(f"{VSCODE} = {str(tmp_path / 'mine.ipynb')!r}")
    return front


def start(front: FrontEnd, flag: Path) -> str:
    front.run(f"i = ct.dispatch(waiting)({str(flag)!r}, 2)\ni")
    return str(front.displayed()[-1][MIME]["dispatch_id"])


def test_the_notebook_is_the_one_that_vscode_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/srv/mine-jvsc-41ab.ipynb")  # what it calls its session on a server
    shell = InteractiveShell.instance()
    try:
        assert (notebook_path(), in_vscode()) == ("/srv/mine-jvsc-41ab.ipynb", False)
        shell.user_ns[VSCODE] = "/home/me/mine.ipynb"
        assert (notebook_path(), in_vscode()) == ("/home/me/mine.ipynb", True)
        shell.user_ns[VSCODE] = None
        assert (notebook_path(), in_vscode()) == ("/srv/mine-jvsc-41ab.ipynb", False)
    finally:
        InteractiveShell.clear_instance()
    monkeypatch.delenv("JPY_SESSION_NAME")
    assert notebook_path() == ""


def test_dispatches_belong_to_the_notebook(vscode: FrontEnd, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    dispatch_id = start(vscode, flag)
    assert ct.get_result(dispatch_id, wait=True).row.notebook == str(tmp_path / "mine.ipynb")
    vscode.run("%covalent list --here")
    assert dispatch_id[:8] in str(vscode.displayed()[-1])
    vscode.run("%covalent status")
    assert dispatch_id in vscode.printed()


def test_a_server_that_has_pages_for_others_is_no_reason_to_do_without_the_widget(
    vscode: FrontEnd, tmp_path: Path
) -> None:
    """VS Code on a remote Jupyter server: JupyterLab's labextension is there, and nobody looks at it."""
    known = Server(True, "", True)
    vscode.run(
        "from covalent_jupyter.client import sidebar\n"
        "from covalent_jupyter.client.connection import parent_server\n"
        "import os, json, pathlib\nos.environ['JPY_PARENT_PID'] = '4299'\n"
        "file = pathlib.Path(os.environ['JUPYTER_RUNTIME_DIR'], 'jpserver-4299.json')\n"
        "_ = file.write_text(json.dumps({'url': 'http://127.0.0.1:9/', 'token': 'abc'}))\n"
        f"sidebar._said()[parent_server()] = (sidebar.{known!r}, float('inf'))"
    )
    flag = tmp_path / "flag"
    flag.touch()
    start(vscode, flag)
    data = vscode.displayed()[-1]
    assert WIDGET in data and MIME in data and "pip install" not in data["text/html"]


def test_a_panel_that_turns_to_another_dispatch_keeps_its_widget(vscode: FrontEnd, tmp_path: Path) -> None:
    """VS Code draws a widget only if it has heard of it in a display; one that comes with an update stays blank."""
    flag = tmp_path / "flag"
    flag.touch()
    vscode.run(f"s = ct.sweep(wait_for, [{{'path': {str(flag)!r}, 'n': 1}}])\ns.wait()\ns")
    shown = {data[WIDGET]["model_id"] for data in vscode.displayed("display_data") if WIDGET in data}
    vscode.run(f"s.add([{{'path': {str(flag)!r}, 'n': 2}}])\ns.wait()\nNone")
    updated = [data for data in vscode.displayed("update_display_data") if MIME in data]
    assert updated[-1][MIME]["row"]["label"] == "wait_for × 1 more"
    assert {data[WIDGET]["model_id"] for data in updated} <= shown
    told = [
        m["content"]["data"]["state"]["bundle"]["row"]["label"]
        for m in vscode.messages
        if m["msg_type"] == "comm_msg" and "bundle" in m["content"]["data"].get("state", {})
    ]
    assert told == ["wait_for × 1 more"]


def test_a_panel_of_the_same_dispatch_does_not_turn_with_that_of_a_sweep(vscode: FrontEnd, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    vscode.run(f"s = ct.sweep(wait_for, [{{'path': {str(flag)!r}, 'n': 1}}])\ns.wait()\nct.get_result(s.id)")
    mine = vscode.displayed()[-1][WIDGET]["model_id"]
    vscode.run("s")
    panel = next(data for data in reversed(vscode.displayed("display_data")) if WIDGET in data)
    assert panel[WIDGET]["model_id"] != mine


def test_what_is_drawn_again_answers_the_cell_that_showed_it(vscode: FrontEnd, tmp_path: Path) -> None:
    """VS Code asks for variables between cells, and passes over what comes as an answer to that."""
    flag = tmp_path / "flag"
    vscode.run(f"s = ct.sweep(wait_for, [{{'path': {str(flag)!r}, 'n': 1}}])\ns")
    cells = {m["parent_header"]["msg_id"] for m in vscode.messages if m["msg_type"] == "display_data"}
    vscode.run("pass")
    flag.touch()

    def last(message: dict[str, Any]) -> bool:
        data = message["content"]["data"] if message["msg_type"] == "update_display_data" else {}
        return MIME in data and data[MIME]["row"]["status"] == "COMPLETED"

    vscode.until(last)
    updates = [m for m in vscode.messages if m["msg_type"] == "update_display_data"]
    assert {m["parent_header"]["msg_id"] for m in updates} == cells and len(cells) == 1


def test_widgets_are_those_that_are_found_without_a_network(vscode: FrontEnd, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    start(vscode, flag)
    vscode.run("%%dispatch named\nx = 1")
    vscode.until(lambda m: m["msg_type"] == "display_data" and WIDGET in m["content"]["data"])
    states = [m["content"]["data"]["state"] for m in vscode.messages if m["msg_type"] == "comm_open"]
    found = {state[name] for state in states for name in ("_model_module", "_view_module") if state.get(name)}
    assert found and found <= MODULES
    script = SCRIPT.read_text("utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'`)<]+", script))
    assert all(address.startswith("http://www.w3.org/") for address in addresses), "names of XML, and nothing to load"
    assert not re.search(r"""\bfrom\s*["']|\bimport\s*\(""", script)
