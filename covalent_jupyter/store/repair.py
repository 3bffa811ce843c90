"""Mending the log of a database that a power cut or a bad disk has damaged.

DuckDB's log begins with a header, which names the database and how often it was checkpointed, and goes on with entries that have
a checksum each. A damaged entry is an error that tells its position: what is before it is the exact committed prefix, so the
log is cut there. The header has no checksum. With some damages of it DuckDB refuses the database, with others it takes the log for
empty and drops it, with everything that was committed since the last checkpoint. But it is the same as that of any log of
this database in this state, so DuckDB is asked to write another one.
"""

from __future__ import annotations

import operator
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import duckdb

from ..crashpoint import crashpoint

_BROKEN_ENTRY = re.compile(r"entry at byte position (\d+)")
#: What DuckDB says of a log that was written for the file before or after another checkpoint, for another file, or by a newer DuckDB.
_OTHER_LOG = re.compile(
    r"checkpoint iteration does not match|WAL does not match database file|Failed to read WAL of version"
)
_NUMBER = rb"[\x80-\xff]*[\x00-\x7f]"
_HEADER = re.compile(
    rb"\x64\x00\x62\x65\x00(?P<version>%b)\x66\x00\x10(?P<database>(?:%b){16})\x67\x00%b\xff\xff"
    % (_NUMBER, _NUMBER, _NUMBER),
    re.DOTALL,
)
#: A header that names a database of which so many bytes (of 16) are those of this one is a damaged one; else it is that of another log.
_SAME = 8
_HEADERS = 3 * 4096  # bytes at the start of a database file without which there is no database
_ENCRYPTED = b"\x03"  # the version of an encrypted log, which no store of ours has


def mend_header(
    database: Path, scratch: Path, connect: Callable[[Path], duckdb.DuckDBPyConnection], repairs: list[str]
) -> None:
    """Give the log its header back if it is damaged. OSError where the disk does not let it.

    ``scratch`` is a folder on the same disk that may be removed at any time; ``connect`` opens a database whose log stays when
    it is closed.
    """
    log = database.with_name(f"{database.name}.wal")
    try:
        whole = database.stat().st_size >= _HEADERS
        with open(log, "rb") as file:
            start = file.read(64)
    except FileNotFoundError:
        return
    if not whole:
        return  # a new database, or none: DuckDB knows what to do
    found = _database_of(start)
    if not start or (found is not None and _is_name_of(found, database)):
        return
    header = _written_anew(database, scratch, connect)
    if header is None or log.stat().st_size <= len(header):
        return  # nothing follows it, or the database has other troubles: DuckDB tells them
    wanted = _database_of(header)
    if found is not None and wanted is not None and sum(map(operator.eq, found, wanted)) < _SAME:
        return  # the log of another database
    copy = _kept(log)
    crashpoint("repair.kept")
    with open(log, "r+b") as file:
        file.write(header)
        file.flush()
        os.fsync(file.fileno())
    crashpoint("repair.header")
    repairs.append(
        f"the first {len(header)} bytes of {log.name} were damaged; they were written anew, and what follows them is read; a "
        f"copy is {copy}"
    )


def cut_log(database: Path, error: Exception, repairs: list[str]) -> bool:
    """Cut the log where its first damaged entry begins, if it is this that the error is about. OSError where the disk does not let it."""
    told = _BROKEN_ENTRY.search(str(error))
    if told is None:
        return False
    position = int(told.group(1))
    for ending in (".wal", ".wal.checkpoint", ".wal.recovery"):
        log = database.with_name(database.name + ending)
        if not log.is_file() or log.stat().st_size <= position:
            continue
        copy = _kept(log)
        crashpoint("repair.copied")
        lost = log.stat().st_size - position
        with open(log, "r+b") as file:
            file.truncate(position)
            os.fsync(file.fileno())
        crashpoint("repair.cut")
        repairs.append(
            f"{log.name} was damaged at byte {position} (as after a power cut): its last {lost} bytes, which no "
            f"acknowledged record needs unless the disk lost it, were cut off; a copy is {copy}"
        )
        return True
    return False


def is_other_log(error: Exception) -> bool:
    """Whether the log is not that of the file, as when one of them was copied back."""
    return _OTHER_LOG.search(str(error)) is not None


def _kept(log: Path) -> Path:
    copy = log.with_name(f"{log.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}")
    shutil.copyfile(log, copy)
    copy.chmod(0o600)
    return copy


def _database_of(header: bytes) -> bytes | None:
    """The name of the database in the header of a log; None if that is none, or damaged."""
    match = _HEADER.match(header)
    if match is None or match["version"] == _ENCRYPTED:
        return None
    numbers = re.findall(_NUMBER, match["database"], re.DOTALL)
    return bytes(sum((byte & 0x7F) << 7 * i for i, byte in enumerate(number)) & 0xFF for number in numbers)


def _is_name_of(name: bytes, database: Path) -> bool:
    """Whether the database's file has this name in its first block."""
    with open(database, "rb") as file:
        return name in file.read(4096)


def _written_anew(database: Path, scratch: Path, connect: Callable[[Path], duckdb.DuckDBPyConnection]) -> bytes | None:
    """The header of a log that DuckDB writes for the file as it is; None where it does not open without its log.

    The file gets a second name, under which there is no log. It is not changed: only a checkpoint does that.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    try:
        second = scratch / database.name
        try:
            os.link(database, second)
        except OSError:  # a file system without hard links
            shutil.copyfile(database, second)
        try:
            connection = connect(second)
            try:
                connection.execute("CREATE TABLE written_for_its_header (a INTEGER)")
            finally:
                connection.close()
        except duckdb.Error:
            return None
        match = _HEADER.match(second.with_name(f"{second.name}.wal").read_bytes())
        return match.group() if match else None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
