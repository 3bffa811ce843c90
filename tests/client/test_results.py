"""Result, electrons, failures: against a real service."""

from __future__ import annotations

import copy
import pickle
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter.client.connection import Connector, Endpoint
from covalent_jupyter.client.rest import Rest, connect
from covalent_jupyter.client.values import Values

from . import flows


@pytest.fixture(scope="module")
def failed() -> ct.Result:
    return ct.dispatch_sync(flows.failing)("tea")


def test_the_value_of_a_failed_dispatch_is_the_electrons_own_exception(failed: ct.Result) -> None:
    with pytest.raises(flows.Unlucky, match="no luck with tea") as caught:
        _ = failed.value
    notes = "\n".join(caught.value.__notes__)
    assert f"electron fail [1] of dispatch {failed.dispatch_id}" in notes and "flows.py" in notes
    story = caught.value.__cause__
    assert isinstance(story, ct.DispatchFailed)
    assert "1 of 3 electrons failed, 1 skipped because of them" in str(story)
    assert "✕ fail [1]: Unlucky: no luck with tea" in str(story)
    assert 'raise Unlucky(f"no luck with {kind}")' in str(story)
    assert "reuse_previous_results=True" in str(story)
    with pytest.raises(flows.Unlucky):
        failed.raise_for_status()
    with pytest.raises(flows.Unlucky):
        ct.DispatchId(failed.dispatch_id).value()


def test_result_is_none_with_one_warning(failed: ct.Result) -> None:
    again = ct.get_result(failed.dispatch_id)
    with pytest.warns(UserWarning, match="is FAILED: its result is None"):
        assert again.result is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert again.result is None
    assert "✕ fail [1]" in str(again.error)


def test_partial_has_failed_in_the_holes(failed: ct.Result) -> None:
    partial = failed.partial
    assert partial["good"] == 2
    assert partial["bad"] == ct.Failed("Unlucky", "no luck with tea", 1) and not partial["bad"]
    assert partial["after"].type == "Skipped" and partial["after"].node == 2


def test_an_exception_that_cannot_travel_is_told() -> None:
    result = ct.dispatch_sync(flows.failing)("stubborn")
    with pytest.raises(ct.DispatchFailed, match="Stubborn: 1 and 2\n    caused by Picky: 1 and 2\n") as caught:
        _ = result.value
    assert caught.value.electrons[1].endswith("1 and 2")
    cause = caught.value.__cause__
    assert isinstance(cause, ct.ElectronError) and str(cause) == "Stubborn: 1 and 2"
    [note] = cause.__notes__
    assert "electron fail [1] of dispatch" in note and "caused by Picky: 1 and 2" in note and "flows.py" in note


def test_an_exception_with_an_init_of_its_own_comes_back() -> None:
    with pytest.raises(flows.Picky, match="1 and 2") as caught:
        _ = ct.dispatch_sync(flows.failing)("picky").value
    assert caught.value.one == 1


def test_a_crash_is_an_electron_crash() -> None:
    with pytest.raises(ct.ElectronCrashed) as caught:
        _ = ct.dispatch_sync(flows.failing)("exit").value
    assert caught.value.exitcode == 7


def test_a_failure_inside_a_sublattice_is_found() -> None:
    result = ct.dispatch_sync(flows.failing_inside)("rain")
    with pytest.raises(flows.Unlucky, match="no luck with rain") as caught:
        _ = result.value
    child = result.electrons[0].row.child
    assert child is not None and f"of dispatch {child}" in caught.value.__notes__[-1]
    assert result.electrons[0].electrons["fail"].status == "FAILED"
    assert result.partial["good"] == 2 and result.partial["bad"].type == "Unlucky"


def test_a_sublattice_gives_its_value() -> None:
    result = ct.dispatch_sync(flows.outer)(1)
    assert result.value == [12, 13]
    assert result.electrons["inner"].value == [12, 13]
    node = result.get_node_result(1)
    assert node["sublattice_result"].value == [12, 13]
    assert [row["parent"] for row in ct.dispatches(pandas=False) if "parent" in row] == []
    assert len(ct.dispatches(parent=result.dispatch_id, pandas=False)) == 1


