"""Where the boxes of a directed acyclic graph go: ``layered(sizes, edges) -> Layout``. Pure.

Longest paths give the layers, sweeps of barycentres the order inside a layer, and an isotonic regression the
coordinates (every box as near to its neighbours' middle as the order and the gaps allow). A long edge bends through a
place of its own in each layer that it crosses. A layer that would be far taller than the rest is folded into a grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

#: between boxes of one layer, and between layers
GAP = 16.0
LAYER_GAP = 76.0
#: room that a long edge takes in the layers that it crosses
LANE = 10.0
#: sweeps that look for an order with few crossings, and for coordinates
ORDER_SWEEPS = 6
PLACE_SWEEPS = 3
#: places of long edges per box and edge; with more of them, long edges run straight
LANES = 3
#: boxes of one layer that are never folded
TALL = 24


class Place(NamedTuple):
    """A box: its middle and its size."""

    x: float
    y: float
    width: float
    height: float


class Layout(NamedTuple):
    """Boxes in the order given, and for each edge the points between its two boxes (two in each layer that it crosses).
    All inside 0..width, 0..height. ``sides`` is for each box where its layer begins and ends, in the edges' direction."""

    places: list[Place]
    sides: list[tuple[float, float]]
    bends: list[list[tuple[float, float]]]
    width: float
    height: float


def layered(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], *, down: bool = False) -> Layout:
    """Places boxes of these sizes (width, height) so that every edge goes forward: right, or ``down``.

    Raises ValueError for a cycle.
    """
    if down:
        turned = layered([(h, w) for w, h in sizes], edges)
        places = [Place(p.y, p.x, p.height, p.width) for p in turned.places]
        return Layout(
            places, turned.sides, [[(y, x) for x, y in bend] for bend in turned.bends], turned.height, turned.width
        )
    if not sizes:
        return Layout([], [], [], 0.0, 0.0)
    return _Sheet(sizes, edges).layout()


