"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(what: Callable[[], T], seconds: float = 120.0) -> T:
    """What ``what`` gives as soon as that is true; a file that is not there yet is as good as nothing."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := what():
                return found
        except OSError:
            pass
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
