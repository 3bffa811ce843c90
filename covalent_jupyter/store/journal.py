"""What is committed and not in the tables yet: one row of bytes a transaction, instead of statements for every table.

Each statement costs DuckDB about a millisecond, whatever it writes, and a batch concerns up to nine tables. What nobody is
about to read is therefore committed as an entry here, and goes into the tables together with what follows it.
"""

from __future__ import annotations

from typing import Annotated

import duckdb
import msgspec
from msgspec import Meta, Struct

from .batch import Metric
from .plan import Plan

#: Bytes of values in one entry: more than that is written once only, into its table.
LARGE = 1_000_000
#: Changed electrons of one entry, and new ones: to write that many rows costs as much as the statements that an entry spares.
#: New ones are worth more, since most are changed soon, and then written once.
CHANGED, NEW = 200, 2_000
Int = Annotated[int, Meta(ge=-(2**31), lt=2**31)]
Long = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Event = tuple[Long, str, str, bytes]
_Dispatch = tuple[str, str, str | None, str, str, Long, float, str, str, str, str]
_Electron = tuple[
    str, Int, Long, str, str, Int, str, float | None, float | None, float | None, str, str | None, float | None, Long, str, str,
    float | None, str,
]  # fmt: skip
_Attempt = tuple[
    str, Int, Int, str, str, str, str, str, float | None, float | None, float | None, float | None, Long, str | None, str
]  # fmt: skip
_Metric = tuple[str, Int, Int, Int, float, str, float | None, str | None]
_Manifest = tuple[str, str | None, Long, bytes | None]
_Value = tuple[Annotated[int, Meta(ge=0)], bytes]


class Entry(Struct, array_like=True):
    """A plan without deletions and settings. Its types are those of the tables: what can be decoded can be written there."""

    last: Long
    events: list[_Event]
    dispatches: dict[str, _Dispatch]
    electrons: dict[str, dict[Int, _Electron]]
    fresh: dict[str, set[Int]]
    manifests: dict[str, _Manifest]
    values: dict[str, _Value]
    references: list[tuple[str, str]]
    dereferences: list[tuple[str, str]]
    attempts: list[_Attempt]
    metrics: list[_Metric]
    inputs: list[tuple[str, str]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


def entry(plan: Plan) -> bytes | None:
    """The plan as bytes that :func:`kept` can read; None if it is not for the journal (deletions, settings, much of anything), or
    would not fit the tables."""
    if plan.deletes or plan.settings or sum(len(data) for _, data in plan.values.values()) > LARGE:
        return None
    rows = sum(map(len, plan.electrons.values()))
    if rows > NEW or rows - sum(map(len, plan.fresh.values())) > CHANGED:
        return None
    try:
        data = _encode(
            [
                plan.last, plan.events, plan.dispatches, plan.electrons, plan.fresh, plan.manifests, plan.values,
                list(plan.references), plan.dereferences, plan.attempts, plan.metrics, plan.inputs,
            ]
        )  # fmt: skip
        _decode(data)
    except (msgspec.MsgspecError, UnicodeEncodeError, OverflowError, TypeError):
        return None  # a wrong batch: who writes it to the tables finds out what is wrong
    return data


def kept(cursor: duckdb.DuckDBPyConnection) -> Plan | None:
    """All that the journal holds, put together in its order; None if it is empty."""
    found = cursor.execute("SELECT data FROM journal ORDER BY seq").fetchall()
    whole = Plan((), 0)
    for (data,) in found:
        whole.take(_plan(data))
    return whole if found else None


def is_empty(cursor: duckdb.DuckDBPyConnection) -> bool:
    return cursor.execute("SELECT 1 FROM journal LIMIT 1").fetchone() is None


def _plan(data: bytes) -> Plan:
    found = _decode(data)
    plan = Plan((), found.last)
    plan.events = [list(event) for event in found.events]
    plan.dispatches = {key: list(columns) for key, columns in found.dispatches.items()}
    plan.electrons = {
        key: {node: list(columns) for node, columns in nodes.items()} for key, nodes in found.electrons.items()
    }
    plan.fresh = {key: set(nodes) for key, nodes in found.fresh.items()}
    plan.manifests = dict(found.manifests)
    plan.values = dict(found.values)
    plan.references = dict.fromkeys(found.references)
    plan.dereferences = found.dereferences
    plan.attempts = [list(columns) for columns in found.attempts]
    plan.metrics = [Metric(*columns) for columns in found.metrics]
    plan.inputs = found.inputs
    return plan
