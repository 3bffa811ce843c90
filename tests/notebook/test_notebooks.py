"""The notebooks that teach, run from top to bottom by a new user's kernel; and what they show."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2] / "notebooks"

pytestmark = pytest.mark.timeout(300)


def shown(name: str, folder: Path) -> str:
    """Run a notebook; all that its cells print and give, as text."""
    notebook = nbformat.read(ROOT / f"{name}.ipynb", as_version=4)
    place = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=250, kernel_name="python3", resources=place).execute()
    parts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                parts.append(output.text)
            elif output.output_type == "error":
                parts.append(f"{output.ename}: {output.evalue}\n")
            else:
                parts.append(f"{output.data.get('text/plain', '')}\n")
    return "".join(parts)


def test_a_slow_cell_of_an_existing_notebook(tmp_path: Path) -> None:
    text = shown("dispatch_a_cell", tmp_path)
    assert "The kernel is free: 45" in text and "best depth:" in text and "Here now: scores" in text
    assert "RandomForestClassifier(max_depth=" in text and "Attached to dispatch" in text
    assert "database: sqlite3.Connection cannot be pickled" in text and "[(1,)]" in text


def test_machine_learning_with_magics(tmp_path: Path) -> None:
    text = shown("machine_learning", tmp_path)
    assert "best: C=" in text and "C=0.1: " in text and "def train(X, y, C, gamma=0.7):" in text
    assert "0 load_data reused" in text and "train ran" in text and "SVC(C=0.1" in text


def test_debugging_and_continuing(tmp_path: Path) -> None:
    text = shown("debugging", tmp_path)
    assert "✕ scaled [2]: ZeroDivisionError" in text and "{'values': [0.0, 0.5, 1.0, 1.5], 'unit': 1}" in text
    assert "line 2 of scaled: factor = 1 / (unit - 1)" in text
    assert "4.5 ['measure', 'scaled']" in text


def test_failure_retries_and_redispatch(tmp_path: Path) -> None:
    text = shown("failures", tmp_path)
    assert "1 FAILED\n2 FAILED\n3 COMPLETED" in text
    assert "ZeroDivisionError" in text and "Failed(" in text and "1.5" in text
    assert "ElectronTimeout" in text
    assert "[1, 4, 9, 16] [True, True, True, False]" in text


def test_sublattices_and_loops_on_results(tmp_path: Path) -> None:
    text = shown("sublattices", tmp_path)
    assert "RefError" in text and "[0.5, 1.5, 4.5, 9.5]" in text
    assert "1 looked at carefully" in text and "2 skimmed" in text and "1.414214" in text


def test_executors(tmp_path: Path) -> None:
    text = shown("executors", tmp_path)
    assert "False - none of them is this kernel" in text and "['local', 'dask']" in text
    assert "332833500" in text and "rested" in text and re.search(r"took \d+\.\d s", text)
