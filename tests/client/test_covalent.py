"""What code written for Covalent finds."""

from __future__ import annotations

import subprocess
import sys

import pytest

import covalent_jupyter as ct


def test_transportable_object() -> None:
    made = ct.TransportableObject.make_transportable({"a": [1, 2]})
    assert made.get_deserialized() == {"a": [1, 2]} and made.object_string == "{'a': [1, 2]}"
    assert ct.TransportableObject.make_transportable(made) is made
    assert made.attrs["type"] == "<class 'dict'>" and made.python_version.startswith(f"{sys.version_info[0]}.")
    back = ct.TransportableObject.deserialize(made.serialize())
    assert back == made and back.get_deserialized() == {"a": [1, 2]} and hash(back) == hash(made)
    nested = [made, {"x": made}, [made], 5]
    assert ct.TransportableObject.deserialize_list(nested) == [{"a": [1, 2]}, {"x": {"a": [1, 2]}}, [{"a": [1, 2]}], 5]
    assert repr(made) == "<TransportableObject {'a': [1, 2]}>"
    for wrong in ({}, {"attributes": {"_object": 5}}, {"attributes": None}):
        with pytest.raises(ct.ServiceError, match="not the dict of a TransportableObject"):
            ct.TransportableObject.from_dict(wrong)
    with pytest.raises(ct.EncodeError):
        ct.TransportableObject(sys._getframe())


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


def test_import_covalent() -> None:
    code = """
import covalent_jupyter
covalent_jupyter.install_as_covalent()
import covalent as ct
import covalent.executor
from covalent.executor import LocalExecutor
assert ct is covalent_jupyter and ct.executor.LocalExecutor is LocalExecutor
@ct.electron
def add(a, b):
    return a + b
@ct.lattice
def flow(a):
    return add(a, 1)
print(ct.dispatch_sync(flow)(41).result, ct.status.COMPLETED)
"""
    assert run(code).split() == ["42", "COMPLETED"]


def test_a_whole_run_loads_nothing_heavy_into_the_kernel() -> None:
    code = """
import sys
import covalent_jupyter as ct
@ct.electron
def add(a, b):
    return a + b
@ct.lattice
def flow(a):
    return [add(a, 1), add(a, 2)]
result = ct.dispatch_sync(flow)(41)
assert result.value == [42, 43] and result.electrons[0].inputs and repr(result)
heavy = ("duckdb", "dask", "distributed", "tornado", "plotly", "networkx", "ipywidgets", "numpy", "pandas", "IPython")
print([m for m in heavy if m in sys.modules])
"""
    assert run(code).strip() == "[]"


def test_the_real_covalent_is_not_replaced_under_way() -> None:
    code = """
import sys, types
sys.modules["covalent"] = types.ModuleType("covalent")
import covalent_jupyter
try:
    covalent_jupyter.install_as_covalent()
except covalent_jupyter.ConfigError as error:
    print(error)
"""
    assert "imported in this process already" in run(code)
