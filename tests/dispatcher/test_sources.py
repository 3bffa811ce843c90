"""Tracebacks that name a notebook's cell and show its lines, in a service that has neither."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from covalent_jupyter.dispatcher.sources import with_source
from covalent_jupyter.model import Error, Frame, FunctionDef, Manifest, Val
from covalent_jupyter.workflow.capture import cell_of

FILE = "/tmp/ipykernel_1/123.py"


def manifest(*functions: FunctionDef) -> Manifest:
    return Manifest("d", "d", [], Val("0" * 64), FunctionDef("", "", "flow"), None, functions=list(functions))


def test_frames_of_a_cell_get_its_name_and_their_line() -> None:
    train = FunctionDef(
        "", "", "train", source="def train():\n    raise ValueError\n", file=FILE, line=3, place="Cell In[5]"
    )
    error = Error("ValueError", "", [Frame(FILE, 4, "train"), Frame("/lib/site.py", 9, "fit", "x()", False)])
    told = with_source(error, manifest(train)).frames
    assert (told[0].place, told[0].text) == ("Cell In[5]", "raise ValueError")
    assert told[1] is error.frames[1]


def test_a_module_keeps_its_path_and_lines_out_of_reach_stay_empty() -> None:
    helper = FunctionDef("", "", "helper", source="def helper(): ...\n", file="/home/me/helper.py", line=1)
    error = Error("ValueError", "", [Frame("/home/me/helper.py", 40, "other"), Frame("/home/me/far.py", 1, "far")])
    assert with_source(error, manifest(helper)).frames == error.frames


def test_the_cell_is_what_ipython_calls_it() -> None:
    shell = InteractiveShell.instance()
    try:
        file = shell.compile.cache("x = 1", 7)
        assert cell_of(file) == "Cell In[7]"
        assert cell_of("/home/me/helper.py") == ""
    finally:
        InteractiveShell.clear_instance()
