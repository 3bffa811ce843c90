"""dispatch, dispatch_sync, cancel, as_completed: against a real service."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter.cli.app import main
from covalent_jupyter.client.dispatching import say_warnings
from covalent_jupyter.client.rest import connect
from covalent_jupyter.workflow import Lattice, build

from . import flows


def test_a_dispatch_is_a_string_that_knows_its_value() -> None:
    handle = ct.dispatch(flows.sums)(1)
    assert isinstance(handle, str) and type(handle) is ct.DispatchId
    assert repr(handle) == repr(str(handle)) and len(handle) == 36
    assert handle.value(60) == {"sum": 3, "pair": (4, 3), "plain": [2, None]}
    assert handle.status == ct.status.COMPLETED == "COMPLETED"
    assert handle.wait(1) == "COMPLETED"
    assert json.dumps([handle]) == f'["{handle}"]'
    again = pickle.loads(pickle.dumps(handle))
    assert again == handle and again.status == "COMPLETED"


def test_dispatch_sync_gives_the_result() -> None:
    result = ct.dispatch_sync(flows.one)(20, b=22)
    assert isinstance(result, ct.Result)
    assert (result.status, result.result, result.value) == ("COMPLETED", 42, 42)
    assert result.inputs == {"args": (20,), "kwargs": {"b": 22}}
    assert result.end_time >= result.start_time and result.start_time.tzinfo is not None
    assert result.root_dispatch_id == result.dispatch_id


def test_show_prints_where_there_is_no_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    handle = ct.dispatch(flows.one, name="shown")(1)
    handle.wait(60)
    handle.show()
    printed = capsys.readouterr().out
    assert "shown" in printed and "✓     0  add       completed" in printed


def test_warnings_of_building_are_told_with_the_name_once(caplog: pytest.LogCaptureFixture) -> None:
    manifest = build(flows.one, (1,)).manifest
    manifest.warnings = ("one captures df (56.0 MB)", "the folder is gone")
    say_warnings(manifest)
    assert caplog.messages == ["one captures df (56.0 MB)", "one: the folder is gone"]


def test_an_electron_alone_is_a_lattice_of_one() -> None:
    assert ct.dispatch_sync(flows.add)(1, 2).value == 3


def test_methods_are_dispatched_with_their_instance() -> None:
    model = flows.Model(10)
    assert model.flow(3) == (30, 11)
    handle = ct.dispatch(model.flow)(3)
    assert handle.value(60) == (30, 11) and ct.get_result(handle).name == "flow"
    assert ct.redispatch(handle)(4).value(60) == (40, 11)
    assert ct.dispatch(model.outer)(5).value(60) == (50, 11)
    alone = ct.dispatch(model.scaled)(6)
    assert alone.value(60) == 60 and ct.get_result(alone).name == "scaled"
    assert len(model.flow.build_graph(1).nodes) == 2 and model.flow.draw(1).data
    with pytest.raises(ct.BuildError, match="flow misses the argument 'x'"):
        ct.dispatch(model.flow)()


@pytest.mark.parametrize("thing", [lambda x: x, 3, "flow", None, print])
def test_what_is_no_lattice_is_refused(thing: Any) -> None:
    with pytest.raises(ct.BuildError, match="dispatch takes a lattice"):
        ct.dispatch(thing)


def test_name_tags_and_seed_are_recorded() -> None:
    handle = ct.dispatch(flows.one, name="my run", tags=("x", "y"), seed=7)(1)
    row = connect().dispatch(handle)
    assert (row.name, row.label, row.tags, row.seed, row.lattice) == ("my run", "my run", ["x", "y"], 7, "one")
    assert row.inputs == {"a": "1", "b": "2"}
    handle.wait(60)


def test_once_attaches_to_the_same_code_and_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    first = ct.dispatch(flows.one, once=True)("once", " more")
    first.wait(60)
    second = ct.dispatch(flows.one, once=True)("once", " more")
    assert second == first and second.attached and not first.attached
    assert f"Attached to dispatch {first}" in capsys.readouterr().out
    assert ct.dispatch(flows.one, once=True)("once", " again") != first


def test_once_with_a_seed_is_another_run_unless_the_seed_is_the_same() -> None:
    first = ct.dispatch(flows.one, once=True, seed=11)("seeded", " more")
    first.wait(60)
    other = ct.dispatch(flows.one, once=True, seed=12)("seeded", " more")
    assert other != first and not other.attached
    other.wait(60)
    assert ct.dispatch(flows.one, once=True, seed=11)("seeded", " more") == first
    assert ct.dispatch(flows.one, once=True)("seeded", " more") == other, "no seed: any run will do, the newest"


def test_inline_runs_here() -> None:
    handle = ct.dispatch(flows.sums, inline=True)(1)
    assert handle.value() == {"sum": 3, "pair": (4, 3), "plain": [2, None]}
    assert (handle.status, handle.wait(), handle.result().result) == ("COMPLETED", "COMPLETED", handle.value())
    assert ct.dispatch_sync(flows.one, inline=True)(1).value == 3
    assert asyncio.run(_awaited(handle)).value == handle.value()
    with pytest.raises(flows.Unlucky):
        ct.dispatch(flows.failing, inline=True)("tea")


async def _awaited(handle: Any) -> Any:
    return await handle


def test_disable_run_builds_and_sends_nothing() -> None:
    handle = ct.dispatch(flows.one, disable_run=True)(1)
    with pytest.raises(ct.NotFound):
        ct.get_result(handle)
    with pytest.raises(ct.BuildError):
        ct.dispatch(flows.one, disable_run=True)()
    with pytest.raises(ct.BuildError, match="nothing to wait for"):
        ct.dispatch_sync(flows.one, disable_run=True)(1)


def test_large_values_go_up_once_and_come_back(store: Path) -> None:
    data = bytes(range(256)) * 20_000
    handle = ct.dispatch(flows.one)(data, b"end")
    assert handle.value(60) == data + b"end"
    manifest = connect().manifest(handle)
    large = [d for d, size in manifest.blobs.items() if size > 1_000_000]
    assert large and connect().missing(large) == []
    path = store / "blobs" / large[0][:2] / large[0]
    made = path.stat().st_ino
    assert ct.dispatch_sync(flows.one)(data, b"more").value == data + b"more"
    assert path.stat().st_ino == made


def test_a_wait_ends_after_its_timeout(tmp_path: Path) -> None:
    handle = ct.dispatch(flows.gated)(str(tmp_path / "gate"), 5)
    began = time.monotonic()
    assert handle.wait(0.3) in ("RUNNING", "NEW_OBJECT", "DISPATCHING")
    with pytest.raises(ct.NotFinished, match=r"still .* after 0\.2 s"):
        handle.value(0.2)
    with pytest.raises(ct.NotFinished):
        ct.get_result(handle, wait=True, timeout=0.1)
    assert time.monotonic() - began < 50
    assert ct.get_result(handle, status_only=True)["id"] == handle
    (tmp_path / "gate").touch()
    assert handle.value(60) == [5, 6]


async def test_waiting_inside_a_running_loop(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    handle = ct.dispatch(flows.gated)(str(gate), 1)
    waiting = asyncio.gather(handle, handle, ct.get_result(handle))
    ticks = 0
    while ticks < 20:
        await asyncio.sleep(0.01)
        ticks += 1
    assert not waiting.done()
    gate.touch()
    results = await asyncio.wait_for(waiting, 60)
    assert [r.value for r in results] == [[1, 2]] * 3
    assert ct.dispatch_sync(flows.one)(1).value == 3  # the plain call works in a cell, too


async def test_a_cancelled_await_leaves_the_dispatch_alone(tmp_path: Path) -> None:
    handle = ct.dispatch(flows.gated)(str(tmp_path / "gate"), 1)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(_awaited(handle), 0.2)
    assert not handle.status.ended
    (tmp_path / "gate").touch()
    assert (await handle).value == [1, 2]


def test_as_completed_gives_them_as_they_end(tmp_path: Path) -> None:
    gates = [tmp_path / str(i) for i in range(2)]  # as many as there are slots
    handles = [ct.dispatch(flows.gated)(str(gate), i) for i, gate in enumerate(gates)]
    done = ct.as_completed(handles, timeout=60)
    order = []
    for i in (1, 0):
        gates[i].touch()
        order.append(next(done))
    assert order == [handles[1], handles[0]]
    assert list(done) == [] and list(ct.as_completed([])) == []
    held = ct.dispatch(flows.gated)(str(tmp_path / "never"), 0)
    with pytest.raises(ct.NotFinished, match="gated"):
        list(ct.as_completed([handles[0], held], timeout=0.2))
    held.cancel()


def one_place() -> Lattice:
    """Of an electron that runs until its gate is there, on an executor with a single place."""

    @ct.electron(executor=ct.executor.LocalExecutor(max_workers=1))
    def until(gate: str) -> str:
        while not Path(gate).exists():
            time.sleep(0.005)
        return gate

    @ct.lattice
    def waits(gate: str) -> str:
        return until(gate)

    return waits


def dispatched_and_running(lattice: Lattice, *args: Any) -> ct.DispatchId:
    handle = ct.dispatch(lattice)(*args)
    while handle.electrons[0].status != "RUNNING":
        time.sleep(0.01)
    return handle


def test_where_nothing_runs_it_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    waits = one_place()
    first = dispatched_and_running(waits, str(tmp_path / "gate"))
    second = ct.dispatch(waits)(str(tmp_path / "gate"))
    reason = "executor 'local' is busy with other dispatches: 1 place, all taken"
    with pytest.raises(ct.NotFinished, match=f"0 of 1 electrons completed, and it waits: {reason}"):
        second.value(0.2)
    with pytest.raises(ct.NotFinished, match=f"and it waits: {reason}"):
        _ = ct.get_result(second).value
    with pytest.raises(ct.NotFinished, match="0 of 1 electrons completed. It runs on"):
        first.value(0.2)
    assert main(["show", second]) == 0 and f"waits: {reason}" in capsys.readouterr().out
    (tmp_path / "gate").touch()
    assert second.value(60) == first.value(60) == str(tmp_path / "gate")


def test_electrons_that_wait_for_dispatches_in_all_places_leave_them_their_place() -> None:
    count = 4 * (os.cpu_count() or 1) + 1
    assert ct.dispatch(flows.waiting_inside)(count).value(120) == [1 + i for i in range(count)]


def test_an_electron_that_waits_for_what_does_not_begin_says_so(tmp_path: Path) -> None:
    """Its own place is no help to what needs another executor's."""
    blocked = one_place()

    @ct.electron
    def waits(gate: str) -> str:
        from covalent_jupyter.client import waiting

        waiting.PATIENCE = 0.1
        return str(ct.dispatch_sync(blocked)(gate).value)

    gate = str(tmp_path / "gate")
    first = dispatched_and_running(blocked, gate)
    handle = ct.dispatch(ct.lattice(waits))(gate)
    end = time.monotonic() + 60
    while "this electron waits for dispatch" not in (said := ct.get_result(handle).logs()):
        assert time.monotonic() < end
    assert "and it waits: executor 'local' is busy with other dispatches: 1 place, all taken" in said
    Path(gate).touch()
    assert handle.value(60) == first.value(60) == gate


