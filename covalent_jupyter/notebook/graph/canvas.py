"""A picture with coordinates: rectangles and lines, open sublattices inside their frames. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ...client.display import shorten, width_of
from .layout import Layout, layered
from .picture import Box, Picture

Point = tuple[float, float]

#: of a box: pixels per character of name and detail, and around them
NAME_CHAR, DETAIL_CHAR, PADDING = 7.4, 6.0, 13.0
NARROW, WIDE = 92.0, 230.0
LINE = 16.0
#: characters of a name and of a detail that are shown
NAME, DETAIL = 28, 34
#: of an open sublattice: around its insides, and for its name
FRAME, HEADER = 16.0, 26.0
#: arrows with names that end apart from one another at most, and the room that each takes
PORTS, PORT, PORT_DOWN = 6, 17.0, 56.0


class Rectangle(NamedTuple):
    """A box: its middle and size; ``depth`` counts the sublattices round it, ``path`` the positions in each picture."""

    box: Box
    x: float
    y: float
    width: float
    height: float
    depth: int
    path: tuple[int, ...]


class Line(NamedTuple):
    points: list[Point]  # from the border of one box to that of the other
    label: str


class Canvas(NamedTuple):
    rectangles: list[Rectangle]  # frames before what is in them
    lines: list[Line]
    width: float
    height: float
    down: bool


def arrange(picture: Picture, *, down: bool = False) -> Canvas:
    """Places everything; left to right, or top ``down``."""
    rectangles, lines, width, height = _arranged(picture, down, 0, ())
    return Canvas(rectangles, lines, width, height, down)


def _arranged(
    picture: Picture, down: bool, depth: int, path: tuple[int, ...]
) -> tuple[list[Rectangle], list[Line], float, float]:
    inside = {
        at: _arranged(box.inner, down, depth + 1, (*path, at))
        for at, box in enumerate(picture.boxes)
        if box.inner is not None
    }
    fed = Counter(arrow.end for arrow in picture.arrows if arrow.label)
    sizes = [
        _framed(box, *inside[at][2:]) if at in inside else _size(box, fed[at], down)
        for at, box in enumerate(picture.boxes)
    ]
    layout = layered(sizes, [(a.start, a.end) for a in picture.arrows], down=down)
    rectangles: list[Rectangle] = []
    lines = []
    for at, (box, place) in enumerate(zip(picture.boxes, layout.places, strict=True)):
        rectangles.append(Rectangle(box, *place, depth, (*path, at)))
        if at in inside:
            left = place.x - inside[at][2] / 2
            top = place.y - place.height / 2 + HEADER + FRAME / 2
            rectangles += [r._replace(x=r.x + left, y=r.y + top) for r in inside[at][0]]
            lines += [Line([(x + left, y + top) for x, y in line.points], line.label) for line in inside[at][1]]
    ports = _ports(picture, layout, down)
    for number, (arrow, bends) in enumerate(zip(picture.arrows, layout.bends, strict=True)):
        start, end = layout.places[arrow.start], layout.places[arrow.end]
        leaves, enters = layout.sides[arrow.start][1], layout.sides[arrow.end][0]
        if down:
            first = [(start.x, start.y + start.height / 2), (start.x, leaves)]
            last = [(ports[number], enters), (ports[number], end.y - end.height / 2)]
        else:
            first = [(start.x + start.width / 2, start.y), (leaves, start.y)]
            last = [(enters, ports[number]), (end.x - end.width / 2, ports[number])]
        lines.append(Line([*dict.fromkeys(first), *bends, *dict.fromkeys(last)], arrow.label))
    return rectangles, lines, layout.width, layout.height


def _ports(picture: Picture, layout: Layout, down: bool) -> list[float]:
    """Where on the side of its box each arrow ends: apart where they carry names."""
    across = 0 if down else 1
    ports = [layout.places[arrow.end][across] for arrow in picture.arrows]
    named: dict[int, list[int]] = {}
    for number, arrow in enumerate(picture.arrows):
        if arrow.label:
            named.setdefault(arrow.end, []).append(number)
    for end, numbers in named.items():
        if not 1 < len(numbers) <= PORTS:
            continue
        numbers.sort(key=lambda n: _last(layout, picture, n)[across])
        step = layout.places[end][2 + across] / (len(numbers) + (1 if down else 0.4))
        for at, number in enumerate(numbers):
            ports[number] += (at - (len(numbers) - 1) / 2) * step
    return ports


def _last(layout: Layout, picture: Picture, number: int) -> Point:
    """Where an arrow comes from before it ends."""
    bends, start = layout.bends[number], layout.places[picture.arrows[number].start]
    return bends[-1] if bends else (start.x, start.y)


def title_of(box: Box) -> str:
    """The first line of a box, without its sign."""
    mark = "⊞ " if box.kind == "sublattice" and box.inner is None else "⊟ " if box.inner is not None else ""
    number = f" × {len(box.nodes)}" if len(box.nodes) > 1 else ""
    return f"{mark}{shorten(box.name, NAME)}{number}"


def detail_of(box: Box) -> str:
    """The second line; ``""`` for none."""
    return " · ".join(part for part in (shorten(box.detail, DETAIL), box.executor) if part)


def _size(box: Box, named: int = 0, down: bool = False) -> tuple[float, float]:
    """``named`` is the number of arrows with names that end here."""
    detail = detail_of(box)
    wanted = max((width_of(title_of(box)) + 2) * NAME_CHAR, width_of(detail) * DETAIL_CHAR) + 2 * PADDING
    height = LINE * (2 if detail else 1) + PADDING
    width = min(max(wanted, NARROW), WIDE)
    if 1 < named <= PORTS:
        return (max(width, named * PORT_DOWN), height) if down else (width, max(height, named * PORT))
    return width, height


def _framed(box: Box, width: float, height: float) -> tuple[float, float]:
    return max(width + 2 * FRAME, _size(box)[0]), height + HEADER + 1.5 * FRAME


def curve(points: list[Point], down: bool, steps: int) -> Iterator[Point]:
    """The line as points of smooth bends; ``steps`` per piece, 1 for straight pieces."""
    yield points[0]
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        straight = abs(x0 - x1) < 1 if down else abs(y0 - y1) < 1
        for step in range(1, steps):
            if straight:
                break
            t = step / steps
            eased = t * t * (3 - 2 * t)
            yield (x0 + (x1 - x0) * eased, y0 + (y1 - y0) * t) if down else (x0 + (x1 - x0) * t, y0 + (y1 - y0) * eased)
        yield x1, y1
