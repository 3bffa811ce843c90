"""Who is told of the end of a dispatch: what ``notify=`` and the setting ``on_finish`` may be."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

#: False: nobody. True or None: as configured. "failure": as configured, if an electron fails. Else a command or address.
Notify = bool | str | None

FAILURE = "failure"
_WAYS = 'it is True, False, "failure", a command such as "notify-send covalent", or an address such as "https://..."'
_MOST = 4000  # characters


def is_address(target: str) -> bool:
    return target.lower().startswith(("http://", "https://"))


def words_of(command: str) -> list[str]:
    """The program and its arguments, split as a shell does; ValueError for an open quote."""
    return shlex.split(command)


def problem_with(value: object) -> str:
    """What is wrong with a value of ``notify``; "" if nothing is."""
    if value is None or isinstance(value, bool) or value == FAILURE:
        return ""
    if not isinstance(value, str):
        return f"notify cannot be {type(value).__name__}: {_WAYS}"
    return problem_with_target(value, "notify", _WAYS)


def problem_with_target(
    target: str, what: str, ways: str = "it is a command, or an address such as https://..."
) -> str:
    """What is wrong with a command or address; "" if nothing is."""
    if len(target) > _MOST:
        return f"{what} has {len(target)} characters; {_MOST} are allowed"
    if is_address(target):
        try:
            parts = urlsplit(target)
            _ = parts.port
        except ValueError as error:
            return f"{what}: {target[:100]!r} is no address: {error}"
        return "" if parts.hostname else f"{what}: {target[:100]!r} names no host"
    try:
        words = words_of(target)
    except ValueError as error:
        return f"{what}: {target[:100]!r} is no command: {error}; {ways}"
    if not words or "\x00" in target:
        return f"{what} is empty: {ways}"
    if "://" in words[0]:
        return f"{what}: {target[:100]!r}: only http:// and https:// addresses are called; {ways}"
    return ""
