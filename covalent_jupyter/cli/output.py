"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ..client.display import Cell, paint, plain, text_table
from ..errors import InvalidRequest


class Out:
    """Where a command prints. ``json`` is True where a program reads."""

    def __init__(self, json: bool = False) -> None:
        self.json = json
        self.colour = (
            not json and sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )
        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="replace")  # signs must not break a terminal that has no UTF-8

    def say(self, text: str = "", tone: str = "") -> None:
        """A line for people; nothing under ``--json``. User text in it must be neutralised before (:func:`plain`)."""
        if not self.json:
            print(paint(text, tone, self.colour) if tone else text)

    def data(self, value: Any) -> None:
        """The answer for programs; nothing without ``--json``."""
        if self.json:
            encoded = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2)
            print(encoded.decode("utf-8"))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Cell]], limit: int = 48) -> None:
        if not self.json:
            print(text_table(header, rows, colour=self.colour, limit=limit))

    def facts(self, pairs: Iterable[tuple[str, Any]]) -> None:
        """Names and values, one a line."""
        shown = [(name, "" if value is None else plain(value)) for name, value in pairs]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            self.say(f"{paint(name.ljust(width), 'mute', self.colour)}  {value}".rstrip())

    def text(self, text: str) -> None:
        """What a user's code printed: only new lines and tabs act."""
        sys.stdout.write(plain(text, lines=True))
        sys.stdout.flush()


def complain(text: str) -> None:
    """An error for people."""
    print(f"jupyter covalent: {text}", file=sys.stderr)


def confirmed(question: str, yes: bool) -> bool:
    """Whether the user agrees; asked beside the answer, which a program may read. InvalidRequest where nobody can answer."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise InvalidRequest(f"{question} Add --yes where nobody can answer")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
