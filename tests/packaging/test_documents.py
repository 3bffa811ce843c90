"""The notebook and the README do what they say, for somebody who has nothing yet."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from ..browser.lab import environment, stop_services

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a new user; the service that was started in it ends with the test."""
    yield environment(tmp_path)
    stop_services(tmp_path / "runtime")


def printed(notebook: nbformat.NotebookNode) -> str:
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return "".join(output.text for output in outputs if output.output_type == "stream")


def test_the_first_notebook_finds_the_best_model(env: dict[str, str], tmp_path: Path) -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "first_lattice.ipynb", as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources=place)
    client.execute(env=env)
    text = printed(notebook)
    assert "COMPLETED" in text
    assert "178 wines" in text
    scores = dict(map(reversed, re.findall(r"^(\d\.\d{3})  (.+)$", text, re.M)))
    assert set(scores) == {
        "logistic regression", "random forest", "support vectors", "nearest neighbours", "naive Bayes"
    }  # fmt: skip
    assert scores[re.search(r"^best: (.+)$", text, re.M)[1]] == max(scores.values()) >= "0.950"


@pytest.mark.timeout(600)
def test_the_notebook_of_sweeps_mends_and_compares(env: dict[str, str], tmp_path: Path) -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "sweeps_and_sql.ipynb", as_version=4)
    client = NotebookClient(
        notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env=env)
    text = printed(notebook)
    assert "Sweep of evaluate: 9 points (C × 3, gamma × 3), at most 2 at once" in text
    assert "Again: 3 points of 9" in text and "FAILED\n" in text and text.count("COMPLETED\n") == 2
    assert re.search(r"^best: \S+ 0\.\d+ 0\.9\d+$", text, re.M)
    assert "11 COMPLETED {'accuracy': " in text
    data = [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    assert sum("application/vnd.plotly.v1+json" in d for d in data) == 3
    comparison = next(d for d in data if "runs." in d.get("text/plain", "") and "inputs" in d["text/plain"])
    assert "accuracy" in comparison["text/plain"] and "<table" in comparison["text/html"]
    shown = [d.get("text/plain", "") for d in data]
    (best,) = (text for text in shown if re.match(r"\s+C\s+gamma\s+accuracy\n", text))
    assert len(best.splitlines()) == 6
    assert any("cross_validate" in text and "milliseconds" in text for text in shown)


def test_notebooks_are_kept_without_outputs() -> None:
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            assert not cell.get("outputs") and cell.get("execution_count") is None, path.name


def test_the_example_of_the_readme_runs(env: dict[str, str], tmp_path: Path) -> None:
    example = re.search(r"## An example\n+```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert example
    script = tmp_path / "example.py"
    script.write_text(example[1])
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] in {"0.1", "1", "10", "100", "1000"}


def test_what_the_readme_points_to_is_there() -> None:
    for document in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / document).read_text()):
            assert (ROOT / target).exists(), f"{document} points to {target}"
