"""Errors as people who type a magic should see them: what is wrong and where in their cell, without our frames."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any, Literal

from ..client.failures import short_place
from ..errors import CovalentError
from ..worker.failure import users_part

_RED, _PLAIN = "\x1b[31m", "\x1b[0m"


class CellSyntaxError(Exception):
    """The SyntaxError of a cell. (IPython shows the frames of everybody who passed a SyntaxError on.)"""

    def __init__(self, error: SyntaxError) -> None:
        super().__init__(error.msg)
        self.error = error
        self.lineno, self.offset = error.lineno, error.offset

    def _render_traceback_(self) -> list[str]:
        error = self.error
        place = short_place(error.filename or "", error.lineno or 0)
        lines = traceback.format_exception_only(error)
        return [place, *(line.rstrip("\n") for line in lines[1:-1]), f"{_RED}SyntaxError{_PLAIN}: {error.msg}"]


CellSyntaxError.__name__ = CellSyntaxError.__qualname__ = "SyntaxError"


def plainly(error: BaseException) -> BaseException:
    """The same error; shown in a notebook it is its message, below what of its causes is the user's."""

    def render() -> list[str]:
        lines: list[str] = []
        cause = error.__cause__
        own = users_part(cause.__traceback__) if cause is not None and isinstance(error, CovalentError) else None
        if cause is not None and own is not None:
            for frame in traceback.extract_tb(own):
                lines.append(f"{short_place(frame.filename, frame.lineno or 0)}, in {frame.name}")
                lines += [f"    {frame.line}"] if frame.line else []
            if str(cause) not in str(error):
                lines.append(f"{type(cause).__name__}: {cause}")
            lines.append("")
        text = str(error)
        lines.append(
            f"{_RED}{type(error).__name__}{_PLAIN}: {text}" if text else f"{_RED}{type(error).__name__}{_PLAIN}"
        )
        lines += [str(note) for note in getattr(error, "__notes__", ())]
        return lines

    try:
        vars(error)["_render_traceback_"] = render
    except TypeError:  # an exception without a dict
        pass
    return error


class Clear:
    """``with Clear():`` makes errors that were raised on purpose plain ones."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> Literal[False]:
        if isinstance(error, SyntaxError) and not isinstance(error, CovalentError):
            raise CellSyntaxError(error) from None
        if isinstance(error, CovalentError):
            plainly(error)
        return False


def raised(result: Any) -> Any:
    """``result`` if the dispatch completed; else its error, plainly."""
    try:
        return result.raise_for_status()
    except Exception as error:  # border: whatever the user's electron raised
        raise plainly(error).with_traceback(None)  # noqa: B904 - the same one