class _Sheet:
    """The boxes and, numbered after them, the lanes of long edges."""

    def __init__(self, sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> None:
        self.sizes = sizes
        self.edges = edges
        self.count = len(sizes)
        self.layer = _layers(self.count, edges)
        self.heights = [height for _, height in sizes]
        self.lanes: list[list[int]] = [[] for _ in edges]
        self.before: list[list[int]] = [[] for _ in sizes]
        self.after: list[list[int]] = [[] for _ in sizes]
        self._connect()
        self.rows: list[list[int]] = [[] for _ in range(max(self.layer) + 1)]
        for item in range(len(self.layer)):
            self.rows[self.layer[item]].append(item)
        self.middle = [0.0] * len(self.layer)

    def layout(self) -> Layout:
        self._order()
        folded = self._fold()
        self._spread(folded)
        return self._finished(folded)

    def _connect(self) -> None:
        """Neighbours; long edges get a lane in every layer between, unless that would be far too many."""
        spans = [self.layer[end] - self.layer[start] for start, end in self.edges]
        whole = sum(s - 1 for s in spans) <= LANES * (self.count + len(spans))
        for number, (start, end) in enumerate(self.edges):
            last = start
            if whole and spans[number] > 1:
                for layer in range(self.layer[start] + 1, self.layer[end]):
                    lane = len(self.layer)
                    self.layer.append(layer)
                    self.heights.append(LANE)
                    self.before.append([])
                    self.after.append([])
                    self.lanes[number].append(lane)
                    self._join(last, lane)
                    last = lane
            self._join(last, end)

    def _join(self, start: int, end: int) -> None:
        self.after[start].append(end)
        self.before[end].append(start)

    def _order(self) -> None:
        """Sorts every layer by the mean position of its neighbours, to and fro; what has none there stays."""
        position = [0.0] * len(self.layer)
        for row in self.rows:
            for at, item in enumerate(row):
                position[item] = at / len(row)
        forward, back = list(range(1, len(self.rows))), list(range(len(self.rows) - 2, -1, -1))
        for sweep in range(ORDER_SWEEPS):
            neighbours = self.after if sweep % 2 else self.before
            for layer in back if sweep % 2 else forward:
                row = self.rows[layer]
                key = {}
                for item in row:
                    near = neighbours[item]
                    key[item] = sum(position[n] for n in near) / len(near) if near else position[item]
                row.sort(key=key.__getitem__)
                for at, item in enumerate(row):
                    position[item] = at / len(row)

    def _fold(self) -> dict[int, int]:
        """Layers that become grids, with their number of columns; lanes do not cross them."""
        limit = max(TALL, math.ceil(math.sqrt(self.count * 1.5)))
        folded: dict[int, int] = {}
        for layer, row in enumerate(self.rows):
            boxes = [item for item in row if item < self.count]
            if len(boxes) > limit:
                folded[layer] = math.ceil(len(boxes) / limit)
                self.rows[layer] = boxes
        return folded

    def _spread(self, folded: dict[int, int]) -> None:
        """The vertical coordinates."""
        for layer in range(len(self.rows)):
            self._place(layer, folded, lambda item: self.middle[item])
        last = len(self.rows)
        for _ in range(PLACE_SWEEPS):
            for layer in range(1, last):
                self._place(layer, folded, lambda item: self._mean(item, self.before[item]))
            for layer in range(last - 2, -1, -1):
                self._place(layer, folded, lambda item: self._mean(item, self.after[item]))
        for layer in range(last):
            self._place(layer, folded, lambda item: self._mean(item, [*self.before[item], *self.after[item]]))

    def _mean(self, item: int, near: list[int]) -> float:
        return sum(self.middle[n] for n in near) / len(near) if near else self.middle[item]

    def _place(self, layer: int, folded: dict[int, int], wish: Callable[[int], float]) -> None:
        row = self.rows[layer]
        columns = folded.get(layer)
        if columns is None:
            apart = [(self.heights[a] + self.heights[b]) / 2 + GAP for a, b in zip(row, row[1:], strict=False)]
            for item, middle in zip(row, spread([wish(item) for item in row], apart), strict=True):
                self.middle[item] = middle
            return
        lines = [row[at : at + columns] for at in range(0, len(row), columns)]
        heights = [max(self.heights[item] for item in line) for line in lines]
        top = sum(wish(item) for item in row) / len(row) - (sum(heights) + GAP * (len(lines) - 1)) / 2
        for line, height in zip(lines, heights, strict=True):
            for item in line:
                self.middle[item] = top + height / 2
            top += height + GAP

    def _finished(self, folded: dict[int, int]) -> Layout:
        across = [0.0] * len(self.layer)
        sides: list[tuple[float, float]] = []
        left = 0.0
        for layer, row in enumerate(self.rows):
            width = self._columns(row, folded.get(layer, 1), left, across)
            sides.append((left, left + width))
            left += width + LAYER_GAP
        top = min(m - h / 2 for row in self.rows for m, h in ((self.middle[i], self.heights[i]) for i in row))
        bottom = max(m + h / 2 for row in self.rows for m, h in ((self.middle[i], self.heights[i]) for i in row))
        places = [Place(across[i], self.middle[i] - top, *self.sizes[i]) for i in range(self.count)]
        bends = [
            [
                (x, self.middle[lane] - top)
                for lane in lanes
                if self.layer[lane] not in folded
                for x in sides[self.layer[lane]]
            ]
            for lanes in self.lanes
        ]
        beside = [
            (p.x - p.width / 2, p.x + p.width / 2) if self.layer[i] in folded else sides[self.layer[i]]
            for i, p in enumerate(places)
        ]
        return Layout(places, beside, bends, left - LAYER_GAP, bottom - top)

    def _columns(self, row: list[int], columns: int, left: float, across: list[float]) -> float:
        """Horizontal middles of one layer; its width."""
        start = left
        for column in range(columns):
            items = row[column::columns]
            width = max((self.sizes[i][0] for i in items if i < self.count), default=0.0)
            for item in items:
                across[item] = left + width / 2
            left += width + GAP
        return left - GAP - start


def _layers(count: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """The length of the longest path to each node; what has no parents is drawn up to its first child."""
    after: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for start, end in edges:
        after[start].append(end)
        waiting[end] += 1
    sources = [i for i in range(count) if not waiting[i]]
    layer = [0] * count
    queue = list(sources)
    for item in queue:  # grows while it is read
        for child in after[item]:
            layer[child] = max(layer[child], layer[item] + 1)
            waiting[child] -= 1
            if not waiting[child]:
                queue.append(child)
    if len(queue) < count:
        raise ValueError(f"the graph has a cycle through node {next(i for i in range(count) if waiting[i])}")
    for item in sources:
        if after[item]:
            layer[item] = min(layer[child] for child in after[item]) - 1
    return layer


def spread(wishes: Sequence[float], apart: Sequence[float]) -> list[float]:
    """Positions as near to the wishes as possible (least squares) in the same order, at least ``apart`` from one to the
    next."""
    offsets = [0.0]
    for gap in apart:
        offsets.append(offsets[-1] + gap)
    blocks: list[list[float]] = []  # [sum of wishes less offsets, number]
    for wish, offset in zip(wishes, offsets, strict=False):
        blocks.append([wish - offset, 1.0])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            total, number = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += number
    means = [total / number for total, number in blocks for _ in range(int(number))]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]
