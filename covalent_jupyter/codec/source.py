"""Lines of source that travel with code which has no file: functions of notebooks, whose tracebacks show them."""

from __future__ import annotations

import linecache
import os
from types import CodeType
from typing import Any

_MOST = 100_000  # characters


def lines_of(code: CodeType) -> tuple[int, str]:
    """The first line's number, and the lines of this code where only this process has them; else ``(0, "")``."""
    file = code.co_filename
    entry = linecache.cache.get(file)
    if entry is None or len(entry) != 4 or os.path.exists(file):
        return 0, ""
    first = code.co_firstlineno
    last = max((line for line in _numbers(code) if line), default=first)
    text = "".join(entry[2][max(first, 1) - 1 : last])
    return (first, text) if len(text) <= _MOST else (0, "")


def _numbers(code: CodeType) -> list[int]:
    found = [end or line or 0 for line, end, *_ in code.co_positions()]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found += _numbers(constant)
    return found


def with_lines(arguments: tuple[Any, ...], first: int, text: str) -> CodeType:
    """The code object; tracebacks through it find its lines."""
    code = CodeType(*arguments)
    add_lines(code.co_filename, first, text)
    return code


def add_lines(file: str, first: int, text: str) -> None:
    """Let ``linecache`` find these lines of a file that is not here. What it knows already stays."""
    entry = linecache.cache.get(file)
    known = list(entry[2]) if entry is not None and len(entry) == 4 else []
    if entry is None and os.path.exists(file):
        return
    lines = text.splitlines(keepends=True)
    known += ["\n"] * (first - 1 + len(lines) - len(known))
    for at, line in enumerate(lines, first - 1):
        if not known[at].strip():
            known[at] = line
    linecache.cache[file] = (sum(map(len, known)), None, known, file)
