"""How far a cell that runs outside is, as it says with ``ct.progress`` and ``ct.report``: one line."""

from __future__ import annotations

import html
from typing import Any

from ..client.display import duration_text, plain, shorten

_WIDTH = 40  # characters of a name or value
_VALUES = 8  # reported values that are shown

Advance = dict[str, Any]  # bars (done, total, elapsed, name, bars) and the last report


def advance_text(advance: Advance) -> str:
    """``epoch 3/10 30% 12 s · loss=0.1``"""
    return " · ".join([*map(_bar_text, _bars(advance)), *_report(advance)])


def advance_html(advance: Advance) -> str:
    """The same with drawn bars."""
    parts = []
    for bar in _bars(advance):
        total = bar.get("total")
        drawn = f'<progress value="{float(bar["done"])}" max="{float(total)}"></progress> ' if total else ""
        parts.append(f"{drawn}{html.escape(_bar_text(bar))}")
    return " · ".join([*parts, *map(html.escape, _report(advance))])


def _bars(advance: Advance) -> list[Advance]:
    return advance.get("bars") or ([advance] if "done" in advance else [])


def _bar_text(bar: Advance) -> str:
    done, total = bar["done"], bar.get("total")
    far = f"{done:g}/{total:g} {100 * done / total:.0f}%" if total else f"{done:g}"
    name = shorten(plain(bar.get("name", "")), _WIDTH)
    return " ".join(filter(None, (name, far, duration_text(bar.get("elapsed")))))


def _report(advance: Advance) -> list[str]:
    values = list(advance.get("report", {}).items())
    shown = [f"{plain(name)}={_value_text(value)}" for name, value in values[:_VALUES]]
    return [" ".join([*shown, *(["…"] if len(values) > _VALUES else [])])] if shown else []


def _value_text(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else shorten(plain(value), _WIDTH)
