"""Who of a Dask cluster still speaks: questions that do not wait for ever, and silence that is counted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

log = logging.getLogger(__name__)

ANSWER = 5.0  # seconds that a worker has for an answer
IDENTITY = 3.0  # seconds that the scheduler has for one
_STEP = 2.0  # seconds that one look adds at most: silence is not counted while this process itself stands still


async def ask(
    client: Any, function: Callable[..., Any], *args: Any, workers: Sequence[str] | None = None, seconds: float = ANSWER
) -> dict[str, Any]:
    """What ``function`` gives on each worker, by address (None: on all). A worker that is gone, or does not answer in ``seconds``,
    gives the exception (TimeoutError) in place of an answer. OSError if the scheduler cannot be reached.

    It is asked once for all. A single worker that stands still would hold up that answer for ever: then it is asked for each
    alone, so ``function`` must bear being called twice.
    """
    if workers is not None and not workers:
        return {}
    try:
        answers: dict[str, Any] = await asyncio.wait_for(
            client.run(function, *args, workers=workers, on_error="return"), seconds
        )
        return answers
    except TimeoutError:
        addresses = list(workers if workers is not None else (await identity(client))["workers"])
    alone = await asyncio.gather(*(_ask_one(client, function, args, address, seconds) for address in addresses))
    return dict(zip(addresses, alone, strict=True))


async def identity(client: Any) -> dict[str, Any]:
    """What the scheduler tells of itself and its workers. TimeoutError if it does not answer."""
    try:
        found: dict[str, Any] = await asyncio.wait_for(client.scheduler.identity(), IDENTITY)
        return found
    except TimeoutError:
        raise TimeoutError(f"the Dask scheduler at {client.scheduler.address} does not answer") from None


async def _ask_one(
    client: Any, function: Callable[..., Any], args: tuple[Any, ...], address: str, seconds: float
) -> Any:
    try:
        answers = await asyncio.wait_for(client.run(function, *args, workers=[address], on_error="return"), seconds)
        return answers[address]
    except TimeoutError:
        log.warning("the Dask worker %s does not answer", address)
        return TimeoutError(f"the Dask worker {address} does not answer")
    except (OSError, KeyError) as error:
        return error


class Pulse:
    """Counts for how long nothing new was heard of each worker. Clocks of other machines are never compared with ours."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}  # what was seen, by name
        self._silence: dict[str, float] = {}
        self._looked = time.monotonic()

    def look(self, seen: Mapping[str, Any]) -> None:
        """``seen``: for each name something that changes whenever it speaks."""
        now = time.monotonic()
        step, self._looked = min(now - self._looked, _STEP), now
        self._silence = {
            name: self._silence.get(name, 0.0) + step if self._last.get(name) == sign else 0.0
            for name, sign in seen.items()
        }
        self._last = dict(seen)

    def silence(self, name: str) -> float:
        """Seconds."""
        return self._silence.get(name, 0.0)
