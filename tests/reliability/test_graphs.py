"""Random graphs against plain Python."""

from __future__ import annotations

import pytest

from . import graphs


@pytest.mark.timeout(900)
def test_random_graphs_give_what_plain_python_gives(seed: int) -> None:
    graphs.run(seed, 300).check()
