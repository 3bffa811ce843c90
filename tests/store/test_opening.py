"""Opening: who may, what is mended, what is refused and how."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from covalent_jupyter.errors import StoreDamaged, StoreError, StoreLocked, StoreTooNew
from covalent_jupyter.store import Batch, Store, opening

from .records import dispatch, electron

ROOT = Path(__file__).parents[2]


def test_everything_is_private(folder: Path) -> None:
    before = os.umask(0o022)
    try:
        with Store.open(folder) as store:
            store.append(Batch(dispatches=[dispatch("a")], manifests=[("a", b"m" * 300_000)])).result(20)
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            files = [path for path in folder.rglob("*") if path.is_file()]
            assert {"store.duckdb", "store.duckdb.wal", "store.lock"} <= {path.name for path in files}
            assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
            assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_dir()} == {0o700}
    finally:
        os.umask(before)


def test_a_second_process_is_refused_and_told_who_has_it(store: Store, folder: Path) -> None:
    code = "import sys; from covalent_jupyter.store import Store; Store.open(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and f"StoreLocked: the store {folder} is in use by process {os.getpid()}" in done.stderr
    assert "jupyter covalent stop" in done.stderr


def test_a_second_store_in_this_process_is_refused(store: Store, folder: Path) -> None:
    with pytest.raises(StoreLocked, match=str(os.getpid())):
        Store.open(folder)
    assert store.check()


def test_another_host_is_named(store: Store, folder: Path) -> None:
    (folder / "store.lock").write_text('{"pid": 7, "host": "node17"}')
    with pytest.raises(StoreLocked, match="process 7 on host node17"):
        Store.open(folder)
    (folder / "store.lock").write_text("[]")
    with pytest.raises(StoreLocked, match="left no note"):
        Store.open(folder)


def test_the_lock_is_not_inherited_and_ends_with_its_process(folder: Path) -> None:
    code = (
        "import sys, subprocess; from covalent_jupyter.store import Store; s = Store.open(sys.argv[1])\n"
        "p = subprocess.Popen(['sleep', '30'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(p.pid, flush=True); import os; os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    try:
        with Store.open(folder) as store:
            assert store.check()
    finally:
        os.kill(int(done.stdout), 9)


def _alter(folder: Path, script: str) -> None:
    with duckdb.connect(str(folder / opening.DATABASE)) as connection:
        connection.execute(script)


def test_a_newer_schema_is_refused_and_left_alone(folder: Path) -> None:
    Store.open(folder).close()
    _alter(folder, "INSERT INTO schema_version VALUES (99, 0)")
    before = (folder / opening.DATABASE).read_bytes()
    with pytest.raises(StoreTooNew, match="schema 99.*Upgrade"):
        Store.open(folder)
    assert (folder / opening.DATABASE).read_bytes() == before
    _alter(folder, "DELETE FROM schema_version WHERE version = 99")
    Store.open(folder).close()


def test_a_migration_backs_up_first(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(folder) as store:
        store.append(Batch(events=[("a", "x", b"")], electrons=[electron("a", 0)])).result(20)
    scripts = tmp_path / "migrations"
    scripts.mkdir()
    for path in opening.MIGRATIONS.glob("*.sql"):
        (scripts / path.name).write_text(path.read_text())
    newest = opening.migrations()[-1][0]
    monkeypatch.setattr(opening, "MIGRATIONS", scripts)

    (scripts / f"{newest + 1:04}.sql").write_text("ALTER TABLE event ADD COLUMN extra INTEGER; SELECT nonsense;")
    with pytest.raises(StoreError, match=f"could not be brought to schema {newest + 1}"):
        Store.open(folder)
    (scripts / f"{newest + 1:04}.sql").write_text("ALTER TABLE setting ADD COLUMN extra INTEGER;")
    (scripts / f"{newest + 2:04}.sql").write_text("ALTER TABLE setting DROP COLUMN extra;")
    with Store.open(folder) as store:
        assert store.events("a") == [(1, "x", b"")] and store.electrons("a")[1] == 1
        assert store.append(Batch(settings={"a": "b"})).result(20) == 1
    backup = folder / f"store.duckdb.before-{newest + 2}"
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with duckdb.connect(str(backup), read_only=True) as connection:
        assert connection.execute("SELECT max(version) FROM schema_version").fetchone() == (newest,)


def test_a_damaged_database_is_refused_with_the_way_out(folder: Path) -> None:
    with Store.open(folder) as store:
        store.append(Batch(electrons=[electron("a", n) for n in range(5000)])).result(20)
    file = folder / opening.DATABASE
    data = bytearray(file.read_bytes())
    data[:4096] = os.urandom(4096)
    file.write_bytes(data)
    with pytest.raises(StoreDamaged, match=r"is damaged.*mv "):
        Store.open(folder)
    assert file.read_bytes() == bytes(data)


def test_a_database_of_somebody_else_is_refused(folder: Path) -> None:
    folder.mkdir()
    _alter(folder, "CREATE TABLE invoices (x INTEGER)")
    with pytest.raises(StoreDamaged, match="none of ours.*invoices"):
        Store.open(folder)


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(StoreError, match="cannot be used.*COVALENT_STORE_DIR"):
            Store.open(place)


def test_blobs_may_lie_elsewhere(folder: Path, tmp_path: Path) -> None:
    with Store.open(folder, blob_root=tmp_path / "blobs") as store:
        store.append(Batch(manifests=[("a", b"m" * 300_000)])).result(20)
        assert store.manifest("a") == b"m" * 300_000
        assert not (folder / "blobs").exists() and list((tmp_path / "blobs").glob("??/*"))
