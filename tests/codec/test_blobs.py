from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from covalent_jupyter import blobs
from covalent_jupyter.errors import StoreDamaged

ABSENT = "0" * 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_blob_is_a_private_file_named_by_its_digest(root: Path) -> None:
    digest, size = blobs.write_blob(root, [b"abc", memoryview(b"def"), bytearray(b"")])
    assert (digest, size) == (blobs.digest_of([b"abcdef"]), 6)
    assert files(root) == [f"{digest[:2]}/{digest}"]
    path = blobs.blob_path(root, digest)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IMODE(root.stat().st_mode) == 0o700
    assert blobs.read_blob(root, digest) == bytes(blobs.map_blob(root, digest)) == b"abcdef"
    assert blobs.has_blob(root, digest) and blobs.blob_size(root, digest) == 6


def test_chunks_of_any_buffer_format(root: Path) -> None:
    import array

    numbers = array.array("d", [1.0, 2.0])
    digest, size = blobs.write_blob(root, [memoryview(numbers)])
    assert size == 16 and blobs.read_blob(root, digest) == numbers.tobytes()


def test_writing_again_touches_and_writes_nothing(root: Path) -> None:
    digest, _ = blobs.write_blob(root, [b"abc"])
    path = blobs.blob_path(root, digest)
    os.utime(path, (1_000, 1_000))
    inode = path.stat().st_ino
    assert blobs.write_blob(root, [b"a", b"bc"]) == (digest, 3)
    assert path.stat().st_ino == inode and blobs.last_use(path.stat()) > 1_000_000


def test_a_blob_of_the_wrong_size_is_written_anew(root: Path) -> None:
    digest, _ = blobs.write_blob(root, [b"abc"])
    blobs.blob_path(root, digest).write_bytes(b"a")  # what a power cut leaves of a file that was not synced
    blobs.write_blob(root, [b"abc"])
    assert blobs.read_blob(root, digest) == b"abc"


def test_damage_is_found_on_reading_and_named(root: Path) -> None:
    digest, _ = blobs.write_blob(root, [b"abc"])
    blobs.blob_path(root, digest).write_bytes(b"abd")
    with pytest.raises(StoreDamaged, match=digest):
        blobs.read_blob(root, digest)


def test_a_map_is_writable_and_private(root: Path) -> None:
    digest, _ = blobs.write_blob(root, [b"abc"])
    one, other = blobs.map_blob(root, digest), blobs.map_blob(root, digest)
    one[0] = ord("X")
    assert bytes(other) == b"abc" and blobs.read_blob(root, digest) == b"abc"
    blobs.remove_blob(root, digest)
    assert bytes(other) == b"abc"


def test_the_empty_blob(root: Path) -> None:
    digest, size = blobs.write_blob(root, [])
    assert size == 0 and blobs.read_blob(root, digest) == b"" == bytes(blobs.map_blob(root, digest))


def test_what_is_not_there(root: Path) -> None:
    assert not blobs.has_blob(root, ABSENT) and not blobs.has_blob(root, ABSENT, touch=True)
    assert blobs.remove_blob(root, ABSENT) == 0
    assert list(blobs.iter_blobs(root)) == [] and blobs.remove_stale(root) == 0
    for read in (blobs.read_blob, blobs.map_blob, blobs.blob_size, blobs.sync_blob):
        with pytest.raises(FileNotFoundError):
            read(root, ABSENT)


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 65, "0" * 62 + "/.", "0" * 64 + "\n"]
)
def test_names_that_are_no_digests_reach_no_file(root: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        blobs.has_blob(root, name)


def test_streamed_upload(root: Path) -> None:
    digest = blobs.digest_of([b"abcdef"])
    with blobs.BlobWriter(root) as writer:
        writer.write(b"abc")
        assert not blobs.has_blob(root, digest)
        writer.write(b"def")
        assert writer.commit(digest) == (digest, 6)
    assert files(root) == [f"{digest[:2]}/{digest}"]


def test_an_upload_with_other_bytes_than_announced_leaves_nothing(root: Path) -> None:
    writer = blobs.BlobWriter(root)
    writer.write(b"abc")
    with pytest.raises(ValueError, match="announced"):
        writer.commit(ABSENT)
    assert files(root) == []


def test_an_upload_that_breaks_off_leaves_nothing(root: Path) -> None:
    with pytest.raises(ConnectionError), blobs.BlobWriter(root) as writer:
        writer.write(b"abc")
        raise ConnectionError
    writer.abort()
    assert files(root) == []


def test_a_full_disk_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(blobs, "_sync_data", full)
    with pytest.raises(OSError, match="no space"):
        blobs.write_blob(root, [b"abc"])
    assert files(root) == []


def test_unsynced_then_synced(root: Path) -> None:
    digest, _ = blobs.write_blob(root, [b"abc"], sync=False)
    assert blobs.read_blob(root, digest) == b"abc"
    blobs.sync_blob(root, digest)


def test_many_writers_of_one_digest(root: Path) -> None:
    data, start, found = [os.urandom(200_000)], threading.Barrier(8), []

    def write() -> None:
        start.wait()
        found.append(blobs.write_blob(root, data, sync=False))

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and len(found) == 8
    assert blobs.read_blob(root, found[0][0]) == data[0] and len(files(root)) == 1


def test_listing_and_stale_temporaries(root: Path) -> None:
    kept = {blobs.write_blob(root, [bytes([n])])[0] for n in range(5)}
    old, young = blobs.BlobWriter(root), blobs.BlobWriter(root)
    os.utime(old.path, (1_000, 1_000))
    (root / "note.txt").write_text("not ours")
    listed = list(blobs.iter_blobs(root))
    assert {info.digest for info in listed} == kept and all(info.size == 1 and info.used > 0 for info in listed)
    assert blobs.remove_stale(root) == 1
    assert not old.path.exists() and young.path.exists()
    young.abort()
    old.abort()
    assert blobs.remove_blob(root, next(iter(kept))) == 1
