"""The store alone: killed while it migrates, repairs and reopens; damaged while nobody looked."""

from __future__ import annotations

import pytest

from . import crashes, damage


@pytest.mark.timeout(600)
def test_killed_inside_its_own_repair_it_loses_nothing(seed: int) -> None:
    crashes.run_store(seed, 3).check()


@pytest.mark.timeout(600)
def test_damaged_it_gives_the_committed_prefix_or_says_what_to_do(seed: int) -> None:
    damage.run(seed, 100).check()
