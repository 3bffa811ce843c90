"""Past runs and queries as tables: pandas DataFrames where pandas is installed, else lists of dicts that look well."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..errors import InvalidRequest
from ..model import DispatchRow, Status
from ..workflow.options import suggest
from .annotating import tag_list
from .brief import brief
from .display import duration_text, html_table, size_text, text_table, took
from .electrons import moment
from .rest import connect
from .when import moment_of

#: rows that a table shows of itself
SHOWN = 60


class Table(list[dict[str, Any]]):
    """Rows as dicts, shown as a table. Numbers of the columns ``spans`` are seconds, and are shown as ``8.6 s``."""

    #: characters of a cell that are shown
    WIDEST = 48

    def __init__(
        self, rows: Sequence[dict[str, Any]] = (), columns: Sequence[str] | None = None, spans: Sequence[str] = ()
    ) -> None:
        super().__init__(rows)
        self.spans = frozenset(spans)
        self.columns = list(columns) if columns is not None else list(dict.fromkeys(k for row in self for k in row))

    def _shown(self) -> list[list[Any]]:
        return [
            [duration_text(row.get(c)) if c in self.spans else _plain(row.get(c)) for c in self.columns]
            for row in self[:SHOWN]
        ]

    def __repr__(self) -> str:
        if not self.columns:
            return "(no rows)"
        more = len(self) - SHOWN
        return text_table(self.columns, self._shown(), limit=self.WIDEST) + (
            f"\n... and {more} more rows" if more > 0 else ""
        )

    def _repr_html_(self) -> str:
        more = len(self) - SHOWN
        return html_table(self.columns, self._shown()) + (f"<div>and {more} more rows</div>" if more > 0 else "")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"{value:.6g}" if isinstance(value, float) else value


def table_of(rows: list[dict[str, Any]], columns: Sequence[str], pandas: bool | None, spans: Sequence[str] = ()) -> Any:
    """A DataFrame where pandas is installed (or as ``pandas`` says), else a :class:`Table`."""
    wanted = importlib.util.find_spec("pandas") is not None if pandas is None else pandas
    if not wanted:
        return Table(rows, columns, spans)
    return importlib.import_module("pandas").DataFrame(rows, columns=list(columns))


COLUMNS = (
    "dispatch_id", "name", "lattice", "status", "electrons", "completed", "failed", "created", "start_time", "end_time",
    "duration", "inputs", "tags", "notebook", "redispatch_of", "error",
)  # fmt: skip
SPANS = ("duration",)


def row_dict(row: DispatchRow) -> dict[str, Any]:
    """A dispatch as one flat row; times are aware datetimes, ``duration`` seconds."""
    return {
        "dispatch_id": row.dispatch_id, "name": row.name, "lattice": row.lattice, "status": str(row.status),
        "electrons": row.counts.total, "completed": row.counts.completed, "failed": row.counts.failed,
        "created": moment(row.created), "start_time": moment(row.started), "end_time": moment(row.ended),
        "duration": took(row.started, row.ended), "inputs": row.inputs, "tags": row.tags, "notebook": row.notebook,
        "redispatch_of": row.redispatch_of, "error": row.error,
    }  # fmt: skip


@brief
def dispatches(
    limit: int = 100,
    *,
    name: str | None = None,
    status: str | Status | Sequence[str | Status] | None = None,
    since: Any = None,
    until: Any = None,
    tags: str | Sequence[str] = (),
    text: str | None = None,
    lattice: str | None = None,
    notebook: str | None = None,
    tag: str | None = None,
    parent: str | None = None,
    sublattices: bool = False,
    values: bool | None = None,
    pandas: bool | None = None,
) -> Any:
    """Past and present runs, newest first: a DataFrame where pandas is installed (``pandas=False``: a :class:`Table`).

    ``name`` is text in the name, ``text`` text in name, note or id; ``status`` one or several; ``since`` and ``until`` (of
    the dispatch) a datetime, a date, ``"2 days"``, ``"yesterday"``; ``tags`` all that a run must bear; ``lattice`` the
    name of the lattice. Runs of sublattices are listed with ``sublattices``, or by their ``parent``.
    ``values`` gives inputs and scalar results columns of their own, by default where all runs are of one lattice.
    """
    if not isinstance(limit, int) or limit < 1:
        raise InvalidRequest(f"limit is a number of runs from 1, not {limit!r}")
    rest = connect()
    asked = {
        "status": _statuses(status), "name": name, "q": text, "lattice": lattice, "notebook": notebook,
        "tags": ",".join([*tag_list(tags), *([tag] if tag else [])]) or None,
        "since": None if since is None else moment_of(since), "until": None if until is None else moment_of(until),
        "parent": parent or (None if sublattices else "none"),
    }  # fmt: skip
    rows: list[DispatchRow] = []
    before: Any = None
    while len(rows) < limit:
        page = rest.dispatches(limit=min(limit - len(rows), 500), before=before, **asked)
        rows += page.dispatches
        before = page.next
        if before is None or not page.dispatches:
            break
    one = len({row.lattice for row in rows}) == 1
    return _runs_table(rows, pandas) if (one if values is None else values) else _plain_table(rows, pandas)


def _statuses(given: str | Status | Sequence[str | Status] | None) -> str | None:
    if given is None:
        return None
    several = [given] if isinstance(given, str) else given
    try:
        return ",".join(str(Status(str(s).upper())) for s in several)
    except ValueError:
        known = [str(status) for status in Status]
        hints = "".join(suggest(name, known) for name in (str(s).upper() for s in several) if name not in known)
        raise InvalidRequest(f"status is one or several of {', '.join(Status)}, not {given!r}{hints}") from None


def _plain_table(rows: Sequence[DispatchRow], pandas: bool | None) -> Any:
    return table_of([row_dict(row) for row in rows], COLUMNS, pandas, SPANS)


def _runs_table(rows: Sequence[DispatchRow], pandas: bool | None) -> Any:
    """A column for each input and each scalar result; a name that is taken gets ``input_`` or ``result_`` before it."""
    inputs = {n: f"input_{n}" if n in COLUMNS else n for row in rows for n in row.inputs}
    taken = {*COLUMNS, *inputs.values()}
    results = {n: f"result_{n}" if n in taken else n for row in rows for n in row.results}
    found = []
    for row in rows:
        flat = row_dict(row)
        flat.update((inputs[n], scalar_of(text)) for n, text in row.inputs.items())
        flat.update((results[n], value) for n, value in row.results.items())
        found.append(flat)
    around = [c for c in COLUMNS if c != "inputs"]
    at = around.index("status") + 1
    columns = [*around[:at], *inputs.values(), *results.values(), *around[at:]]
    return table_of([{c: row.get(c) for c in columns} for row in found], columns, pandas, SPANS)


def scalar_of(text: str) -> Any:
    """The number, truth value, None or text that ``text`` is the repr of; else the text itself."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if value is None or isinstance(value, (bool, int, float, str)) else text


