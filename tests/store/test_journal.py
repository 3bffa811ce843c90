"""What lies in the journal for a while is committed, found by whoever reads, and brought into the tables."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
import pytest

from covalent_jupyter.errors import StoreError
from covalent_jupyter.model import Status
from covalent_jupyter.store import Batch, Metric, Store, journal, writer

from .records import digest, dispatch, electron


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves the journal by itself."""
    monkeypatch.setattr(writer, "IDLE", 600.0)
    monkeypatch.setattr(writer, "AGE", 600.0)


def put(store: Store, **parts: object) -> int:
    return store.append(Batch(**parts), unread=True).result(20)  # type: ignore[arg-type]


def lying(store: Store) -> tuple[int, int]:
    """Entries of the journal, and events in their table, as they are without asking for either."""

    def count(cursor: duckdb.DuckDBPyConnection) -> tuple[int, int]:
        row = cursor.execute("SELECT (SELECT count(*) FROM journal), (SELECT count(*) FROM event)").fetchone()
        assert row is not None
        return row

    return store._database.read(count)


def fill(store: Store) -> None:
    """Three transactions that change the same rows."""
    put(store, events=[("a", "x", b"1")], dispatches=[dispatch("a")], electrons=[electron("a", i) for i in range(3)],
        manifests=[("a", b"{}")], new_electrons=True)  # fmt: skip
    put(store, events=[("a", "x", b"2")], electrons=[electron("a", 1, status=Status.RUNNING)],
        values=[(digest(1), b"one")], references=[("a", digest(1)), ("a", digest(2))])  # fmt: skip
    put(store, events=[("a", "x", b"3")], electrons=[electron("a", 1, status=Status.COMPLETED)],
        dispatches=[dispatch("a", status=Status.COMPLETED)], dereferences=[("a", digest(2))])  # fmt: skip


def check(store: Store) -> None:
    row = store.dispatch("a")
    assert row is not None and (row.status, row.seq) == (Status.COMPLETED, 3)
    electrons, total = store.electrons("a")
    assert total == 3 and [(e.status, e.seq) for e in electrons] == [
        (Status.NEW_OBJECT, 1), (Status.COMPLETED, 3), (Status.NEW_OBJECT, 1)
    ]  # fmt: skip
    assert [(seq, data) for seq, _, data in store.events("a")] == [(1, b"1"), (2, b"2"), (3, b"3")]
    assert store.manifest("a") == b"{}" and store.value(digest(1)) == b"one" and store.references("a") == [digest(1)]
    assert store.last_seq == 3 and store.has_rows_of("a")


def test_each_is_one_row_until_somebody_reads(folder: Path) -> None:
    with Store.open(folder) as store:
        fill(store)
        assert lying(store) == (3, 0) and store.has_rows_of("a") and store.last_seq == 3
        assert store.sql("SELECT count(*) FROM electrons").rows == [[3]]
        assert lying(store) == (0, 3)
        check(store)


def test_what_goes_into_the_tables_brings_it_along(folder: Path) -> None:
    with Store.open(folder) as store:
        fill(store)
        assert store.append(Batch(settings={"x": "y"})).result(20) == 3
        assert lying(store) == (0, 3)
        check(store)


def test_jobs_find_it_in_the_tables(folder: Path) -> None:
    with Store.open(folder) as store:
        fill(store)
        assert store.compact("a") == 3 and lying(store) == (0, 0)


