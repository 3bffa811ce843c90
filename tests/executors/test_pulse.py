"""Silence is counted while we look, and no question waits for ever."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from covalent_jupyter.executors import dask_pulse
from covalent_jupyter.executors.dask_pulse import Pulse, ask


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(dask_pulse.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_silence_is_counted_until_something_new_is_heard(clock: Clock) -> None:
    pulse = Pulse()
    for second in range(5):
        clock.now += 1.0
        pulse.look({"a": second, "b": "always the same"})
    assert pulse.silence("a") == 0.0 and pulse.silence("b") == pytest.approx(4.0)
    pulse.look({"a": 5, "b": "another"})
    assert pulse.silence("b") == 0.0 and pulse.silence("nobody") == 0.0


def test_time_in_which_nobody_looked_does_not_count(clock: Clock) -> None:
    pulse = Pulse()
    pulse.look({"a": 1})
    clock.now += 3600.0  # this process stood still, and so did what it would have heard
    pulse.look({"a": 1})
    assert pulse.silence("a") <= 2.0


def test_one_that_went_and_came_begins_anew(clock: Clock) -> None:
    pulse = Pulse()
    for seen in ({"a": 1}, {"a": 1}, {}, {"a": 1}):
        clock.now += 1.0
        pulse.look(seen)
    assert pulse.silence("a") == 0.0


class Client:
    """Answers as ``distributed.Client.run`` does: not at all while one of those asked stands still."""

    def __init__(self, still: set[str], dead: set[str]) -> None:
        self.still, self.dead, self.asked = still, dead, 0

    async def run(self, function: Any, *args: Any, workers: list[str], on_error: str) -> dict[str, Any]:
        assert on_error == "return"
        self.asked += 1
        if self.still & set(workers):
            await asyncio.Event().wait()
        return {w: OSError("gone") if w in self.dead else function(*args) for w in workers}


async def test_one_worker_that_stands_still_does_not_silence_the_others() -> None:
    client = Client(still={"b"}, dead={"c"})
    began = time.monotonic()
    answers = await ask(client, max, 1, 2, workers=["a", "b", "c"], seconds=0.05)
    assert answers["a"] == 2 and isinstance(answers["b"], TimeoutError) and type(answers["c"]) is OSError
    assert "b does not answer" in str(answers["b"]) and client.asked == 4 and time.monotonic() - began < 30


async def test_all_are_asked_at_once_where_all_answer() -> None:
    client = Client(still=set(), dead=set())
    assert await ask(client, max, 1, 2, workers=["a", "b"], seconds=5.0) == {"a": 2, "b": 2}
    assert client.asked == 1 and await ask(client, max, 1, 2, workers=[], seconds=5.0) == {}
