"""What electrons reported as rows of the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..store import Metric


def metrics_of(
    dispatch_id: str, node: int, attempt: int, first: int, points: Iterable[tuple[float, dict[str, Any]]]
) -> Iterator[Metric]:
    """A row per named value of reports number ``first`` and later; (seconds since the epoch, values) each."""
    for step, (time, values) in enumerate(points, first):
        for name, value in values.items():
            if isinstance(value, (bool, int, float)):
                yield Metric(dispatch_id, node, attempt, step, time, name, _float(value), None)
            elif isinstance(value, str):
                yield Metric(dispatch_id, node, attempt, step, time, name, None, value)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