@brief
def sql(query: str, max_rows: int = 10_000, *, pandas: bool | None = None) -> Any:
    """Rows of one SELECT over the store (read-only). Raises InvalidRequest with DuckDB's message.

    A warning says when there were more than ``max_rows``.
    """
    if not isinstance(query, str) or not query.strip():
        raise InvalidRequest(f"one SELECT statement is expected, not {query!r}")
    answer = connect().sql(query, max_rows)
    columns = [str(c) for c in answer["columns"]]
    if answer.get("truncated"):
        warnings.warn(f"only the first {max_rows} rows are given; max_rows=... gives more", stacklevel=3)
    return table_of([dict(zip(columns, row, strict=True)) for row in answer["rows"]], columns, pandas)


def sql_schema(*, pandas: bool | None = None) -> Any:
    """The views that ``sql`` may ask, with their columns: ``view, column, type, what it is``."""
    found = connect().get("sql/schema")
    rows = [
        {"view": view["name"], "column": column["name"], "type": column["type"], "what it is": column["text"]}
        for view in found["views"]
        for column in view["columns"]
    ]
    return table_of(rows, ("view", "column", "type", "what it is"), pandas)


class Facts(dict[str, Any]):
    """A dict that is shown as two columns."""

    def __repr__(self) -> str:
        return text_table(("", ""), [(k, _fact(k, v)) for k, v in self.items()], limit=100).lstrip("\n ")

    def _repr_html_(self) -> str:
        return html_table(("", ""), [(k, _fact(k, v)) for k, v in self.items()])


def _fact(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {size_text(v) if name == 'parts' else _fact(k, v)}" for k, v in value.items())
    if isinstance(value, (int, float)) and not isinstance(value, bool) and name.split("_")[-1] in SIZES:
        return size_text(value)
    return _plain(value)


#: names of numbers that are bytes
SIZES = frozenset({"bytes", "size", "free", "total", "budget", "freed"})


def disk() -> Disk:
    """What the store takes on the disk and what is free, in bytes."""
    return Disk(connect().get("disk"))


class Disk(Facts):
    """``store, total, parts, free, budget``, and the largest ``dispatches`` and ``lattices``, shown as tables of their own."""

    def __repr__(self) -> str:
        tables = [text_table(header, rows) for header, rows in largest(self)]
        return "\n\n".join([repr(self._facts()), *tables])

    def _repr_html_(self) -> str:
        return self._facts()._repr_html_() + "".join(html_table(header, rows) for header, rows in largest(self))

    def _facts(self) -> Facts:
        return Facts({k: v for k, v in self.items() if k not in ("dispatches", "lattices")})


def largest(found: Mapping[str, Any]) -> list[tuple[tuple[str, ...], list[list[str]]]]:
    """The largest dispatches and lattices in what the service says of the disk, as headers with their rows."""
    dispatches = [[d["dispatch_id"][:8], d["lattice"], size_text(d["bytes"])] for d in found.get("dispatches", ())]
    lattices = [[one["lattice"], size_text(one["bytes"])] for one in found.get("lattices", ())]
    tables = [(("largest dispatches", "lattice", "size"), dispatches), (("largest lattices", "size"), lattices)]
    return [(header, rows) for header, rows in tables if rows]
