"""What a migration takes over from the log, in pieces that fit into memory however large the store is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import duckdb
import msgspec
from msgspec import Struct

from ..model.views import AttemptRow
from ..model.work import Outcome
from . import rows

_EVENTS = 20  # that are held at once


class _Finished(Struct):
    """What is needed of an event of this kind."""

    outcomes: list[Outcome] = []


_decode = msgspec.json.Decoder(_Finished).decode


def take_over(connection: duckdb.DuckDBPyConnection) -> None:
    """For schema 2: attempts that others followed, and what electrons reported, from the events of schema 1."""
    again = {
        (d, node): (attempt, name, executor)
        for d, node, attempt, name, executor in connection.execute(
            "SELECT dispatch_id, node, attempt, name, executor FROM electron WHERE attempt > 1"
        ).fetchall()
    }
    wanted = connection.execute(
        "SELECT seq FROM event WHERE kind = 'finished' AND (contains(decode(data), '\"reports\"') "
        "OR dispatch_id IN (SELECT dispatch_id FROM electron WHERE attempt > 1)) ORDER BY seq"
    ).fetchall()
    for start in range(0, len(wanted), _EVENTS):
        attempts: list[list[Any]] = []
        metrics: list[tuple[Any, ...]] = []
        for outcome in _outcomes(connection, [seq for (seq,) in wanted[start : start + _EVENTS]]):
            latest = again.get((outcome.dispatch_id, outcome.node))
            if latest is not None and outcome.attempt < latest[0] and outcome.status in ("failed", "interrupted"):
                attempts.append(rows.attempt_columns(_attempt(outcome, latest[1], latest[2])))
            metrics += _metrics(outcome)
        for table, found in (("attempt", attempts), ("metric", metrics)):
            if found:
                with connection.appender(table) as appender:
                    appender.append_rows(found)


def _outcomes(connection: duckdb.DuckDBPyConnection, numbers: list[int]) -> Iterator[Outcome]:
    found = connection.execute(
        "SELECT data FROM event WHERE seq IN (SELECT unnest(?::BIGINT[])) ORDER BY seq", [numbers]
    )
    for (data,) in found.fetchall():
        with contextlib.suppress(msgspec.DecodeError):  # not of ours: it stays in the log
            yield from _decode(data).outcomes


def _attempt(outcome: Outcome, name: str, executor: str) -> AttemptRow:
    return AttemptRow(
        outcome.dispatch_id, outcome.node, outcome.attempt, name, outcome.status.upper(), executor, "", outcome.worker,
        outcome.started or None, outcome.started or None, outcome.finished, outcome.duration, outcome.rss, outcome.error,
        outcome.stdout, outcome.stderr,
    )  # fmt: skip


def _metrics(outcome: Outcome) -> Iterator[tuple[Any, ...]]:
    for step, report in enumerate(outcome.reports):
        for name, value in report.items():
            number = float(value) if isinstance(value, (bool, int, float)) else None
            text = value if isinstance(value, str) else None
            if number is not None or text is not None:
                key = (outcome.dispatch_id, outcome.node, outcome.attempt)
                yield (*key, step, outcome.finished, name, number, text)
