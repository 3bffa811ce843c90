"""Moments as people say them: ``"2 days"``, ``"yesterday"``, a date, a ``datetime``."""

from __future__ import annotations

import re
import time
from datetime import date, datetime, timedelta
from typing import Any

from ..errors import InvalidRequest

_SECONDS = {
    "s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86_400, "day": 86_400,
    "w": 604_800, "week": 604_800, "month": 2_592_000, "year": 31_536_000,
}  # fmt: skip
_AGO = re.compile(r"(?:last\s+|past\s+)?(?P<number>\d+(?:\.\d+)?|an?|the)?\s*(?P<unit>[a-z]+?)s?(?:\s+ago)?")


def moment_of(said: Any, now: float | None = None) -> float:
    """Seconds since the epoch of a datetime or date (naive: local time), of a duration before now (``timedelta``,
    ``"2 days"``, ``"3 h ago"``), of ``"today"``, ``"yesterday"`` (their beginning), or of an ISO date.

    InvalidRequest for anything else.
    """
    present = time.time() if now is None else now
    if isinstance(said, datetime):
        return said.timestamp()
    if isinstance(said, date):
        return datetime(said.year, said.month, said.day).timestamp()
    if isinstance(said, timedelta):
        return present - said.total_seconds()
    if isinstance(said, (int, float)) and not isinstance(said, bool):
        return float(said)
    found = _of_text(said.strip().lower(), present) if isinstance(said, str) else None
    if found is None:
        raise InvalidRequest(
            f'{said!r} is no moment: give a datetime, "2 days", "3 h", "yesterday", "today" or a date as '
            '"2026-11-25" or "2026-11-25 14:30"'
        )
    return found


def _of_text(text: str, now: float) -> float | None:
    day = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("today", "yesterday", "now"):
        return {"today": day.timestamp(), "yesterday": (day - timedelta(days=1)).timestamp(), "now": now}[text]
    match = _AGO.fullmatch(text)
    if match and match["unit"] in _SECONDS:
        number = match["number"] or "1"
        return now - (float(number) if number[0].isdigit() else 1.0) * _SECONDS[match["unit"]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
