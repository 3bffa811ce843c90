"""Scripts as users of Covalent write them, run as they are: ``import covalent as ct`` gives this package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """On the path of an interpreter, it makes ``covalent`` this package."""
    folder = tmp_path_factory.mktemp("shim")
    (folder / "sitecustomize.py").write_text("import covalent_jupyter\ncovalent_jupyter.install_as_covalent()\n")
    return folder


@pytest.mark.timeout(300)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_for_covalent(script: Path, shim: Path, place: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(shim)}, capture_output=True,
        text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 16
