"""What the store takes on the disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..blobs import iter_blobs
from ..store import Store

#: Part of the budget above which it is said.
WARN_AT = 0.8
#: Part of the store -> what lies there.
_PARTS = {"logs": "logs", "spool": "spool", "work": "work", "uploads": "uploads", "hosts": "hosts"}


def sizes(store: Store, blobs: int | None = None) -> dict[str, Any]:
    """Bytes by part, in all, and what is free; ``budget`` is a fifth of what was free before the store came. ``blobs``: what
    large values take, if that is known. Blocks."""
    folder = Path(store.folder)
    parts = {name: _size(folder / sub) for name, sub in _PARTS.items()}
    parts["blobs"] = sum(blob.size for blob in iter_blobs(Path(store.blob_root))) if blobs is None else blobs
    parts["database"] = sum(p.stat().st_size for p in folder.glob("store.duckdb*") if p.is_file())
    parts["log"] = sum(p.stat().st_size for p in folder.glob("service.log*") if p.is_file())
    total = sum(parts.values())
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    return {"store": str(folder), "total": total, "parts": parts, "free": free, "budget": (free + total) // 5}


def usage(store: Store) -> dict[str, Any]:
    """The same, with the ``dispatches`` and ``lattices`` that take most. Blocks, and for longer the more dispatches there are."""
    found = store.disk()
    return {**sizes(store, found["blobs"]), "dispatches": found["dispatches"], "lattices": found["lattices"]}


def budget_warning(total: int, budget: int) -> str:
    """What to say of a store that takes ``total`` bytes of its ``budget``; ``""`` below 80%."""
    if total <= WARN_AT * budget:
        return ""
    return (
        f"the store takes {total / 1e9:.1f} GB, {100 * total / max(budget, 1):.0f}% of its budget (a fifth of what was free): "
        "`jupyter covalent disk` says what takes it, `jupyter covalent purge --older-than 30d` frees some"
    )


def _size(folder: Path) -> int:
    """Bytes of all files below; those that go meanwhile do not count."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += _size(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        return total
    return total
