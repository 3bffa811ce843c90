"""What goes in comes out: rows, events, values, references, settings, numbers."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import duckdb
import pytest

from covalent_jupyter.blobs import blob_path, last_use, write_blob
from covalent_jupyter.errors import Conflict, InvalidRequest, NotFound, StoreError
from covalent_jupyter.model import Composite, Counts, Error, Frame, Hole, Log, Output, Part, Preview, Status
from covalent_jupyter.store import Batch, Store, writer
from covalent_jupyter.store.tables import Tables

from .records import digest, dispatch, electron


def put(store: Store, **parts: object) -> int:
    return store.append(Batch(**parts)).result(20)  # type: ignore[arg-type]


def test_rows_come_back_whole_and_without_bytes(store: Store) -> None:
    output = Composite(
        Output(digest("t"), 3, b"tpl"), (Part(Output(digest("v"), 1, b"v"), (("item", 0),)), Part(Hole(4, "E", "m")))
    )
    row = dispatch(
        "a",
        parent_id="p",
        parent_node=3,
        label="ß\x00\n'\"",
        tags=["x", "y"],
        seed=2**64 - 1,
        output=output,
        note="n",
        counts=Counts(total=9, reused=2),
        started=1.25,
        ended=2.5,
        status=Status.FAILED,
        error="bad",
    )
    failed = electron(
        "a",
        5,
        kind="sublattice",
        status=Status.FAILED,
        attempt=2,
        started=1.5,
        ended=2.0,
        duration=0.5,
        worker="h:1",
        error=Error(
            "ValueError", "no", [Frame("f.py", 3, "g")], exception=Output(digest("e"), 1, b"e"), signal="SIGSEGV"
        ),
        stdout=Log("out", 3),
        stderr=Log("", 10, "a/5.2.err", 4),
        child="c",
        key="k",
        rss=2**40,
        warnings=("w",),
        progress={"step": 1},
    )
    done = electron("a", 6, output=output, preview=Preview("int", "7", scalar=7, mime={"image/png": "AA"}), reused=True)
    put(store, dispatches=[row], electrons=[failed, done, electron("a", 0)])

    bare = Composite(Output(digest("t"), 3), (Part(Output(digest("v"), 1), (("item", 0),)), Part(Hole(4, "E", "m"))))
    row.seq, row.output = 1, bare
    assert store.dispatch("a") == row
    assert failed.error is not None
    failed.error.exception = Output(digest("e"), 1)
    failed.seq = done.seq = 1
    done.output = bare
    assert store.electrons("a") == ([electron("a", 0, seq=1), failed, done], 3)
    assert store.electron("a", 6) == done
    assert store.electron("a", 7) is None and store.dispatch("b") is None
    assert store.electrons("b") == ([], 0)


def test_numbers_grow_and_rows_carry_the_number_of_their_last_event(store: Store) -> None:
    last = put(
        store,
        events=[("a", "x", b"1"), ("b", "x", b"2"), ("a", "y", b"3")],
        dispatches=[dispatch("a"), dispatch("b"), dispatch("c")],
        electrons=[electron("b", 0)],
    )
    assert last == store.last_seq == 3
    rows = {d: store.dispatch(d) for d in "abc"}
    assert {d: row.seq for d, row in rows.items() if row} == {"a": 3, "b": 2, "c": 3}
    assert store.electrons("b")[0][0].seq == 2
    assert store.events("a") == [(1, "x", b"1"), (3, "y", b"3")]
    assert put(store, dispatches=[dispatch("a")]) == 4
    assert put(store) == 4 and put(store, settings={"k": "v"}) == 4


def test_the_last_of_two_rows_with_one_key_counts(store: Store) -> None:
    put(store, electrons=[electron("a", 0, name="first"), electron("a", 0, name="second")])
    put(store, dispatches=[dispatch("a", name="one"), dispatch("a", name="two")])
    futures = [store.append(Batch(electrons=[electron("a", 1, name=str(i))])) for i in range(50)]
    assert [f.result(20) for f in futures] == list(range(3, 53))
    rows, total = store.electrons("a")
    assert [(r.name, r.seq) for r in rows] == [("second", 1), ("49", 52)] and total == 2
    found = store.dispatch("a")
    assert found is not None and found.name == "two" and store.dispatches()[1] == 1


def test_many_dispatches_change_in_one_batch(store: Store) -> None:
    ids = [f"d{i}" for i in range(20)]
    put(store, electrons=[electron(d, n) for d in ids for n in range(5)], new_electrons=True)
    put(store, electrons=[electron(d, n, status=Status.COMPLETED) for d in ids for n in (1, 3)])
    for d in ids:
        assert [r.status.value for r in store.electrons(d)[0]] == ["NEW_OBJECT", "COMPLETED"] * 2 + ["NEW_OBJECT"]


def test_values_and_references(store: Store) -> None:
    a, b, c = digest("a"), digest("b"), digest("c")
    put(store, values=[(a, b"A"), (b, b"")], references=[("x", a), ("x", a), ("y", a), ("y", b)])
    put(store, values=[(a, b"A")], references=[("x", a)], dereferences=[("y", b)])
    assert store.value(a) == b"A" and store.value(b) == b"" and store.value(c) is None
    assert store.value("../../etc/passwd") is None
    assert store.values([a, b, c]) == {a: b"A", b: b""}
    assert store.references("x") == [a] and store.references("y") == [a]
    assert store.unreferenced([b, a, c, b]) == [b, c]
    write_blob(store.blob_root, [b"large"])
    assert store.missing([a, c, c, "nonsense"]) == [c, "nonsense"]


def test_missing_touches_files(store: Store) -> None:
    large, _ = write_blob(store.blob_root, [b"large"])
    os.utime(blob_path(store.blob_root, large), (1, 1))
    assert store.missing([large]) == []
    assert last_use(blob_path(store.blob_root, large).stat()) > time.time() - 60


def test_manifests_small_and_large(store: Store) -> None:
    large = os.urandom(2_000_000)
    put(store, manifests=[("s", b"{}"), ("l", large)])
    assert store.manifest("s") == b"{}" and store.manifest("l") == large and store.manifest("x") is None
    put(store, dispatches=[dispatch("s")], manifests=[("s", b"[]")])
    assert store.manifest("s") == b"[]"
    assert (store.folder / "store.duckdb").stat().st_size < 2_000_000


def test_delete_removes_everything_and_leaves_a_tombstone(store: Store) -> None:
    put(
        store,
        events=[("a", "x", b"")],
        dispatches=[dispatch("a")],
        electrons=[electron("a", 0)],
        manifests=[("a", b"{}")],
        references=[("a", digest(1))],
    )
    assert put(store, deletes=["a", "unknown"]) == 2
    assert store.dispatch("a") is None and store.electrons("a") == ([], 0) and store.events("a") == []
    assert store.manifest("a") is None and store.references("a") == []
    changes = store.changes(1)
    assert sorted(changes.deleted) == ["a", "unknown"] and changes.seq == 2
    put(store, events=[("a", "x", b"")], dispatches=[dispatch("a")])
    assert store.changes(1).deleted == ["unknown"]


def test_delete_between_batches_of_one_transaction(store: Store) -> None:
    gate = threading.Event()
    blocker = store._writer.submit(lambda cursor, tables, last: gate.wait(20))
    for part in (
        Batch(
            events=[("a", "x", b"")],
            dispatches=[dispatch("a")],
            electrons=[electron("a", 0)],
            references=[("a", digest(1))],
            new_electrons=True,
        ),
        Batch(deletes=["a"]),
        Batch(events=[("a", "y", b"")], dispatches=[dispatch("a", name="again")]),
    ):
        last = store.append(part)
    gate.set()
    assert blocker.result(20) and last.result(20) == 3
    assert [kind for _, kind, _ in store.events("a")] == ["y"]
    assert store.electrons("a") == ([], 0) and store.references("a") == []
    found = store.dispatch("a")
    assert found is not None and found.name == "again"


def test_lists_filter_page_and_count(store: Store) -> None:
    rows = [
        dispatch(
            f"id{i:02}",
            created=float(i // 2),
            lattice="odd" if i % 2 else "even",
            root_id="id00" if i == 5 else f"id{i:02}",
            parent_id="id00" if i == 5 else None,
            status=Status.COMPLETED if i < 4 else Status.RUNNING,
            notebook=f"n{i}.ipynb",
            tags=["t%"] if i == 3 else [],
            label="Größe" if i == 7 else "",
            inputs={"C": "0.125" if i == 8 else "1"},
        )
        for i in range(10)
    ]
    put(store, dispatches=rows)
    seen, before = [], None
    while True:
        page, total = store.dispatches(limit=3, before=before)
        assert total == 10
        if not page:
            break
        seen += [row.dispatch_id for row in page]
        before = (page[-1].created, page[-1].dispatch_id)
    assert seen == [f"id{i:02}" for i in reversed(range(10))] == store.newest(20)

    def ids(**given: object) -> set[str]:
        page, total = store.dispatches(**given)  # type: ignore[arg-type]
        assert total == len(page)
        return {row.dispatch_id for row in page}

    assert ids(status="completed") == ids(status=[Status.COMPLETED]) == {"id00", "id01", "id02", "id03"}
    assert ids(status=Status.RUNNING, lattice="even") == {"id04", "id06", "id08"}
    assert (
        ids(parent=None) == set(seen) - {"id05"}
        and ids(parent="id00") == {"id05"}
        and ids(root="id00") == {"id00", "id05"}
    )
    assert ids(tag="t%") == {"id03"} and ids(tag="t") == set() and ids(notebook="n4.ipynb") == {"id04"}
    assert (
        ids(text="GRÖSSE") == set()
        and ids(text="größe") == ids(text="GRÖßE") == {"id07"}
        and ids(text="0.125") == {"id08"}
    )
    # as a row of the sidebar shows an input; and a dispatch by the name of its sublattice, where sublattices are left out
    assert ids(text="c=0.125") == {"id08"} and ids(text="odd", lattice="even") == set()
    assert ids(text="odd", lattice="even", parent=None) == {"id00"}
    assert ids(text="'; DROP TABLE dispatch; --") == set()
    assert store.find("id0", 3) == ["id08", "id09", "id06"] and store.find("%") == [] and store.find("i_") == []
    assert store.unfinished() == ["id04", "id05", "id06", "id07", "id08", "id09"]


def test_electrons_filter_and_page(store: Store) -> None:
    put(
        store,
        electrons=[
            electron("a", n, name=f"Train[{n}]", status=Status.FAILED if n % 5 == 0 else Status.COMPLETED)
            for n in range(50)
        ],
    )
    page, total = store.electrons("a", offset=10, limit=5)
    assert [r.node for r in page] == [10, 11, 12, 13, 14] and total == 50
    page, total = store.electrons("a", status=Status.FAILED, limit=3, offset=8)
    assert [r.node for r in page] == [40, 45] and total == 10
    assert [r.node for r in store.electrons("a", name="train[4]")[0]] == [4]
    assert [r.node for r in store.electrons("a", nodes=[7, 3, 99, 10**30])[0]] == [3, 7]
    assert store.electrons("a", nodes=[]) == ([], 0)


def test_changes_come_in_portions_and_miss_nothing(store: Store) -> None:
    put(
        store,
        events=[("a", "x", b"")],
        dispatches=[dispatch("a")],
        new_electrons=True,
        electrons=[electron("a", n) for n in range(5500)],
    )
    put(store, events=[("b", "x", b"")], dispatches=[dispatch("b")], electrons=[electron("b", 0)])
    after, nodes, dispatches = 0, [], []
    portions = 0
    while True:
        changes = store.changes(after, limit=2000)
        assert not changes.reset and len(changes.electrons) <= 2000 and all(r.seq > after for r in changes.electrons)
        nodes += [(r.dispatch_id, r.node) for r in changes.electrons]
        dispatches += [r.dispatch_id for r in changes.dispatches]
        after, portions = changes.seq, portions + 1
        if not changes.more:
            break
    assert sorted(nodes) == [("a", n) for n in range(5500)] + [("b", 0)] and portions > 2
    assert dispatches == ["a", "b"] and after == store.last_seq
    assert [r.dispatch_id for r in store.changes(0, dispatch_id="b").dispatches] == ["b"]
    assert store.changes(after).dispatches == []
    assert store.changes(after + 1).reset


def test_changes_never_tell_of_electrons_what_the_row_of_their_dispatch_does_not_know(store: Store) -> None:
    """A page shows both: a bar that is behind its table would be a lie."""
    steps = 60
    put(store, events=[("a", "x", b"")], dispatches=[dispatch("a")], electrons=[electron("a", n) for n in range(steps)])

    def work() -> None:
        for n in range(steps):
            store.append(
                Batch(
                    events=[("a", "x", b"")],
                    dispatches=[dispatch("a", counts=Counts(total=steps, completed=n + 1))],
                    electrons=[electron("a", n, status=Status.COMPLETED)],
                )
            ).result(20)

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(work)
        after, told, completed = 1, 0, set()
        while told < steps:
            changes = store.changes(after, dispatch_id="a")
            told = max([told, *(row.counts.completed for row in changes.dispatches)])
            completed |= {row.node for row in changes.electrons if row.status is Status.COMPLETED}
            assert len(completed) <= told
            after = changes.seq
        written.result(20)
    assert len(completed) == steps


def test_forgotten_deletions_mean_a_snapshot(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covalent_jupyter.store.upkeep.TOMBSTONES", 2)
    for i in range(5):
        put(store, deletes=[f"d{i}"])
    store.gc(set())
    assert store.changes(2).reset and store.changes(3).deleted == ["d3", "d4"]


def test_reuse_and_keys(store: Store) -> None:
    put(
        store,
        dispatches=[dispatch("a", key="K", status=Status.COMPLETED, created=1.0), dispatch("b", key="K", created=2.0)],
        electrons=[
            electron(
                "a", 0, key="n0", status=Status.COMPLETED, output=Output(digest(0), 5), preview=Preview("int", "0")
            ),
            electron("a", 1, key="n1", status=Status.FAILED),
            electron("a", 2, key="n2", status=Status.COMPLETED, output=Hole(1, "E", "m")),
        ],
    )
    assert store.lookup_key("K", [Status.COMPLETED]) == "a" and store.lookup_key("K", ["COMPLETED", "RUNNING"]) == "b"
    assert store.lookup_key("other", [Status.COMPLETED]) is None


def test_settings_survive_and_the_id_stays(folder: Path) -> None:
    with Store.open(folder) as store:
        first = store.store_id
        put(store, settings={"trigger": "x"})
        put(store, settings={"trigger": "y"})
    with Store.open(folder) as store:
        assert store.setting("trigger") == "y" and store.setting("none") is None and store.store_id == first


def test_numbers_are_never_used_again(folder: Path) -> None:
    with Store.open(folder) as store:
        put(store, events=[("a", "x", b"")] * 5, dispatches=[dispatch("a", status=Status.COMPLETED)])
        put(store, events=[("a", "x", b"")])
        assert store.compact("a") == 6
    with Store.open(folder) as store:
        assert store.last_seq == 6
        put(store, deletes=["a"])
    with Store.open(folder) as store:
        assert store.last_seq == 7 and put(store, events=[("b", "x", b"")]) == 8


def test_compaction_drops_events_of_ended_dispatches_only(store: Store) -> None:
    put(
        store,
        events=[("a", "x", b""), ("b", "x", b"")],
        dispatches=[dispatch("a"), dispatch("b", status=Status.FAILED)],
    )
    assert store.compact("b") == 1 and store.events("b") == [] and store.dispatch("b") is not None
    with pytest.raises(Conflict, match="has not ended"):
        store.compact("a")
    with pytest.raises(NotFound):
        store.compact("c")
    assert len(store.events("a")) == 1 and not store.changes(0).reset


def _age_values(store: Store) -> None:
    """As if all inline values had been written long ago, by an earlier process."""

    def age(cursor: duckdb.DuckDBPyConnection, tables: Tables, last: int) -> None:
        tables.recent.clear()
        cursor.execute("UPDATE value SET created = 1")

    store._writer.submit(age).result(20)


def test_collection_takes_what_nothing_refers_to(store: Store) -> None:
    kept, live, gone, young = (write_blob(store.blob_root, [name])[0] for name in (b"kept", b"live", b"gone", b"young"))
    for one in (kept, live, gone):
        os.utime(blob_path(store.blob_root, one), (1, 1))
    put(
        store,
        references=[("a", kept), ("a", digest("held"))],
        manifests=[("a", b"m" * 300_000)],
        values=[(digest("held"), b"1"), (digest("free"), b"22"), (digest("live"), b"3")],
    )
    _age_values(store)
    assert store.gc({live, digest("live")}) == (2, len(b"gone") + 2)
    assert store.missing([kept, live, gone, young, digest("held"), digest("free"), digest("live")]) == [
        gone,
        digest("free"),
    ]
    assert store.manifest("a") == b"m" * 300_000


def test_what_missing_said_is_there_stays(store: Store) -> None:
    put(store, values=[(digest(1), b"1")])
    _age_values(store)
    assert store.missing([digest(1)]) == []
    assert store.gc(set()) == (0, 0) and store.value(digest(1)) == b"1"


def test_disk_tells_what_takes_room(store: Store) -> None:
    large, size = write_blob(store.blob_root, [b"x" * 100_000])
    put(
        store,
        dispatches=[dispatch("a"), dispatch("child", root_id="a"), dispatch("b", lattice="small")],
        values=[(digest(1), b"123")],
        references=[("child", large), ("b", digest(1))],
    )
    report = store.disk()
    assert report["blobs"] == size and report["inline"] == 3 and report["free"] > 0
    assert report["dispatches"] == [
        {"dispatch_id": "a", "lattice": "best_model", "bytes": size},
        {"dispatch_id": "b", "lattice": "small", "bytes": 3},
    ]
    assert report["lattices"][0] == {"lattice": "best_model", "bytes": size}


def test_check_writes_and_reads(store: Store) -> None:
    written, read = store.check()
    assert 0 < written < 5000 and 0 < read < 5000 and store.problem is None and store.pending == 0


def test_what_nobody_waits_for_shares_a_transaction(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "REST", (1e9, 600.0))  # seconds: long enough that only what is asked for happens
    with Store.open(folder) as store:
        store.append(Batch(events=[("a", "k", b"0")])).result(30)
        kept = [store.append(Batch(events=[("a", "k", b"%d" % i)]), patient=True) for i in range(1, 6)]
        assert not wait(kept, timeout=0.2).done and len(store.events("a")) == 1
        last = store.append(Batch(events=[("a", "k", b"6")])).result(30)  # brings along what was kept, in its order
        assert [f.result(0) for f in kept] == list(range(last - 5, last))
        assert [data for _, _, data in store.events("a")] == [b"%d" % i for i in range(7)]
        late = store.append(Batch(events=[("a", "k", b"7")]), patient=True)
    assert late.result(0) == last + 1  # closing waits for nobody


def test_a_wrong_batch_fails_alone(store: Store) -> None:
    gate = threading.Event()
    store._writer.submit(lambda cursor, tables, last: gate.wait(20))
    good = [store.append(Batch(events=[("a", "x", b"")])) for _ in range(2)]
    wrong = [
        store.append(Batch(values=[("no digest", b"")])),
        store.append(Batch(events=[("a", object(), b"")])),  # type: ignore[list-item]
        store.append(Batch(electrons=[electron("a", 2**40)])),
        store.append(Batch(dispatches=[dispatch("a", label="\ud800")])),
    ]
    good.append(store.append(Batch(events=[("a", "x", b"")])))
    gate.set()
    assert [f.result(20) for f in good] == [1, 2, 3]
    for future in wrong:
        with pytest.raises(StoreError, match="cannot be stored"):
            future.result(20)
    assert store.problem is None and store.dispatch("a") is None


def test_a_cancelled_future_is_written_all_the_same(store: Store) -> None:
    future = store.append(Batch(settings={"k": "v"}))
    assert not future.cancel()
    assert future.result(20) == 0 and store.setting("k") == "v"


def test_it_knows_without_a_query_whose_rows_it_has(folder: Path) -> None:
    with Store.open(folder) as store:
        assert not store.has_rows_of("a")
        put(store, dispatches=[dispatch("a")])
        assert store.has_rows_of("a") and not store.has_rows_of("b")
    with Store.open(folder) as store:
        assert store.has_rows_of("a")
        store.append(Batch(deletes=["a"])).result(30)
        assert not store.has_rows_of("a")


def test_close_drains_and_then_refuses(folder: Path) -> None:
    store = Store.open(folder)
    futures = [store.append(Batch(events=[("a", "x", b"")])) for _ in range(200)]
    store.close()
    assert [f.result(0) for f in futures] == list(range(1, 201))
    with pytest.raises(StoreError, match="closed"):
        store.append(Batch())
    with pytest.raises(StoreError, match="closed"):
        store.dispatch("a")


def test_readers_in_many_threads_see_their_own_answers(store: Store) -> None:
    put(
        store,
        dispatches=[dispatch(f"d{i}") for i in range(40)],
        electrons=[electron(f"d{i}", n) for i in range(40) for n in range(i)],
    )

    def look(i: int) -> bool:
        row, (rows, total) = store.dispatch(f"d{i % 40}"), store.electrons(f"d{i % 40}")
        return row is not None and row.dispatch_id == f"d{i % 40}" and total == len(rows) == i % 40

    with ThreadPoolExecutor(8) as pool:
        writing = [store.append(Batch(events=[("w", "x", b"")])) for _ in range(50)]
        assert all(pool.map(look, range(400)))
    assert writing[-1].result(20) == store.last_seq


def test_hostile_arguments_are_refused_or_find_nothing(store: Store) -> None:
    put(store, dispatches=[dispatch("a")], electrons=[electron("a", 0)])
    for broken in ("\ud800", "a\ud800"):
        for ask in (store.dispatch, store.find, store.events, store.setting, lambda t: store.dispatches(text=t)):
            with pytest.raises(InvalidRequest):
                ask(broken)
    with pytest.raises(InvalidRequest):
        store.dispatches(before=("x", 3))  # type: ignore[arg-type]
    assert store.find("a\x00") == [] and store.dispatch("a' OR 'a' = 'a") is None
    assert store.dispatches(limit=-1) == ([], 1) and len(store.dispatches(limit=10**30)[0]) == 1
    assert store.electrons("a", offset=10**30) == ([], 1) and len(store.electrons("a", offset=-5)[0]) == 1
    assert store.electron("a", 10**30) is None and store.electron("a", -1) is None
    assert store.changes(10**30).reset and len(store.changes(-(10**30), limit=10**30).electrons) == 1
    assert store.dispatches(before=(float("nan"), "x"))[1] == 1


def test_a_summary_says_as_of_when_it_counts(folder: Path) -> None:
    with Store.open(folder) as store:
        assert store.summary().seq == 0
        first = store.append(Batch(dispatches=[dispatch("a"), dispatch("b", status=Status.COMPLETED)])).result(20)
        found = store.summary(by="lattice")
        assert (found.states, found.seq) == ({"RUNNING": 1, "COMPLETED": 1}, first)
        second = store.append(Batch(deletes=["b"])).result(20)
        found = store.summary()
        assert (found.states, found.seq) == ({"RUNNING": 1}, second)


def _copies(store: Store) -> dict[str, int]:
    """How often each inline value lies in its table."""
    query = "SELECT digest, count(*) FROM value GROUP BY digest"
    return dict(store._writer.submit(lambda cursor, _, last: cursor.execute(query).fetchall()).result(20))


def _modules(store: Store, name: str) -> None:
    """A dispatch that brings two modules along, and a number of its own."""
    values = [(digest(text), text.encode()) for text in ("one.py", "two.py", name)]
    put(store, dispatches=[dispatch(name)], values=values, references=[(name, d) for d, _ in values])


def test_what_is_sent_again_after_a_restart_lies_there_once(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        with Store.open(tmp_path / "store") as store:
            _modules(store, name)
    with Store.open(tmp_path / "store") as store:
        expected = {digest(text): 1 for text in ("one.py", "two.py", "a", "b", "c")}
        assert _copies(store) == expected
        put(store, deletes=["a", "b", "c"])
        _age_values(store)
        assert store.gc(set())[0] == 5 and _copies(store) == {}
        _modules(store, "d")  # what was there a moment ago is written again
        assert _copies(store) == {digest(text): 1 for text in ("one.py", "two.py", "d")}


def test_collection_leaves_one_of_what_lies_there_twice(store: Store) -> None:
    _modules(store, "a")
    _modules(store, "b")

    def double(cursor: duckdb.DuckDBPyConnection, tables: Tables, last: int) -> None:
        for _ in range(3):
            cursor.execute("INSERT INTO value SELECT * FROM value")

    store._writer.submit(double).result(20)
    assert set(_copies(store).values()) == {8}
    bytes_ = sum(len(text) for text in ("one.py", "two.py", "a", "b"))
    assert store.gc(set()) == (4 * 7, bytes_ * 7)
    assert set(_copies(store).values()) == {1} and store.values([digest("a")]) == {digest("a"): b"a"}
    assert store.gc(set()) == (0, 0)