def test_electrons_by_number_name_and_slice() -> None:
    result = ct.dispatch_sync(flows.sums)(1)
    electrons = result.electrons
    assert len(electrons) == 2 and [e.node_id for e in electrons] == [0, 1]
    assert electrons[0].inputs == {"a": 1, "b": 2} and electrons[1].inputs == {"a": 3, "b": 1}
    assert electrons[-1].value == 4 and electrons[-1].call() == 4 and electrons[1].func(5, 6) == 11
    assert [e.node_id for e in electrons[:5]] == [0, 1]
    assert [e.node_id for e in electrons["add"]] == [0, 1]
    assert "return a + b" in electrons[0].source
    assert (electrons[0].status, electrons[0].attempt, electrons[0].executor) == ("COMPLETED", 1, "local")
    assert electrons[0].error is None and electrons[0].traceback == "" and electrons[0].preview == "3"
    with pytest.raises(ct.NotFound, match="did you mean 'add'"):
        electrons["adds"]
    with pytest.raises(ct.NotFound, match="no electron 7"):
        electrons[7]
    assert electrons.failed() == []
    assert repr(electrons).splitlines()[1].split() == [
        "✓",
        "0",
        "add",
        "completed",
        *repr(electrons).splitlines()[1].split()[4:6],
        "3",
    ]
    assert "✓ add [0] completed: 3" in repr(electrons[0])


def test_a_result_can_be_pickled_copied_and_given_to_an_electron() -> None:
    result = ct.dispatch_sync(flows.sums)(1)
    for other in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert (other.dispatch_id, other.value, other.electrons[0].value) == (result.dispatch_id, result.value, 3)
    assert ct.dispatch(ct.lattice(lambda found: ct.electron(flows.value_of)(found)))(result).value(60) == result.value


def test_node_results_by_name() -> None:
    result = ct.dispatch_sync(flows.sums)(1)
    assert result.get_node_result("add[1]")["node_id"] == 1
    with pytest.raises(ct.CovalentError, match=r"2 electrons are meant by 'add'; say which: "):
        result.get_node_result("add")


def test_node_results_as_in_covalent() -> None:
    result = ct.dispatch_sync(flows.sums)(1)
    node = result.get_node_result(1)
    assert (node["node_id"], node["node_name"], node["status"], node["output"], node["error"]) == (
        1,
        "add",
        "COMPLETED",
        4,
        None,
    )
    assert node["end_time"] >= node["start_time"] and node["stdout"] == ""
    assert dict(result.get_all_node_outputs()) == {"add(0)": 3, "add(1)": 4}
    assert [n["output"] for n in result.get_all_node_results()] == [3, 4]
    bare = ct.get_result(
        result.dispatch_id, workflow_output=False, intermediate_outputs=False, sublattice_results=False
    )
    assert (
        bare.result is None
        and "output" not in bare.get_node_result(0)
        and "sublattice_result" not in bare.get_node_result(0)
    )
    assert ct.get_result_manager(result.dispatch_id).result_object.value == result.value
    assert result.inputs == result.inputs.get_deserialized() == {"args": (1,), "kwargs": {}}
    with pytest.raises(AttributeError, match="'save', which Covalent's has: everything is recorded when it happens"):
        result.save()
    assert not hasattr(result, "colour")
    again = ct.redispatch(result.dispatch_id, reuse_previous_results=True)().result(60)
    assert all(n["start_time"] == n["end_time"] for n in again.get_all_node_results())


COUNTED = {"calls": 0}


def test_warnings_of_electrons_are_shown_once_with_their_number() -> None:
    @ct.electron
    def count(x: int) -> None:
        COUNTED["calls"] += x

    @ct.lattice
    def flow() -> Any:
        return [count(n + 1) for n in range(3)]

    result = ct.dispatch_sync(flow)()
    said = "⚠ count [0] and 2 more: changed in the electron, unchanged in your kernel: COUNTED"
    assert repr(result.electrons).count(said) == 1
    assert result.electrons._repr_html_().count(said) == 1 and (result._repr_html_() or "").count(said) == 1


def test_a_value_that_was_let_go_says_so() -> None:
    @ct.electron(keep="never")
    def passing() -> list[int]:
        return [0] * 30_000

    @ct.lattice
    def flow() -> Any:
        return ct.electron(len)(passing())

    result = ct.dispatch_sync(flow)()
    assert result.value == 30_000
    deadline = time.monotonic() + 60
    while True:  # it goes after the commit of what used it
        try:
            _ = result.electrons["passing"].value
        except ct.NotFound as error:
            assert "passing [0] was let go, as its option keep='never' says: .call()" in str(error)
            break
        assert time.monotonic() < deadline
    assert result.electrons["passing"].call() == [0] * 30_000


def test_what_flags_leave_out_is_not_there() -> None:
    done = ct.dispatch_sync(flows.sums)(1)
    found = ct.get_result(done.dispatch_id, workflow_output=False, intermediate_outputs=False, sublattice_results=False)
    assert found.result is None and dict(found.get_all_node_outputs()) == {}
    assert not {"output", "sublattice_result"} & set(found.get_node_result(0))
    manager = ct.get_result_manager(done.dispatch_id)
    assert done.dispatch_id in repr(manager) and manager.result_object.value == done.value


