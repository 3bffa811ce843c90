"""SIGKILL at random moments of everything, under load."""

from __future__ import annotations

import pytest

from . import kills


@pytest.mark.timeout(900)
def test_killed_at_random_moments_nothing_acknowledged_is_lost(seed: int) -> None:
    kills.run(seed, 30).check()


@pytest.mark.timeout(600)
def test_with_ten_thousand_nodes_the_service_is_soon_ready(seed: int) -> None:
    kills.run_ready(seed, 3).check()
