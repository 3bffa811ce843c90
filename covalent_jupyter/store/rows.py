"""Rows of dispatches and electrons as tuples of columns, and back."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from msgspec import Struct

from ..model.graph import Digest
from ..model.status import Status
from ..model.views import Counts, DispatchRow, ElectronRow
from ..model.work import Composite, Error, Log, Output, Part, Preview, Produced

#: Columns of the dispatch table, in its order.
DISPATCH = (
    "dispatch_id, root_id, parent_id, parent_node, name, label, lattice, status, seq, created, started, ended, notebook, "
    "key, seed, redispatch_of, error, note, tags, total, waiting, queued, running, completed, failed, cancelled, "
    "skipped, reused, inputs, environment, output"
)
DISPATCH_SEQ = 8
#: Columns of the electron table that a reader needs (the others repeat what ``data`` holds, for SQL).
ELECTRON = (
    "dispatch_id, node, name, kind, status, seq, attempt, executor, started, ended, duration, worker, child, reused, "
    "key, rss, data"
)
ELECTRON_SEQ = 5
_REPR = 500  # characters of a repr or message in its SQL column; all of it is in ``data``


class _Nested(Struct, array_like=True):
    """The structured part of an electron's row, in its ``data`` column."""

    output: Produced | None = None
    preview: Preview | None = None
    error: Error | None = None
    stdout: Log = Log()
    stderr: Log = Log()
    warnings: tuple[str, ...] = ()
    progress: dict[str, Any] = {}


_encode = msgspec.json.Encoder().encode
_nested = msgspec.json.Decoder(_Nested).decode
_produced = msgspec.json.Decoder(Produced).decode
_texts = msgspec.json.Decoder(dict[str, str]).decode
_EMPTY = _encode(_Nested())
_NO_LOG = Log()
_STATUS = {s.value: s for s in Status}


def bare(value: Produced | None) -> Produced | None:
    """The same value without bytes: they lie in the value table, once."""
    if isinstance(value, Output):
        return value if value.data is None else Output(value.digest, value.size)
    if isinstance(value, Composite):
        template = value.template
        if template is not None and template.data is not None:
            template = Output(template.digest, template.size)
        return Composite(template, tuple(Part(_some(p.value), p.path) for p in value.parts))
    return value


def _some(value: Produced) -> Produced:
    found = bare(value)
    assert found is not None
    return found


def _bare_error(error: Error | None) -> Error | None:
    if error is None or error.exception is None or error.exception.data is None:
        return error
    return msgspec.structs.replace(error, exception=Output(error.exception.digest, error.exception.size))


def _scalar(value: bool | int | float | str | None) -> tuple[str | None, float | None]:
    """A plain scalar for SQL: as text, and as a number where it is one."""
    if value is None or isinstance(value, str):
        return (value if value is None else value[:_REPR]), None
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    return str(value), number


def electron_columns(row: ElectronRow) -> list[Any]:
    """All columns of the electron table, in its order; ``seq`` is left to the writer."""
    error, preview, output = row.error, row.preview, row.output
    repr_ = type_ = scalar = number = size = None
    if preview is not None:
        repr_, type_ = preview.repr[:_REPR], preview.type
        scalar, number = _scalar(preview.scalar)
    if isinstance(output, Output):
        size = output.size
    if (
        output is None and preview is None and error is None and row.stdout == _NO_LOG and row.stderr == _NO_LOG
        and not row.warnings and not row.progress
    ):  # fmt: skip
        data = _EMPTY
    else:
        data = _encode(
            _Nested(bare(output), preview, _bare_error(error), row.stdout, row.stderr, row.warnings, row.progress)
        )
    return [
        row.dispatch_id, row.node, row.name, row.kind, row.status.value, 0, row.attempt, row.executor, row.started,
        row.ended, row.duration, row.worker, row.child, row.reused, row.key, row.rss,
        error.type if error is not None else None, error.message[:_REPR] if error is not None else None,
        repr_, type_, scalar, number, size, data,
    ]  # fmt: skip


def electron_row(r: tuple[Any, ...]) -> ElectronRow:
    """From the columns of :data:`ELECTRON`."""
    if r[16] == _EMPTY:
        n = _Nested()
    else:
        n = _nested(r[16])
    return ElectronRow(
        r[0], r[1], r[2], r[3], _STATUS[r[4]], r[5], r[6], r[7], r[8], r[9], r[10], r[11],
        n.output, n.preview, n.error, n.stdout, n.stderr, r[12], r[13], r[14], r[15], n.warnings, n.progress,
    )  # fmt: skip


def nested_of(data: bytes) -> tuple[Produced | None, Preview | None]:
    """Output and preview from an electron's ``data`` column."""
    nested = _nested(data)
    return nested.output, nested.preview


def dispatch_columns(row: DispatchRow) -> list[Any]:
    """All columns of the dispatch table, in its order; ``seq`` is left to the writer."""
    c = row.counts
    return [
        row.dispatch_id, row.root_id, row.parent_id, row.parent_node, row.name, row.label, row.lattice,
        row.status.value, 0, row.created, row.started, row.ended, row.notebook, row.key, row.seed, row.redispatch_of,
        row.error, row.note, list(row.tags), c.total, c.waiting, c.queued, c.running, c.completed, c.failed,
        c.cancelled, c.skipped, c.reused, _encode(row.inputs).decode(), _encode(row.environment).decode(),
        None if row.output is None else _encode(bare(row.output)).decode(),
    ]  # fmt: skip


def dispatch_row(r: tuple[Any, ...]) -> DispatchRow:
    """From the columns of :data:`DISPATCH`."""
    return DispatchRow(
        r[0], r[1], r[2], r[3], r[4], r[5], r[6], _STATUS[r[7]], r[8], Counts(*r[19:28]), r[9], r[10], r[11],
        _texts(r[28]), list(r[18]), r[12], r[13], int(r[14]), r[15], r[16], _texts(r[29]),
        None if r[30] is None else _produced(r[30]), r[17],
    )  # fmt: skip


def head_of(digest: Digest) -> int:
    """The number by which the value table is searched. ValueError if ``digest`` is none."""
    return int(digest[:16], 16)
