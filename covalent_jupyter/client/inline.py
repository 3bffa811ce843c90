"""``dispatch(..., inline=True)``: everything runs here and now, as plain function calls."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator
from datetime import datetime
from typing import Any

from ..model import Status
from .electrons import moment
from .handle import DispatchId


class InlineResult:
    """The result of a dispatch that ran in this process; nothing of it is recorded."""

    def __init__(self, dispatch_id: str, value: Any, inputs: dict[str, Any], started: float, ended: float) -> None:
        self.dispatch_id = self.root_dispatch_id = dispatch_id
        self.status = Status.COMPLETED
        self.value = self.result = self.partial = value
        self.error: str | None = None
        self.inputs = inputs
        self.start_time: datetime | None = moment(started)
        self.end_time: datetime | None = moment(ended)

    def raise_for_status(self) -> InlineResult:
        return self

    def __repr__(self) -> str:
        return f"✓ {self.dispatch_id} ran here and is not recorded: {self.value!r}"


class InlineDispatch(DispatchId):
    """A dispatch id that knows its value already."""

    _inline: InlineResult

    def __new__(cls, result: InlineResult) -> InlineDispatch:
        self = super().__new__(cls, result.dispatch_id)
        assert isinstance(self, InlineDispatch)
        self._inline = result
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)  # what was not recorded does not travel

    @property
    def status(self) -> Status:
        return self._inline.status

    def wait(self, timeout: float | None = None) -> Status:
        return self._inline.status

    def value(self, timeout: float | None = None) -> Any:
        return self._inline.value

    def result(self, timeout: float | None = None) -> Any:
        return self._inline

    def __await__(self) -> Generator[Any, None, Any]:
        return self._done().__await__()

    async def _done(self) -> InlineResult:
        return self._inline

    def _repr_html_(self) -> str | None:
        return None


def run_inline(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> InlineDispatch:
    """Call the lattice as an ordinary function. Electrons are plain calls, one after another, so that breakpoints and a
    debugger work; what they raise is raised here."""
    started = time.time()
    value = function(*args, **kwargs)
    inputs = {"args": args, "kwargs": kwargs}
    return InlineDispatch(InlineResult(f"inline-{uuid.uuid4()}", value, inputs, started, time.time()))
