"""``await``, ``ct.as_completed`` and Ctrl-C, in plain asyncio and in a real kernel."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter.client.rest import connect

from .kernels import Kernel


@ct.electron
def after(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@ct.electron
def opened(gate: str, n: int) -> int:
    while not Path(gate).exists():
        time.sleep(0.01)
    return n


@ct.electron
def fails() -> None:
    raise ValueError("no")


async def test_ten_dispatches_are_awaited_together_while_the_loop_goes_on(tmp_path: Path) -> None:
    async def heartbeat() -> None:
        for _ in range(20):
            await asyncio.sleep(0.01)
        (tmp_path / "gate").touch()  # never, where the waiting holds up the loop

    ids = [ct.dispatch(opened)(str(tmp_path / "gate"), n) for n in range(10)]
    results, _ = await asyncio.gather(asyncio.gather(*ids), heartbeat())
    assert [result.value for result in results] == list(range(10))
    assert [r.dispatch_id for r in await asyncio.gather(*map(ct.get_result, ids))] == ids


async def test_as_completed_is_an_asynchronous_iterator(tmp_path: Path) -> None:
    slow, quick = ct.dispatch(opened)(str(tmp_path / "gate"), 1), ct.dispatch(after)(0.0)
    came = []
    async for run in ct.as_completed([slow, quick]):
        came.append(run)
        (tmp_path / "gate").touch()
    assert came == [quick, slow]
    assert list(ct.as_completed([slow, quick])) == [quick, slow]
    assert [run async for run in ct.as_completed([])] == []


async def test_as_completed_gives_up_and_lets_go() -> None:
    endless = ct.dispatch(after)(600)
    with pytest.raises(ct.NotFinished, match=f"after {endless[:8]}"):
        async for _ in ct.as_completed([endless], timeout=0.2):
            pytest.fail("it has not ended")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(endless, 0.2)
    assert not endless.status.ended
    endless.cancel()
    assert (await endless).status == "CANCELLED"


async def test_awaiting_what_failed_gives_its_result() -> None:
    result = await ct.dispatch(fails)()
    assert result.status == "FAILED"
    with pytest.raises(ValueError, match="no"):
        _ = result.value


SLOW = """import covalent_jupyter as ct
@ct.electron
def slow(n):
    import time
    time.sleep(600)
ids = [ct.dispatch(slow)(n) for n in range(2)]"""


@pytest.mark.parametrize(
    "waiting",
    [
        "ids[0].wait()",
        "await ids[0]",
        "async for i in ct.as_completed(ids[:1]): pass",
        "ct.get_result(ids[0], wait=True)",
        "list(ct.as_completed(ids[:1]))",
    ],
)
def test_ctrl_c_stops_the_waiting_and_nothing_else(kernel: Kernel, waiting: str) -> None:
    kernel.run(SLOW)
    outputs = kernel.interrupted(
        waiting, lambda: b"covalent_requests_open 0\n" not in connect().request("GET", "metrics").data
    )
    said = "".join(o["text"] for o in outputs if o["output_type"] == "stream")
    first: Any = kernel.value("ids[0]")
    assert "Stopped waiting" in said and first[:8] in said and "ct.cancel(" in said
    assert kernel.value("str(ids[0].status)") in ("RUNNING", "DISPATCHING", "NEW_OBJECT")
    assert kernel.value("[str(ct.cancel(i) and i.wait(60)) for i in ids]") == ["CANCELLED", "CANCELLED"]
