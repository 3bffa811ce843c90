"""Two columns of a table as inline SVG: the still plot of a sweep, which needs neither a script nor a style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from ..client.display import COLOURS, INK, LINE, plain, shorten
from .graph.plots import DECADES
from .graph.theme import SERIES

#: points and series beyond which a small still picture helps nobody
POINTS, LEGEND = 2000, 8
WIDTH, HEIGHT = 560, 230
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 40
#: categories whose names have room below the axis, and characters of each
NAMES, CHARACTERS = 12, 12
FONT = "font-family:var(--jp-ui-font-family, system-ui, sans-serif)"


class _Axis(NamedTuple):
    """Where values lie on an axis between 0 and 1, and its ticks: (place, text)."""

    places: dict[Any, float]
    ticks: list[tuple[float, str]]


def plot_svg(rows: Sequence[Mapping[str, Any]], x: str, y: str, color: str | None = None) -> str:
    """``y`` over ``x``, one line for each value of ``color``; "" where fewer than two rows have both, or too many."""
    shown = [row for row in rows if row.get(x) is not None and _is_number(row.get(y))]
    if not 2 <= len(shown) <= POINTS:
        return ""
    series: dict[str, list[Mapping[str, Any]]] = {}
    for row in shown:
        series.setdefault(_text(row.get(color)) if color else "", []).append(row)
    named = color is not None and 1 < len(series) <= LEGEND
    if not named:
        series = {"": shown}
    across, up = _axis([row[x] for row in shown]), _numbers([row[y] for row in shown])
    drawn = [_frame(across, up, x, y)]
    for number, found in enumerate(series.values()):
        drawn.append(_series(found, across, up, x, y, SERIES[number % len(SERIES)]))
    legend = _legend(f"{color}", list(series)) if named else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{_safe(y, 40)} over {_safe(x, 40)}" '
        f'style="max-width:100%;height:auto;display:block;margin:6px 0;{FONT}">{"".join(drawn)}</svg>{legend}'
    )


def _axis(values: Sequence[Any]) -> _Axis:
    if all(_is_number(value) for value in values):
        return _numbers(values)
    names = list(dict.fromkeys(_text(value) for value in values))
    at = {name: (number + 0.5) / len(names) for number, name in enumerate(names)}
    ticks = [(at[name], shorten(name, CHARACTERS)) for name in names] if len(names) <= NAMES else []
    return _Axis(at, ticks)


def _numbers(values: Sequence[float]) -> _Axis:
    """Numbers in proportion, or by their logarithm where they span decades."""
    low, high = min(values), max(values)
    if low > 0 and high / low >= DECADES:
        least, most = math.log10(low), math.log10(high)
        places = {value: (math.log10(value) - least) / (most - least) for value in values}
        powers = range(math.ceil(least - 1e-9), math.floor(most + 1e-9) + 1)
        step = max(1, len(powers) // 5)
        return _Axis(places, [((p - least) / (most - least), f"{10.0**p:g}") for p in list(powers)[::step]])
    if low == high:
        return _Axis(dict.fromkeys(values, 0.5), [(0.5, f"{low:.6g}")])
    ticks = [((tick - low) / (high - low), f"{tick:.6g}") for tick in _round_numbers(low, high)]
    return _Axis({value: (value - low) / (high - low) for value in values}, ticks)


def _round_numbers(low: float, high: float) -> list[float]:
    """At most six numbers between them that people like to read."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _at(axis: _Axis, value: Any) -> float:
    return axis.places[value if _is_number(value) and value in axis.places else _text(value)]


def _x(place: float) -> float:
    return LEFT + 8 + place * (WIDTH - LEFT - RIGHT - 16)


def _y(place: float) -> float:
    return HEIGHT - BOTTOM - 8 - place * (HEIGHT - TOP - BOTTOM - 16)


def _frame(across: _Axis, up: _Axis, x: str, y: str) -> str:
    small = f"font-size:10px;fill:{COLOURS['mute']}"
    parts = [
        f'<path d="M{LEFT} {TOP} V{HEIGHT - BOTTOM} H{WIDTH - RIGHT}" style="fill:none;stroke:{LINE};stroke-width:1"/>'
    ]
    for place, text in up.ticks:
        at = _y(place)
        parts.append(
            f'<path d="M{LEFT} {at:.1f} H{WIDTH - RIGHT}" style="stroke:{LINE};stroke-width:1;opacity:.5"/>'
            f'<text x="{LEFT - 6}" y="{at + 3.5:.1f}" text-anchor="end" style="{small}">{_safe(text, 12)}</text>'
        )
    for place, text in across.ticks:
        parts.append(
            f'<text x="{_x(place):.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle" style="{small}">{_safe(text, 14)}</text>'
        )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:g}" y="{HEIGHT - 8}" text-anchor="middle" style="font-size:11px;fill:{INK}">'
        f'{_safe(x, 40)}</text><text x="12" y="{middle:g}" text-anchor="middle" transform="rotate(-90 12 {middle:g})" '
        f'style="font-size:11px;fill:{INK}">{_safe(y, 30)}</text>'
    )
    return "".join(parts)


def _series(rows: Sequence[Mapping[str, Any]], across: _Axis, up: _Axis, x: str, y: str, colour: str) -> str:
    numbers = all(_is_number(row[x]) for row in rows)
    ordered = sorted(rows, key=lambda row: row[x]) if numbers else list(rows)
    places = [(_x(_at(across, row[x])), _y(up.places[row[y]])) for row in ordered]
    line = ""
    if numbers and len({row[x] for row in rows}) == len(rows) > 1:
        way = " ".join(f"{'L' if n else 'M'}{px:.1f} {py:.1f}" for n, (px, py) in enumerate(places))
        line = f'<path d="{way}" style="fill:none;stroke:{colour};stroke-width:1.5"/>'
    dots = "".join(
        f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" style="fill:{colour}"><title>{_hover(row)}</title></circle>'
        for (px, py), row in zip(places, ordered, strict=True)
    )
    return line + dots


def _legend(color: str, names: Sequence[str]) -> str:
    items = "".join(
        f'<span style="margin-right:14px;white-space:nowrap"><span style="display:inline-block;width:8px;height:8px;'
        f'border-radius:4px;margin-right:5px;background:{SERIES[number % len(SERIES)]}"></span>{_safe(name, 30)}</span>'
        for number, name in enumerate(names)
    )
    return (
        f'<div style="font-size:11px;color:{COLOURS["mute"]};margin:0 0 6px {LEFT}px">'
        f'<span style="margin-right:10px">{_safe(color, 30)}</span>{items}</div>'
    )


def _hover(row: Mapping[str, Any]) -> str:
    return "&#10;".join(
        f"{_safe(key, 40)} = {_safe(_text(value), 60)}" for key, value in row.items() if value is not None
    )


def _safe(text: str, width: int) -> str:
    return escape(shorten(plain(text), width))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else repr(value)
