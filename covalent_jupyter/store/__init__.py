"""The DuckDB store: an append-only log of events, rows that show its last state, values, and queries.

One :class:`Store` per folder owns the database. :meth:`Store.append` is the only way in: what its future
reports as done survives the death of the process, of the machine, and a full disk.
"""

from .batch import Batch, Changes, Group, Metric, Summary, Table
from .store import Store

__all__ = ["Batch", "Changes", "Group", "Metric", "Store", "Summary", "Table"]
