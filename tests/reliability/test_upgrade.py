"""Stores of earlier versions."""

from __future__ import annotations

import pytest

from covalent_jupyter.store import opening

from . import upgrade


def test_there_is_a_store_of_every_earlier_schema() -> None:
    newest = opening.migrations()[-1][0]
    wanted = {f"schema{n}-{how}.tar.xz" for n in range(1, newest) for how in ("clean", "crashed")}
    assert {path.name for path in upgrade.STORES.iterdir()} >= wanted


@pytest.mark.timeout(600)
def test_stores_of_earlier_versions_are_opened_and_finished(seed: int) -> None:
    upgrade.run(seed, 1).check()