def test_cancel_says_what_it_did(tmp_path: Path) -> None:
    handle = ct.dispatch(flows.gated)(str(tmp_path / "never"), 1)
    while connect().electrons(handle, status="RUNNING").total == 0:
        time.sleep(0.02)
    report = ct.cancel(handle)
    assert {*report["cancelled"], *report["stopping"]}
    assert handle.wait(30) == "CANCELLED"
    with pytest.raises(ct.DispatchCancelled, match="was cancelled"):
        handle.value()
    assert "cancelled" in repr(report)
    ct.cancel(handle, [0])


def test_what_tables_and_notes_cannot_take_is_said() -> None:
    running = ct.dispatch(flows.sums)(1)
    for wrong, words in (
        (lambda: ct.dispatches(tags=5), "tags are a text or a list of texts, not 5"),  # type: ignore[arg-type]
        (lambda: ct.dispatches(limit=0), "limit is a number of runs from 1"),
        (lambda: ct.sql(" "), "one SELECT statement is expected"),
        (lambda: running.rename("x" * 1001), "the name has at most 1,000 characters, not 1,001"),
    ):
        with pytest.raises(ct.ServiceError, match=words):
            wrong()


def test_notes_that_utf8_cannot_carry_are_written_out() -> None:
    handle = ct.dispatch(flows.one, tags=["\udce9"])(1)
    handle.rename("caf\udce9")
    assert ct.annotate(handle, note="\udce9", add=["\udce9", "x"]) == [r"\udce9", "x"]
    assert connect().dispatch(handle).name == r"caf\udce9"
    assert [row["dispatch_id"] for row in ct.dispatches(name="caf\udce9", pandas=False)] == [handle]
    handle.wait(60)


