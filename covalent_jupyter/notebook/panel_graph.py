"""The still graph of a dispatch: inline SVG, made here and escaped, which needs neither a script nor a style sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from ..client.boxes import Box, collapse
from ..client.display import COLOURS, GROUND, INK, TONES, plain, shorten, sign_of
from ..model import Status

#: boxes beyond which a still picture helps nobody
BOXES = 80
WIDTH, HEIGHT, GAP, LANE = 150, 40, 46, 14
FONT = "font-family:var(--jp-ui-font-family, system-ui, sans-serif)"


class _Place(NamedTuple):
    x: float
    y: float


def graph_svg(graph: dict[str, Any]) -> str:
    """The picture of what ``GET dispatches/{id}/graph`` answers; "" where there is nothing to see, or too much."""
    nodes, edges = graph["nodes"], graph["edges"]
    boxes, links = collapse(nodes, edges)
    if len(boxes) < 2 or len(boxes) > BOXES:
        return ""
    states = {int(node[0]): Status(node[3]) for node in nodes}
    places, width, height = _places(boxes, links)
    drawn = [_edge(places[a], places[b]) for a, b in sorted(links)]
    drawn += [_box(box, place, [states[n] for n in box.nodes]) for box, place in zip(boxes, places, strict=True)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="transport graph" '
        f'style="max-width:100%;height:auto;display:block;margin:6px 0;{FONT}">{"".join(drawn)}</svg>'
    )


def _places(boxes: Sequence[Box], links: set[tuple[int, int]]) -> tuple[list[_Place], float, float]:
    """Columns by level; in each the order is that of the mean of what feeds a box, which crosses few lines."""
    columns: dict[int, list[int]] = {}
    for number, box in enumerate(boxes):
        columns.setdefault(box.level, []).append(number)
    tallest = max(len(column) for column in columns.values())
    height = tallest * (HEIGHT + LANE) - LANE + 4
    rank: dict[int, float] = {}
    for level in sorted(columns):
        column = columns[level]
        feeds = {n: [rank[a] for a, b in links if b == n and a in rank] for n in column}
        column.sort(key=lambda n: sum(feeds[n]) / len(feeds[n]) if feeds[n] else 0.0)
        top = (tallest - len(column)) / 2
        rank.update({n: top + i for i, n in enumerate(column)})
    places = [_Place(2 + box.level * (WIDTH + GAP), 2 + rank[n] * (HEIGHT + LANE)) for n, box in enumerate(boxes)]
    return places, max(columns) * (WIDTH + GAP) + WIDTH + 10, height + 4


def _edge(start: _Place, end: _Place) -> str:
    x1, y1, x2, y2 = start.x + WIDTH, start.y + HEIGHT / 2, end.x, end.y + HEIGHT / 2
    middle = (x1 + x2) / 2
    return (
        f'<path d="M{x1:g} {y1:g} C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}" '
        f'style="fill:none;stroke:{COLOURS["mute"]};stroke-width:1;opacity:.6"/>'
    )


def _box(box: Box, place: _Place, states: Sequence[Status]) -> str:
    tone = COLOURS[TONES[box.status]]
    sign, word = sign_of(box.status)
    count = f" × {len(box.nodes)}" if len(box.nodes) > 1 else ""
    label = shorten(plain(box.name), 18 - len(count)) + count
    line = _mixture(states) if len(set(states)) > 1 else word
    dashes = ";stroke-dasharray:4 3" if box.status is Status.SKIPPED else ""
    look = f"fill:{GROUND};stroke:{tone};stroke-width:1.2{dashes}"
    back = [
        f'<rect x="{place.x + shift:g}" y="{place.y - shift:g}" width="{WIDTH}" height="{HEIGHT}" rx="4" style="{look}"/>'
        for shift in ((4, 2, 0) if len(box.nodes) > 1 else (0,))
    ]
    return (
        f"<g><title>{escape(plain(box.name))}: {escape(_mixture(states))}</title>{''.join(back)}"
        f'<text x="{place.x + 10:g}" y="{place.y + 17:g}" style="font-size:12px;fill:{INK}">'
        f'<tspan style="fill:{tone};font-weight:700">{sign}</tspan> {escape(label)}</text>'
        f'<text x="{place.x + 25:g}" y="{place.y + 32:g}" style="font-size:10px;fill:{COLOURS["mute"]}">'
        f"{escape(line)}</text></g>"
    )


def _mixture(states: Sequence[Status]) -> str:
    """``9 ✓  3 ◐``; the word alone where there is one state."""
    counted = Counter(sign_of(state) for state in states)
    if len(counted) == 1:
        [((_, word), _)] = counted.items()
        return word
    return "  ".join(f"{number} {sign}" for (sign, _), number in counted.most_common())
