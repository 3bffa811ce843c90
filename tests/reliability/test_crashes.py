"""SIGKILL at every named point."""

from __future__ import annotations

import random

import pytest

from . import crashes


def test_every_crash_point_of_the_code_is_tried() -> None:
    tried = {p.name for p in crashes.SERVICE_POINTS + crashes.WORKER_POINTS} | set(crashes.STORE_POINTS)
    assert tried == crashes.points_in_the_code() and len(tried) >= 24


@pytest.mark.timeout(1800)
def test_killed_at_any_point_nothing_acknowledged_is_lost(seed: int) -> None:
    crashes.run(seed, 3, "local").check()


@pytest.mark.timeout(600)
def test_the_same_where_electrons_run_on_dask(seed: int) -> None:
    points = random.Random(seed).sample(crashes.WORKER_POINTS, 5)
    crashes.run(seed, 1, "dask", points).check()
