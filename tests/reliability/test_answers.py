"""Others are answered while electrons run."""

from __future__ import annotations

import pytest

from . import answers


@pytest.mark.timeout(600)
def test_a_jupyter_server_and_a_kernel_answer_while_electrons_run(seed: int) -> None:
    answers.run(seed, 60).check()
