from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from covalent_jupyter.store import Batch, Store


class Unread(Store):
    """A store that nobody is said to read soon: whatever can do with an entry of the journal goes there first."""

    def append(self, batch: Batch, *, patient: bool = False, unread: bool = True) -> Future[int]:
        return super().append(batch, patient=patient, unread=unread)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(params=[Store, Unread], ids=["tables", "journal"])
def store(folder: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    with request.param.open(folder) as opened:
        yield opened
