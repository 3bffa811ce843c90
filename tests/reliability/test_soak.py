"""A mixed load with a fault every few seconds."""

from __future__ import annotations

import pytest

from . import soak


@pytest.mark.timeout(900)
def test_whatever_happens_for_long_nothing_is_lost_and_nothing_grows(seed: int) -> None:
    soak.run(seed, 120).check()
