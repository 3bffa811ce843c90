"""What went wrong in an electron, as data: type, message, the user's frames, and what to do next."""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Literal

from .. import codec
from ..errors import CovalentError
from ..model.wire import sendable
from ..model.work import INLINE, Error, Frame, Output

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_STDLIB = sysconfig.get_path("stdlib") + os.sep
_PACKAGES = tuple({sysconfig.get_path(name) + os.sep for name in ("purelib", "platlib")})
_MAX_FRAMES = 100
_MAX_TEXT = 100_000
_MAX_MESSAGE = 10_000
_MAX_BEHIND = 20
_MAX_LINE = 300

Cause = Literal["raised", "crashed", "timeout", "memory", "interrupted", "encode", "decode", "deps", "executor"]


def message_of(exception: BaseException) -> str:
    """The exception's text, whatever its ``__str__`` does."""
    return _said(exception, str)


def _said(obj: Any, how: Callable[[Any], str]) -> str:
    try:
        text = sendable(how(obj))
        return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}... ({len(text)} characters)"
    except BaseException as error:  # border: the user's __str__ or __repr__
        return f"(its __{how.__name__}__ raised {type(error).__name__})"


def error_of(exception: BaseException, cause: Cause = "raised", *, hint: str = "", message: str = "") -> Error:
    """The error of an exception that the user's code, or something done on its behalf, raised."""
    shown = users_part(exception.__traceback__)
    kind = type(exception).__name__
    exitcode = None
    if not message and isinstance(exception, SystemExit):
        code = exception.code
        exitcode = _exitcode(code)
        message = f"sys.exit({'' if code is None else _said(code, repr)})"
        hint = hint or "an electron ends by returning a value; sys.exit() makes it fail"
    elif not message and isinstance(exception, KeyboardInterrupt):
        message = message_of(exception) or "the electron was interrupted"
    return Error(
        kind,
        message or message_of(exception),
        frames=frames_of(shown),
        text=text_of(exception, shown),
        behind=behind(exception),
        exception=blob_of(exception),
        exitcode=exitcode,
        hint=hint,
        cause=cause,
    )


def _exitcode(code: Any) -> int:
    """The exit code of ``sys.exit(code)``, as Python understands it."""
    if not isinstance(code, int):
        return 0 if code is None else 1
    return int(code) if -(2**31) <= code < 2**31 else 255


def behind(exception: BaseException) -> tuple[str, ...]:
    """One line for each exception that this one was raised from, and for each inside a group."""
    if isinstance(exception, CovalentError):  # its message says why
        return ()
    try:
        lines = [*_members(exception), *_origins(exception)]
    except BaseException:  # border: classes of exceptions are the user's
        return ()
    if len(lines) > _MAX_BEHIND:
        lines[_MAX_BEHIND:] = [f"... and {len(lines) - _MAX_BEHIND} more"]
    return tuple(lines)


def _members(exception: BaseException, indent: str = "") -> Iterator[str]:
    if isinstance(exception, BaseExceptionGroup) and len(indent) < 10:
        for number, inner in enumerate(exception.exceptions, 1):
            yield f"{indent}{number} of {len(exception.exceptions)}: {_line(inner)}"
            yield from _members(inner, indent + "  ")


def _origins(exception: BaseException) -> Iterator[str]:
    seen = {id(exception)}
    while True:
        cause = exception.__cause__
        origin = cause if cause is not None or exception.__suppress_context__ else exception.__context__
        if origin is None or id(origin) in seen:
            return
        yield f"{'caused by' if origin is cause else 'while handling'} {_line(origin)}"
        yield from _members(origin, "  ")
        seen.add(id(origin))
        exception = origin


def _line(exception: BaseException) -> str:
    """Type and message in one short line."""
    text = " ".join(f"{type(exception).__name__}: {message_of(exception)}".split()).rstrip(": ")
    return text if len(text) <= _MAX_LINE else f"{text[: _MAX_LINE - 3]}..."


def users_part(tb: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame on that is the user's; all that is not ours if there is none such."""
    first = tb
    while tb is not None and not is_users(tb.tb_frame):
        tb = tb.tb_next
    if tb is not None:
        return tb
    while first is not None and first.tb_frame.f_code.co_filename.startswith(_OURS):
        first = first.tb_next
    return first


def is_users(frame: FrameType) -> bool:
    return is_users_file(frame.f_code.co_filename)


def is_users_file(file: str) -> bool:
    """Whether the file is neither ours nor Python's nor an installed package's."""
    if file.startswith(_PACKAGES) or file.startswith("<frozen "):
        return False
    return not file.startswith(_OURS) and not file.startswith(_STDLIB)


def frames_of(tb: TracebackType | None) -> list[Frame]:
    found: list[Frame] = []
    for frame, line in traceback.walk_tb(tb):
        code = frame.f_code
        if code.co_filename.startswith(_OURS):
            continue
        if len(found) < _MAX_FRAMES:
            text = linecache.getline(code.co_filename, line, frame.f_globals).strip()
            found.append(Frame(code.co_filename, line, code.co_name, text, is_users_file(code.co_filename)))
        else:
            found[-1] = Frame(code.co_filename, line, code.co_name, "", is_users_file(code.co_filename))
    return found


def text_of(exception: BaseException, tb: TracebackType | None) -> str:
    """The formatted traceback with causes, without our frames."""
    try:
        text = "".join(traceback.format_exception(type(exception), exception, tb))
    except BaseException as error:  # border: __str__, __cause__ and notes are the user's
        text = f"{type(exception).__name__}: (formatting it raised {type(error).__name__})\n"
    if len(text) > _MAX_TEXT:
        text = f"{text[: _MAX_TEXT // 2]}\n... {len(text) - _MAX_TEXT} characters ...\n{text[-_MAX_TEXT // 2 :]}"
    return text


def blob_of(exception: BaseException) -> Output | None:
    """The pickled exception where it can be made and is small."""
    chunks: list[Any] | None
    try:
        chunks = codec.encode_exception(exception)
    except BaseException:  # border: __reduce__ is the user's
        return None
    if chunks is None:
        return None
    data = b"".join(chunks)
    return Output(codec.digest_of([data]), len(data), data) if len(data) <= INLINE else None
