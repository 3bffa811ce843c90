"""How ready electrons become packs: ``plan(candidates, statistics, capacity) -> packs``. Pure.

A pack is an ordered list of nodes of one dispatch that one slot runs one after another. Its size follows
measured durations: one electron while nothing is known of its function, then what fits the time budget, and
never so many that a slot would stay empty whose share is worth it. A node whose only missing inputs come from
earlier members of the same pack may follow them, so that a chain runs inside one pack.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain
from typing import NamedTuple

from .engine import DispatchRun
from .model import Options, Status

#: Seconds of work that one pack should hold. From one pack to the next a Dask worker takes up to 0.01 s.
BUDGET = 0.1
#: Most electrons in one pack.
LIMIT = 1_000
#: Seconds that a runner needs around each electron, however short.
OVERHEAD = 40e-6
#: Seconds of work that are worth a slot of their own: less is done sooner than another slot has heard of it, and what depends
#: on both halves would wait for two.
WORTH = 0.02
#: Packs that an executor may hold per slot: one that runs and one that can be revoked.
PER_SLOT = 2


class Statistics:
    """Durations of functions, by code digest: an exponential mean in seconds."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def add(self, code: str, duration: float) -> None:
        mean = self._means.get(code)
        # Rises at once and falls slowly: an underestimate costs parallelism, an overestimate only speed.
        self._means[code] = duration if mean is None else max(duration, mean) * 0.3 + min(duration, mean) * 0.7

    def mean(self, code: str) -> float | None:
        """Seconds, or None while nothing is known."""
        return self._means.get(code)

    def forget(self, keep: int = 10_000) -> None:
        """Drops the oldest beyond ``keep``."""
        while len(self._means) > keep:
            del self._means[next(iter(self._means))]


class PlannedPack(NamedTuple):
    """Nodes of one dispatch for one executor (an index into the manifest's executors)."""

    executor: int
    nodes: list[int]
    cost: float  # cpu slots that it takes while it runs


def alone(options: Options) -> bool:
    """Whether an electron with these options is a pack of its own."""
    deps = options.deps
    return bool(options.timeout is not None or options.resources or deps.bash or deps.pip or deps.before or deps.after)


def plan(
    run: DispatchRun, executor: int, free: float, slots: int, statistics: Statistics, packable: bool = True,
    only: Collection[int] | None = None,
) -> list[PlannedPack]:  # fmt: skip
    """At most ``free`` packs of the run's ready nodes for one of its executors, in the order of readiness.

    ``slots`` is how many packs run at once; ``packable`` False (a user's own executor): packs of one; ``only``: of the ready
    ones no others.
    The run is not changed.
    """
    packs: list[PlannedPack] = []
    taken: set[int] = set()
    manifest = run.manifest
    ready = run.ready[executor] if only is None else only
    share = max(1, -(-len(ready) // max(1, slots)))
    order = iter(ready)
    for node_id in order:
        if free <= 0:
            break
        if node_id in taken:
            continue
        options = run.options(node_id)
        cost = float(options.resources.get("cpu", 1) or 1)
        mean = statistics.mean(manifest.functions[manifest.nodes[node_id].function].code)
        if not packable or mean is None or mean >= BUDGET or alone(options):
            taken.add(node_id)
            packs.append(PlannedPack(executor, [node_id], cost))
            free -= 1
            continue
        members = _fill(run, chain((node_id,), order), taken, share, statistics)
        packs.append(PlannedPack(executor, members, 1.0))
        free -= 1
    return packs


def _fill(
    run: DispatchRun, candidates: Iterator[int], taken: set[int], share: int, statistics: Statistics
) -> list[int]:
    """The members of one pack: candidates in their order, each with its followers, while the budget lasts.
    Adds them to ``taken``. Candidates that do not fit into a pack with others stay for the next plan."""
    members: list[int] = []
    budget, roots = BUDGET, 0
    unmet: dict[int, int] = {}
    executor = None
    for node_id in candidates:
        if node_id in taken:
            continue
        stack = [node_id]
        while stack and budget > 0 and len(members) < LIMIT:
            member = stack.pop()
            node = run.manifest.nodes[member]
            mean = statistics.mean(run.manifest.functions[node.function].code)
            options = run.options(member)
            executor = options.executor if executor is None else executor
            if mean is None or mean >= BUDGET or options.executor != executor or alone(options):
                continue
            if members and mean > budget:
                budget = 0.0
                break
            taken.add(member)
            members.append(member)
            budget -= mean + OVERHEAD
            roots += member == node_id
            if node.kind != "sublattice":
                stack += _followers(run, member, unmet)
        if (roots >= share and budget <= BUDGET - WORTH) or budget <= 0 or len(members) >= LIMIT:
            break
    return members


def _followers(run: DispatchRun, member: int, unmet: dict[int, int]) -> list[int]:
    """Nodes that wait for nothing but members of the pack; ``unmet`` counts what they still wait for."""
    found = []
    for child in run.topology.children[member]:
        state = run.nodes[child]
        missing = unmet[child] = unmet.get(child, state.unmet) - 1
        if missing == 0 and state.status is Status.NEW_OBJECT and not state.cancel and not state.in_flight:
            found.append(child)
    return found
