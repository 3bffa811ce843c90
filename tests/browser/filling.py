"""Histories that would take hours to run: rows put into a real store, before its service starts."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from covalent_jupyter.model import Status
from covalent_jupyter.model.views import Counts, DispatchRow
from covalent_jupyter.store import Batch, Store

#: Rows of one transaction.
PORTION = 2000


def past(i: int, **changes: Any) -> DispatchRow:
    """The dispatch that ended ``i`` minutes ago; always the same id for the same ``i``."""
    dispatch_id = str(uuid.UUID(hashlib.md5(f"past {i}".encode()).hexdigest()))
    ended = time.time() - 60.0 * i
    row = DispatchRow(
        dispatch_id=dispatch_id, root_id=dispatch_id, parent_id=None, parent_node=None, name="experiment", label="",
        lattice="experiment", status=Status.COMPLETED, seq=0, counts=Counts(total=34, completed=34),
        created=ended - 68, started=ended - 68, ended=ended, inputs={"C": str(i % 7), "gamma": "0.7"}, tags=[],
        notebook="/home/me/iris.ipynb", key=dispatch_id, seed=i, redispatch_of=None, error="",
        environment={"python": "3.11.7", "prefix": "/venv"},
    )  # fmt: skip
    for name, value in changes.items():
        setattr(row, name, value)
    return row


def child(parent: DispatchRow, node: int, **changes: Any) -> DispatchRow:
    """The run of a sublattice."""
    row = past(10**6 + node, lattice="inner", name="inner", root_id=parent.root_id, parent_id=parent.dispatch_id)
    row.dispatch_id = str(uuid.UUID(hashlib.md5(f"{parent.dispatch_id} {node}".encode()).hexdigest()))
    row.parent_node, row.created, row.started, row.ended = node, parent.created, parent.started, parent.ended
    for name, value in changes.items():
        setattr(row, name, value)
    return row


def fill(folder: Path, rows: Iterable[DispatchRow]) -> list[DispatchRow]:
    """Put rows into the store in ``folder``, which nobody has open."""
    everything = list(rows)
    with Store.open(folder) as store:
        for start in range(0, len(everything), PORTION):
            store.append(Batch(dispatches=everything[start : start + PORTION])).result(60)
    return everything


def variety() -> list[DispatchRow]:
    """One of each state and shape, with names that people would not choose."""
    now = datetime.now()
    noon = now.replace(hour=12, minute=0) - timedelta(days=1)
    yesterday = int((now - noon).total_seconds() // 60)
    rows = [
        past(3, status=Status.FAILED, lattice="relax_structure", name="relax_structure", inputs={"cell": "Si 2×2×2"},
             error="split (3): ValueError: could not convert string to float\nmore", counts=Counts(total=8, completed=3, failed=1), notices=["<i>split</i> (3) was cut off after 12 minutes"]),
        past(5, counts=Counts(total=34, completed=34, reused=31), tags=["iris", "paper"]),
        past(12, inputs={"C": "10", "gamma": "0.7"}),
        past(20, status=Status.CANCELLED, lattice="vqe_energy", name="vqe_energy",
             counts=Counts(total=40, completed=12, cancelled=28)),
        past(31, lattice="<b>bold</b>", name="<img src=x onerror=alert(1)>", tags=["<script>alert(2)</script>"],
             notebook="/home/me/<i>odd.ipynb"),
        past(35, lattice="w" * 300, name="a name without any space that goes on and on_" + "w" * 300),
        past(41, label="מחקר קטן", lattice="experiment", name="מחקר קטן"),
        past(yesterday, lattice="wide", name="sweep of sublattices"),
        past(yesterday + 5, notebook="", lattice="script"),
        past(3 * 24 * 60, counts=Counts(total=34, completed=33, failed=1)),
    ]  # fmt: skip
    parent = rows[7]
    rows += [child(parent, n, status=Status.FAILED if n == 2 else Status.COMPLETED) for n in range(3)]
    return rows
