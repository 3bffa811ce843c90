"""The harnesses in their short form. Seeds are fixed, unless COVALENT_SEED names another."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("COVALENT_SEED", "20260"))
