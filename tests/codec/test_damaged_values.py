"""A value that lies in a file is served as it was stored or not at all, whoever reads it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from covalent_jupyter import blobs, codec
from covalent_jupyter.errors import StoreDamaged
from covalent_jupyter.executors.inline import with_values
from covalent_jupyter.model import Val
from covalent_jupyter.worker.inputs import Inputs
from tests.worker.packs import PackMaker, fine

VALUE = random.Random(26).randbytes(20_000)
Reader = Callable[[Path, str], object]


def mapped(root: Path, digest: str) -> bytes:
    return bytes(blobs.map_blob(root, digest))


def read(root: Path, digest: str) -> bytes:
    return blobs.read_blob(root, digest)


def by_an_electron(root: Path, digest: str) -> bytes:
    """As an electron gets it whose worker sees the folder."""
    return bytes(Inputs(PackMaker().pack(blob_root=str(root)), {}).blob(digest))


def sent_along(root: Path, digest: str) -> bytes:
    """As an electron gets it whose worker does not see the folder: inside its pack."""
    maker = PackMaker()
    maker.add(fine, Val(digest))
    return with_values(maker.pack(blob_root=str(root))).values[digest]


READERS = [mapped, read, by_an_electron, sent_along]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def digest(root: Path) -> str:
    digest, _ = blobs.write_blob(root, codec.encode(VALUE))
    age(blobs.blob_path(root, digest))
    return digest


def age(path: Path) -> None:
    """Nobody has used it for an hour: what has just been written is still in memory, and not read twice."""
    an_hour_ago = path.stat().st_mtime - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))


def overwrite(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    age(path)


@pytest.mark.parametrize("reader", READERS)
def test_what_was_stored_is_what_is_served(reader: Reader, root: Path, digest: str) -> None:
    assert codec.decode(reader(root, digest)) == VALUE


@pytest.mark.parametrize("reader", READERS)
def test_a_flipped_bit_anywhere_is_never_served(reader: Reader, root: Path, digest: str) -> None:
    path = blobs.blob_path(root, digest)
    whole = path.read_bytes()
    rng = random.Random(7)
    for at in [0, 1, len(whole) // 2, len(whole) - 1, *rng.sample(range(len(whole)), 40)]:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << rng.randrange(8)
        overwrite(path, bytes(damaged))
        with pytest.raises(StoreDamaged, match=rf"{digest}.*remove .*{digest} and run the electron"):
            reader(root, digest)
    overwrite(path, whole)
    assert codec.decode(reader(root, digest)) == VALUE


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damage", ["cut", "emptied", "zero tail", "grown", "another value"])
def test_other_damage_is_never_served(reader: Reader, damage: str, root: Path, digest: str) -> None:
    path = blobs.blob_path(root, digest)
    whole = path.read_bytes()
    changed = {
        "cut": whole[:-1],
        "emptied": b"",
        "zero tail": whole[:-4096] + bytes(4096),
        "grown": whole + b"\0",
        "another value": b"".join(bytes(part) for part in codec.encode(VALUE[::-1])),
    }[damage]
    assert changed != whole
    overwrite(path, changed)
    with pytest.raises(StoreDamaged, match=digest):
        reader(root, digest)


def test_removed_and_stored_again_it_is_served(root: Path, digest: str) -> None:
    path = blobs.blob_path(root, digest)
    overwrite(path, bytes(path.stat().st_size))
    with pytest.raises(StoreDamaged):
        read(root, digest)
    blobs.remove_blob(root, digest)  # what the message says
    assert blobs.write_blob(root, codec.encode(VALUE))[0] == digest
    assert all(codec.decode(reader(root, digest)) == VALUE for reader in READERS)


@pytest.mark.parametrize("trusted_for", [0.0, 60.0])
def test_a_time_that_is_yet_to_come_spares_no_check(trusted_for: float, root: Path, digest: str) -> None:
    path = blobs.blob_path(root, digest)
    path.write_bytes(bytes(path.stat().st_size))
    in_an_hour = path.stat().st_mtime + 3600  # the clock was set back since
    os.utime(path, (in_an_hour, in_an_hour))
    with pytest.raises(StoreDamaged, match=digest):
        blobs.map_blob(root, digest, trusted_for=trusted_for)
