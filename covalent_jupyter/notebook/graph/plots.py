"""Two columns of a table as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .text import safe
from .theme import SERIES, axis, hover_label, page

#: series that have a colour and an entry in the legend of their own
MOST = 24
#: from this ratio of largest to smallest on, an axis of positive numbers is logarithmic
DECADES = 100.0
#: points with markers
MARKED = 400


def plot_table(rows: Sequence[Mapping[str, Any]], x: str, y: str, color: str | None = None, *, title: str = "") -> Any:
    """Column ``y`` over column ``x``, one line for each value of ``color``; rows without either are left out.

    Points whose ``x`` is no number are not joined by a line. Gives a ``plotly.graph_objects.Figure``.
    """
    import plotly.graph_objects as go

    shown = [row for row in rows if row.get(x) is not None and row.get(y) is not None]
    series: dict[str, list[Mapping[str, Any]]] = {}
    for row in shown:
        series.setdefault(_text(row.get(color)) if color else "", []).append(row)
    if len(series) > MOST:  # no legend has room for that
        series, color = {"": list(shown)}, None
    numbers = all(_is_number(row[x]) for row in shown)
    traces = [
        _trace(found, x, y, f"{color} = {name}" if color else "", SERIES[at % len(SERIES)], numbers, len(shown))
        for at, (name, found) in enumerate(series.items())
    ]
    left_out = len(rows) - len(shown)
    said = f"{title}  ({left_out} of {len(rows)} have no {y} yet)" if left_out else title
    layout = {
        **page(said), "height": 380, "margin": {"l": 60, "r": 40, "t": 44, "b": 50}, "hovermode": "closest",
        "xaxis": axis(x, **_kind([row[x] for row in shown], numbers)), "yaxis": axis(y),
        "legend": {"bgcolor": "rgba(0,0,0,0)", "font": {"size": 11}}, "showlegend": color is not None,
    }  # fmt: skip
    return go.Figure({"data": traces, "layout": layout})


def _kind(values: Sequence[Any], numbers: bool) -> dict[str, str]:
    """Names side by side; numbers that span decades by their logarithm."""
    if not numbers:
        return {"type": "category"}
    return {"type": "log"} if values and min(values) > 0 and max(values) / min(values) >= DECADES else {}


def _trace(
    rows: list[Mapping[str, Any]], x: str, y: str, name: str, colour: str, numbers: bool, total: int
) -> dict[str, Any]:
    ordered = sorted(rows, key=lambda row: row[x]) if numbers else rows
    joined = numbers and len({row[x] for row in rows}) == len(rows) > 1
    return {
        "type": "scatter", "mode": ("lines+markers" if total <= MARKED else "lines") if joined else "markers",
        "x": [row[x] if numbers else safe(_text(row[x]), 30) for row in ordered],
        "y": [row[y] if _is_number(row[y]) else safe(_text(row[y]), 30) for row in ordered],
        "name": safe(name, 40), "hoverinfo": "text", "hoverlabel": hover_label(colour),
        "hovertext": ["<br>".join(f"{safe(k, 40)} = {safe(_text(v), 60)}" for k, v in row.items() if v is not None)
                      for row in ordered],
        "line": {"color": colour, "width": 1.6}, "marker": {"color": colour, "size": 7},
    }  # fmt: skip


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else repr(value)
