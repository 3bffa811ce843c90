"""What stands in the place of a value that an electron with ``on_error="value"`` failed to give."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Failed:
    """An electron failed and its consumers asked to see it: type of the exception, message, node id. It is false."""

    type: str
    message: str
    node: int

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type
