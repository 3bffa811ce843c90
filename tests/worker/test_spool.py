from __future__ import annotations

import os
import struct
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covalent_jupyter.spool import SpoolReader, SpoolWriter, read_spool

records = st.lists(st.binary(max_size=300), max_size=20)


def spooled(folder: str, items: list[bytes]) -> Path:
    path = Path(folder) / "a.spool"
    writer = SpoolWriter(path)
    for item in items:
        writer.append(item)
    writer.close()
    return path


@given(records)
@settings(max_examples=60, deadline=None)
def test_what_is_appended_is_read(items: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = spooled(folder, items)
        assert read_spool(path) == items
        writer = SpoolWriter(path)  # goes on where it stopped
        writer.append(b"more")
        writer.close()
        assert read_spool(path) == [*items, b"more"]
        assert path.stat().st_mode & 0o777 == 0o600


@given(records, st.data())
@settings(max_examples=100, deadline=None)
def test_a_torn_tail_costs_the_torn_record_only(items: list[bytes], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = spooled(folder, items)
        size = data.draw(st.integers(0, path.stat().st_size))
        os.truncate(path, size)
        kept, at = [], 0
        for item in items:
            at += 8 + len(item)
            if at <= size:
                kept.append(item)
        assert read_spool(path) == kept


@given(records.filter(lambda items: any(items)), st.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_byte_hides_what_comes_after_and_invents_nothing(items: list[bytes], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = spooled(folder, items)
        raw = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] ^= data.draw(st.integers(1, 255))
        path.write_bytes(raw)
        found = read_spool(path)
        assert found == items[: len(found)] and len(found) < len(items)


@given(records, st.lists(st.integers(1, 50), max_size=30))
@settings(max_examples=60, deadline=None)
def test_a_reader_follows_a_growing_file(items: list[bytes], steps: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = spooled(folder, items).read_bytes()
        path = Path(folder) / "growing"
        path.touch()
        found: list[bytes] = []
        with SpoolReader(path) as reader, open(path, "ab", buffering=0) as file:
            at = 0
            for step in [*steps, len(whole)]:
                file.write(whole[at : at + step])
                at += step
                found += reader.read()
            assert reader.read() == []
        assert found == items


def test_missing_and_zero_filled(tmp_path: Path) -> None:
    assert read_spool(tmp_path / "none") == []
    path = spooled(str(tmp_path), [b"one"])
    with open(path, "ab") as file:
        file.write(bytes(4096))
    assert read_spool(path)[:1] == [b"one"]


def test_a_full_disk_leaves_the_spool_whole(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = spooled(str(tmp_path), [b"one"])
    pid = os.fork()
    if pid == 0:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        writer = SpoolWriter(path)
        try:
            writer.append(b"x" * 5000)
        except OSError:
            writer.append(b"two")
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert read_spool(path) == [b"one", b"two"]


def test_frames_are_as_documented(tmp_path: Path) -> None:
    path = spooled(str(tmp_path), [b"record"])
    assert path.read_bytes() == struct.pack("<II", 6, zlib.crc32(b"record")) + b"record"
