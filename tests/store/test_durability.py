"""What was acknowledged survives: kills, a torn log, a full disk, a spoilt instance."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from covalent_jupyter.errors import StoreDamaged, StoreError
from covalent_jupyter.model import Status
from covalent_jupyter.store import Batch, Store, opening, writer

from .records import digest, dispatch, electron

ROOT = Path(__file__).parents[2]


def _kill_after(folder: Path, acknowledged: int, every: int = 1) -> list[int]:
    """Run the writer until it has acknowledged that many, kill it, give all numbers that it acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.killed_writer", str(folder), str(every)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process:
        lines = [process.stdout.readline() for _ in range(acknowledged)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    return [int(line) for line in lines if line.endswith(b"\n")]


@pytest.mark.parametrize("every", [1, 40, 10**9], ids=["tables", "both", "journal"])
def test_killed_at_any_moment_nothing_acknowledged_is_lost(folder: Path, every: int) -> None:
    for round_ in range(4):
        numbers = _kill_after(folder, 20 + 53 * round_, every)
        with Store.open(folder) as store:
            events = store.events("a")
            seqs = [seq for seq, _, _ in events]
            assert set(numbers) <= set(seqs) and len(set(seqs)) == len(seqs)
            assert store.last_seq == max(seqs) and store.repairs == []
            last = {int(data) % 100: int(data) for _, _, data in events}
            assert {row.node: row.attempt for row in store.electrons("a")[0]} == last
            assert set(store.references("a")) == {digest(int(data)) for _, _, data in events}
            assert store.missing(store.references("a")) == []


def _unclean_copy(folder: Path, target: Path) -> list[tuple[int, str, bytes]]:
    """A store as a power cut leaves it: database and log copied while open (by another process, or the lock goes)."""
    with Store.open(folder) as store:
        for i in range(30):
            store.append(Batch(events=[("a", "x", b"%d" % i)], electrons=[electron("a", i)])).result(20)
        events = store.events("a")
        subprocess.run(["cp", "-r", str(folder), str(target)], check=True)
    return events


def test_a_log_with_a_tail_of_zeros_is_cut_to_what_was_committed(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "cut"
    events = _unclean_copy(folder, target)
    log = target / "store.duckdb.wal"
    size = log.stat().st_size
    repaired = 0
    for keep in (size - 1, size - 150, size // 2 + 7, size // 3):
        trial = tmp_path / f"trial{keep}"
        shutil.copytree(target, trial)
        with open(trial / log.name, "r+b") as file:
            file.truncate(keep)
            file.truncate(size)
        with Store.open(trial) as store:
            found = store.events("a")
            assert found == events[: len(found)] and len(found) < len(events)
            assert len(store.electrons("a")[0]) == len(found)
            assert store.last_seq == (found[-1][0] if found else 0)
            repaired += len(store.repairs)
            for text in store.repairs:
                assert "power cut" in text and Path(text.rsplit(" ", 1)[1]).stat().st_size == size
            assert store.append(Batch(events=[("a", "x", b"")])).result(20) == store.last_seq
    assert repaired >= 3


def test_a_flipped_bit_in_the_log_costs_only_what_follows(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "flipped"
    events = _unclean_copy(folder, target)
    log = target / "store.duckdb.wal"
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 0x10
    log.write_bytes(data)
    with Store.open(target) as store:
        found = store.events("a")
        assert 0 < len(found) < len(events) and found == events[: len(found)]


def _with_log(folder: Path, target: Path, committed: int = 30) -> bytes:
    """Copied to ``target`` while it is open: a store with ``committed`` events in its log; the log."""
    with Store.open(folder) as store:
        for i in range(committed):
            store.append(Batch(events=[("a", "x", b"%d" % i)])).result(20)
        subprocess.run(["cp", "-r", str(folder), str(target)], check=True)
    return (target / "store.duckdb.wal").read_bytes()


@pytest.mark.parametrize(
    "garbage",
    [bytes(30), random.Random(1).randbytes(30), b"\x64\x00\x62\x65\x00\x03", b"\xff" * 17],
    ids=["zeros", "garbage", "encrypted", "ones"],
)
def test_a_log_with_a_damaged_header_loses_nothing(folder: Path, tmp_path: Path, garbage: bytes) -> None:
    target = tmp_path / "spoilt"
    data = _with_log(folder, target)
    log = target / "store.duckdb.wal"
    log.write_bytes(garbage + data[len(garbage) :])
    with Store.open(target) as store:
        assert [data for _, _, data in store.events("a")] == [b"%d" % i for i in range(30)]
        assert len(store.repairs) == 1 and "written anew" in store.repairs[0]
        copy = Path(store.repairs[0].rsplit(" ", 1)[1])
        assert copy.read_bytes()[: len(garbage)] == garbage and copy.stat().st_mode & 0o777 == 0o600
        assert store.append(Batch(events=[("a", "x", b"")])).result(20) == store.last_seq
    assert not (target / "store.scratch").exists()
    with Store.open(target) as store:
        assert len(store.events("a")) == 31 and store.repairs == []


def test_a_header_is_mended_where_files_have_one_name_only(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "spoilt"
    data = _with_log(folder, target)
    (target / "store.duckdb.wal").write_bytes(bytes(8) + data[8:])

    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    with Store.open(target) as store:
        assert len(store.events("a")) == 30


def test_a_log_that_is_damaged_beyond_its_header_is_cut_there(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "spoilt"
    data = _with_log(folder, target)
    (target / "store.duckdb.wal").write_bytes(random.Random(2).randbytes(300) + data[300:])
    with Store.open(target) as store:
        assert store.events("a") == []
        assert 1 <= len(store.repairs) <= 2 and Path(store.repairs[0].rsplit(" ", 1)[1]).stat().st_size == len(data)


def test_who_removes_the_database_but_not_its_log_begins_anew(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "removed"
    _with_log(folder, target)
    (target / "store.duckdb").unlink()
    with Store.open(target) as store:
        assert store.events("a") == [] and store.append(Batch(events=[("a", "x", b"")])).result(20) == 1


@pytest.mark.parametrize("of", ["another store", "a later time"])
def test_the_log_of_another_file_is_not_read(folder: Path, tmp_path: Path, of: str) -> None:
    target, earlier = tmp_path / "target", tmp_path / "earlier"
    _with_log(tmp_path / "another" if of == "another store" else folder, earlier)
    if of == "a later time":
        with Store.open(folder) as store:
            store.append(Batch(events=[("a", "x", b"later")])).result(20)
    log = _with_log(folder, target)
    shutil.copyfile(earlier / "store.duckdb", target / "store.duckdb")
    with pytest.raises(StoreDamaged, match=r"is none of the store beside it.*move this one away \(`mv "):
        Store.open(target)
    assert (target / "store.duckdb.wal").read_bytes() == log
    (target / "store.duckdb.wal").rename(target / "store.duckdb.wal.other")
    with Store.open(target) as store:
        assert store.repairs == []


def _long_log(folder: Path, target: Path) -> list[tuple[int, str, bytes]]:
    """Copied to ``target`` while it is open: a store with a log that is worth a checkpoint; what was committed."""
    with Store.open(folder) as store:
        for _ in range(30):
            store.append(Batch(events=[("a", "x", os.urandom(100_000))])).result(20)
        subprocess.run(["cp", "-r", str(folder), str(target)], check=True)
        assert (target / "store.duckdb.wal").stat().st_size > opening.LONG_LOG
        return store.events("a")


def _log_size(folder: Path) -> int:
    log = folder / "store.duckdb.wal"
    return log.stat().st_size if log.exists() else 0


def test_a_long_log_that_a_killed_process_has_left_is_read_once(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "killed"
    events = _long_log(folder, target)
    with Store.open(target) as store:
        assert store.events("a") == events and store.repairs == []
        assert _log_size(target) < 100_000  # what the next start has to read, if this process is killed too
        assert store.append(Batch(events=[("a", "x", b"more")])).result(20) == store.last_seq == len(events) + 1
    with Store.open(target) as store:
        assert len(store.events("a")) == len(events) + 1


def test_without_room_for_that_it_opens_with_its_log_as_it_is(folder: Path, tmp_path: Path) -> None:
    """Files that may not grow, as on a full disk: to hold what the log holds, the database would have to."""
    target = tmp_path / "killed"
    events, size = _long_log(folder, target), _log_size(target)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((target / "store.duckdb").stat().st_size, limits[1]))
    try:
        with Store.open(target) as store:
            assert store.events("a") == events and store.repairs == [] and _log_size(target) == size
            late = store.append(Batch(events=[("a", "x", b"more")]))
            _wait(lambda: store.problem)
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert late.result(30) == store.last_seq == len(events) + 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with Store.open(target) as store:
        assert len(store.events("a")) == len(events) + 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB of its own, where this may be mounted; else None."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        yield tmp_path / "limited"
        return
    yield place / "store"
    subprocess.run(["umount", "-l", str(place)], check=True)


def _wait(condition: object, seconds: float = 60.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < limit, "did not come true in time"
        time.sleep(0.01)


@pytest.mark.parametrize("unread", [False, True], ids=["tables", "journal"])
def test_a_full_disk_delays_and_heals_without_a_restart(small_disk: Path, unread: bool) -> None:
    mounted = os.path.ismount(small_disk.parent)
    with Store.open(small_disk) as store:
        first = store.append(Batch(events=[("a", "x", b"first")], dispatches=[dispatch("a")])).result(20)
        ballast = small_disk.parent / "ballast"
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        if mounted:
            with pytest.raises(OSError), open(ballast, "wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 65536)
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
        try:
            futures = [
                store.append(
                    Batch(
                        events=[("a", "x", os.urandom(5000))],
                        electrons=[electron("a", i)],
                        references=[("a", digest(i))],
                    ),
                    unread=unread,
                )
                for i in range(400)
            ]
            _wait(lambda: store.problem)
            assert (
                store.pending
                and "cannot be written" in (store.problem or "")
                and str(small_disk) in (store.problem or "")
            )
            assert not futures[-1].done()
            with pytest.raises(StoreError, match="cannot be written"):
                store.check(timeout=0.2)
            with contextlib.suppress(StoreError):  # whether it can be opened on a full disk or not
                store._database.reset(store._database.generation)
        finally:
            if mounted:
                ballast.unlink()
            else:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert [f.result(30) for f in futures] == list(range(first + 1, first + 401))
        assert store.problem is None and store.check()
        assert [seq for seq, _, _ in store.events("a")] == list(range(1, first + 401))
        assert store.electrons("a")[1] == 400 and len(store.references("a")) == 400
    with Store.open(small_disk) as store:
        assert len(store.events("a")) == first + 400 and store.repairs == []


@pytest.mark.parametrize("unread", [False, True], ids=["tables", "journal"])
def test_a_disk_that_is_full_during_a_checkpoint_spoils_the_instance_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unread: bool
) -> None:
    """4 MB hold the log when it is due for a checkpoint (2 MB, and as much again from the journal), but not the database that this
    would write."""
    monkeypatch.setitem(opening.CONFIG, "checkpoint_threshold", "2MB")
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={6 if unread else 4}m", "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True).returncode == 0
    try:
        with Store.open(place / "store") as store:
            futures = []
            while not store.problem and len(futures) < 150:
                futures.append(store.append(Batch(events=[("a", "x", os.urandom(20_000))]), unread=unread))
                _wait(lambda: store.problem or futures[-1].done())
            if mounted:
                # what the journal held may be what could not be written, when the last record had been acknowledged
                assert "checkpoint" in (store.problem or "") and (unread or not futures[-1].done())
                _wait(lambda: store._database.generation > 1)
                assert len(store.events("a")) >= store.last_seq
                subprocess.run(["mount", "-o", "remount,size=50m", str(place)], check=True)
            numbers = list(range(1, len(futures) + 1))
            assert [f.result(30) for f in futures] == numbers and store.problem is None
            assert [seq for seq, _, _ in store.events("a")] == numbers
        with Store.open(place / "store") as store:
            assert len(store.events("a")) == len(numbers) and store.repairs == []
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_spoilt_instance_is_opened_again_under_readers_and_writers(store: Store) -> None:
    store.append(Batch(events=[("a", "x", b"")], dispatches=[dispatch("a")])).result(20)
    stop = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        while not stop.is_set():
            row = store.dispatch("a")
            if row is None or row.dispatch_id != "a":
                wrong.append(row)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    futures = []
    for _ in range(5):
        futures += [store.append(Batch(events=[("a", "x", b"")])) for _ in range(20)]
        store._database.reset(store._database.generation)
    numbers = [f.result(20) for f in futures]
    stop.set()
    for reader in readers:
        reader.join(20)
    assert numbers == list(range(2, 102)) and wrong == []
    assert [seq for seq, _, _ in store.events("a")] == list(range(1, 102))
    assert store._database.generation >= 6


@pytest.mark.parametrize("nth", [1, 2], ids=["first", "second"])
@pytest.mark.parametrize("unread", [False, True], ids=["tables", "journal"])
def test_a_commit_that_reported_an_error_but_happened_is_not_repeated(
    store: Store, monkeypatch: pytest.MonkeyPatch, unread: bool, nth: int
) -> None:
    """The second transaction is that of an entry which follows another, or the one that brings both into the tables."""
    transact = store._writer._transact
    fired: list[object] = []
    monkeypatch.setattr(writer, "IDLE", 600.0)

    def once(plan: object, job: object, entry: object) -> object:
        result = transact(plan, job, entry)  # type: ignore[arg-type]
        fired.append(entry)
        if len(fired) == nth:
            raise duckdb.FatalException(
                "FATAL Error: Failed: database has been invalidated because of a previous fatal error"
            )
        return result

    monkeypatch.setattr(store._writer, "_transact", once)
    one = Batch(events=[("a", "x", b"")], dispatches=[dispatch("a")], electrons=[electron("a", 0)])
    assert store.append(one, unread=unread).result(20) == 1
    assert store.append(Batch(events=[("a", "x", b"")], references=[("a", digest(1))]), unread=unread).result(20) == 2
    assert [entry is not None for entry in fired] == [unread, unread]
    assert len(store.events("a")) == 2 and store.references("a") == [digest(1)] and store.electrons("a")[1] == 1
    assert store.append(Batch(events=[("a", "x", b"")])).result(20) == 3


def test_a_store_that_vanished_says_so_and_goes_on_when_it_is_back(folder: Path, tmp_path: Path) -> None:
    with Store.open(folder) as store:
        store.append(Batch(dispatches=[dispatch("a", status=Status.COMPLETED)])).result(20)
        folder.rename(tmp_path / "elsewhere")
        future = store.append(Batch(events=[("a", "x", b"")]))
        _wait(lambda: store.problem)
        assert "removed or replaced" in (store.problem or "") and not future.done()
        (tmp_path / "elsewhere").rename(folder)
        assert future.result(20) == 2


def test_a_store_that_could_not_be_opened_again_is_once_it_can(folder: Path, tmp_path: Path) -> None:
    with Store.open(folder) as store:
        store.append(Batch(dispatches=[dispatch("a")])).result(20)
        folder.rename(tmp_path / "elsewhere")
        with pytest.raises(StoreError, match="removed or replaced"):
            store._database.reset(store._database.generation)
        with pytest.raises(StoreError, match="removed or replaced"):
            store.dispatch("a")
        future = store.append(Batch(events=[("a", "x", b"")]))
        _wait(lambda: store.problem)
        (tmp_path / "elsewhere").rename(folder)
        assert store.dispatch("a") is not None
        assert future.result(20) == 2


def test_closing_while_nothing_can_be_written_tells_those_who_wait(folder: Path, tmp_path: Path) -> None:
    store = Store.open(folder)
    folder.rename(tmp_path / "elsewhere")
    future = store.append(Batch(events=[("a", "x", b"")]))
    store.close(timeout=0.2)
    with pytest.raises(StoreError, match="removed or replaced"):
        future.result(5)
