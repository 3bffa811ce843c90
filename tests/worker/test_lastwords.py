"""What a dead pool left in its spools is used only when it is true, and on the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from covalent_jupyter import blobs
from covalent_jupyter.lastwords import last_words, named_in_spools
from covalent_jupyter.model import Began, Error, Fact, Outcome, Output
from covalent_jupyter.model.wire import encode
from covalent_jupyter.spool import SpoolWriter


class Left:
    """Spools and blobs of a pool that is gone."""

    def __init__(self, folder: Path) -> None:
        self.root, self.folder = folder / "blobs", folder / "spool"
        self.folder.mkdir()

    def write(self, *facts: Fact, name: str = "one") -> Path:
        path = self.folder / f"{name}.spool"
        spool = SpoolWriter(path)
        for fact in facts:
            spool.append(encode(fact))
        spool.close()
        return path

    def blob(self, data: bytes) -> Output:
        return Output(*blobs.write_blob(self.root, [data], sync=False))


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path)


def done(node: int, output: Output) -> Outcome:
    return Outcome("d", node, 1, "completed", output=output)


def test_large_values_are_on_the_disk_before_anybody_hears_of_them(left: Left, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[str] = set()

    def sync(fd: int) -> None:
        synced.add(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        os.fsync(fd)

    output, problem = left.blob(b"x" * 100_000), left.blob(b"an exception" * 5000)
    failed = Outcome("d", 2, 1, "failed", error=Error("E", "", exception=problem))
    left.write(Began("d", 0, 1, 1.0), done(0, output), done(1, Output("0" * 64, 3, b"abc")), failed)
    monkeypatch.setattr(blobs, "_sync_data", sync)
    facts = last_words(left.folder, left.root)
    assert [type(f).__name__ for f in facts] == ["Began", "Outcome", "Outcome", "Outcome"]
    assert synced == {output.digest, problem.digest}


def test_an_outcome_whose_value_is_gone_is_not_used(left: Left) -> None:
    gone, there = left.blob(b"gone" * 10_000), left.blob(b"there" * 10_000)
    left.write(Began("d", 0, 1, 1.0), done(0, gone), done(1, there))
    blobs.remove_blob(left.root, gone.digest)
    assert [(type(f).__name__, getattr(f, "node", None)) for f in last_words(left.folder, left.root)] == [
        ("Began", 0), ("Outcome", 1),
    ]  # fmt: skip


def test_after_a_power_cut_values_are_compared_with_their_digests(left: Left) -> None:
    damaged, whole = left.blob(b"damaged" * 10_000), left.blob(b"whole" * 10_000)
    path = left.write(done(0, damaged), done(1, whole))
    blobs.blob_path(left.root, damaged.digest).write_bytes(b"\0" * damaged.size)
    assert len(last_words(left.folder, left.root)) == 2, "this machine has not been started since: nothing can be torn"
    os.utime(path, (1, 1))
    assert [f.node for f in last_words(left.folder, left.root) if isinstance(f, Outcome)] == [1]
    assert not blobs.has_blob(left.root, damaged.digest), "or the next attempt would find it there"


def test_what_spools_name_is_known(left: Left) -> None:
    one, other = left.blob(b"one" * 10_000), left.blob(b"other" * 10_000)
    left.write(done(0, one))
    left.write(Outcome("d", 2, 1, "failed", error=Error("E", "", exception=other)), name="more")
    (left.folder / "torn.spool").write_bytes(b"\x05\0\0\0nonsense")
    assert named_in_spools(left.folder) == {one.digest, other.digest}
    assert named_in_spools(left.folder / "none") == set()
