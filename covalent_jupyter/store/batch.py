"""What goes into the store in one transaction, and what changes look like when they are read back."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct

from ..model.graph import Digest
from ..model.views import AttemptRow, DispatchRow, ElectronRow


class Metric(NamedTuple):
    """One named value of one report. ``step`` counts the reports of the attempt from 0; ``value`` or ``text`` is set."""

    dispatch_id: str
    node: int
    attempt: int
    step: int
    time: float  # seconds since the epoch
    name: str
    value: float | None
    text: str | None


class Batch(Struct):
    """Everything here becomes visible at once, or not at all.

    Each event gets the next sequence number. A row gets the number of the last event of its dispatch in
    this batch, or the batch's last number (electrons beyond the first thousand of one dispatch get numbers
    of their own after it, so that readers can take them in portions); whatever ``seq`` the row came with is
    ignored. Of two rows with one key the last counts. ``deletes`` come first: rows of the same batch stay.
    """

    events: list[tuple[str, str, bytes]] = []  # (dispatch id, kind, JSON)
    dispatches: list[DispatchRow] = []
    electrons: list[ElectronRow] = []
    manifests: list[tuple[str, bytes]] = []  # (dispatch id, JSON)
    values: list[tuple[Digest, bytes]] = []  # small values; one that is there stays as it is
    references: list[tuple[str, Digest]] = []  # (dispatch id, digest) that keep a value alive
    dereferences: list[tuple[str, Digest]] = []
    deletes: list[str] = []  # dispatch ids: everything of them goes, a tombstone stays
    settings: dict[str, str | None] = {}  # None: the setting goes
    attempts: list[AttemptRow] = []  # that others followed: the last one is the electron's row
    metrics: list[Metric] = []
    inputs: list[tuple[str, bytes]] = []  # (dispatch id, JSON [[node, name, kind, text, number], ...])
    new_electrons: bool = False  # a promise: none of ``electrons`` is in the store yet (faster)


class Changes(Struct):
    """What has changed after a sequence number. Continue from ``seq``; ``more``: at once, there is more.

    ``reset``: the asked number is older than what the store remembers of deletions, or newer than anything
    in it: take a snapshot and continue from ``seq``.
    """

    seq: int
    dispatches: list[DispatchRow]
    electrons: list[ElectronRow]
    deleted: list[str]
    reset: bool = False
    more: bool = False


class Group(Struct):
    """Dispatches that share a lattice or a notebook (``key``)."""

    key: str
    total: int
    running: int
    failed: int
    newest: float  # when the newest of them was dispatched
    completed: int = 0
    cancelled: int = 0


class Summary(Struct):
    """Counts of dispatches: by state, and in groups, that of the newest first; as of number ``seq``."""

    states: dict[str, int]
    groups: list[Group]
    seq: int = 0


class Table(Struct):
    """Answer of a query: ``rows`` are lists of JSON values; ``truncated`` when there were more."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    truncated: bool
