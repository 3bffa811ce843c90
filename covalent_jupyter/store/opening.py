"""Opening the store's folder: lock, database file, repair of its log, migrations.

The database file is never read by other means while it is open: any ``open()`` and ``close()`` of it in this
process would drop DuckDB's own lock (POSIX record locks belong to the process).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from ..crashpoint import crashpoint
from ..errors import StoreDamaged, StoreError, StoreLocked, StoreTooNew
from .history import take_over
from .repair import cut_log, is_other_log, mend_header

DATABASE = "store.duckdb"
LOCK = "store.lock"
_SCRATCH = "store.scratch"  # a folder for what a repair needs and nobody else
MIGRATIONS = Path(__file__).with_name("migrations")
#: DuckDB takes 80% of the machine unless told otherwise. No files, no network, no extensions for anyone.
CONFIG: dict[str, Any] = {
    "memory_limit": "512MB",
    "threads": 1,
    "allocator_background_threads": "true",  # give back what a burst took, also when nothing follows it
    "max_temp_directory_size": "2GB",
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}
_NEWER_FILE = re.compile(
    r"newer version|newer DuckDB|version number|unsupported storage|not supported by this version", re.I
)
_BROKEN_FILE = re.compile(r"Corrupt database file|does not match stored checksum|Could not read enough bytes")
_REPAIRS = 100  # damaged entries of one log; each repair shortens it
#: Bytes of a log that are worth a checkpoint when the store is opened: to read that much takes about as long.
LONG_LOG = 2_000_000


def boot_id() -> str:
    """Differs from boot to boot; "" where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def make_folder(folder: Path) -> None:
    """The store's folder, private to the user. StoreError says why it cannot be used."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not folder.is_dir():
            raise NotADirectoryError(str(folder))
        if folder.stat().st_uid == os.getuid():
            folder.chmod(0o700)
    except OSError as e:
        raise unusable(folder, e) from e
    if not os.access(folder, os.W_OK | os.X_OK):
        raise unusable(folder, PermissionError("no permission to write there"))


def unusable(folder: Path, error: Exception) -> StoreError:
    reason = getattr(error, "strerror", None) or str(error)
    return StoreError(
        f"the store folder {folder} cannot be used: {reason}. Make it writable for you, or choose another one "
        "with the environment variable COVALENT_STORE_DIR or the setting store_dir"
    )


class FolderLock:
    """Exclusive ownership of the folder. The system frees it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise unusable(folder, e) from e
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            message = _owner(self._fd, folder)
            os.close(self._fd)
            raise StoreLocked(message) from e
        except OSError as e:
            os.close(self._fd)
            raise unusable(folder, e) from e
        note = {"pid": os.getpid(), "host": socket.gethostname(), "boot_id": boot_id(), "since": time.time()}
        with suppress(OSError):  # a full disk: the note is for people, the lock holds without it
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, json.dumps(note).encode(), 0)

    @property
    def deleted(self) -> bool:
        """Whether the file was deleted, and not only moved away with its folder."""
        return os.fstat(self._fd).st_nlink == 0

    def release(self) -> None:
        """The file stays: a lock on a removed file would be no lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _owner(fd: int, folder: Path) -> str:
    try:
        note = json.loads(os.pread(fd, 4096, 0))
        pid, host = int(note["pid"]), str(note["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return (
            f"the store {folder} is in use by another process, which has left no note: find it with "
            f"`fuser {folder / LOCK}`"
        )
    if host != socket.gethostname():
        return (
            f"the store {folder} is in use by process {pid} on host {host}. Work there, stop it there with "
            "`jupyter covalent stop`, or choose a store on this machine with COVALENT_STORE_DIR"
        )
    return (
        f"the store {folder} is in use by process {pid} on this host. Use the service that runs there, stop it with "
        "`jupyter covalent stop`, or choose another store with COVALENT_STORE_DIR"
    )


def connect(path: Path, keeps_log: bool = False) -> duckdb.DuckDBPyConnection:
    """The one place where a database is opened. The caller holds the folder's lock.

    ``keeps_log``: the log is left as it is at the end, instead of being written into the file.
    """
    before = os.umask(0o077)
    try:
        connection = duckdb.connect(str(path), config=CONFIG)
    finally:
        os.umask(before)
    if keeps_log:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
    connection.execute("SET GLOBAL TimeZone = 'UTC'; SET GLOBAL lock_configuration = true")
    return connection


def open_database(folder: Path, repairs: list[str]) -> duckdb.DuckDBPyConnection:
    """Open it, mending a log that a power cut has torn. What was done is told in ``repairs``."""
    path = folder / DATABASE
    try:
        mend_header(path, folder / _SCRATCH, partial(connect, keeps_log=True), repairs)
    except OSError as e:
        raise unusable(folder, e) from e
    for _ in range(_REPAIRS):
        try:
            return connect(path)
        except (duckdb.Error, OSError) as e:
            try:
                mended = cut_log(path, e, repairs)
            except OSError as disk:
                raise unusable(folder, disk) from disk
            if not mended:
                raise _opening_error(folder, e) from e
    raise damaged(folder, f"its log was still damaged after {_REPAIRS} repairs")


def _opening_error(folder: Path, error: Exception) -> StoreError:
    text = str(error).split("\n")[0]
    if isinstance(error, OSError) or "Could not set lock" in text or "ermission denied" in text:
        return unusable(folder, error)
    if re.search(r"No space left|Read-only file system|quota", text):
        return unusable(folder, error)
    if is_other_log(error):
        log = folder / f"{DATABASE}.wal"
        return StoreDamaged(
            f"the log {log} is none of the store beside it ({text}). Nothing was changed. If an older copy of "
            f"{DATABASE} was put in its place, put the log of that time beside it, or move this one away (`mv {log} "
            f"{log}.other`): the store then has what was in the copy. If it was written by a newer DuckDB, upgrade "
            "covalent-jupyter in this environment"
        )
    if _NEWER_FILE.search(text):
        return StoreTooNew(
            f"the store {folder} was written by a newer DuckDB ({text}). Upgrade covalent-jupyter in this environment, "
            "or choose another store with COVALENT_STORE_DIR"
        )
    return damaged(folder, text)


def is_damage(error: BaseException) -> bool:
    """Whether an error of an open database says that its file has other contents than were written."""
    return _BROKEN_FILE.search(str(error)) is not None


def damaged(folder: Path, reason: str) -> StoreDamaged:
    """The error that says what to do about it."""
    backups = sorted(p.name for p in folder.glob(f"{DATABASE}.before-*"))
    way = f"put a backup in its place ({', '.join(backups)}), or " if backups else ""
    return StoreDamaged(
        f"the store {folder / DATABASE} is damaged: {reason}. Nothing was changed. To go on, {way}move the folder "
        f"away (`mv {folder} {folder}.damaged`) and start again with an empty store; values stay readable in its blobs/"
    )


def migrations() -> list[tuple[int, str]]:
    """Numbered schema changes in order: (version, SQL)."""
    found = [(int(p.stem), p.read_text("utf-8")) for p in MIGRATIONS.glob("[0-9]*.sql")]
    return sorted(found)


def migrate(folder: Path, connection: duckdb.DuckDBPyConnection, repairs: list[str]) -> duckdb.DuckDBPyConnection:
    """Bring the schema up to date; gives the connection to go on with (the file is backed up while closed)."""
    steps = migrations()
    newest = steps[-1][0]
    version = _version(folder, connection)
    if version > newest:
        connection.close()
        raise StoreTooNew(
            f"the store {folder} has schema {version}, written by a newer covalent-jupyter; this one knows {newest}. "
            "Upgrade it (`pip install -U covalent-jupyter`), or choose another store with COVALENT_STORE_DIR"
        )
    if version == newest:
        return connection
    if version:
        crashpoint("migration.begun")
        connection.execute("CHECKPOINT")
        crashpoint("migration.checkpointed")
        connection.close()
        backup = folder / f"{DATABASE}.before-{steps[-1][0]}"
        try:
            shutil.copyfile(folder / DATABASE, backup)
            backup.chmod(0o600)
            crashpoint("migration.saved")
        except OSError as e:
            raise unusable(folder, e) from e
        connection = open_database(folder, repairs)
    for number, script in steps:
        if number > version:
            _apply(folder, connection, number, script)
    crashpoint("migration.applied")
    connection.execute("CHECKPOINT")
    crashpoint("migration.done")
    return connection


def fold_log(folder: Path, connection: duckdb.DuckDBPyConnection, repairs: list[str]) -> duckdb.DuckDBPyConnection:
    """Write into the file what a killed process has left in a long log, or every start from now on would read all of it again;
    gives the connection to go on with (a full disk spoils the one that it fails on, and the log stays what it is)."""
    try:
        if (folder / f"{DATABASE}.wal").stat().st_size < LONG_LOG:
            return connection
    except FileNotFoundError:
        return connection
    crashpoint("log.read")
    try:
        connection.execute("CHECKPOINT")
    except duckdb.Error:
        with suppress(duckdb.Error):
            connection.close()
        return open_database(folder, repairs)
    crashpoint("log.folded")
    return connection


def _version(folder: Path, connection: duckdb.DuckDBPyConnection) -> int:
    tables = {r[0] for r in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if "schema_version" in tables:
        row = connection.execute("SELECT max(version) FROM schema_version").fetchone()
        return int(row[0] or 0) if row else 0
    if tables:
        connection.close()
        raise damaged(folder, f"it holds tables that are none of ours ({', '.join(sorted(tables)[:5])})")
    return 0


def _apply(folder: Path, connection: duckdb.DuckDBPyConnection, number: int, script: str) -> None:
    try:
        connection.begin()
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER, applied DOUBLE)")
        connection.execute(script)
        if number == 2:
            take_over(connection)
        connection.execute("INSERT INTO schema_version VALUES (?, ?)", [number, time.time()])
        crashpoint("migration.written")
        connection.commit()
    except duckdb.Error as e:
        connection.close()
        raise StoreError(f"the store {folder} could not be brought to schema {number}: {e}") from e
