"""What went wrong in an electron, as data: type, message, the user's frames, and what to do next."""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from types import FrameType, TracebackType
from typing import Any, Literal

from .. import codec
from ..model.work import INLINE, Error, Frame, Output

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_STDLIB = sysconfig.get_path("stdlib") + os.sep
_PACKAGES = tuple({sysconfig.get_path(name) + os.sep for name in ("purelib", "platlib")})
_MAX_FRAMES = 100
_MAX_TEXT = 100_000
_MAX_MESSAGE = 10_000

Cause = Literal["raised", "crashed", "timeout", "memory", "interrupted", "encode", "decode", "deps", "executor"]


def message_of(exception: BaseException) -> str:
    """The exception's text, whatever its ``__str__`` does."""
    try:
        text = str(exception)
        return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}... ({len(text)} characters)"
    except BaseException as error:  # border: the user's __str__
        return f"(its __str__ raised {type(error).__name__})"


def error_of(exception: BaseException, cause: Cause = "raised", *, hint: str = "", message: str = "") -> Error:
    """The error of an exception that the user's code, or something done on its behalf, raised."""
    shown = users_part(exception.__traceback__)
    kind = type(exception).__name__
    exitcode = None
    if not message and isinstance(exception, SystemExit):
        code = exception.code
        exitcode = code if isinstance(code, int) else (0 if code is None else 1)
        message = f"sys.exit({'' if code is None else repr(code)})"
        hint = hint or "an electron ends by returning a value; sys.exit() makes it fail"
    elif not message and isinstance(exception, KeyboardInterrupt):
        message = message_of(exception) or "the electron was interrupted"
    return Error(
        kind,
        message or message_of(exception),
        frames=frames_of(shown),
        text=text_of(exception, shown),
        exception=blob_of(exception),
        exitcode=exitcode,
        hint=hint,
        cause=cause,
    )


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
