"""Rows of dispatches and electrons as tuples of columns, and back."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from msgspec import Struct

from ..model.graph import Digest
from ..model.status import Status
from ..model.views import AttemptRow, DispatchRow, ElectronRow
from ..model.work import Composite, Error, Log, Output, Part, Preview, Produced

DISPATCH = "seq, data"  #: what a reader needs of the dispatch table
DISPATCH_SEQ = 5  #: place of ``seq`` in the dispatch table
#: What a reader needs of the electron table (``error_type`` and ``number`` repeat what ``data`` holds, for SQL).
ELECTRON = "dispatch_id, node, seq, name, status, attempt, executor, started, ended, duration, worker, rss, key, data, queued, host"
ELECTRON_SEQ = 2  #: place of ``seq`` in the electron table
_LONGEST = 4000  # characters of it that are searched


class _Nested(Struct, array_like=True):
    """The structured part of an electron's row, in its ``data`` column."""

    kind: str
    child: str | None = None
    reused: bool = False
    output: Produced | None = None
    preview: Preview | None = None
    error: Error | None = None
    stdout: Log = Log()
    stderr: Log = Log()
    warnings: tuple[str, ...] = ()
    progress: dict[str, Any] = {}


_encode = msgspec.json.Encoder().encode
_nested = msgspec.json.Decoder(_Nested).decode
_dispatch = msgspec.json.Decoder(DispatchRow).decode
_NO_LOG = Log()
_STATUS = {s.value: s for s in Status}
_PLAIN = {kind: _encode(_Nested(kind)).decode() for kind in ("electron", "sublattice", "operator")}
_PLAIN_KIND = {data: kind for kind, data in _PLAIN.items()}


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


def _number(value: bool | int | float | str | None) -> float | None:
    """A plain scalar for SQL, where it is a number."""
    if value is None or isinstance(value, str):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def electron_columns(row: ElectronRow) -> list[Any]:
    """All columns of the electron table, in its order; ``seq`` is left to the writer."""
    error, preview, output = row.error, row.preview, row.output
    if (
        output is None and preview is None and error is None and row.child is None and not row.reused
        and row.stdout == _NO_LOG and row.stderr == _NO_LOG and not row.warnings and not row.progress
        and row.kind in _PLAIN
    ):  # fmt: skip
        data, number, error_type = _PLAIN[row.kind], None, None
    else:
        nested = _Nested(
            row.kind, row.child, row.reused, bare(output), preview, _bare_error(error), row.stdout, row.stderr,
            row.warnings, row.progress,
        )  # fmt: skip
        data = _encode(nested).decode()
        number = None if preview is None else _number(preview.scalar)
        error_type = None if error is None else error.type
    return [
        row.dispatch_id, row.node, 0, row.name, row.status.value, row.attempt, row.executor, row.started, row.ended,
        row.duration, row.worker, error_type, number, row.rss, row.key, data, row.queued, row.host,
    ]  # fmt: skip


def electron_row(r: tuple[Any, ...]) -> ElectronRow:
    """From the columns of :data:`ELECTRON`."""
    kind = _PLAIN_KIND.get(r[13])
    n = _nested(r[13]) if kind is None else _Nested(kind)
    return ElectronRow(
        r[0], r[1], r[3], n.kind, _STATUS[r[4]], r[2], r[5], r[6], r[7], r[8], r[9], r[10], n.output, n.preview,
        n.error, n.stdout, n.stderr, n.child, n.reused, r[12], r[11], n.warnings, n.progress, r[14], r[15] or "",
    )  # fmt: skip


class _End(Struct, array_like=True):
    """The structured part of an attempt's row, in its ``data`` column."""

    error: Error | None = None
    stdout: Log = Log()
    stderr: Log = Log()


_end = msgspec.json.Decoder(_End).decode
#: Columns of :func:`attempt_row`, from the tables ``attempt`` (ended, another followed) and ``electron`` (the last one).
ATTEMPT = (
    "dispatch_id, node, attempt, name, status, executor, host, worker, queued, started, ended, duration, rss, data"
)


def attempt_columns(row: AttemptRow) -> list[Any]:
    """All columns of the attempt table, in its order."""
    error = row.error
    return [
        row.dispatch_id, row.node, row.attempt, row.name, row.status, row.executor, row.host, row.worker, row.queued,
        row.started, row.ended, row.duration, row.rss, None if error is None else error.type,
        _encode(_End(_bare_error(error), row.stdout, row.stderr)).decode(),
    ]  # fmt: skip


def attempt_row(r: tuple[Any, ...]) -> AttemptRow:
    """From the columns of :data:`ATTEMPT` and whether it is the electron's last attempt."""
    if not r[14]:
        end = _end(r[13])
    elif r[13] in _PLAIN_KIND:
        end = _End()
    else:
        n = _nested(r[13])
        end = _End(n.error if r[4] not in _UNDECIDED else None, n.stdout, n.stderr)
    return AttemptRow(
        r[0], r[1], r[2], r[3], r[4], r[5], r[6] or "", r[7], r[8], r[9], r[10], r[11], r[12], end.error, end.stdout,
        end.stderr,
    )  # fmt: skip


_UNDECIDED = frozenset({Status.DISPATCHING.value, Status.RUNNING.value, Status.COMPLETED.value})


def nested_of(data: bytes) -> tuple[Produced | None, Preview | None]:
    """Output and preview from an electron's ``data`` column."""
    nested = _nested(data)
    return nested.output, nested.preview


def dispatch_columns(row: DispatchRow) -> list[Any]:
    """All columns of the dispatch table, in its order; ``seq`` is left to the writer."""
    output = row.output
    if output is not None and (stripped := bare(output)) is not output:
        row = msgspec.structs.replace(row, output=stripped)
    return [
        row.dispatch_id, row.root_id, row.parent_id, row.lattice, row.status.value, 0, row.created, row.notebook,
        row.key, searched(row), _encode(row).decode(),
    ]  # fmt: skip


#: Raised with every change of :func:`searched`: what was stored before is brought up to it (``upkeep.renew_search``).
SEARCHED = 2


def searched(row: DispatchRow) -> str:
    """What people look for of a dispatch, in lower case."""
    found = (
        row.dispatch_id, row.name, row.label, row.lattice, row.notebook, row.note, *row.tags,
        ", ".join(f"{name}={value}" for name, value in row.inputs.items()), row.error,
    )  # fmt: skip
    return "\n".join(found)[:_LONGEST].lower()


def dispatch_row(r: tuple[Any, ...]) -> DispatchRow:
    """From the columns of :data:`DISPATCH`."""
    row = _dispatch(r[1])
    row.seq = r[0]
    return row


def head_of(digest: Digest) -> int:
    """The number by which the value table is searched. ValueError if ``digest`` is none."""
    return int(digest[:16], 16)
