"""What people who have read nothing write, and what they are told."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter.errors import CovalentError

from . import flows


def told(act: Callable[[], Any]) -> str:
    """The message; it ends at who has called, without a frame of this package that nobody can mend."""
    with pytest.raises(CovalentError) as caught:
        act()
    inside = [
        frame for frame in traceback.extract_tb(caught.value.__traceback__) if "covalent_jupyter" in frame.filename
    ]
    assert all(frame.filename.endswith("brief.py") for frame in inside)
    return str(caught.value)


def test_results_are_taken_for_their_dispatches() -> None:
    first, second = (ct.dispatch_sync(flows.one)(n) for n in (1, 2))
    assert ct.get_result(first).dispatch_id == first.dispatch_id  # type: ignore[arg-type]
    assert "1" in repr(ct.compare(first, second))  # type: ignore[arg-type]
    assert ct.debug(first, 0, prompt=False, namespace={}).electron.node_id == 0  # type: ignore[arg-type]
    assert ct.redispatch(first)().wait() == ct.status.COMPLETED  # type: ignore[arg-type]


def test_sweeps() -> None:
    assert "belongs into the points or into fixed={'b': ...}" in told(
        lambda: ct.sweep(flows.one, ct.grid(a=[1]), b=[2])  # type: ignore[call-arg]
    )
    assert "did you mean 'max_running'" in told(
        lambda: ct.sweep(flows.one, ct.grid(a=[1]), max_runing=2)  # type: ignore[call-arg]
    )
    sweep = ct.sweep(flows.one, ct.grid(a=[1]))
    sweep.wait(60)
    assert "no point 7" in told(lambda: sweep[7])
    assert "no column 'acc'" in told(lambda: sweep.plot("a", "acc"))
    assert "no parameter 'm'" in told(lambda: sweep.add([{"m": 1}]))
    assert "no dispatch 'ffff'" in told(lambda: ct.get_sweep("ffff"))


def test_questions() -> None:
    ct.dispatch_sync(flows.one)(1)
    assert "did you mean 'FAILED'" in told(lambda: ct.dispatches(status="faild"))
    assert "did you mean dispatches" in told(lambda: ct.sql("SELECT * FROM dispatchs"))
    assert "one SELECT" in told(lambda: ct.sql(""))
    assert (
        told(lambda: ct.latest("onne")) == "no dispatch of a lattice called 'onne' is COMPLETED (did you mean 'one'?)"
    )


def test_a_lattice_that_is_called_too_early() -> None:
    assert "comes after it: ct.dispatch(lattice)(...)" in told(lambda: ct.dispatch(flows.one(1)))
