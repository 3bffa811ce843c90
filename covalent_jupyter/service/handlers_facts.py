"""What electrons and lattices did, as tables: attempts, metrics, runs of a lattice, the views for SQL."""

from __future__ import annotations

import ast
from typing import Any

import msgspec

from ..errors import NotFound
from ..model import DispatchRow, ElectronRow
from ..store import Store
from ..store.views import VERSION, VIEWS
from . import queries as q
from .attempts import told
from .handlers_dispatches import DispatchHandler, page_of, with_live_log
from .web import Handler


class AttemptsOf(DispatchHandler):
    async def get(self, given: str) -> None:
        query = self.query(q.ListAttempts)
        dispatch_id = await self.dispatch_id(given)
        seq = self.context.dispatcher.bus.seq
        rows, total = await self.context.read(
            self.context.store.attempts, dispatch_id, node=query.node, offset=query.offset, limit=query.limit
        )
        self.reply(q.AttemptPage([told(row) for row in rows], total, seq))


class ElectronMetrics(DispatchHandler):
    async def get(self, given: str, node: str) -> None:
        query = self.query(q.ReadMetrics)
        row = with_live_log(await self.electron(given, node), self.context.dispatcher.live_logs)
        if query.attempt is not None and query.attempt > row.attempt:
            raise NotFound(f"electron {row.node} of dispatch {row.dispatch_id[:8]} has had no attempt {query.attempt}")
        points = await self.context.read(
            self.context.store.metrics, row.dispatch_id, node=row.node, attempt=query.attempt, after=query.after,
            points=query.points,
        )  # fmt: skip
        reported = await self.context.read(self.context.store.reports, row.dispatch_id)
        self.reply(metrics_of(row, points, reported.get(row.node)))


class MetricsOf(DispatchHandler):
    async def get(self, given: str) -> None:
        query = self.query(q.ReadAllMetrics)
        dispatch_id = await self.dispatch_id(given)
        seq, live = self.context.dispatcher.bus.seq, dict(self.context.dispatcher.live_logs)
        barred = [node for (other, node), grown in live.items() if other == dispatch_id and grown.progress]
        found = await self.context.read(_all_metrics, self.context.store, dispatch_id, barred, query.points)
        self.reply(q.AllMetrics([metrics_of(with_live_log(row, live), points, n) for row, points, n in found], seq))


class Runs(Handler):
    async def get(self) -> None:
        query = self.query(q.ListRuns)
        seq = self.context.dispatcher.bus.seq
        rows, total, following = await self.context.read(
            page_of, self.context.store, msgspec.convert(
                {
                    **{name: getattr(query, name) for name in query.__struct_fields__ if name != "sublattices"},
                    "parent": query.parent or ("" if query.sublattices else "none"),
                },
                q.ListDispatches,
            ),
        )  # fmt: skip
        runs = [run_of(row) for row in rows]
        inputs = list(dict.fromkeys(name for run in runs for name in run.inputs))
        results = list(dict.fromkeys(name for run in runs for name in run.results))
        self.reply(q.RunPage(query.lattice, inputs, results, runs, seq, total, following))


class SqlSchema(Handler):
    def get(self) -> None:
        self.query(q.Nothing)
        self.reply(q.SqlSchema(VERSION, list(VIEWS.values())))


def _all_metrics(
    store: Store, dispatch_id: str, barred: list[int], points: int
) -> list[tuple[ElectronRow, list[tuple[int, int, str, int, float, float]], tuple[int, int] | None]]:
    reported = store.reports(dispatch_id)
    nodes = sorted({*reported, *barred})
    if not nodes:
        return []
    series: dict[int, list[tuple[int, int, str, int, float, float]]] = {}
    for point in store.metrics(dispatch_id, points=points):
        series.setdefault(point[0], []).append(point)
    rows, _ = store.electrons(dispatch_id, nodes=nodes, limit=len(nodes))
    return [(row, series.get(row.node, []), reported.get(row.node)) for row in rows]


def metrics_of(
    row: ElectronRow, points: list[tuple[int, int, str, int, float, float]], reported: tuple[int, int] | None
) -> q.Metrics:
    """Points (node, attempt, name, step, time, value) of one electron as series, and how far it is."""
    series: dict[str, list[tuple[int, float, float | None]]] = {}
    for _, _, name, step, time, value in points:
        series.setdefault(name, []).append((step, time, value))
    attempt, total = reported or (row.attempt, 0)
    bars = [_bar(each) for each in row.progress.get("bars") or [row.progress] if "done" in each]
    last = row.progress.get("report") or {}
    return q.Metrics(
        row.node, row.name, points[0][1] if points else attempt, str(row.status), series, total, last,
        bars[0] if bars else None, bars,
    )  # fmt: skip


def _bar(values: dict[str, Any]) -> q.Bar:
    return q.Bar(values["done"], values.get("total"), values.get("elapsed"), str(values.get("name") or ""))


def run_of(row: DispatchRow) -> q.RunOf:
    """A dispatch as a row of the table of its lattice's runs."""
    duration = None if row.started is None or row.ended is None else row.ended - row.started
    inputs = {name: _scalar(text) for name, text in row.inputs.items()}
    return q.RunOf(
        row.dispatch_id, row.name, row.label, row.lattice, str(row.status), row.created, row.started, row.ended,
        duration, row.tags, row.note, row.error, inputs, row.results,
    )  # fmt: skip


def _scalar(text: str) -> Any:
    """The number, truth value, None or text that ``text`` is the repr of; else the text itself."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if value is None or isinstance(value, (bool, int, float, str)) else text
