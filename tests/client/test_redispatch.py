"""redispatch: recorded and present code, replaced electrons, reuse and its explanation."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter.client.rest import connect

from . import flows


def reused(dispatch_id: str) -> list[bool]:
    return [e.reused for e in ct.get_result(dispatch_id).electrons]


def test_recorded_arguments_and_new_ones() -> None:
    first = ct.dispatch_sync(flows.sums)(1, b=5)
    again = ct.redispatch(first.dispatch_id)()
    assert again != first.dispatch_id and again.value(60) == first.value
    assert connect().dispatch(again).redispatch_of == first.dispatch_id
    other = ct.redispatch(first.dispatch_id[:18])(10, b=5)
    assert other.value(60) == {"sum": 15, "pair": (16, 15), "plain": [5, None]}
    assert ct.redispatch(first.dispatch_id)(3, 4).value(60)["sum"] == 7
    assert ct.redispatch(first.dispatch_id)(3).value(60)["sum"] == 8  # b is as it was
    assert ct.redispatch(first.dispatch_id)(b=7).value(60)["sum"] == 8
    with pytest.raises(ct.BuildError, match="sums has no parameter 'c'"):
        ct.redispatch(first.dispatch_id)(c=7)


@pytest.mark.parametrize("options", [{}, {"seed": 4}, {"rerun": "failed"}])
def test_folder_and_variables_are_those_of_now(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "then").mkdir()
    monkeypatch.chdir(tmp_path / "then")
    first = ct.dispatch(flows.surroundings)("WHAT_IS_SET")
    assert first.wait(60) == "FAILED"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHAT_IS_SET", "a word")
    again = ct.redispatch(first, **options)()
    assert again.value(60) == (str(tmp_path), "a word")
    assert connect().manifest(again).seed == options.get("seed", connect().manifest(first).seed)


def test_a_sublattices_run_is_not_redispatched_by_itself() -> None:
    result = ct.dispatch_sync(flows.outer)(1)
    (child,) = [row.child for row in connect().electrons(result.dispatch_id).electrons if row.child]
    with pytest.raises(ct.CovalentError, match="redispatch its root"):
        ct.redispatch(child)()


def test_reuse_takes_over_what_is_the_same() -> None:
    first = ct.dispatch_sync(flows.sums)(1)
    again = ct.redispatch(first.dispatch_id, reuse_previous_results=True)()
    assert again.value(60) == first.value and reused(again) == [True, True]
    other = ct.redispatch(first.dispatch_id, reuse_previous_results=True)(2)
    assert other.value(60)["sum"] == 4 and reused(other) == [False, False]


def test_replaced_electrons() -> None:
    first = ct.dispatch_sync(flows.sums)(1)

    def multiply(a: Any, b: Any) -> Any:
        return a * b

    again = ct.redispatch(first.dispatch_id, replace_electrons={"add": ct.electron(multiply)})()
    assert again.value(60) == {"sum": 2, "pair": (2, 2), "plain": [2, None]}
    with pytest.raises(ct.BuildError, match=r"'ad', but dispatch .* it has add"):
        ct.redispatch(first.dispatch_id, replace_electrons={"ad": multiply})()


def test_replacements_are_a_dict() -> None:
    first = ct.dispatch_sync(flows.sums)(1)
    with pytest.raises(ct.BuildError, match="a dict, from the name of an electron"):
        ct.redispatch(first.dispatch_id, replace_electrons="add")()  # type: ignore[arg-type]


def test_rerun_failed_keeps_what_completed() -> None:
    first = ct.dispatch_sync(flows.failing)("tea")
    again = ct.redispatch(first.dispatch_id, rerun="failed")()
    assert again.wait(60) == "FAILED"
    assert [(e.name, e.reused) for e in ct.get_result(again).electrons] == [
        ("add", True),
        ("fail", False),
        ("add", False),
    ]


def test_explain_says_why() -> None:
    first = ct.dispatch_sync(flows.sums)(1)
    same = ct.redispatch(first.dispatch_id, reuse_previous_results=True, explain=True)()
    assert [row["reused"] for row in same] == [True, True] and "same code" in same[0]["reason"]
    other = ct.redispatch(first.dispatch_id, reuse_previous_results=True, explain=True)(1, b=3)
    assert [row["reused"] for row in other] == [False, False]
    assert other[0]["reason"] == "other input: b" and "depends on add [0], which runs again" in other[1]["reason"]
    without = ct.redispatch(first.dispatch_id, explain=True)()
    assert not any(row["reused"] for row in without) and "reuse_previous_results is False" in repr(without)
    failed = ct.dispatch_sync(flows.failing)("tea").dispatch_id
    kept = ct.redispatch(failed, rerun="failed", explain=True)()
    assert [row["reused"] for row in kept] == [True, False, False] and "it was FAILED" in kept[1]["reason"]
    rows = {row["dispatch_id"] for row in ct.dispatches(pandas=False, limit=1000)}
    assert first.dispatch_id in rows and len(kept) == 3


def test_explain_agrees_with_what_then_happens() -> None:
    """Values that were not kept, and one that has not what the lattice returns of it."""
    for lattice, args, new, options in (
        (flows.unkept, (20_000, 1), (20_000, 2), {"reuse_previous_results": True}),
        (flows.third_of_two, (), (), {"rerun": "failed"}),
    ):
        first = ct.dispatch(lattice)(*args)
        first.wait(60)
        told = ct.redispatch(first, explain=True, **options)(*new)
        again = ct.redispatch(first, **options)(*new)
        again.wait(60)
        assert [row["reused"] for row in told] == reused(again)
        assert told[0]["reason"].startswith("unchanged, but its value")
    assert "does not have what the lattice returns of it" in told[0]["reason"]


def test_current_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "import covalent_jupyter as ct\n\n@ct.electron\ndef work(x):\n    return x + {step}\n\n"
        "@ct.lattice\ndef flow(x):\n    return work(x)\n"
    )
    path = tmp_path / "changing_flow.py"
    module = ModuleType("changing_flow")
    module.__file__ = str(path)
    monkeypatch.setitem(sys.modules, "changing_flow", module)

    def define(step: int) -> None:
        path.write_text(source.format(step=step))
        exec(compile(path.read_text(), str(path), "exec"), module.__dict__)

    define(1)
    first = ct.dispatch_sync(module.flow)(10)
    assert first.value == 11
    define(2)
    assert ct.redispatch(first.dispatch_id)().value(60) == 11
    changed = ct.redispatch(first.dispatch_id, code="current", reuse_previous_results=True)
    assert changed().value(60) == 12
    why = ct.redispatch(first.dispatch_id, code="current", reuse_previous_results=True, explain=True)()
    assert "the code of work" in why[0]["reason"]
    del module.flow
    with pytest.raises(ct.BuildError, match="no lattice called 'flow' in this process"):
        ct.redispatch(first.dispatch_id, code="current")()


def test_wrong_words_are_refused() -> None:
    with pytest.raises(ct.BuildError, match="'latest'"):
        ct.redispatch("abcd", code="latest")  # type: ignore[arg-type]
    with pytest.raises(ct.BuildError, match="'all'"):
        ct.redispatch("abcd", rerun="all")  # type: ignore[arg-type]
    with pytest.raises(ct.NotFound):
        ct.redispatch("ffffffff-ffff-ffff-ffff-ffffffffffff")()
    assert flows.one.name == "one"