@pytest.mark.parametrize("which", ["IDLE", "AGE", "MOST"])
def test_it_leaves_by_itself(folder: Path, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    monkeypatch.setattr(writer, which, 0.0)
    with Store.open(folder) as store:
        fill(store)
        if which == "MOST":
            put(store, events=[("b", "x", b"")])
        limit = time.monotonic() + 30
        while lying(store)[0] > (which == "MOST") and time.monotonic() < limit:
            time.sleep(0.01)
        assert lying(store)[1] >= 3


def test_closing_leaves_nothing_in_it(folder: Path) -> None:
    with Store.open(folder) as store:
        fill(store)
    with duckdb.connect(str(folder / "store.duckdb"), read_only=True) as plain:
        assert plain.execute("SELECT (SELECT count(*) FROM journal), (SELECT count(*) FROM event)").fetchone() == (0, 3)


def test_while_the_tables_cannot_be_written_readers_find_it_all_the_same(folder: Path, tmp_path: Path) -> None:
    with Store.open(folder) as store:
        put(store, dispatches=[dispatch("before", status=Status.COMPLETED)])
        assert store.dispatch("before") is not None  # in the tables
        store.append(Batch(deletes=["before"])).result(20)
        number = store.last_seq
        put(store, events=[("a", "x", b"1")], dispatches=[dispatch("a")], electrons=[electron("a", 0)])
        folder.rename(tmp_path / "elsewhere")
        for _ in range(2):  # nothing of what a reader did stays
            row = store.dispatch("a")
            assert row is not None and row.seq == number + 1 and store.electrons("a")[1] == 1
        assert lying(store)[0] == 1 and "removed or replaced" in (store.problem or "")
        with pytest.raises(StoreError, match="removed or replaced"):
            store.sql("SELECT 1")
        late = store.append(Batch(events=[("a", "x", b"2")]), unread=True)
        (tmp_path / "elsewhere").rename(folder)
        assert late.result(20) == number + 2 and store.problem is None
        assert len(store.events("a")) == 2 and lying(store)[0] == 0


def test_closed_while_the_tables_cannot_be_written_it_stays_for_the_next_one(folder: Path, tmp_path: Path) -> None:
    store = Store.open(folder)
    fill(store)
    folder.rename(tmp_path / "elsewhere")
    store.close(timeout=0.1)
    (tmp_path / "elsewhere").rename(folder)
    with duckdb.connect(str(folder / "store.duckdb"), read_only=True) as plain:
        assert plain.execute("SELECT count(*) FROM journal").fetchone() == (3,)
    with Store.open(folder) as again:
        assert again.last_seq == 3 and again.has_rows_of("a")
        put(again, events=[("b", "x", b"4")])
        check_last = again.events("b")
        assert [seq for seq, _, _ in check_last] == [4] and len(again.events("a")) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        Batch(electrons=[electron("a", 2**31)]), Batch(electrons=[electron("a", 1, rss=2**63)]),
        Batch(dispatches=[dispatch("a", label="\ud800")]), Batch(events=[("a", object(), b"")]),  # type: ignore[list-item]
        Batch(metrics=[Metric("a", 0, 1, 2**31, 1.0, "loss", 0.5, None)]),
        Batch(references=[("a", None)]),  # type: ignore[list-item]
    ],
)  # fmt: skip
def test_what_does_not_fit_the_tables_is_no_entry(folder: Path, wrong: Batch) -> None:
    """Or nothing after it could be brought into them."""
    with Store.open(folder) as store:
        put(store, events=[("a", "x", b"")])
        future = store.append(wrong, unread=True)
        if not wrong.references:
            with pytest.raises(StoreError, match="cannot be stored"):
                future.result(20)
        else:
            future.result(20)
        assert put(store, events=[("a", "x", b"")]) == 2 and len(store.events("a")) == 2 and lying(store) == (0, 2)


@pytest.mark.parametrize("what", ["changed", "new", "values"])
def test_what_is_large_goes_into_the_tables_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(journal, "CHANGED", 3)
    monkeypatch.setattr(journal, "NEW", 5)
    monkeypatch.setattr(journal, "LARGE", 10)
    large: dict[str, dict[str, object]] = {
        "changed": {"electrons": [electron("b", i) for i in range(4)]},
        "new": {"electrons": [electron("b", i) for i in range(6)], "new_electrons": True},
        "values": {"values": [(digest(1), b"x" * 11)]},
    }
    small: dict[str, dict[str, object]] = {
        "changed": {"electrons": [electron("a", i) for i in range(3)]},
        "new": {"electrons": [electron("a", i) for i in range(5)], "new_electrons": True},
        "values": {"values": [(digest(2), b"x" * 10)]},
    }
    with Store.open(folder) as store:
        put(store, events=[("a", "x", b"")], **small[what])
        assert lying(store) == (1, 0)
        put(store, events=[("b", "x", b"")], **large[what])
        assert lying(store) == (0, 2)


def test_entries_read_back_as_they_were(folder: Path) -> None:
    with Store.open(folder) as store:
        put(store, events=[("a", "x", b"\xff\x00")], electrons=[electron("a", 0, started=1.5, rss=2**40)],
            dispatches=[dispatch("a", seed=2**31)])  # fmt: skip
        plan = store._database.read(journal.kept)
        assert plan is not None and plan.last == 1
        assert plan.events == store._writer._kept.events  # type: ignore[union-attr]
        assert plan.electrons == store._writer._kept.electrons  # type: ignore[union-attr]
        assert plan.dispatches == store._writer._kept.dispatches  # type: ignore[union-attr]
