"""What is told of a manifest and its electrons: plain data in, answers out."""

from __future__ import annotations

from typing import Any

import msgspec

from covalent_jupyter.model import ElectronRow, Manifest, Preview, Ref, Status, Tpl, Val
from covalent_jupyter.model.graph import Outline
from covalent_jupyter.service.answers import detail, result_of

from ..store.records import dispatch, electron
from .conftest import make_manifest

ID = "00000001-0000-4000-8000-000000000000"
ROW = dispatch(ID, status=Status.COMPLETED)


def manifest(**changes: Any) -> Manifest:
    return make_manifest(nodes=3, **changes)[0]


def valued(node: int, preview: Preview) -> ElectronRow:
    return electron(ID, node, name="step", status=Status.COMPLETED, preview=preview)


def test_the_source_of_an_electron_is_where_its_function_stands_and_the_call_beside_it() -> None:
    made = manifest()
    made.functions[0].file, made.functions[0].line = "/home/defs.py", 76
    made.lattice = msgspec.structs.replace(made.lattice, file="/home/flow.py")
    made.nodes[1].line = 82
    told = detail(made, 1)
    assert (told.file, told.line, told.call_file, told.call_line) == ("/home/defs.py", 76, "/home/flow.py", 82)


def test_a_constant_is_a_result_too() -> None:
    made = manifest(output=Val("d" * 64, "42"), outline=Outline("int", ("42",)))
    result = result_of(ROW, made, [])
    assert (result.text, result.type, result.total, result.parts) == ("42", "int", 0, [])


def test_a_result_of_several_parts_keeps_its_keys_and_constants() -> None:
    refs = (Ref(0), Ref(1, (("item", "loss"),)), Ref(2), Ref(1))
    made = manifest(
        output=Tpl("d" * 64, refs), names=("x", "loss", "table", ""),
        outline=Outline("dict", ("{'x': ", 0, ", 'loss': ", 1, ", 'table': ", 2, ", 'all': [", 3, "], 'c': 5}"), "5 items"),
    )  # fmt: skip
    scores = Preview("dict", "{'loss': 0.5}", scalars={"loss": 0.5})
    table = Preview("pandas.DataFrame", "a  b\n1  2", shape="1 row × 2 columns")
    result = result_of(ROW, made, [valued(0, Preview("int", "10")), valued(1, scores), valued(2, table)])
    assert result.text == (
        "{'x': 10, 'loss': 0.5, 'table': <pandas.DataFrame, 1 row × 2 columns>, 'all': [{'loss': 0.5}], 'c': 5}"
    )
    assert (result.type, result.shape) == ("dict", "5 items")
    assert [part.path for part in result.parts] == ["x", "loss: ['loss']", "table", ""]


def test_a_piece_that_no_preview_tells_is_named() -> None:
    result = result_of(ROW, manifest(output=Ref(1, (("item", 0),))), [valued(1, Preview("list", "[1, 2]"))])
    assert (result.whole, result.text) == (True, "<step 1[0]>")


def test_results_that_were_recorded_before_have_no_text() -> None:
    result = result_of(ROW, manifest(output=Ref(2)), [valued(2, Preview("int", "4"))])
    assert (result.text, result.whole, result.parts[0].path) == ("", True, "")
