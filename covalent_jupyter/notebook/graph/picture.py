"""What is drawn of a graph: boxes and arrows, with repeated fan-outs as one box. Pure; no coordinates yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

from ...client.display import duration_text, sign_of
from ...model import Status
from .subject import Subject

#: so many equal electrons become one box
COLLAPSE = 6
#: failed ones that step out of their stack
OUT = 3
#: rounds of telling nodes apart by their neighbours
ROUNDS = 12

Look = tuple[str, str]  # sign and word of a state


class Box(NamedTuple):
    """One electron, or a stack of equal ones. ``inner`` is what an open sublattice shows."""

    nodes: tuple[int, ...]
    name: str
    kind: str
    states: Mapping[Look, int]  # how many are in which state; empty before the dispatch
    detail: str  # one line below the name
    executor: str  # "" where it is the one that most have
    inner: Picture | None = None

    @property
    def look(self) -> Look | None:
        """The state that the box is coloured by: of a stack failed or running if one is, else that of the most."""
        if not self.states:
            return None
        return min(
            self.states, key=lambda look: (ATTENTION.index(look[1]) if look[1] in LOUD else 9, -self.states[look])
        )


class Arrow(NamedTuple):
    """``start`` and ``end`` are positions in ``Picture.boxes``."""

    start: int
    end: int
    label: str


class Picture(NamedTuple):
    boxes: list[Box]
    arrows: list[Arrow]


#: words of states, the most telling first
LOUD = ("failed", "running")
ATTENTION = ("failed", "running", "queued", "waiting", "cancelled", "skipped", "completed", "reused")


def picture(
    subject: Subject, *, collapse: bool | int = True, apart: Collection[int] = (), opened: Collection[int] | None = ()
) -> Picture:
    """Boxes and arrows of a graph.

    ``collapse``: from how many equal electrons on they are one box (True: 6, False: never). Nodes in ``apart``, and the
    first failed ones, have a box of their own. ``opened`` are sublattices that show their insides, None: all that can.
    """
    least = COLLAPSE if collapse is True else 0 if collapse is False else max(2, collapse)
    opened_here = set(subject.inner if opened is None else opened) & set(subject.inner)
    groups = _groups(subject, least, {*apart, *opened_here})
    telling = subject.telling()
    common = _common_executor(subject)
    boxes = [
        _box(subject, nodes, telling, common, opened_here, collapse, None if opened is None else ()) for nodes in groups
    ]
    return Picture(boxes, _arrows(subject, groups))


def _groups(subject: Subject, least: int, apart: Collection[int]) -> list[tuple[int, ...]]:
    """Nodes that are one box, in the order of their first."""
    if not least:
        return [(node,) for node in range(len(subject.manifest.nodes))]
    classes = _classes(subject)
    members: dict[int, list[int]] = {}
    for node, number in enumerate(classes):
        members.setdefault(number, []).append(node)
    found: list[tuple[int, ...]] = []
    for nodes in members.values():
        if len(nodes) < least:
            found += [(node,) for node in nodes]
            continue
        failed = [n for n in nodes if n in subject.rows and subject.rows[n].status is Status.FAILED]
        out = {*failed[:OUT], *(n for n in nodes if n in apart)}
        rest = tuple(n for n in nodes if n not in out)
        found += [(node,) for node in sorted(out)]
        found += [rest] if len(rest) > 1 else [(n,) for n in rest]
    return sorted(found, key=lambda nodes: nodes[0])


def _classes(subject: Subject) -> list[int]:
    """A number per node: equal for nodes of one name, executor and depth whose neighbours are equal in kind."""
    nodes, options = subject.manifest.nodes, subject.manifest.options
    before: list[list[int]] = [[] for _ in nodes]
    after: list[list[int]] = [[] for _ in nodes]
    for start, end in subject.edges():
        before[end].append(start)
        after[start].append(end)
    depth = _depths(before, after)
    first = [
        (node.name, node.kind, options[node.options].executor if options else 0, depth[i])
        for i, node in enumerate(nodes)
    ]
    classes, count = _numbered(first)
    for _ in range(ROUNDS):
        refined, more = _numbered(
            [
                (
                    classes[i],
                    tuple(sorted({classes[n] for n in before[i]})),
                    tuple(sorted({classes[n] for n in after[i]})),
                )
                for i in range(len(nodes))
            ]
        )
        if more == count:
            break
        classes, count = refined, more
    return classes


def _numbered(keys: list[tuple]) -> tuple[list[int], int]:
    numbers: dict[tuple, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys], len(numbers)


def _depths(before: list[list[int]], after: list[list[int]]) -> list[int]:
    depth = [0] * len(before)
    waiting = [len(parents) for parents in before]
    queue = [i for i, n in enumerate(waiting) if not n]
    for node in queue:  # grows while it is read
        for child in after[node]:
            depth[child] = max(depth[child], depth[node] + 1)
            waiting[child] -= 1
            if not waiting[child]:
                queue.append(child)
    return depth


def _common_executor(subject: Subject) -> int:
    options = subject.manifest.options
    used = Counter(options[node.options].executor for node in subject.manifest.nodes) if options else Counter([0])
    return used.most_common(1)[0][0] if used else 0


def _box(
    subject: Subject, nodes: tuple[int, ...], telling: Mapping[int, str], common: int, opened: Collection[int],
    collapse: bool | int, deeper: Collection[int] | None,
) -> Box:  # fmt: skip
    manifest = subject.manifest
    node = manifest.nodes[nodes[0]]
    states: Counter[Look] = Counter()
    for number in nodes:
        row = subject.rows.get(number)
        if row is not None:
            states[sign_of(row.status, row.reused)] += 1
    executor = manifest.options[node.options].executor if manifest.options else 0
    badge = manifest.executors[executor].name if executor != common else ""
    inner = None
    if len(nodes) == 1 and nodes[0] in opened:
        inner = picture(subject.inner[nodes[0]], collapse=collapse, opened=deeper)
    return Box(nodes, node.name, node.kind, dict(states), _detail(subject, nodes, telling, states), badge, inner)


def _detail(subject: Subject, nodes: tuple[int, ...], telling: Mapping[int, str], states: Mapping[Look, int]) -> str:
    if len(nodes) > 1:
        order = sorted(states, key=lambda look: ATTENTION.index(look[1]))
        return "  ".join(f"{sign} {states[sign, word]}" for sign, word in order)
    row = subject.rows.get(nodes[0])
    spent = duration_text(row.duration) if row is not None else ""
    again = f"attempt {row.attempt}" if row is not None and row.attempt > 1 else ""
    error = row.error.type if row is not None and row.error is not None and row.status is Status.FAILED else ""
    return " · ".join(part for part in (telling.get(nodes[0], ""), error, spent, again) if part)


def _arrows(subject: Subject, groups: list[tuple[int, ...]]) -> list[Arrow]:
    """Between boxes; labelled by parameter where the receiving electron has more than one that is fed."""
    box_of = {node: number for number, nodes in enumerate(groups) for node in nodes}
    edges = subject.edges()
    fed: dict[int, set[str]] = {}
    for (_, end), parameters in edges.items():
        fed.setdefault(end, set()).update(parameters or [""])
    labels: dict[tuple[int, int], dict[str, None]] = {}
    for (start, end), parameters in edges.items():
        found = labels.setdefault((box_of[start], box_of[end]), {})
        if len(fed[end]) > 1:
            found.update(dict.fromkeys(parameters))
    return [Arrow(start, end, ", ".join(names)) for (start, end), names in labels.items()]
