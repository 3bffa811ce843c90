"""What is shipped: built once as users' installers do it, looked into, and imported from there."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import covalent_jupyter

ROOT = Path(__file__).parents[2]
SHARE = "data/share/jupyter/labextensions/covalent-jupyter/"

IMPORT_ALL = """
import importlib, pkgutil, sys
import covalent_jupyter
names = [m.name for m in pkgutil.walk_packages(covalent_jupyter.__path__, "covalent_jupyter.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(covalent_jupyter.__file__, len(names))
"""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CI": "true"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    """The wheel's files; those outside the package without the folder that carries the version."""
    with zipfile.ZipFile(wheel) as archive:
        return [re.sub(r"^covalent_jupyter-[^/]*\.data/", "", name) for name in archive.namelist()]


def test_the_wheel_holds_the_bundle_once(names: list[str]) -> None:
    bundle = [n.removeprefix(SHARE) for n in names if n.startswith(SHARE)]
    assert {"package.json", "install.json", "static/style.js"} < set(bundle)
    assert [n for n in bundle if re.fullmatch(r"static/remoteEntry\.[0-9a-f]+\.js", n)]
    assert "schemas/covalent-jupyter/plugin.json" in bundle
    assert not [n for n in names if n.startswith("covalent_jupyter/labextension")]


def test_the_bundle_is_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        scripts = [name for name in archive.namelist() if SHARE + "static/" in name and name.endswith(".js")]
        gzipped = {name.rpartition("/")[2]: len(gzip.compress(archive.read(name))) for name in scripts}
    assert 50_000 < sum(gzipped.values()) < 1_000_000, gzipped
    (entry,) = (size for name, size in gzipped.items() if name.startswith("remoteEntry"))
    assert entry < 20_000, "what JupyterLab loads when it starts names what is loaded later"


def test_the_wheel_enables_the_server_extension(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        enabling = "etc/jupyter/jupyter_server_config.d/covalent_jupyter.json"
        path = next(n for n in archive.namelist() if n.endswith(enabling))
        assert json.loads(archive.read(path)) == {"ServerApp": {"jpserver_extensions": {"covalent_jupyter": True}}}


def test_the_wheel_holds_every_file_of_the_package(names: list[str]) -> None:
    package = Path(covalent_jupyter.__file__).parent
    kinds = (".py", ".sql", ".js", ".css", ".typed")
    present = {p.relative_to(package.parent).as_posix() for p in package.rglob("*") if p.suffix in kinds}
    wanted = {n for n in present if not n.startswith("covalent_jupyter/labextension/")}
    assert any(n.endswith(".sql") for n in wanted)
    assert wanted - set(names) == set()


def test_everything_in_the_wheel_imports(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    place, count = done.stdout.split()
    assert Path(place).is_relative_to(tmp_path)
    assert int(count) > 20


def test_the_sdist_carries_the_bundle_and_nothing_built_beside_it(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        held = [n.partition("/")[2] for n in archive.getnames()]
    assert "covalent_jupyter/labextension/static/style.js" in held
    assert {"LICENSE", "README.md", "hatch_build.py", "labextension/yarn.lock"} < set(held)
    assert not [n for n in held if "node_modules" in n or n.startswith("labextension/lib")]


def test_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = {n.rpartition("/")[2]: archive.read(n).decode() for n in archive.namelist() if ".dist-info/" in n}
    assert f"\nVersion: {covalent_jupyter.__version__}\n" in info["METADATA"]
    assert "\nLicense-Expression: BSD-3-Clause\n" in info["METADATA"]
    assert "jupyter-covalent = covalent_jupyter.cli:main" in info["entry_points.txt"]


def test_the_versions_of_both_halves_agree() -> None:
    package = json.loads((ROOT / "labextension" / "package.json").read_text())
    assert package["version"] == covalent_jupyter.__version__
    assert package["license"] == "BSD-3-Clause"


def test_the_lock_names_no_registry() -> None:
    assert "://" not in (ROOT / "labextension" / "yarn.lock").read_text()
