"""A transport graph as boxes: equal siblings (of one name, on one level) share one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..model import Status


class Box(NamedTuple):
    """Nodes of one name on one level."""

    level: int
    name: str
    nodes: tuple[int, ...]
    status: Status


#: of a stack, the state that the box shows is the first of these that a node has
_TELLING = (
    Status.FAILED, Status.RUNNING, Status.CANCELLED, Status.SKIPPED, Status.DISPATCHING, Status.NEW_OBJECT,
    Status.PENDING_REUSE, Status.COMPLETED,
)  # fmt: skip


def collapse(nodes: Sequence[Sequence[Any]], edges: Sequence[Sequence[Any]]) -> tuple[list[Box], set[tuple[int, int]]]:
    """Boxes by level, and which box feeds which."""
    level = _levels([int(n[0]) for n in nodes], edges)
    groups: dict[tuple[int, str], list[Sequence[Any]]] = {}
    for node in nodes:
        groups.setdefault((level[int(node[0])], str(node[1])), []).append(node)
    boxes: list[Box] = []
    of_node: dict[int, int] = {}
    for (at, name), members in sorted(groups.items(), key=lambda item: (item[0][0], int(item[1][0][0]))):
        states = {Status(m[3]) for m in members}
        for member in members:
            of_node[int(member[0])] = len(boxes)
        boxes.append(Box(at, name, tuple(int(m[0]) for m in members), next(s for s in _TELLING if s in states)))
    return boxes, {(of_node[int(e[0])], of_node[int(e[1])]) for e in edges if e[0] in of_node and e[1] in of_node}


def _levels(nodes: list[int], edges: Sequence[Sequence[Any]]) -> dict[int, int]:
    """Longest way from a source; edges go from lower to higher ids or not, both are handled."""
    children: dict[int, list[int]] = {n: [] for n in nodes}
    waiting = dict.fromkeys(nodes, 0)
    for start, end in {(int(e[0]), int(e[1])) for e in edges}:
        children[start].append(end)
        waiting[end] += 1
    level = dict.fromkeys(nodes, 0)
    ready = [n for n in nodes if not waiting[n]]
    while ready:
        node = ready.pop()
        for child in children[node]:
            level[child] = max(level[child], level[node] + 1)
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    return level