def test_what_it_printed() -> None:
    result = ct.dispatch_sync(flows.shouting)("tea")
    electron = result.electrons["shout"]
    assert (electron.stdout, electron.stderr) == ("out tea\n", "err tea\n")
    assert result.logs(0) == result.logs("shout") == "out tea\nerr tea\n"


def test_the_state_while_it_runs(tmp_path: Path) -> None:
    handle = ct.dispatch(flows.gated)(str(tmp_path / "gate"), 3)
    while handle.electrons[1].status != "COMPLETED":
        pass
    result = ct.get_result(handle)
    assert result.electrons[1].value == 4 and result.partial[1] == 4
    assert result.partial[0].type == "NotFinished"
    with pytest.raises(ct.NotFinished, match="1 of 2 electrons completed"):
        _ = result.value
    with pytest.raises(ct.NotFinished, match="has no value"):
        _ = result.electrons[0].value
    (tmp_path / "gate").touch()
    handle.wait(60)
    assert not result.status.ended and result.refresh().status == "COMPLETED" and result.value == [3, 4]


def test_graph_is_networkx() -> None:
    graph = ct.dispatch_sync(flows.outer)(1).graph
    assert [graph.nodes[n]["name"] for n in graph] == ["add", "inner"]
    assert [(a, b, d["parameter"]) for a, b, d in graph.edges(data=True)] == [(0, 1, "a")]


def test_displays_escape_what_users_wrote() -> None:
    evil = "<script>alert(1)</script>\x1b[2J"
    handle = ct.dispatch(flows.shouting, name=evil)(evil)
    handle.wait(60)
    result = ct.get_result(handle)
    for text in (
        handle._repr_html_(),
        result._repr_html_(),
        result.electrons._repr_html_(),
        result.electrons[0]._repr_html_(),
    ):
        assert text is not None and "<script" not in text.lower() and "\x1b" not in text
    assert "&lt;script&gt;" in result._repr_html_()
    for text in (repr(result), repr(result.electrons), repr(result.electrons[0])):
        assert "\x1b" not in text


def test_the_lattice_comes_back() -> None:
    result = ct.dispatch_sync(flows.one)(1)
    assert result.lattice.name == "one" and result.lattice(4, 5) == 9


def test_values_are_fetched_where_the_store_is_out_of_reach() -> None:
    data = b"x" * 300_000
    result = ct.dispatch_sync(flows.one)(data, b"y")

    class Far(Connector):
        def endpoint(self) -> Endpoint:
            return super().endpoint()._replace(store="")

    rest = Rest(Far(connect().connector.settings))
    assert result.row.output is not None
    assert Values(rest).load(result.row.output) == data + b"y" == result.value
    rest.disconnect()


def test_latest_finds_the_newest_of_a_lattice_with_these_inputs() -> None:
    ct.dispatch_sync(flows.one)(501, b=1)
    ct.dispatch_sync(flows.one)(502, b=1)
    assert ct.latest("one", a=501).value == 502
    assert ct.latest("one").value == 503
    with pytest.raises(ct.NotFound, match=r"one\(a=-1\)"):
        ct.latest("one", a=-1)


def test_node_results_are_printed_with_what_they_hold() -> None:
    result = ct.dispatch_sync(flows.sums)(1)
    text = repr(result.get_node_result(1))
    assert "'node_name': 'add'" in text and "'status': COMPLETED" in text and "'output': 4" in text
    assert repr(result.get_all_node_outputs()) == "{'add(0)': 3, 'add(1)': 4}"
    outer = ct.dispatch_sync(flows.outer)(1)
    text = repr(outer.get_node_result(1))
    assert "'output': [12, 13]" in text and "'sublattice_result': <Result of " in text


def test_no_electron_of_that_name() -> None:
    with pytest.raises(ct.NotFound, match="no electron is called 'zzz'. Its electrons are 0 to 1, called add"):
        ct.dispatch_sync(flows.sums)(1).electrons["zzz"]


@pytest.mark.parametrize("alone", [True, False])
def test_a_return_value_whose_selector_fails(alone: bool) -> None:
    result = ct.dispatch_sync(flows.badly_unpacked)(alone)
    partial = result.partial
    failed = partial if alone else partial["first"]
    assert isinstance(failed, ct.Failed) and (failed.type, failed.node) == ("SelectError", 0)
    assert "lattice badly_unpacked (flows.py, line" in failed.message and "of what three (node 0" in failed.message
    assert alone or partial["whole"] == [1, 2, 3]
    with pytest.warns(UserWarning, match="its result is None") as told:
        assert result.result is None and result.result is None
    assert len(told) == 1
    with pytest.raises(ct.CovalentError, match="return value of lattice badly_unpacked"):
        _ = result.value
