"""A result whose file was damaged is refused with a way out; one that was not is still served."""

from __future__ import annotations

from pathlib import Path

import pytest

import covalent_jupyter as ct
from covalent_jupyter import blobs
from covalent_jupyter.errors import StoreDamaged


@ct.electron(executor="local")
def letters(letter: str) -> bytes:
    return letter.encode() * 100_000


@ct.lattice
def two_letters() -> list[bytes]:
    return [letters("a"), letters("b")]


def test_a_flipped_byte_in_a_result_is_never_served(store: Path) -> None:
    dispatch_id = ct.dispatch(two_letters)()
    assert ct.get_result(dispatch_id, wait=True).result == [b"a" * 100_000, b"b" * 100_000]
    root = store / "blobs"
    files = [blobs.blob_path(root, blob.digest) for blob in blobs.iter_blobs(root)]
    path = next(p for p in files if b"a" * 100_000 in p.read_bytes())
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"aa", b"ab", 1))
    with pytest.raises(StoreDamaged, match=path.name):
        _ = ct.get_result(dispatch_id, wait=True).result
    path.write_bytes(whole)
    assert ct.get_result(dispatch_id, wait=True).result == [b"a" * 100_000, b"b" * 100_000]
