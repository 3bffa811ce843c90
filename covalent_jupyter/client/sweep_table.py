"""The table of a sweep: a row for each point, a column for each input, the state, and each result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..model import INLINE, ElectronRow, Status
from .display import duration_text, sign_of, took
from .points import plain_value, varying
from .values import outputs_of

#: characters of an error in the table
ERROR = 300
#: names of columns that are not inputs or results
STATE = ("status", "error", "duration")
SPANS = STATE[-1:]


def table_rows(
    runs: Sequence[tuple[Mapping[str, Any], ElectronRow]], values: Sequence[Any]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows and the names of their columns, of points with their newest runs, and what these gave (see
    :func:`small_output`). A result that is called as an input or a part of the state gets the prefix ``result_``."""
    inputs = list(dict.fromkeys(name for point, _ in runs for name in point))
    rows, results = [], dict[str, None]()
    for (point, run), value in zip(runs, values, strict=True):
        row = {name: point.get(name) for name in inputs}
        row.update(status=str(run.status), error=_error(run), duration=_duration(run))
        for key, found in _columns_of(run, value).items():
            column = key if key not in inputs and key not in STATE else f"result_{key}"
            row[column] = found
            results[column] = None
        rows.append(row)
    return rows, [*inputs, *STATE, *results]


def axes(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], points: Sequence[Mapping[str, Any]], x: str | None = None,
    y: str | None = None, color: str | None = None,
) -> tuple[str, str, str | None]:  # fmt: skip
    """What is plotted where that was not said."""
    inputs = varying(points)
    at = x or next(iter(inputs), None) or columns[0]
    results = columns[columns.index(STATE[-1]) + 1 :]
    shown = y or next((c for c in results if any(_is_number(row.get(c)) for row in rows)), None) or "duration"
    return at, shown, color or next((name for name in inputs if name != at), None)


def small_output(row: ElectronRow) -> Any:
    """The value, where it may be loaded for a table."""
    if row.output is None or sum(o.size for o in outputs_of(row.output)) > INLINE:
        return None
    return row.output


def _columns_of(row: ElectronRow, value: Any) -> dict[str, Any]:
    if row.status is not Status.COMPLETED:
        return {}
    if row.output is not None and small_output(row) is None:
        return {"result": row.preview.shape or row.preview.repr if row.preview is not None else "(large)"}
    value = plain_value(value)
    if isinstance(value, Mapping) and value and all(isinstance(k, str) and _is_scalar(v) for k, v in value.items()):
        return {k: plain_value(v) for k, v in value.items()}
    return {"result": value}


def _is_scalar(value: Any) -> bool:
    return isinstance(plain_value(value), (bool, int, float, str, type(None)))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _error(row: ElectronRow) -> str | None:
    if row.error is None or row.status is Status.COMPLETED:
        return None
    return " ".join(f"{row.error.type}: {row.error.message}"[:ERROR].split())


def _duration(row: ElectronRow) -> float | None:
    return row.duration if row.duration is not None and row.child is None else took(row.started, row.ended)


def in_words(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the words that people read for the names of states."""
    return [{**row, STATE[0]: sign_of(Status(row[STATE[0]]))[1]} for row in rows]


def cells(row: Mapping[str, Any], columns: Sequence[str]) -> list[Any]:
    """A row as it stands in the table that people see."""
    return [duration_text(row.get(c)) if c in SPANS else _cell(row.get(c)) for c in columns]


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
