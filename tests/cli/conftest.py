from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.world import world


@pytest.fixture(scope="package", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the store of this package's tests."""
    with world(tmp_path_factory.mktemp("cli")) as folder:
        yield folder
