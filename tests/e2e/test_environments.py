"""Electrons run in the environment of the kernel that dispatched them, whatever the service's is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import covalent_jupyter as ct

SCRIPT = """
import sys
import covalent_jupyter as ct

@ct.electron
def where():
    import os, sys
    import only_here
    match os.environ.get("KIND"):
        case "mine":
            kind = "matched"
        case other:
            kind = other
    return sys.version_info[:2], sys.prefix, only_here.value, kind, os.getcwd()

@ct.lattice
def ask():
    return where()

result = ct.dispatch_sync(ask)()
assert result.value == (tuple(sys.version_info[:2]), sys.prefix, 42, "matched", FOLDER), result.value
print(result.dispatch_id)
"""

NEEDED = [
    "cloudpickle",
    "cryptography",
    "dask",
    "distributed",
    "duckdb",
    "ipython",
    "jupyter-core",
    "msgspec",
    "pandas",
    "psutil",
    "pyarrow",
    "tornado",
    "traitlets",
]


def dispatch_from(python: Path, folder: Path) -> str:
    """Dispatches from another environment, in its own folder and with its own variables."""
    script = folder / "script.py"
    script.write_text(SCRIPT.replace("FOLDER", repr(str(folder))))
    (folder / "only_here.py").write_text("value = 42\n")
    done = subprocess.run(
        [python, script], cwd=folder, env={**os.environ, "KIND": "mine"}, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def environment(folder: Path, python: str) -> Path:
    """A new virtual environment; its interpreter."""
    subprocess.run([python, "-m", "venv", folder], check=True, capture_output=True, timeout=250)
    return folder / "bin" / "python"


def packages_of(python: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip())


def test_a_kernel_of_another_environment(place: Path, tmp_path: Path) -> None:
    ct.dispatch_sync(ct.lattice(lambda: ct.electron(int)(1)))()  # the service runs in this environment
    python = environment(tmp_path / "venv", sys.executable)
    root = Path(ct.__file__).parent.parent
    (packages_of(python) / "shared.pth").write_text(
        f"{root}\n{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n"
    )
    dispatch_id = dispatch_from(python, tmp_path)
    result = ct.get_result(dispatch_id)
    assert result.value[1] == str(tmp_path / "venv")
    assert result.row.environment["prefix"] == str(tmp_path / "venv")


def other_python() -> str | None:
    """Another supported minor of Python on this machine: on the path, or among pyenv's versions."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for minor in (12, 13, 11):
        if minor == sys.version_info.minor:
            continue
        for found in (shutil.which(f"python3.{minor}"), *sorted(pyenv.glob(f"3.{minor}.*/bin/python"), reverse=True)):
            code = "import sys, venv, ensurepip; print(sys.version_info.minor)"
            tried = found and subprocess.run(
                [found, "-c", code], capture_output=True, text=True, timeout=30, check=False
            )
            if tried and tried.stdout.strip() == str(minor):
                return str(found)
    return None


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of another Python; its interpreter."""
    other = other_python()
    if other is None:
        pytest.skip("no other Python 3.11 to 3.13 on this machine")
    python = environment(tmp_path_factory.mktemp("another") / "venv", other)
    subprocess.run([python, "-m", "pip", "install", "-q", *NEEDED], check=True, capture_output=True, timeout=300)
    (packages_of(python) / "shared.pth").write_text(f"{Path(ct.__file__).parent.parent}\n")
    return python


@pytest.mark.timeout(400)
def test_a_kernel_of_another_python(place: Path, tmp_path: Path, another: Path) -> None:
    python = another
    dispatch_id = dispatch_from(python, tmp_path)
    result = ct.get_result(dispatch_id)
    version = result.value[0]
    assert version[1] != sys.version_info.minor
    assert result.row.environment["python"].startswith(f"{version[0]}.{version[1]}.")
    with pytest.raises(ct.errors.DecodeError, match="recorded by Python"):
        _ = result.electrons[0].func


READER = """
import sys
import covalent_jupyter as ct
from covalent_jupyter.client.rest import connect

electron = ct.get_result(sys.argv[1]).electrons[0]
found = electron.value
frame, table = found["frame"], found["table"]
assert sys.version_info[:2] != tuple(found["python"]), "the same Python"
assert list(frame.columns) == ["n", "when", "name"] and frame.dtypes.map(str).tolist()[:1] == ["int64"]
assert frame["name"].tolist() == ["a", "b"] and frame["when"].dt.year.tolist() == [2024, 2025]
frame.loc[0, "n"] = 7
assert table.to_pydict() == {"x": [[1], [2, 3]]}
print(frame["n"].sum(), [memoryview(stream).nbytes > 100 for stream in electron.arrow()])
"""


@pytest.mark.timeout(400)
def test_tables_are_read_under_another_python(place: Path, tmp_path: Path, another: Path) -> None:
    @ct.electron
    def tables() -> dict[str, object]:
        import sys

        import pandas as pd
        import pyarrow as pa

        frame = pd.DataFrame({"n": [1, 2], "when": pd.to_datetime(["2024-01-01", "2025-01-01"]), "name": ["a", "b"]})
        return {"frame": frame, "table": pa.table({"x": [[1], [2, 3]]}), "python": sys.version_info[:2]}

    result = ct.dispatch_sync(ct.lattice(lambda: tables()))()
    script = tmp_path / "read.py"
    script.write_text(READER)
    done = subprocess.run([another, script, result.dispatch_id], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[-2] == "9 [True, True]"
