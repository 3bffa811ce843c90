"""Batches put together to what one transaction writes: numbered, and only the last state of each row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..model.graph import Digest
from . import rows
from .batch import Batch, Metric

#: Electrons of one dispatch that may share a sequence number.
PORTION = 1000


class Prepared:
    """One batch with its rows as columns; made once, used for every attempt to write it."""

    def __init__(self, batch: Batch, manifests: list[tuple[str, Digest | None, int, bytes | None]]) -> None:
        self.batch = batch
        self.manifests = manifests
        self.dispatches = [rows.dispatch_columns(row) for row in batch.dispatches]
        self.electrons: dict[str, dict[int, list[Any]]] = {}
        for row in batch.electrons:
            self.electrons.setdefault(row.dispatch_id, {})[row.node] = rows.electron_columns(row)
        self.attempts = [rows.attempt_columns(row) for row in batch.attempts]
        self.inputs = [(dispatch_id, data.decode()) for dispatch_id, data in batch.inputs]
        self.values = [(rows.head_of(digest), digest, data) for digest, data in batch.values]
        self.last = 0  # sequence number of its last part, once planned


class Plan:
    """What a transaction writes. Deletions are carried out first."""

    def __init__(self, group: Iterable[Prepared], last_seq: int) -> None:
        self.last = last_seq
        self.events: list[list[Any]] = []
        self.dispatches: dict[str, list[Any]] = {}
        self.electrons: dict[str, dict[int, list[Any]]] = {}
        self.fresh: dict[str, set[int]] = {}  # nodes that the store cannot have yet
        self.manifests: dict[str, tuple[str, Digest | None, int, bytes | None]] = {}
        self.values: dict[Digest, tuple[int, bytes]] = {}
        self.references: dict[tuple[str, Digest], None] = {}
        self.dereferences: list[tuple[str, Digest]] = []
        self.deletes: dict[str, int] = {}
        self.settings: dict[str, str | None] = {}
        self.attempts: list[list[Any]] = []
        self.metrics: list[Metric] = []
        self.inputs: list[tuple[str, str]] = []
        for prepared in group:
            self._add(prepared)

    def _add(self, prepared: Prepared) -> None:
        batch = prepared.batch
        for dispatch_id in batch.deletes:
            self._forget(dispatch_id)
        own: dict[str, int] = {}
        seq = self.last
        for dispatch_id, kind, data in batch.events:
            seq += 1
            own[dispatch_id] = seq
            self.events.append([seq, dispatch_id, kind, data])
        if seq == self.last and (batch.dispatches or batch.electrons):
            seq += 1
        for columns in prepared.dispatches:
            columns[rows.DISPATCH_SEQ] = own.get(columns[0], seq)
            self.dispatches[columns[0]] = columns
        self.last = self._add_electrons(prepared, own, seq)
        if batch.deletes:
            self.last += 1
            for dispatch_id in batch.deletes:
                self.deletes[dispatch_id] = self.last
        for manifest in prepared.manifests:
            self.manifests[manifest[0]] = manifest
        for head, digest, data in prepared.values:
            self.values[digest] = (head, data)
        for pair in batch.references:
            self.references[pair] = None
        for pair in batch.dereferences:
            self.references.pop(pair, None)
            self.dereferences.append(pair)
        self.settings.update(batch.settings)
        self.attempts += prepared.attempts
        self.metrics += batch.metrics
        self.inputs += prepared.inputs
        prepared.last = self.last

    def _add_electrons(self, prepared: Prepared, own: dict[str, int], seq: int) -> int:
        """Number the electrons of one batch; gives the last number used."""
        last = seq
        at = rows.ELECTRON_SEQ
        for dispatch_id, nodes in prepared.electrons.items():
            number = own.get(dispatch_id, seq)
            if prepared.batch.new_electrons:
                self.fresh.setdefault(dispatch_id, set()).update(nodes.keys())
            if len(nodes) <= PORTION:
                for columns in nodes.values():
                    columns[at] = number
            else:
                for i, columns in enumerate(nodes.values()):
                    if i and i % PORTION == 0:
                        last += 1
                        number = last
                    columns[at] = number
            self.electrons.setdefault(dispatch_id, {}).update(nodes)
        return last

    def take(self, later: Plan) -> None:
        """From now on it leaves the tables as it would have done, and then ``later``, which stays as it is."""
        self.last = later.last
        for dispatch_id in later.deletes:
            self._forget(dispatch_id)
        self.deletes.update(later.deletes)
        self.events += later.events
        self.dispatches.update(later.dispatches)
        for dispatch_id, nodes in later.electrons.items():
            self.electrons.setdefault(dispatch_id, {}).update(nodes)
        for dispatch_id, fresh in later.fresh.items():
            self.fresh.setdefault(dispatch_id, set()).update(fresh)
        self.manifests.update(later.manifests)
        self.values.update(later.values)
        for pair in later.dereferences:
            self.references.pop(pair, None)
        self.dereferences += later.dereferences
        self.references.update(later.references)
        self.settings.update(later.settings)
        self.attempts += later.attempts
        self.metrics += later.metrics
        self.inputs += later.inputs

    def ids(self) -> set[str]:
        """The dispatches that it writes something of."""
        return {*self.dispatches, *self.electrons, *self.manifests}

    def _forget(self, dispatch_id: str) -> None:
        """Drop what earlier batches of this transaction say about a dispatch that is deleted now."""
        self.dispatches.pop(dispatch_id, None)
        self.electrons.pop(dispatch_id, None)
        self.manifests.pop(dispatch_id, None)
        self.events = [e for e in self.events if e[1] != dispatch_id]
        self.attempts = [a for a in self.attempts if a[0] != dispatch_id]
        self.metrics = [m for m in self.metrics if m.dispatch_id != dispatch_id]
        self.inputs = [i for i in self.inputs if i[0] != dispatch_id]
        for pair in [p for p in self.references if p[0] == dispatch_id]:
            del self.references[pair]
