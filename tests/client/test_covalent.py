"""What code written for Covalent finds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


def test_statuses_of_covalent_can_be_compared_with() -> None:
    assert ct.status.RUNNING not in (ct.status.POSTPROCESSING, ct.status.PENDING_POSTPROCESSING, ct.status.STARTING)
    assert ct.status.DISPATCHING == ct.status.DISPATCHING_SUBLATTICE and len(ct.status) == 8
    assert ct.status.is_terminal("FAILED") and ct.status.is_terminal(ct.status.COMPLETED)
    assert not ct.status.is_terminal(ct.status.POSTPROCESSING_FAILED)


def test_arguments_of_covalent_are_named() -> None:
    lattice = ct.lattice(lambda: 1)
    for call, words in (
        (
            lambda: ct.dispatch(lattice, dispatcher_addr="localhost:48008"),
            r"dispatch has no argument.*ct\.set_config\(url=",
        ),
        (lambda: ct.get_result("x", dispatcher_addr="localhost:48008"), "get_result has no argument"),
        (lambda: ct.redispatch("x", is_pending=True), "redispatch has no argument 'is_pending', which Covalent's has"),
        (lambda: ct.covalent_start(workers=4), "dask_n_workers"),
    ):
        with pytest.raises(ct.ConfigError, match=words):
            call()
    assert callable(ct.dispatch(lattice, dispatcher_addr=None))
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        ct.dispatch(lattice, colour=1)


def test_settings_of_covalent_are_named() -> None:
    for key, words in (
        ("dispatcher.port", "listens on whatever port is free"),
        ("executors.local", r"ct\.executor\.LocalExecutor\(workdir=\.\.\.\)"),
        ("dispatcher.results_dir", "store_dir"),
        ("enable_logging", "service_log_level"),
    ):
        with pytest.raises(ct.ConfigError, match=f"no setting '{key}', which Covalent has: .*{words}"):
            ct.get_config(key)
    with pytest.raises(ct.ConfigError, match="no setting 'executer'. Did you mean 'executor'"):
        ct.get_config("executer")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


def test_import_covalent() -> None:
    code = """
import covalent_jupyter
covalent_jupyter.install_as_covalent()
import covalent as ct
import covalent.executor
from covalent.executor import LocalExecutor
from covalent.executor.base import BaseExecutor
from covalent.executor.executor_plugins.local import LocalExecutor as Local
assert Local is LocalExecutor and BaseExecutor is ct.executor.BaseExecutor
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


def test_local_modules_import_covalent_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tasks.py").write_text(
        "import covalent as ct\nfrom covalent.executor import BaseExecutor\n"
        "class Here(BaseExecutor):\n"
        "    def run(self, function, args, kwargs, task_metadata):\n        return function(*args, **kwargs)\n"
        "@ct.electron(executor=Here())\ndef add(a, b):\n    return a + b\n"
        "@ct.electron(executor='local')\ndef named(a):\n    import covalent\n    return a, covalent.__name__\n"
        "@ct.lattice\ndef flow(a):\n    return named(add(a, 1))\n"
    )
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import covalent_jupyter
covalent_jupyter.install_as_covalent()
from tasks import flow
print(covalent_jupyter.dispatch(flow)(41).value(60))
"""
    assert run(code).strip() == "(42, 'covalent_jupyter')"
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ct.DecodeError, match="install_as_covalent"):
        _ = ct.latest("flow", a=41).lattice


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
