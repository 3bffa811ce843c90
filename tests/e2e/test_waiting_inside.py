"""Electrons that dispatch and wait, in every place that there is, and again in what they dispatch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import covalent_jupyter as ct

EXECUTORS: dict[str, Any] = {"local": ct.executor.LocalExecutor(max_workers=1), "dask": "dask"}
OUTER = 3  # of each kind: more than a place has and waits for it, on each of two


@ct.electron
def step(x: int) -> int:
    return x + 1


@pytest.mark.parametrize("name", EXECUTORS)
def test_they_leave_their_places_to_what_they_wait_for(name: str, place: Path) -> None:
    executor = EXECUTORS[name]

    @ct.lattice(executor=executor)
    def lowest(x: int) -> Any:
        return step(step(x))

    @ct.electron
    def middle(x: int) -> int:
        return int(ct.dispatch(lowest)(x).value())

    @ct.lattice(executor=executor)
    def low(x: int) -> Any:
        return [middle(x), middle(x + 1)]

    @ct.electron
    def synchronous(x: int) -> int:
        return sum(ct.dispatch_sync(low)(x).value)

    @ct.electron
    async def awaited(x: int) -> int:
        return sum((await ct.dispatch(low)(x)).value)

    @ct.electron
    def completed(x: int) -> int:
        return sum(sum(handle.value()) for handle in ct.as_completed([ct.dispatch(low)(x), ct.dispatch(low)(x)])) // 2

    @ct.lattice(executor=executor)
    def outer() -> Any:
        return [electron(i) for i in range(OUTER) for electron in (synchronous, awaited, completed)]

    result = ct.get_result(ct.dispatch(outer)(), wait=True, timeout=240)
    assert result.value == [2 * i + 5 for i in range(OUTER) for _ in range(3)], result.error
