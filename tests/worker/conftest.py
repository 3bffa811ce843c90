from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from covalent_jupyter.worker.pool import RunnerPool


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerPool]:
    """A pool of two slots for a whole module: what one test does to it must not hurt the next."""
    folder: Path = tmp_path_factory.mktemp("pool")
    pool = RunnerPool(slots=2, spool_dir=str(folder / "spool"), scratch=str(folder / "scratch"))
    yield pool
    pool.close()
