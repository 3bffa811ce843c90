"""Cells keep the names that people know them by, in processes that have no notebook."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from covalent_jupyter import codec
from covalent_jupyter.workflow.capture import cell_of

CELL = """
import covalent_jupyter as ct

@ct.electron
def bad(x):
    return 1 / x

@ct.lattice
def inner(x):
    return bad(x)

nested = ct.electron(inner)

@ct.lattice
def outer(x):
    return nested(x)
"""


@pytest.fixture()
def elsewhere() -> dict[str, Any]:
    """The names of a cell as a process has them that got them pickled."""
    shell = InteractiveShell.instance()
    try:
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(CELL, shell.compile.cache(CELL, 7), "exec"), names)
        sent = b"".join(map(bytes, codec.encode_function({n: names[n] for n in ("bad", "inner", "nested", "outer")})))
    finally:
        InteractiveShell.clear_instance()
    got: dict[str, Any] = codec.decode(sent)
    assert cell_of(got["bad"].function.__code__.co_filename) == ""
    return got


@pytest.mark.parametrize("name", ["bad", "inner", "nested", "outer"])
def test_a_cell_is_named_where_there_is_no_notebook(elsewhere: dict[str, Any], name: str) -> None:
    assert elsewhere[name].place == "Cell In[7]"


def test_graphs_that_are_built_elsewhere_name_the_cell(elsewhere: dict[str, Any]) -> None:
    manifest = elsewhere["inner"].inside({}).build_graph(1)
    assert {(f.name, f.place) for f in (*manifest.functions, manifest.lattice)} == {
        ("bad", "Cell In[7]"), ("inner", "Cell In[7]"),
    }  # fmt: skip
    (nested,) = elsewhere["outer"].build_graph(1).functions
    assert nested.place == "Cell In[7]"


def test_a_lattice_that_cannot_be_recorded_has_its_cell_and_its_signature(elsewhere: dict[str, Any]) -> None:
    lattice = elsewhere["inner"]
    with open(__file__) as file:
        lattice.function.__dict__["file"] = file  # cannot be pickled
        manifest = lattice.build_graph(1)
    assert (manifest.lattice.place, manifest.lattice.signature) == ("Cell In[7]", "(x)")
    assert any("cannot be recorded" in text for text in manifest.warnings)
