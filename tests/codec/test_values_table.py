"""The rows of the table in ``docs/values.md`` that have no test elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import covalent_jupyter as ct
from covalent_jupyter import blobs, codec
from covalent_jupyter.errors import EncodeError
from covalent_jupyter.worker import context
from covalent_jupyter.worker.preview import preview_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "values.md"


def through(value: Any) -> Any:
    return codec.decode(b"".join(codec.encode(value)))


def test_the_tests_that_the_table_names_exist() -> None:
    root = Path(__file__).parents[2]
    named = re.findall(r"`(tests/\S+?\.py)::(\w+)`", DOCUMENT.read_text())
    assert len(named) >= 15
    for file, name in named:
        assert f"def {name}(" in (root / file).read_text(), f"{file} has no {name}"


# Files


def test_a_file_is_stored_by_its_content_and_arrives_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    first, second = tmp_path / "data.csv", tmp_path / "a" / "data.csv"
    for path in (first, second):
        path.write_text("x,y\n1,2\n")
    chunks = codec.encode(ct.File(first))
    assert codec.digest_of(chunks) == codec.digest_of(codec.encode(ct.File(second)))
    first.unlink()
    one, other = codec.decode(b"".join(codec.encode(ct.File(second)))), codec.decode(b"".join(chunks))
    assert one.name == other.name == "data.csv" and one.path != other.path
    assert other.path.read_text() == "x,y\n1,2\n"
    with open(one) as file:
        assert file.readline() == "x,y\n"
    one.path.write_text("changed")
    assert other.path.read_text() == second.read_text() == "x,y\n1,2\n"


def test_a_large_file_is_not_read_into_memory_to_be_recorded(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(3_000_000))
    digest, size = blobs.write_blob(tmp_path, codec.encode({"weights": ct.File(path)}))
    assert size < 3_001_000
    back = codec.decode(blobs.map_blob(tmp_path, digest))["weights"]
    assert back.path.read_bytes() == path.read_bytes()


def test_empty_and_executable_files(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/sh\necho here\n")
    script.chmod(0o755)
    assert subprocess.run([str(through(ct.File(script)))], capture_output=True, text=True).stdout == "here\n"
    (tmp_path / "empty").touch()
    assert through(ct.File(tmp_path / "empty")).path.read_bytes() == b""


def test_inside_an_electron_files_arrive_in_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("text")
    data = b"".join(codec.encode([ct.File(tmp_path / "f")] * 1))
    context.enter(context.ElectronContext("d", 3, 1, work_root=str(tmp_path / "work")), everywhere=True)
    try:
        one, other = codec.decode(data)[0], codec.decode(data)[0]
    finally:
        context.enter(None, everywhere=True)
    assert one.path != other.path
    assert all(file.path.is_relative_to(tmp_path / "work" / "d" / "3.1") for file in (one, other))


def test_files_elsewhere_go_with_the_process(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("text")
    code = (
        "import covalent_jupyter as ct\nfrom covalent_jupyter import codec\nimport sys\n"
        "file = codec.decode(b''.join(codec.encode(ct.File(sys.argv[1]))))\nassert file.path.exists()\nprint(file)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "f")], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("/f") and not Path(done.stdout.strip()).exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        EncodeError, match=r"^x -> \['k'\]: ct\.File\('.*/none'\) cannot be read \(No such file"
    ) as caught:
        codec.encode({"k": ct.File(tmp_path / "none")}, name="x")
    assert "inside the electron" not in str(caught.value)
    with pytest.raises(EncodeError, match="Is a directory"):
        codec.encode(ct.File(tmp_path))
    assert repr(ct.File(tmp_path / "none")) == "File('none', not there)"


# What is shown, and warned of


class Variable:
    """As xarray's: whether the data were read, and from where they would be."""

    def __init__(self, in_memory: bool, source: str = "") -> None:
        self._in_memory = in_memory
        self.encoding = {"source": source} if source else {}


def xarray_object(name: str, **attributes: Any) -> Any:
    return type(name, (), {"__module__": "xarray.core", **attributes})()


def test_xarray_objects_that_still_point_to_files_are_recorded_with_a_warning() -> None:
    lazy, read = Variable(False), Variable(True, "/data/a.nc")
    dataset = xarray_object("Dataset", variables={"t": lazy, "u": read}, encoding={"source": "/data/a.nc"})
    assert preview_of(dataset, 10).warnings == (
        "it still points to /data/a.nc: call .load() before returning it to record the data",
    )
    array = xarray_object("DataArray", variable=Variable(False, "/data/b.nc"), coords={"x": read}, encoding={})
    assert "it still points to /data/b.nc" in preview_of(array, 10).warnings[0]
    assert not preview_of(
        xarray_object("Dataset", variables={"u": read}, encoding={"source": "/data/a.nc"}), 10
    ).warnings


def test_a_dask_collection_is_recorded_as_a_recipe_with_a_warning() -> None:
    from dask.delayed import delayed

    lazy = delayed(sum)([1, 2])
    assert "the recipe was recorded, not the data" in preview_of(lazy, 10).warnings[0]
    assert not preview_of(lazy.compute(), 10).warnings


def test_figures_are_shown() -> None:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2])
    assert "image/png" in preview_of(figure, 10).mime
    shown = preview_of(through(go.Figure(go.Scatter(y=[1, 2]))), 10)
    assert shown.type == "plotly.graph_objs._figure.Figure" and "Scatter" in shown.repr.title()


# Whatever comes back lazily, or in another shape


def test_iterators_over_plain_data_arrive_unused() -> None:
    for value, items in ((map(str, [1, 2]), ["1", "2"]), (iter([1]), [1]), (zip("a", "b", strict=True), [("a", "b")])):
        assert list(through(value)) == items == list(value)
    with pytest.raises(EncodeError, match="return a list of its items instead"):
        codec.encode(map(str, (i for i in "ab")))


def test_a_class_of_the_notebook_goes_by_value() -> None:
    module = types.ModuleType("__main__")
    exec(
        textwrap.dedent("""
        class Model:
            def __init__(self, w): self.w = w
            def predict(self, x): return self.w * x
        """),
        vars(module),
    )
    code = "import sys\nfrom covalent_jupyter import codec\nprint(codec.decode(sys.stdin.buffer.read()).predict(4))"
    main, sys.modules["__main__"] = sys.modules["__main__"], module
    try:
        data = b"".join(codec.encode(module.Model(np.float64(2.5))))
    finally:
        sys.modules["__main__"] = main
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout == b"10.0\n"
