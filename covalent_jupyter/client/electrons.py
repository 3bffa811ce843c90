"""The electrons of a dispatch as a lazy table, and one electron with everything that is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, overload

from ..codec import arrow_streams
from ..errors import NotFinished, NotFound
from ..model import ElectronRow, Error, FunctionDef, Manifest, Node, Produced, Ref, Status, Tpl
from .display import (
    ELECTRON_HEADER,
    electron_cells,
    html_table,
    html_text,
    outcome_text,
    plain,
    remarks,
    sign_of,
    text_table,
)
from .failures import electron_text, exception_of
from .nodes import find_nodes
from .values import Values, outputs_of

#: rows that one request fetches
PAGE = 500
#: rows that the table shows
SHOWN = 60


class Source:
    """What the electrons of one dispatch share: its manifest, fetched once, and the reader of values."""

    def __init__(self, values: Values, dispatch_id: str) -> None:
        self.values = values
        self.rest = values.rest
        self.dispatch_id = dispatch_id
        self._manifest: Manifest | None = None

    @property
    def manifest(self) -> Manifest:
        if self._manifest is None:
            self._manifest = self.rest.manifest(self.dispatch_id)
        return self._manifest

    def rows(self, nodes: Sequence[int]) -> dict[int, ElectronRow]:
        """Rows of these nodes."""
        found: dict[int, ElectronRow] = {}
        for at in range(0, len(nodes), PAGE):
            page = self.rest.electrons(self.dispatch_id, nodes=list(nodes[at : at + PAGE]), limit=PAGE)
            found.update((row.node, row) for row in page.electrons)
        return found


class Electron:
    """One electron of a dispatch, as it was when it was looked up. Times are aware datetimes in UTC."""

    def __init__(self, source: Source, row: ElectronRow) -> None:
        self._source = source
        self.row = row

    @property
    def node_id(self) -> int:
        return self.row.node

    @property
    def dispatch_id(self) -> str:
        return self.row.dispatch_id

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def status(self) -> Status:
        return self.row.status

    @property
    def attempt(self) -> int:
        """Number of the latest attempt, from 1; 0 before the first."""
        return self.row.attempt

    @property
    def executor(self) -> str:
        return self.row.executor

    @property
    def worker(self) -> str:
        """``"host:pid"`` of the runner."""
        return self.row.worker

    @property
    def reused(self) -> bool:
        """Whether the value was taken over from an earlier dispatch."""
        return self.row.reused

    @property
    def start_time(self) -> datetime | None:
        return moment(self.row.started)

    @property
    def end_time(self) -> datetime | None:
        return moment(self.row.ended)

    @property
    def duration(self) -> float | None:
        """Seconds in the user's function."""
        return self.row.duration

    @property
    def error(self) -> str | None:
        """Exception type, message and the user's frames; None if it did not fail."""
        return electron_text(self.row) if self._failure is not None else None

    @property
    def traceback(self) -> str:
        """The whole traceback, library frames included; ``""`` if it did not fail."""
        failure = self._failure
        return plain(failure.text, lines=True) if failure is not None else ""

    @property
    def _failure(self) -> Error | None:
        """Why it failed. A cell that was cancelled did not, though its row says that it left something."""
        error = self.row.error
        stopped = (
            error is not None and error.left and self.row.status is Status.CANCELLED and error.cause == "interrupted"
        )
        return None if stopped else error

    @property
    def preview(self) -> str:
        """A short repr of the value, made where it was made."""
        return self.row.preview.repr if self.row.preview is not None else ""

    @property
    def value(self) -> Any:
        """What it returned. Raises its own exception if it failed, NotFinished if there is no value (yet)."""
        row = self.row
        if row.output is not None:
            try:
                return self._source.values.load(row.output)
            except NotFound as error:
                raise self._let_go() or error from None
        if self._failure is not None:
            raise exception_of(self._source.values, row, electron_text(row))
        word = sign_of(row.status)[1]
        raise NotFinished(
            f"electron {row.name} [{row.node}] of dispatch {row.dispatch_id[:8]} has no value: it is {word}"
        )

    result = value

    def _let_go(self) -> NotFound | None:
        """Why its value is not kept; None where it was to be kept."""
        manifest = self._source.manifest
        keep = manifest.options[manifest.nodes[self.row.node].options].keep
        if keep == "always":
            return None
        return NotFound(
            f"the value of {self.row.name} [{self.row.node}] was let go, as its option keep={keep!r} says: .call() runs it here "
            "again"
        )

    def arrow(self) -> list[memoryview]:
        """The tables of pandas and Arrow in what it returned, each as the bytes of an Arrow IPC stream; nothing is unpickled, so it
        works under any Python, also for values that cannot be loaded here. Raises as :attr:`value` where there is none."""
        output = self.row.output
        if output is None:
            _ = self.value
            return []
        blobs = [self._source.values.blob(one.digest, one.data) for one in outputs_of(output)]
        return [stream for blob in blobs for stream in arrow_streams(blob)]

    @property
    def stdout(self) -> str:
        """What it printed in its latest attempt, so far."""
        return self._stream("stdout")

    @property
    def stderr(self) -> str:
        return self._stream("stderr")

    def _stream(self, name: str) -> str:
        log = getattr(self.row, name)
        if self.row.status.ended and not log.file:
            return str(log.text)
        parts: list[str] = []
        offset = 0
        while True:
            text, after = self._source.rest.stream(self.row.dispatch_id, self.row.node, name, offset=offset)
            if not text or after <= offset:
                return "".join(parts)
            parts.append(text)
            offset = after

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """Every attempt, first to last: ``attempt, status, executor, started, ended, worker, error, stdout, stderr`` (times in
        seconds since the epoch; of the streams ``[text, bytes, ...]``)."""
        return list(self._source.rest.electron(self.row.dispatch_id, self.row.node)["attempts"])

    @property
    def node(self) -> Node:
        """The node of the transport graph."""
        return self._source.manifest.nodes[self.row.node]

    @property
    def definition(self) -> FunctionDef:
        """Source, file, line, signature and captured values of its function."""
        return self._source.manifest.functions[self.node.function]

    @property
    def source(self) -> str:
        """Source code as it was dispatched."""
        return self.definition.source

    @property
    def inputs(self) -> dict[str, Any]:
        """What it was called with, by parameter; loaded now. Raises NotFound if an input has no value yet."""
        args, kwargs = self.arguments()
        names = [*self.node.params, *(f"[{i}]" for i in range(len(self.node.params), len(args)))]
        return {**dict(zip(names, args, strict=False)), **kwargs}

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments that it was called with; loaded now."""
        node = self.node
        outputs = self._outputs_for([*node.args, *node.kwargs.values()])
        load = self._source.values.load_input
        return [load(v, outputs) for v in node.args], {k: load(v, outputs) for k, v in node.kwargs.items()}

    def _outputs_for(self, inputs: Sequence[Any]) -> dict[int, Produced | None]:
        refs = [r for v in inputs for r in ((v,) if isinstance(v, Ref) else v.refs if isinstance(v, Tpl) else ())]
        wanted = sorted({r.node for r in refs})
        return {n: row.output for n, row in self._source.rows(wanted).items()} if wanted else {}

    @property
    def func(self) -> Any:
        """Its function as it was dispatched (a copy in this process)."""
        return self._source.values.function(self.definition.digest)

    def call(self) -> Any:
        """Run it again in this process, with its recorded function and inputs."""
        args, kwargs = self.arguments()
        return self.func(*args, **kwargs)

    @property
    def electrons(self) -> Electrons:
        """Of a sublattice: its own electrons."""
        if not self.row.child:
            raise NotFound(
                f"{self.row.name} [{self.row.node}] has no electrons of its own: it is no sublattice, "
                "or has not been built yet"
            )
        return Electrons(Source(self._source.values, self.row.child))

    def __repr__(self) -> str:
        sign, word = sign_of(self.row.status, self.row.reused)
        text = f"{sign} {self.row.name} [{self.row.node}] {word}"
        outcome = outcome_text(self.row)
        return plain(f"{text}: {outcome}" if outcome else text)

    def _repr_html_(self) -> str:
        return html_table(ELECTRON_HEADER, [electron_cells(self.row)])


class Electrons:
    """The electrons of a dispatch: ``electrons[12]``, ``electrons["train"]`` and ``electrons["train[C=0.1]"]`` (a list when
    there are several), ``electrons[:5]``, iteration, ``len``. Rows are fetched when needed."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._total: int | None = None

    def __len__(self) -> int:
        if self._total is None:
            self._total = self._source.rest.electrons(self._source.dispatch_id, limit=1).total
        return self._total

    def __iter__(self) -> Iterator[Electron]:
        offset = 0
        while True:
            page = self._source.rest.electrons(self._source.dispatch_id, offset=offset, limit=PAGE)
            self._total = page.total
            for row in page.electrons:
                yield Electron(self._source, row)
            offset += len(page.electrons)
            if not page.electrons or offset >= page.total:
                return

    @overload
    def __getitem__(self, key: int) -> Electron: ...
    @overload
    def __getitem__(self, key: slice) -> list[Electron]: ...
    @overload
    def __getitem__(self, key: str) -> Electron | list[Electron]: ...

    def __getitem__(self, key: int | slice | str) -> Electron | list[Electron]:
        if isinstance(key, str):
            return self._named(key)
        if isinstance(key, slice):
            rows = self._source.rows(range(*key.indices(len(self))))
            return [Electron(self._source, rows[n]) for n in sorted(rows)]
        node = key + len(self) if key < 0 else key
        rows = self._source.rows([node])
        if node not in rows:
            raise NotFound(f"dispatch {self._source.dispatch_id[:8]} has no electron {key}: it has {len(self)}, from 0")
        return Electron(self._source, rows[node])

    def _named(self, address: str) -> Electron | list[Electron]:
        nodes = find_nodes(self._source.manifest, address)
        rows = self._source.rows(nodes)
        found = [Electron(self._source, rows[n]) for n in nodes if n in rows]
        return found[0] if len(found) == 1 else found

    def failed(self) -> list[Electron]:
        """Those that failed."""
        page = self._source.rest.electrons(self._source.dispatch_id, status="FAILED", limit=PAGE)
        return [Electron(self._source, row) for row in page.electrons]

    def _head(self) -> list[ElectronRow]:
        page = self._source.rest.electrons(self._source.dispatch_id, limit=SHOWN)
        self._total = page.total
        return page.electrons

    def __repr__(self) -> str:
        rows = self._head()
        table = text_table(ELECTRON_HEADER, [electron_cells(row) for row in rows])
        more = len(self) - len(rows)
        lines = [f"... and {more} more"] if more > 0 else []
        return "\n".join([table, *lines, *(plain(line) for line in remarks(rows))])

    def _repr_html_(self) -> str:
        rows = self._head()
        more = len(self) - len(rows)
        return (
            html_table(ELECTRON_HEADER, [electron_cells(r) for r in rows])
            + (f"<div>and {more} more</div>" if more > 0 else "")
            + "".join(f"<div>{html_text(line)}</div>" for line in remarks(rows))
        )


def moment(seconds: float | None) -> datetime | None:
    """Seconds since the epoch as an aware datetime in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