def test_electrons_are_cancelled_by_number_name_or_address(tmp_path: Path) -> None:
    @ct.lattice
    def flow(path: str) -> Any:
        return [flows.hold(path, n) for n in range(13)], flows.add(1, 2)

    running = ct.dispatch(flow)(str(tmp_path / "gate"))
    done = ct.cancel(running, "12")  # not 1 and 2
    assert done["cancelled"] + done["stopping"] == [12]
    done = running.cancel(["hold[value=11]", 10])
    assert sorted(done["cancelled"] + done["stopping"]) == [10, 11]
    for wrong, words in (
        ("grab", "no electron is called 'grab'"),
        ([99], "no electron 99: it has 14"),
        (-20, "no electron -20"),
    ):
        with pytest.raises(ct.NotFound, match=words):
            ct.cancel(running, wrong)
    ct.cancel(running)
    running.wait(60)
    with pytest.raises(ct.NotFound, match="no electron 99"):  # also when it has ended
        ct.cancel(running, 99)


def test_ids_by_their_beginning() -> None:
    handle = ct.dispatch(flows.one)(1)
    handle.wait(60)
    assert ct.get_result(handle[:13]).dispatch_id == handle
    with pytest.raises(ct.NotFound, match="the newest are") as caught:
        ct.get_result("ffffffff-ffff")
    assert isinstance(caught.value, LookupError) and caught.value.details["newest"]
    for nonsense in ("../../etc/passwd", "", "a b", "é" * 40, "x" * 5000):
        with pytest.raises(ct.ServiceError):
            ct.get_result(nonsense)
    with pytest.raises(ct.ServiceError, match="is expected, not int"):
        ct.get_result(5)  # type: ignore[arg-type]


