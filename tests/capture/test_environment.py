from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path

import msgspec
import pytest

from covalent_jupyter.model import Environment
from covalent_jupyter.packages import differences, installed_packages
from covalent_jupyter.workflow.environment import is_credential, path_additions, renewed, take_environment


def test_the_kernels_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.setenv("MY_SETTING", "ä")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    environment, variables, blobs, warnings = take_environment()
    assert environment.interpreter == sys.executable and environment.prefix == sys.prefix
    assert environment.python == ".".join(map(str, sys.version_info[:3]))
    assert environment.cwd == str(tmp_path) and str(tmp_path / "lib") in environment.sys_path
    assert environment.packages["numpy"] and environment.packages["scikit-learn"] and environment.cloudpickle
    assert variables["MY_SETTING"] == "ä" and "MY_SETTING" in environment.variables
    assert "JUPYTERHUB_API_TOKEN" not in variables and "secret" not in variables.values()
    assert Path(environment.package_path, "covalent_jupyter").is_dir()
    assert blobs == {} and warnings == () and environment.modules == {}


def test_a_recorded_world_is_renewed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend("/of/then")
    then = msgspec.structs.replace(
        take_environment().environment, packages={}, digest="then", modules={"m.py": "f" * 64}
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OF_NOW", "1")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != "/of/then"])
    now = take_environment().environment
    same = renewed(then)
    assert (
        same.environment.cwd == str(tmp_path)
        and same.variables["OF_NOW"] == "1"
        and "OF_NOW" in same.environment.variables
    )
    assert same.environment.digest == now.digest and same.environment.packages == now.packages
    assert same.environment.modules == then.modules  # the recorded code needs them
    assert same.environment.sys_path[: len(now.sys_path)] == now.sys_path and "/of/then" in same.environment.sys_path
    assert renewed(then, ()).environment.sys_path == then.sys_path
    other = renewed(msgspec.structs.replace(then, interpreter="/other/bin/python", prefix="/other")).environment
    assert (other.interpreter, other.digest, other.packages) == ("/other/bin/python", "then", {})
    assert other.cwd == str(tmp_path) and other.sys_path == then.sys_path


@pytest.mark.parametrize(
    "name",
    "JUPYTER_TOKEN JUPYTERHUB_API_TOKEN JPY_API_TOKEN JPY_PARENT_PID JPY_SESSION_NAME CONFIGPROXY_AUTH_TOKEN "
    "COVALENT_TOKEN COVALENT_JUPYTER_TOKEN JUPYTER_GATEWAY_AUTH_TOKEN JUPYTERHUB_CRYPT_KEY".split(),
)
def test_credentials(name: str) -> None:
    assert is_credential(name)


@pytest.mark.parametrize(
    "name",
    "PATH HOME HF_TOKEN AWS_SECRET_ACCESS_KEY JUPYTER_PATH JUPYTERHUB_USER COVALENT_STORE_DIR TOKEN".split(),
)
def test_everything_else_is_the_users(name: str) -> None:
    assert not is_credential(name)


def test_the_digest_names_the_environment_not_the_dispatch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = take_environment().environment
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOMETHING", "else")
    assert take_environment().environment.digest == first.digest
    (tmp_path / "extra-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    changed = take_environment().environment
    assert changed.digest != first.digest and changed.packages["extra"] == "1.0"


def test_names_of_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("Two_Words-2.0.post1.dist-info", "old.style-1.5-py3.11.egg-info", "-broken.dist-info", "nothing"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "absent")])
    assert installed_packages() == {"two-words": "2.0.post1", "old-style": "1.5"}


def test_what_was_upgraded_under_the_kernel_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import numpy

    assert not any("numpy" in text for text in take_environment().warnings)
    (tmp_path / "numpy-0.9.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    (said,) = (text for text in take_environment().warnings if "numpy" in text)
    assert f"numpy {numpy.__version__} is loaded in this process, but 0.9 is installed by now" in said


def test_what_differs_from_the_kernel_is_named(tmp_path: Path) -> None:
    packages = installed_packages()
    there = Environment("python", "/", platform.python_version(), "3", {**packages, "numpy": "0.9", "pytest": "0.1"})
    assert differences(there) == (
        f"other versions than in the kernel: numpy {packages['numpy']} (dispatched from 0.9)",
    )
    assert differences(msgspec.structs.replace(there, packages=packages)) == ()
    assert "Python" in differences(msgspec.structs.replace(there, python="2.7.1"))[0]
    (tmp_path / "numpy-0.9.dist-info").mkdir()  # on a path that the kernel has added, and that runners get as well
    assert differences(msgspec.structs.replace(there, sys_path=(str(tmp_path),))) == ()


def test_additions_to_the_path_are_absolute_and_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "/one", *sys.path, "two", "/one"])
    added = path_additions()
    assert added[:2] == (str(tmp_path), "/one") and added[-1] == str(tmp_path / "two")
    assert not any("site-packages" in entry or entry.endswith(".zip") for entry in added)


def test_a_removed_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    environment, _, _, warnings = take_environment()
    assert environment.cwd == "" and "working directory was removed" in warnings[0]


def test_folders_whose_names_are_no_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    environment, _, _, warnings = take_environment()
    assert environment.cwd == "" and str(folder) not in environment.sys_path
    assert [r"caf\udce9' is no UTF-8" in warning for warning in warnings] == [True, True]


def test_a_variable_that_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"ODD", b"\xff")
    _, variables, _, warnings = take_environment()
    assert "ODD" not in variables and "'ODD'" in warnings[0]


def test_speed() -> None:
    spent = []
    for _ in range(10):
        start = time.process_time()
        take_environment()
        spent.append(time.process_time() - start)
    assert min(spent) < 0.005
