"""``ct.sweep``: one lattice for many points, as one durable dispatch whose nodes are its runs.

A sweep goes on without the kernel: its limit of runs at once is the service's. What is added or retried later is a
dispatch of the same group, and whoever opens the sweep by its id sees one table of all of them.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections import Counter, deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from ..errors import BuildError, CovalentError, InvalidRequest, NotFound
from ..front import notebook_path
from ..model import Counts, DispatchRow, ElectronRow, Hole, Manifest, Status
from ..notebook.graph import plot_table
from ..notebook.panel import Panel, Redrawn, in_notebook
from ..notebook.panel_ends import watching_rest
from ..notebook.panel_plot import plot_svg
from ..workflow import Electron as ElectronOf
from ..workflow import Lattice, recorded_call
from ..workflow.options import suggest
from .brief import brief
from .dispatching import as_lattice, find_definition
from .display import html_bar, html_status, html_table, html_text, plain, sign_of, text_table
from .drawing import electron_rows, timeline
from .electrons import Electron, Source
from .fetching import check_id
from .points import Points, as_points, check_points, check_size, said
from .rest import Rest, connect
from .sweep_request import Request, built_of, limit_of, send, short_name, swept_code, tag_of, target_of
from .sweep_table import SPANS, axes, cells, in_words, small_output, table_rows
from .tables import Facts, table_of
from .values import Values
from .waiting import ended, wait_for

#: rows that a sweep shows of itself
SHOWN = 20
#: dispatches of one sweep that are looked for
PARTS = 1000
#: displays of a sweep that are drawn again
DISPLAYS = 10
#: whose definitions a later dispatch of a sweep takes; None: those of this process, where it has them
Code = Literal["recorded", "current"] | None


@brief
def sweep(
    lattice: Any,
    points: Any = None,
    fixed: Mapping[str, Any] | None = None,
    max_running: int | None = None,
    name: str | None = None,
    tags: Sequence[str] = (),
    **unknown: Any,
) -> Sweep:
    """Run a lattice (or an electron) for every point, and give the :class:`Sweep` at once.

    ``points`` is ``ct.grid(C=[...], gamma=[...])``, ``ct.zip(...)``, a list of dicts or a DataFrame; ``fixed`` are
    arguments that all runs have in common. ``max_running`` runs at most are under way at once; the service keeps to it,
    also when this kernel is gone. One run that fails leaves the others alone. Raises BuildError, with the lattice's
    signature, for an unknown or missing parameter.
    """
    target = as_lattice(lattice)
    if points is None or unknown:
        raise BuildError(_meant(target, points, unknown))
    found, common = as_points(points), dict(fixed or {})
    check_points(target, found, common)
    check_size(target, found, common)
    limit = limit_of(max_running)
    print(f"Sweep of {plain(target.name)}: {said(found)}" + (f", at most {limit} at once" if limit else ""))
    group = str(uuid.uuid4())
    rest = connect()
    part = Request(lattice, found, common, list(range(len(found))), limit, group, name, tuple(tags))
    return Sweep(group, rest, first=send(rest, built_of(part, dispatch_id=group)))


def _meant(target: Lattice, points: Any, unknown: Mapping[str, Any]) -> str:
    """What to write where the points of a sweep were forgotten, or given as if it were a call."""
    options = ("points", "fixed", "max_running", "name", "tags")
    first = next(iter(unknown), "")
    if points is not None:
        if first in target.binder.names:
            hint = f": {first!r} is an argument of {plain(target.name)}, so it belongs into the points or into fixed={{{first!r}: ...}}"
        else:
            hint = suggest(first, options)
        return f"ct.sweep: there is no option {first!r}{hint}; options are {', '.join(options)}"
    of = ", ".join(f"{each}=[...]" for each in unknown or target.binder.names[:1])
    return f"a sweep takes its points as one argument: ct.sweep({plain(target.name)}, ct.grid({of}))"


@brief
def get_sweep(dispatch_id: str) -> Sweep:
    """A sweep by its id, or the beginning of it. NotFound for an unknown one, InvalidRequest for what is no sweep."""
    return Sweep(dispatch_id)


class _Part(NamedTuple):
    """One dispatch of a sweep, as recorded."""

    manifest: Manifest
    points: list[dict[str, Any]]
    fixed: dict[str, Any]
    numbers: list[int]

    @property
    def dispatch_id(self) -> str:
        return self.manifest.dispatch_id


class _Run(NamedTuple):
    """The newest run of one point."""

    point: dict[str, Any]
    part: _Part
    row: ElectronRow


class Sweep:
    """The runs of a sweep: ``await`` it, ``wait``, ``table()``, ``plot(x, y)``, ``retry_failed()``, ``add(points)``.

    ``sweep[3]`` is the electron (or sublattice) of the fourth point, with its ``value``, ``error`` and ``electrons``.
    """

    def __init__(self, dispatch_id: str, rest: Rest | None = None, *, first: Manifest | None = None) -> None:
        self._rest = rest or connect()
        self._values = Values(self._rest)
        self._parts: dict[str, _Part] = {}
        self._displays: deque[tuple[Panel, Redrawn]] = deque(maxlen=DISPLAYS)
        self._defaults: dict[str, dict[str, Any]] = {}
        manifest = first or self._rest.manifest(self._rest.dispatch(check_id(dispatch_id)).dispatch_id)
        if not manifest.group:
            raise InvalidRequest(
                f"dispatch {manifest.dispatch_id[:8]} ({plain(manifest.name)}) is no sweep: ct.get_result opens it"
            )
        self._group = manifest.group
        self._learn(manifest)

    @property
    def id(self) -> str:
        """The id under which ``ct.get_sweep`` finds it: that of its first dispatch."""
        return self._group

    @property
    def name(self) -> str:
        """Of the lattice that is swept."""
        return short_name(self._newest.manifest)

    @property
    def dispatch_ids(self) -> list[str]:
        """The dispatches that it consists of: the first, and one for each ``add`` and ``retry_failed``."""
        return [row.dispatch_id for row in self._rows()]

    @property
    def points(self) -> Points:
        """The inputs that differ, in order."""
        return Points(run.point for run in self._runs())

    @property
    def fixed(self) -> dict[str, Any]:
        """The arguments that all runs have in common."""
        return dict(self._newest.fixed)

    @property
    def max_running(self) -> int | None:
        return self._newest.manifest.max_running

    @property
    def status(self) -> Status:
        """RUNNING until every run has ended; then FAILED, CANCELLED or COMPLETED, by the newest run of each point."""
        if not all(row.status.ended for row in self._rows()):
            return Status.RUNNING
        states = {run.row.status for run in self._runs()}
        return next((s for s in (Status.FAILED, Status.CANCELLED) if s in states), Status.COMPLETED)

    def __len__(self) -> int:
        return 1 + max(number for part in self._known() for number in part.numbers)

    @brief
    def __getitem__(self, number: int) -> Electron:
        runs = self._runs()
        try:
            run = runs[number]
        except IndexError:
            raise NotFound(f"this sweep has no point {number}: it has {len(runs)}, from 0") from None
        return Electron(Source(self._values, run.part.dispatch_id), run.row)

    # waiting and steering

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until every run has ended, at most ``timeout`` seconds; the status then. Ctrl-C stops the waiting only."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for dispatch_id in self.dispatch_ids:
            wait_for(self._rest, dispatch_id, None if deadline is None else max(0.0, deadline - time.monotonic()))
        return self.status

    def __await__(self) -> Generator[Any, None, Sweep]:
        return self._ended().__await__()

    async def _ended(self) -> Sweep:
        await asyncio.gather(*(ended(self._rest, row.dispatch_id) for row in self._rows() if not row.status.ended))
        return self

    def cancel(self) -> Facts:
        """Stop what runs and what waits; says how many runs that were."""
        done: Counter[str] = Counter()
        for row in self._rows():
            if not row.status.ended:
                answer = self._rest.cancel(row.dispatch_id)
                done.update({key: len(answer[key]) for key in ("cancelled", "stopping")})
        return Facts({"cancelled": done["cancelled"], "stopping": done["stopping"]})

    @brief
    def retry_failed(self, code: Code = None) -> Sweep:
        """Run those points again that failed or were cancelled; gives itself.

        By default with the lattice as this notebook (or script) defines it now, where it does, and as recorded elsewhere;
        what is printed says which, and whether its code has changed. ``code="recorded"`` and ``code="current"`` decide it.
        """
        runs = self._runs()
        again = [n for n, run in enumerate(runs) if run.row.status in (Status.FAILED, Status.CANCELLED, Status.SKIPPED)]
        if not again:
            print("Nothing to run again: no point failed or was cancelled.")
            return self
        points = [runs[n].point for n in again]
        return self._start(points, again, code, "again", f"Again: {said(points)} of {len(runs)}")

    @brief
    def add(self, points: Any, code: Code = None) -> Sweep:
        """More points, of the same lattice and with the same fixed arguments; ``code`` as in :meth:`retry_failed`. Gives
        itself."""
        found = as_points(points)
        start = len(self)
        numbers = list(range(start, start + len(found)))
        return self._start(found, numbers, code, "more", f"Added to the sweep of {plain(self.name)}: {said(found)}")

    def _start(
        self, points: Sequence[Mapping[str, Any]], numbers: list[int], code: Code, what: str, said_first: str
    ) -> Sweep:
        """Send these points as one more dispatch, and say so, with what is worth saying of its code."""
        newest = self._newest.manifest
        target, note = self._definition(code)
        check_points(as_lattice(target), points, self.fixed)
        check_size(as_lattice(target), points, self.fixed)
        label = f"{self.name} × {len(points)} {what}"
        request = Request(target, points, self.fixed, numbers, self.max_running, self._group, label, newest.tags)
        built = built_of(request)
        if code is None and not note:
            same = swept_code(built.manifest).code == swept_code(newest).code
            note = ", with the same code" if same else f", with {plain(self.name)} as it is now (its code has changed)"
        print(said_first + note)
        sent = self._learn(send(self._rest, built))
        for panel, below in self._displays:
            panel.turn_to(sent.dispatch_id)
            below.follow([sent.dispatch_id])
        return self

    def _definition(self, code: Code) -> tuple[Any, str]:
        """What is called for each point, and what to say of it where nobody chose it and it is the recorded one."""
        if code not in (None, "recorded", "current"):
            raise InvalidRequest(f'code is "recorded" or "current", not {code!r}')
        newest = self._newest.manifest
        target = target_of(self._values.function(newest.lattice.digest))
        if code == "recorded":
            return target, ""
        first = self._parts.get(self._group, self._newest).manifest
        notebook = notebook_path()
        if code is None and first.notebook and notebook not in ("", first.notebook):
            return target, ', with the code as recorded in another notebook (code="current": as it is in this one)'
        found = find_definition(target.function_name, swept_code(newest).file)
        if found is None:
            if code is None:
                return target, f", with the code as recorded: no {target.function_name} is defined here"
            raise BuildError(
                f'there is no {target.function_name!r} in this process, which code="current" needs: run the cell that '
                'defines it, or use code="recorded"'
            )
        inner = found.function
        return inner if isinstance(inner, ElectronOf) else found, ""

    # what came out

    @property
    def values(self) -> list[Any]:
        """What each run gave, in order; :class:`covalent_jupyter.Failed` where it failed, None where it has not ended."""
        return self._values.load_all([run.row.output or _no_value(run.row) for run in self._runs()])

    @brief
    def table(self, *, pandas: bool | None = None) -> Any:
        """One row a point: inputs, ``status``, ``error``, ``duration`` in seconds, and what it gave.

        Of a dict of scalars each key is a column, anything else is in ``result`` (large values by their short text). A
        DataFrame where pandas is installed, else (or with ``pandas=False``) a list of dicts that looks well.
        """
        rows, columns = self._table()
        return table_of(rows, columns, pandas, SPANS)

    @brief
    def plot(self, x: str | None = None, y: str | None = None, color: str | None = None) -> Any:
        """A ``plotly.graph_objects.Figure`` of two columns of :meth:`table`, one line for each value of ``color``.

        By default ``x`` is the first input that differs, ``color`` the second, and ``y`` the first number among the results.
        """
        rows, columns = self._table()
        at, shown, by = axes(rows, columns, self.points, x, y, color)
        for column in (at, shown, by):
            if column is not None and column not in columns:
                raise InvalidRequest(f"the table has no column {column!r}: it has {', '.join(columns)}")
        return plot_table(rows, at, shown, by, title=f"{self.name} {self.id[:4]}")

    def timeline(self) -> Any:
        """Who ran what when, in all of its dispatches; see :meth:`.result.Result.timeline`."""
        return timeline(self._rest, self._rows(), title=f"{self.name} {self.id[:4]}")

    def _table(self) -> tuple[list[dict[str, Any]], list[str]]:
        runs = self._runs()
        given = self._values.load_all([small_output(run.row) for run in runs])
        return table_rows(list(zip(self._inputs(runs), (run.row for run in runs), strict=True)), given)

    def _inputs(self, runs: Sequence[_Run]) -> list[dict[str, Any]]:
        """The point of each run, and the defaults of parameters that only other points give."""
        names = dict.fromkeys(name for run in runs for name in run.point)
        found = []
        for run in runs:
            missing = [name for name in names if name not in run.point]
            defaults = self._defaults_of(run.part) if missing else {}
            found.append({**run.point, **{name: defaults[name] for name in missing if name in defaults}})
        return found

    def _defaults_of(self, part: _Part) -> dict[str, Any]:
        if part.dispatch_id not in self._defaults:
            self._defaults[part.dispatch_id] = {}
            with suppress(CovalentError):  # recorded under another Python: the table does without
                signature = target_of(self._values.function(part.manifest.lattice.digest)).binder.signature
                defaults = {p.name: p.default for p in signature.parameters.values()} if signature is not None else {}
                self._defaults[part.dispatch_id] = {
                    k: v for k, v in defaults.items() if v is not inspect.Parameter.empty
                }
        return self._defaults[part.dispatch_id]

    # what there is of it in the store

    def _learn(self, manifest: Manifest) -> _Part:
        args, _ = recorded_call(manifest, self._values.blob)
        points, fixed, numbers = args
        part = self._parts[manifest.dispatch_id] = _Part(manifest, points, fixed, numbers)
        return part

    def _rows(self) -> list[DispatchRow]:
        """Its dispatches, the oldest first."""
        page = self._rest.dispatches(tag=tag_of(self._group), limit=PARTS)
        found = {row.dispatch_id: row for row in page.dispatches}
        for dispatch_id in self._parts:
            if dispatch_id not in found:  # its tag was taken off
                try:
                    found[dispatch_id] = self._rest.dispatch(dispatch_id)
                except NotFound:
                    pass
        for dispatch_id in found.keys() - self._parts.keys():
            manifest = self._rest.manifest(dispatch_id)
            if manifest.group == self._group:
                self._learn(manifest)
            else:
                del found[dispatch_id]
        for gone in self._parts.keys() - found.keys():
            del self._parts[gone]
        if not found:
            raise NotFound(f"the sweep {self._group[:8]} was deleted")
        return sorted(found.values(), key=lambda row: row.created)

    def _known(self) -> list[_Part]:
        return [self._parts[row.dispatch_id] for row in self._rows()]

    @property
    def _newest(self) -> _Part:
        return max(self._parts.values(), key=lambda part: part.manifest.created)

    def _runs(self) -> list[_Run]:
        """The newest run of every point, in order."""
        found: dict[int, _Run] = {}
        for part in self._known():
            rows = electron_rows(self._rest, part.dispatch_id)
            for node, (number, point) in enumerate(zip(part.numbers, part.points, strict=True)):
                if node in rows:
                    found[number] = _Run(point, part, rows[node])
        return [found[number] for number in sorted(found)]

    # display

    def _summary(self, runs: Sequence[_Run]) -> tuple[Status, str]:
        counts = Counter(sign_of(run.row.status, run.row.reused)[1] for run in runs)
        status = self.status
        parts = [f"{number} {word}" for word, number in counts.items()]
        limit = f" · at most {self.max_running} at once" if self.max_running else ""
        number = "1 point" if len(runs) == 1 else f"{len(runs)} points"
        return status, f"{number}: {', '.join(parts)}{limit}"

    def __repr__(self) -> str:
        runs = self._runs()
        status, summary = self._summary(runs)
        sign, word = sign_of(status)
        rows, columns = self._table()
        table = text_table(columns, [cells(row, columns) for row in in_words(rows[:SHOWN])])
        more = f"\n... and {len(rows) - SHOWN} more; .table() has all" if len(rows) > SHOWN else ""
        return f"{sign} sweep of {plain(self.name)} {self.id[:8]}  {word}  {summary}\n{table}{more}"

    def _repr_html_(self) -> str:
        runs = self._runs()
        status, summary = self._summary(runs)
        rows, columns = self._table()
        table = html_table(columns, [cells(row, columns) for row in in_words(rows[:SHOWN])])
        more = f"<div>and {len(rows) - SHOWN} more; <code>.table()</code> has all</div>" if len(rows) > SHOWN else ""
        over = in_words([row for row, run in zip(rows, runs, strict=False) if run.row.status.ended])
        plot = plot_svg(over, *axes(over, columns, self._inputs(runs)))
        head = (
            f"<div>{html_status(status)} &nbsp;<b>sweep of {html_text(self.name)}</b> {html_text(summary)} "
            f'<code title="{html_text(self.id)}">{html_text(self.id[:4])}</code></div>'
        )
        still = f'<div class="cv-stillOnly">{html_bar(_counts(runs))}{self._parts_html()}</div>'
        return f"{head}{still}{plot}{table}{more}"

    def _parts_html(self) -> str:
        """Its dispatches, where there are several: points were added, or run again."""
        rows = self._rows()
        if len(rows) < 2:
            return ""
        parts = [
            f'{html_status(row.status)} {html_text(row.label or row.name)} <code title="{html_text(row.dispatch_id)}">'
            f"{html_text(row.dispatch_id[:4])}</code>"
            for row in rows
        ]
        return f'<div style="font-size:12px;margin:0 0 6px">{len(rows)} dispatches: {", ".join(parts)}</div>'

    def _ipython_display_(self) -> None:
        """In a notebook: the panel of its newest dispatch with the whole sweep above it, and below it the plot and the table, drawn again as runs end."""
        if not in_notebook():
            raise NotImplementedError  # IPython goes on with the next
        running = self._running()
        panel = Panel(self._rest, running[-1] if running else self.dispatch_ids[-1], turns=True)
        panel.show(text=repr(self))
        watched = Sweep(self._group, watching_rest())
        shown = Redrawn(watched._repr_html_, f"sweep {self._group[:8]}", watched._running)
        shown.show()
        self._displays.append((panel, shown))

    def _running(self) -> list[str]:
        return [row.dispatch_id for row in self._rows() if not row.status.ended]


def _counts(runs: Sequence[_Run]) -> Counts:
    """As many runs as are in each state that a bar shows."""
    of = Counter(run.row.status for run in runs)
    return Counts(
        total=len(runs), completed=of[Status.COMPLETED], running=of[Status.RUNNING], failed=of[Status.FAILED]
    )  # fmt: skip


def _no_value(row: ElectronRow) -> Any:
    return Hole(row.node, row.error.type, row.error.message) if row.error is not None and row.status.ended else None
