"""When the bytes of a large value are compared with its digest: after its writing for a moment not, after being asked for always."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from covalent_jupyter import blobs
from covalent_jupyter.errors import StoreDamaged

MINUTE, DAY = 60.0, 86_400.0
DATA = os.urandom(3_000_000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


def store(root: Path, age: float = 0.0) -> tuple[str, Path]:
    digest, _ = blobs.write_blob(root, [DATA])
    path = blobs.blob_path(root, digest)
    set_age(path, age)
    return digest, path


def set_age(path: Path, age: float) -> None:
    os.utime(path, (time.time() - age, time.time() - age))


def flip(path: Path, at: int = 1_500_000) -> None:
    """As a disk does it: nothing says that the file was changed."""
    found = path.stat()
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def test_old_damage_is_seen_also_just_after_the_value_was_asked_for(root: Path) -> None:
    digest, path = store(root, age=DAY)
    flip(path)
    assert blobs.has_blob(root, digest, touch=True)  # a new dispatch needs it, and does not send it again
    with pytest.raises(StoreDamaged, match=digest):
        blobs.map_blob(root, digest, trusted_for=MINUTE)


def test_asked_for_it_is_safe_from_collection(root: Path) -> None:
    digest, path = store(root, age=2 * DAY)
    assert blobs.has_blob(root, digest, touch=True)
    (found,) = blobs.iter_blobs(root)
    assert time.time() - found.used < MINUTE and time.time() - path.stat().st_mtime > DAY


def test_a_value_that_many_electrons_read_is_compared_once_a_process(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    real = blobs.check_bytes
    monkeypatch.setattr(
        blobs, "check_bytes", lambda data, digest, way: (compared.append(digest), real(data, digest, way))
    )
    digest, path = store(root, age=DAY)
    for _ in range(5):
        assert bytes(blobs.map_blob(root, digest, trusted_for=MINUTE)) == DATA
    assert compared == [digest]
    blobs.map_blob(root, digest)  # a caller that trusts nothing
    assert compared == [digest] * 2
    set_age(path, DAY / 2)  # it was written since
    blobs.map_blob(root, digest, trusted_for=MINUTE)
    assert compared == [digest] * 3


@pytest.mark.parametrize("at", [0, 1_500_000, len(DATA) - 1])
def test_stored_again_a_damaged_value_is_mended(root: Path, at: int) -> None:
    digest, path = store(root, age=DAY)
    flip(path, at)
    with pytest.raises(StoreDamaged):
        blobs.read_blob(root, digest)
    middle = len(DATA) // 3
    assert blobs.write_blob(root, [DATA[:middle], b"", memoryview(DATA)[middle:]]) == (digest, len(DATA))
    assert blobs.read_blob(root, digest) == DATA


def test_stored_again_a_sound_value_is_not_written(root: Path) -> None:
    digest, path = store(root, age=DAY)
    before = path.stat()
    assert blobs.write_blob(root, [DATA]) == (digest, len(DATA))
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert time.time() - blobs.last_use(after) < MINUTE
