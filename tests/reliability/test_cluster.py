"""Dask's parts stop, die and vanish under running electrons."""

from __future__ import annotations

import pytest

from . import cluster


@pytest.mark.timeout(600)
def test_whatever_happens_to_dask_nothing_runs_for_ever(seed: int) -> None:
    cluster.run(seed, 1, short=True).check()
