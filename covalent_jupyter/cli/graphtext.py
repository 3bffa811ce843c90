"""A transport graph as text: equal siblings in one box, left to right, as far as the terminal is wide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..client.boxes import Box, collapse
from ..client.display import TONES, paint, plain, shorten, sign_of, width_of


def draw(nodes: Sequence[Sequence[Any]], edges: Sequence[Sequence[Any]], width: int = 100, colour: bool = False) -> str:
    """The graph of ``GET dispatches/{id}/graph``: boxes where they fit into ``width`` columns, else a list."""
    boxes, links = collapse(nodes, edges)
    if not boxes:
        return "(no electrons)"
    return _boxes(boxes, links, width, colour) or _list(boxes, links, colour)


def _label(box: Box) -> str:
    count = f" ×{len(box.nodes)}" if len(box.nodes) > 1 else ""
    return f"{sign_of(box.status)[0]} {shorten(plain(box.name), 28)}{count}"


def _boxes(boxes: list[Box], links: set[tuple[int, int]], width: int, colour: bool) -> str:
    columns: list[list[Box]] = []
    for box in boxes:
        columns += [[] for _ in range(box.level + 1 - len(columns))]
        columns[box.level].append(box)
    if any(len(column) > 8 for column in columns):
        return ""
    widths = [max(width_of(_label(b)) for b in column) + 4 for column in columns]
    if sum(widths) + 5 * (len(columns) - 1) > width:
        return ""
    height = max(len(column) for column in columns)
    lines = ["" for _ in range(3 * height)]
    for number, column in enumerate(columns):
        top = 3 * ((height - len(column)) // 2)
        art = [row for box in column for row in _frame(box, widths[number], colour)]
        for row in range(3 * height):
            inside = top <= row < top + len(art)
            lines[row] += art[row - top] if inside else " " * widths[number]
            if number < len(columns) - 1:
                lines[row] += " ──▶ " if row == _arrow_row(height) else "     "
    far = sorted((a, b) for a, b in links if boxes[b].level - boxes[a].level > 1)
    notes = [f"also {plain(boxes[a].name)} ──▶ {plain(boxes[b].name)}" for a, b in far]
    return "\n".join([*(line.rstrip() for line in lines if line.strip()), *notes])


def _arrow_row(height: int) -> int:
    return 3 * ((height - 1) // 2) + 1


def _frame(box: Box, width: int, colour: bool) -> list[str]:
    label = _label(box)
    inner = label + " " * (width - 4 - width_of(label))
    middle = paint(inner, TONES[box.status], colour)
    return ["┌" + "─" * (width - 2) + "┐", f"│ {middle} │", "└" + "─" * (width - 2) + "┘"]


def _list(boxes: list[Box], links: set[tuple[int, int]], colour: bool) -> str:
    lines = []
    for number, box in enumerate(boxes[:200]):
        sources = [plain(boxes[a].name) for a, b in sorted(links) if b == number]
        text = "  " * min(box.level, 20) + paint(_label(box), TONES[box.status], colour)
        lines.append(text + (f"  ◀─ {', '.join(dict.fromkeys(sources))}" if sources else ""))
    if len(boxes) > 200:
        lines.append(f"... and {len(boxes) - 200} more kinds of electrons")
    return "\n".join(lines)
