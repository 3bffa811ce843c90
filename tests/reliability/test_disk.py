"""A disk that is full, broken, or closed for writing."""

from __future__ import annotations

import pytest

from . import disk


@pytest.mark.timeout(400)
def test_a_full_or_broken_disk_delays_and_loses_nothing(seed: int) -> None:
    disk.run(seed, 12).check()
