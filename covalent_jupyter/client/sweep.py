"""``ct.sweep``: one lattice for many points, as one durable dispatch whose nodes are its runs.

A sweep goes on without the kernel: its limit of runs at once is the service's. What is added or retried later is a
dispatch of the same group, and whoever opens the sweep by its id sees one table of all of them.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from .. import config
from ..errors import BuildError, InvalidRequest, NotFound
from ..model import DispatchRow, ElectronRow, Hole, Manifest, Status
from ..notebook.graph import plot_table
from ..notebook.panel import Panel, Redrawn, in_notebook
from ..notebook.panel_ends import watching_rest
from ..notebook.panel_plot import plot_svg
from ..workflow import Electron as ElectronOf
from ..workflow import Lattice, build, recorded_call
from ..workflow.options import suggest
from .dispatching import as_lattice, find_definition, say_warnings
from .display import html_status, html_table, html_text, plain, sign_of, text_table
from .drawing import electron_rows, timeline
from .electrons import Electron, Source
from .fetching import check_id
from .points import Points, as_points, check_points, said
from .rest import Rest, connect
from .submit import mark, submit
from .sweep_table import axes, cell, in_words, small_output, table_rows
from .tables import Facts, table_of
from .values import Values
from .waiting import ended, wait_for

#: rows that a sweep shows of itself
SHOWN = 20
#: dispatches of one sweep that are looked for
PARTS = 1000


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
    limit = _limit(max_running)
    print(f"Sweep of {plain(target.name)}: {said(found)}" + (f", at most {limit} at once" if limit else ""))
    group = str(uuid.uuid4())
    rest = connect()
    part = _Request(lattice, found, common, list(range(len(found))), limit, group, name, tuple(tags))
    return Sweep(group, rest, first=_send(rest, part, dispatch_id=group))


def _meant(target: Lattice, points: Any, unknown: Mapping[str, Any]) -> str:
    """What to write where the points of a sweep were forgotten, or given as if it were a call."""
    options = ("points", "fixed", "max_running", "name", "tags")
    first = next(iter(unknown), "")
    if points is not None:
        return f"ct.sweep: there is no option {first!r}{suggest(first, options)}; options are {', '.join(options)}"
    of = ", ".join(f"{each}=[...]" for each in unknown or target.binder.names[:1])
    return f"a sweep takes its points as one argument: ct.sweep({plain(target.name)}, ct.grid({of}))"


def get_sweep(dispatch_id: str) -> Sweep:
    """A sweep by its id, or the beginning of it. NotFound for an unknown one, InvalidRequest for what is no sweep."""
    return Sweep(dispatch_id)


class _Request(NamedTuple):
    """What one dispatch of a sweep is made of; ``numbers`` are the places of its points in the sweep."""

    target: Any
    points: Sequence[Mapping[str, Any]]
    fixed: dict[str, Any]
    numbers: list[int]
    max_running: int | None
    group: str
    name: str | None
    tags: tuple[str, ...]


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


def _limit(max_running: Any) -> int | None:
    if max_running is None:
        return None
    if not isinstance(max_running, int) or isinstance(max_running, bool) or max_running < 1:
        raise BuildError(f"max_running is a whole number of at least 1, not {max_running!r}")
    return max_running


def _sweeping(target: Any) -> Callable[..., Any]:
    """The lattice function of a sweep: calls ``target`` for each point."""
    call = target if isinstance(target, ElectronOf) else ElectronOf(as_lattice(target))

    def swept(points: Sequence[Mapping[str, Any]], fixed: Mapping[str, Any], numbers: Sequence[int]) -> list[Any]:
        return [call(**fixed, **point) for point in points]

    swept.__name__ = swept.__qualname__ = f"sweep of {call.name}"
    swept.__module__ = "__main__"  # pickled whole: another version of this package must be able to read it
    return swept


def _target_of(lattice: Lattice) -> Any:
    """What a recorded sweep calls."""
    return inspect.getclosurevars(lattice.function).nonlocals["call"]


def _tag(group: str) -> str:
    return f"sweep:{group[:8]}"


def _send(rest: Rest, request: _Request, dispatch_id: str | None = None) -> Manifest:
    built = build(
        Lattice(_sweeping(request.target)), (list(map(dict, request.points)), request.fixed, request.numbers),
        executor=config.load().executor, dispatch_id=dispatch_id,
    )  # fmt: skip
    manifest = built.manifest
    manifest.max_running, manifest.group = request.max_running, request.group
    known = [tag for tag in request.tags if tag != _tag(request.group)]
    label = request.name or f"{_short_name(manifest)} × {len(request.points)}"
    mark(manifest, name=label, tags=[*known, _tag(request.group)], seed=None)
    submit(rest, built)
    say_warnings(manifest)
    return manifest


def _short_name(manifest: Manifest) -> str:
    return manifest.name.removeprefix("sweep of ")


class Sweep:
    """The runs of a sweep: ``await`` it, ``wait``, ``table()``, ``plot(x, y)``, ``retry_failed()``, ``add(points)``.

    ``sweep[3]`` is the electron (or sublattice) of the fourth point, with its ``value``, ``error`` and ``electrons``.
    """

    def __init__(self, dispatch_id: str, rest: Rest | None = None, *, first: Manifest | None = None) -> None:
        self._rest = rest or connect()
        self._values = Values(self._rest)
        self._parts: dict[str, _Part] = {}
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
        return _short_name(self._newest.manifest)

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

    def retry_failed(self, code: Literal["recorded", "current"] = "recorded") -> Sweep:
        """Run those points again that failed or were cancelled; gives itself.

        ``code="current"`` takes the definitions that this process has now, by the name of the lattice.
        """
        runs = self._runs()
        again = [n for n, run in enumerate(runs) if run.row.status in (Status.FAILED, Status.CANCELLED, Status.SKIPPED)]
        if not again:
            print("Nothing to run again: no point failed or was cancelled.")
            return self
        print(f"Again: {said([runs[n].point for n in again])} of {len(runs)}")
        return self._start([runs[n].point for n in again], again, self._definition(code))

    def add(self, points: Any) -> Sweep:
        """More points, of the same lattice and with the same fixed arguments; gives itself."""
        found = as_points(points)
        target = self._definition("recorded")
        check_points(as_lattice(target), found, self.fixed)
        print(f"Added to the sweep of {plain(self.name)}: {said(found)}")
        start = len(self)
        return self._start(found, list(range(start, start + len(found))), target)

    def _start(self, points: Sequence[Mapping[str, Any]], numbers: list[int], target: Any) -> Sweep:
        newest = self._newest.manifest
        request = _Request(target, points, self.fixed, numbers, self.max_running, self._group, None, newest.tags)
        self._learn(_send(self._rest, request))
        return self

    def _definition(self, code: str) -> Any:
        recorded = self._values.function(self._newest.manifest.lattice.digest)
        target = _target_of(recorded)
        if code == "recorded":
            return target
        if code != "current":
            raise InvalidRequest(f'code is "recorded" or "current", not {code!r}')
        found = find_definition(target.function_name, "")
        if found is None:
            raise BuildError(
                f'there is no {target.function_name!r} in this process, which code="current" needs: run the cell that '
                'defines it, or use code="recorded"'
            )
        inner = found.function
        return inner if isinstance(inner, ElectronOf) else found

    # what came out

    @property
    def values(self) -> list[Any]:
        """What each run gave, in order; :class:`covalent_jupyter.Failed` where it failed, None where it has not ended."""
        return self._values.load_all([run.row.output or _no_value(run.row) for run in self._runs()])

    def table(self, *, pandas: bool | None = None) -> Any:
        """One row a point: inputs, ``status``, ``error``, ``duration`` in seconds, and what it gave.

        Of a dict of scalars each key is a column, anything else is in ``result`` (large values by their short text). A
        DataFrame where pandas is installed, else (or with ``pandas=False``) a list of dicts that looks well.
        """
        rows, columns = self._table()
        return table_of(rows, columns, pandas)

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
        return table_rows([(run.point, run.row) for run in runs], given)

    # what there is of it in the store

    def _learn(self, manifest: Manifest) -> _Part:
        args, _ = recorded_call(manifest, self._values.blob)
        points, fixed, numbers = args
        part = self._parts[manifest.dispatch_id] = _Part(manifest, points, fixed, numbers)
        return part

    def _rows(self) -> list[DispatchRow]:
        """Its dispatches, the oldest first."""
        page = self._rest.dispatches(tag=_tag(self._group), limit=PARTS)
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
        return list(self._parts.values())[-1]

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
        table = text_table(columns, [[cell(row.get(c)) for c in columns] for row in in_words(rows[:SHOWN])])
        more = f"\n... and {len(rows) - SHOWN} more; .table() has all" if len(rows) > SHOWN else ""
        return f"{sign} sweep of {plain(self.name)} {self.id[:8]}  {word}  {summary}\n{table}{more}"

    def _repr_html_(self) -> str:
        runs = self._runs()
        status, summary = self._summary(runs)
        rows, columns = self._table()
        table = html_table(columns, [[cell(row.get(c)) for c in columns] for row in in_words(rows[:SHOWN])])
        more = f"<div>and {len(rows) - SHOWN} more; <code>.table()</code> has all</div>" if len(rows) > SHOWN else ""
        over = in_words([row for row, run in zip(rows, runs, strict=False) if run.row.status.ended])
        plot = plot_svg(over, *axes(over, columns, [run.point for run in runs]))
        return (
            f"<div>{html_status(status)} &nbsp;<b>sweep of {html_text(self.name)}</b> {html_text(summary)} "
            f'<code title="{html_text(self.id)}">{html_text(self.id[:4])}</code></div>{plot}{table}{more}'
        )

    def _ipython_display_(self) -> None:
        """In a notebook: the panel, and below it the plot and the table, drawn again as runs end."""
        if not in_notebook():
            raise NotImplementedError  # IPython goes on with the next
        rows = self._rows()
        running = [row.dispatch_id for row in rows if not row.status.ended]
        Panel(self._rest, running[-1] if running else rows[-1].dispatch_id).show(text=repr(self))
        Redrawn(Sweep(self._group, watching_rest())._repr_html_, f"sweep {self._group[:8]}").show(running)


def _no_value(row: ElectronRow) -> Any:
    return Hole(row.node, row.error.type, row.error.message) if row.error is not None and row.status.ended else None
