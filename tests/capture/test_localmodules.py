from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

from covalent_jupyter import codec
from covalent_jupyter.workflow.capture import Capture
from covalent_jupyter.workflow.localmodules import LocalModules, is_local_path

from .notebook import cell


def snapshot(*names: str) -> Any:
    modules = LocalModules()
    modules.reach(names)
    return modules.snapshot()


def test_what_is_local(project: Callable[..., Any], tmp_path: Path) -> None:
    module = project({"mine.py": ""}, "mine")
    assert is_local_path(module.__file__)
    for installed in (numpy.__file__, os.__file__, codec.__file__, json.__file__):
        assert not is_local_path(installed)
    assert not is_local_path(str(tmp_path / "venv" / "lib" / "site-packages" / "x.py"))


def test_reached_through_imports_of_every_kind(project: Callable[..., Any]) -> None:
    project(
        {
            "top.py": "import numpy, os\nimport low\nfrom pkg import mid\ndef go():\n    import late\n",
            "low.py": "try:\n    import fallback\nexcept ImportError:\n    fallback = None\n",
            "late.py": "",
            "fallback.py": "import absent_optional\n",
            "unused.py": "",
            "pkg/__init__.py": "",
            "pkg/mid.py": "from .sub import deep\nfrom . import const\n",
            "pkg/const.py": "",
            "pkg/unused.py": "",
            "pkg/sub/__init__.py": "",
            "pkg/sub/deep.py": "from ...none import x\n",
            "pkg/sub/data.json": "{}",
            "pkg/__pycache__/mid.pyc": "x",
            "pkg/.hidden": "x",
            "space/part.py": "",
        }
    )
    taken = snapshot("top", "space.part", "numpy")
    assert set(taken.files) == {
        *("top.py", "low.py", "late.py", "fallback.py", "space/part.py"),
        *("pkg/__init__.py", "pkg/mid.py", "pkg/const.py", "pkg/unused.py", "pkg/sub/__init__.py", "pkg/sub/deep.py"),
        "pkg/sub/data.json",
    }
    assert set(taken.blobs) == set(taken.files.values()) and taken.warnings == ()


def test_a_snapshot_runs_elsewhere_and_never_sees_a_later_edit(project: Callable[..., Any], tmp_path: Path) -> None:
    project(
        {"pkg/__init__.py": "from .core import answer\n", "pkg/core.py": "def answer(): return 41 + K\nK = 1\n"}, "pkg"
    )
    build = Capture()
    definition, blobs = build.describe_function(cell("import pkg\ndef f(): return pkg.answer()").f)
    taken = build.take_environment()
    project({"pkg/core.py": "def answer(): return 0\n"}, reload=False)
    root = tmp_path / "snapshot"
    for name, digest in taken.environment.modules.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(taken.blobs[digest])
    (tmp_path / "f").write_bytes(b"".join(blobs[definition.digest]))
    script = (
        "import sys\nfrom covalent_jupyter import codec\nsys.path.insert(0, sys.argv[1])\n"
        "f = codec.decode_function(open(sys.argv[2], 'rb').read(), None)\nassert f() == 42, f()"
    )
    subprocess.run([sys.executable, "-c", script, str(root), str(tmp_path / "f")], check=True, cwd="/")


def test_a_package_that_is_too_large_is_left_where_it_is(project: Callable[..., Any]) -> None:
    project({"big/__init__.py": "", **{f"big/m{n}.py": "" for n in range(3_001)}})
    taken = snapshot("big")
    assert taken.files == {}
    assert "'big' (3002 files" in taken.warnings[0]


def test_data_files_only_where_small(project: Callable[..., Any]) -> None:
    project({"pkg/__init__.py": "", "pkg/large.bin": "x" * 1_000_001})
    assert set(snapshot("pkg").files) == {"pkg/__init__.py"}


def test_an_editable_installation_is_local(project: Callable[..., Any], tmp_path: Path) -> None:
    source = tmp_path / "checkout" / "src"
    (source / "editlib").mkdir(parents=True)
    (source / "editlib" / "__init__.py").write_text("def f(): return 1\n")
    sys.path.append(str(source))  # what the .pth file of the installation does
    try:
        assert set(snapshot("editlib").files) == {"editlib/__init__.py"}
    finally:
        sys.path.remove(str(source))


def test_a_module_that_differs_from_its_file_is_named(project: Callable[..., Any]) -> None:
    project({"mine.py": "def f():\n    return 1\ndef g():\n    return 1\n"}, "mine")
    later = time.time() + 10
    path = Path("mine.py")
    assert snapshot("mine").warnings == ()
    path.write_text("# comment\ndef f():\n    return 1\n\ndef g():\n    return 2\n")
    os.utime(path, (later, later))
    (warning,) = snapshot("mine").warnings
    assert "g differs" in warning and "takes the file as it is now" in warning and "mine.py" in warning
    path.write_text("def f(:\n")
    os.utime(path, (later + 5, later + 5))
    assert "cannot be compiled" in snapshot("mine").warnings[0]


def test_a_constant_that_differs_from_its_file_is_named(project: Callable[..., Any]) -> None:
    text = "K = {}\nTABLE = {{1: [2]}}\nSEEN: int = 0\nN = 1\nN = N + 1\nif K:\n    M = 1\n"
    module = project({"mine.py": text.format(1)}, "mine")
    later = time.time() + 10
    os.utime("mine.py", (later, later))
    assert snapshot("mine").warnings == () and module.N == 2
    Path("mine.py").write_text(text.format(100))
    os.utime("mine.py", (later, later))
    (warning,) = snapshot("mine").warnings
    assert "K differs" in warning


def test_nothing_reached_costs_nothing() -> None:
    spent = []
    for _ in range(3):
        start = time.process_time()
        assert snapshot("numpy", "os", "__main__", "", "no.such.module").files == {}
        spent.append(time.process_time() - start)
    assert min(spent) < 0.05  # a collection of garbage comes once
