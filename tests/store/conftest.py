from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from covalent_jupyter.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store.open(folder) as opened:
        yield opened
