"""What executors hold and how much more they can take."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..model import Attempt, ExecutorSpec, ExecutorState
from ..packing import PER_SLOT

#: Slots that are assumed until an executor says how many it has: enough to make it start.
FIRST_SLOTS = 2


@dataclass
class SentPack:
    """A pack that was decided: what it holds and whether its host has it."""

    pack_id: str
    host: str
    key: str
    dispatch_id: str
    tasks: list[tuple[int, int]]
    cost: float = 1.0
    root: str = ""  # the dispatch to which its own belongs, or its own
    resources: dict[str, float] = field(default_factory=dict)
    devices: tuple[int, ...] = ()
    sent: bool = False
    waits_for: str = ""  # the dispatch that its electron has sent and waits for
    borrowed: bool = False  # it was sent beyond what is free, in the place of one that waits for its dispatch

    def attempts(self) -> list[Attempt]:
        return [(self.dispatch_id, node, attempt) for node, attempt in self.tasks]


@dataclass
class Executor:
    """One executor of one host."""

    host: str
    spec: ExecutorSpec
    state: ExecutorState | None = None
    packs: dict[str, SentPack] = field(default_factory=dict)

    @property
    def slots(self) -> int:
        return self.state.slots if self.state and self.state.slots else FIRST_SLOTS

    def free(self) -> int:
        """How many more packs it may hold: per slot one that runs and one that waits; wide ones count by their cost."""
        return int(PER_SLOT * self.slots - sum(max(1.0, p.cost) for p in self.packs.values()))

    def lent(self, *dispatches: str) -> int:
        """How many places electrons have left that wait for one of these dispatches, and that are not taken yet."""
        waiting = sum(p.waits_for in dispatches for p in self.packs.values() if p.waits_for)
        return waiting - sum(p.borrowed and p.root in dispatches for p in self.packs.values())

    def in_use(self, resource: str) -> float:
        return sum(p.resources.get(resource, 0.0) for p in self.packs.values())

    def free_devices(self, count: int) -> tuple[int, ...]:
        """The lowest ``count`` GPUs that no pack has."""
        taken = {d for p in self.packs.values() for d in p.devices}
        found: list[int] = []
        candidate = 0
        while len(found) < count:
            if candidate not in taken:
                found.append(candidate)
            candidate += 1
        return tuple(found)

    def limit(self, resource: str) -> float | None:
        """How much of a resource it has, or None where it has not said."""
        if resource == "cpu":
            return float(self.slots) if self.state and self.state.slots else None
        value = self.state.info.get(resource) if self.state else None
        return float(value) if isinstance(value, (int, float)) else None


def amount(value: object) -> float:
    """A resource as a number; memory may be text with a unit (``"2GB"``, ``"512 MiB"``), in bytes."""
    if isinstance(value, bool) or value is None:
        return 0.0
    if isinstance(value, (int, float)):
        return float(value)
    text = str(value).strip().lower().replace(" ", "")
    for unit, factor in _UNITS:
        if text.endswith(unit):
            return float(text[: -len(unit)]) * factor
    return float(text)


_UNITS = (
    ("kib", 2.0**10), ("mib", 2.0**20), ("gib", 2.0**30), ("tib", 2.0**40),
    ("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("tb", 1e12),
    ("k", 1e3), ("m", 1e6), ("g", 1e9), ("t", 1e12), ("b", 1.0),
)  # fmt: skip
