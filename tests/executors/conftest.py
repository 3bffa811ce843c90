from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .service import Service


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """A service without hosts; at the end its hosts are stopped."""
    store = tmp_path / "store"
    store.mkdir(mode=0o700)
    made = await Service(store).start()
    yield made
    await made.stop()
