"""Ways to die and to hang, and cancels."""

from __future__ import annotations

import pytest

from . import ends


@pytest.mark.timeout(600)
def test_however_an_electron_ends_it_is_named_and_hurts_nobody(seed: int) -> None:
    ends.run(seed, 1).check()


@pytest.mark.timeout(600)
def test_what_is_cancelled_is_gone(seed: int) -> None:
    ends.run_cancels(seed, 30).check()