SCRIPT = """
import signal
import sys
import covalent_jupyter as ct
from tests.client import flows
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where these tests run in the background of a shell
handle = ct.dispatch(flows.gated)(sys.argv[1], 1)
print(handle, flush=True)
handle.wait()
"""


def test_ctrl_c_stops_the_waiting_only(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "gate")], cwd=root, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        dispatch_id = process.stdout.readline().strip()
        while b"covalent_requests_open 0\n" in connect().request("GET", "metrics").data:
            time.sleep(0.01)  # until it waits in its long poll
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=90)
    assert "KeyboardInterrupt" in errors and "http/client.py" not in errors
    assert f'Cancel it with ct.cancel("{dispatch_id}")' in errors
    assert not ct.get_result(dispatch_id).status.ended
    (tmp_path / "gate").touch()
    assert ct.get_result(dispatch_id, wait=True, timeout=60).value == [1, 2]


def test_get_result_takes_the_handle_of_what_ran_inline() -> None:
    handle = ct.dispatch(flows.sums, inline=True)(1)
    assert ct.get_result(handle, wait=True).result == handle.value()
    assert ct.get_result(handle, status_only=True) == {"id": str(handle), "status": "COMPLETED"}


def test_what_was_not_sent_is_said_to_be_so() -> None:
    handle = ct.dispatch(flows.one, disable_run=True)(1)
    for use in (ct.get_result, ct.cancel, lambda d: d.status, lambda d: d.value(1), lambda d: d.electrons):
        with pytest.raises(ct.NotFound, match="built and checked with disable_run=True, and was not sent"):
            use(handle)


def test_a_seed_that_is_no_number() -> None:
    with pytest.raises(ct.BuildError, match="seed is a whole number, not 'x'"):
        ct.dispatch(flows.one, seed="x")(1)  # type: ignore[arg-type]


@ct.lattice
def locked() -> Any:
    return flows.add(threading.Lock(), 1)


def test_an_error_of_building_shows_the_users_frames() -> None:
    with pytest.raises(ct.EncodeError, match="lattice locked, line") as caught:
        ct.dispatch(locked)()
    story = caught.value.__cause__
    assert story is not None and story.__cause__ is None
    frames = [frame.name for frame in traceback.extract_tb(story.__traceback__)]
    assert frames == ["locked"]
    assert len(traceback.extract_tb(caught.value.__traceback__)) == 2  # this test, and dispatch


@pytest.mark.parametrize(
    ("use", "most"),
    [
        (lambda: ct.get_result("ffffffff"), 1),
        (lambda: ct.cancel("ffffffff"), 1),
        (lambda: ct.compare("ffffffff", "eeeeeeee"), 1),
        (lambda: ct.redispatch("ffffffff")(), 1),
        (lambda: ct.debug("ffffffff"), 2),
    ],
)
def test_errors_that_are_meant_show_few_frames_of_ours(use: Any, most: int) -> None:
    with pytest.raises(ct.CovalentError, match="no dispatch") as caught:
        use()
    own = [f for f in traceback.extract_tb(caught.value.__traceback__) if "covalent_jupyter/" in f.filename]
    assert len(own) <= most and caught.value.__cause__ is None


def test_an_unknown_electron_is_told_in_few_frames() -> None:
    handle = ct.dispatch(flows.failing)("tea")
    handle.wait(60)
    with pytest.raises(ct.NotFound, match="no electron is called 'nothing'") as caught:
        ct.debug(handle, "nothing")
    assert len([f for f in traceback.extract_tb(caught.value.__traceback__) if "covalent_jupyter/" in f.filename]) <= 3
