"""Reads folders from its input, opens the store in each, and prints as JSON what it holds or why it was refused."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from covalent_jupyter.errors import CovalentError
from covalent_jupyter.store import Store
from tests.store.records import digest

from .damage import RECORDS


def read(folder: Path) -> dict[str, Any]:
    began = time.monotonic()
    try:
        store = Store.open(folder)
    except CovalentError as error:
        return {"refused": f"{type(error).__name__}: {error}", "seconds": time.monotonic() - began}
    try:
        found = {
            "seconds": time.monotonic() - began,
            "repairs": store.repairs,
            "events": said(lambda: sorted(int(data) for d in range(4) for _, _, data in store.events(f"d{d}"))),
            "electrons": said(lambda: _electrons(store)),
            "notes": said(lambda: _notes(store)),
            "values": said(lambda: _values(store)),
            "manifests": said(lambda: _manifests(store)),
        }
    finally:
        closing = closed(store)
    return {**found, "closing": closing}


def closed(store: Store) -> float:
    """Seconds that the last commits take: what lay in the journal goes into the tables, damaged or not."""
    began = time.monotonic()
    store.close()
    return time.monotonic() - began


def said(what: Callable[[], Any]) -> Any:
    """What it gives, or the text of its refusal."""
    try:
        return what()
    except CovalentError as error:
        return f"{type(error).__name__}: {error}"


def _electrons(store: Store) -> dict[str, int]:
    return {f"{d}.{row.node}": row.attempt for d in ("d0", "d1", "d2", "d3") for row in store.electrons(d)[0]}


def _notes(store: Store) -> dict[str, str]:
    found = ((d, store.dispatch(d)) for d in ("d0", "d1", "d2", "d3"))
    return {d: row.note for d, row in found if row is not None}


def _values(store: Store) -> list[int]:
    found = store.values([digest(i) for i in range(RECORDS)])
    for i in range(RECORDS):
        data = found.get(digest(i))
        if data is not None and data != b"value %d " % i * 50:
            return [-1]
    return [i for i in range(RECORDS) if digest(i) in found]


def _manifests(store: Store) -> list[int]:
    there = []
    for i in range(RECORDS):
        data = store.manifest(f"m{i}")
        if data is None:
            continue
        if data != b"manifest %d " % i * (40_000 if i % 5 == 0 else 3):
            return [-1]
        there.append(i)
    return there


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(read(Path(line.strip()))), flush=True)
