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
    "psutil",
    "tornado",
    "traitlets",
]


def dispatch_from(python: Path, folder: Path) -> str:
    """Dispatches from another environment, in its own folder and with its own variables."""
    script = folder / "script.py"
    script.write_text(SCRIPT.replace("FOLDER", repr(str(folder))))
    (folder / "only_here.py").write_text("value = 42\n")
    done = subprocess.run(
        [python, script], cwd=folder, env={**os.environ, "KIND": "mine"}, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def environment(folder: Path, python: str) -> Path:
    """A new virtual environment; its interpreter."""
    subprocess.run([python, "-m", "venv", folder], check=True, capture_output=True, timeout=60)
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


@pytest.mark.skipif(other_python() is None, reason="no other Python 3.11 to 3.13 on this machine")
@pytest.mark.timeout(400)
def test_a_kernel_of_another_python(place: Path, tmp_path: Path) -> None:
    other = other_python()
    assert other is not None
    python = environment(tmp_path / "venv", other)
    subprocess.run([python, "-m", "pip", "install", "-q", *NEEDED], check=True, capture_output=True, timeout=300)
    (packages_of(python) / "shared.pth").write_text(f"{Path(ct.__file__).parent.parent}\n")
    dispatch_id = dispatch_from(python, tmp_path)
    result = ct.get_result(dispatch_id)
    version = result.value[0]
    assert version[1] != sys.version_info.minor
    assert result.row.environment["python"].startswith(f"{version[0]}.{version[1]}.")
    with pytest.raises(ct.errors.DecodeError, match="recorded by Python"):
        _ = result.electrons[0].func
