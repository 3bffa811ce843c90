"""Texts and tables: what people read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import covalent_jupyter as ct
from covalent_jupyter.client.display import (
    ago_text,
    duration_text,
    electron_cells,
    html_table,
    plain,
    shorten,
    size_text,
    text_table,
    width_of,
)
from covalent_jupyter.client.tables import Table
from covalent_jupyter.errors import InvalidRequest

from ..store.records import electron
from . import flows


@given(st.text())
def test_user_text_never_acts_on_a_terminal(text: str) -> None:
    shown = plain(text)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in shown)
    assert not any(c in shown for c in "\u202a\u202e\u2066\u2028")
    assert plain("tea, 日本, ✓") == "tea, 日本, ✓" and plain("a\nb", lines=True) == "a\nb"


@given(st.text(max_size=50), st.integers(1, 30))
def test_shortened_text_fits(text: str, width: int) -> None:
    assert width_of(shorten(plain(text), width)) <= width


@given(st.lists(st.lists(st.text(max_size=20), min_size=2, max_size=2), max_size=5))
def test_tables_escape_and_align(rows: list[list[str]]) -> None:
    table = text_table(("one", "two"), rows)
    assert len(table.split("\n")) == len(rows) + 1
    html = html_table(("one", "<b>"), [[f"<i>{a}", b] for a, b in rows])
    assert "<i>" not in html and "<b>" not in html.replace("<thead>", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.0004, "0.4 ms"),
        (0.25, "250 ms"),
        (1.25, "1.2 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
        (200_000, "2 d 7 h"),
        (-1, "<0.1 ms"),
        (0.00004, "<0.1 ms"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text


def test_sizes_and_times() -> None:
    assert [size_text(n) for n in (0, 812, 1_400_000, 82_900_000_000, 3e15)] == [
        "0 B",
        "812 B",
        "1.4 MB",
        "82.9 GB",
        "3000.0 TB",
    ]
    assert [ago_text(1000.0, 1000.0 + s) for s in (3, 130, 8000)] == ["3 s ago", "2 min ago", "2 h ago"]
    assert ago_text(None) == "" and ago_text(0.0, 1e9).startswith("19")


def test_a_table_without_pandas() -> None:
    for number in range(2):
        ct.dispatch_sync(flows.one)(number)
    table = ct.dispatches(limit=2, pandas=False)
    assert isinstance(table, Table) and len(table) == 2 and "dispatch_id" in repr(table).splitlines()[0]
    assert all(duration_text(row["duration"]) in repr(table) for row in table)
    assert "<table" in table._repr_html_()
    assert repr(Table()) == "(no rows)"
    frame = ct.dispatches(limit=2)
    assert list(frame.dispatch_id) == [row["dispatch_id"] for row in table] and frame.electrons.dtype.kind == "i"
    assert [row["dispatch_id"] for row in ct.dispatches(limit=5, status="COMPLETED", pandas=False)]
    with pytest.raises(InvalidRequest, match="SLEEPING"):
        ct.dispatches(status="SLEEPING")


def test_sql_is_read_only_and_capped() -> None:
    rows = ct.sql("SELECT 1 AS one, 'x' AS two", pandas=False)
    assert rows == [{"one": 1, "two": "x"}]
    with pytest.warns(UserWarning, match="only the first 5 rows"):
        assert len(ct.sql("SELECT * FROM range(100)", max_rows=5)) == 5
    for query in (
        "DELETE FROM dispatch",
        "SELECT 1; SELECT 2",
        "nonsense",
        "ATTACH 'x'",
        "SELECT * FROM read_csv('/etc/passwd')",
    ):
        with pytest.raises(ct.ServiceError):
            ct.sql(query)


def test_the_time_of_a_sublattice_is_that_of_its_run() -> None:
    ran = electron("d", 0, started=100.0, ended=120.0, duration=0.2)
    assert electron_cells(ran)[4] == "200 ms"
    ran.child = "another"
    assert electron_cells(ran)[4] == "20.0 s"


def test_disk() -> None:
    found = ct.disk()
    assert found["total"] > 0 and found["store"] and "total" in repr(found) and "<table" in found._repr_html_()
