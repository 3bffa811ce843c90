"""Every route: the one table that the application and the OpenAPI document are made of."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ..model import DispatchRow, Manifest
from ..store import Summary
from . import handlers_admin as admin
from . import handlers_dispatches as dispatches
from . import handlers_facts as facts
from . import handlers_feed as feed
from . import handlers_logs as logs
from . import handlers_values as values
from . import queries as q
from .web import Handler

#: Path of all routes on the service.
BASE = "/covalent/"


class Route(NamedTuple):
    """``body`` and ``answer`` are types, ``"bytes"``, ``"text"``, or None for an object not described further."""

    method: str
    path: str
    handler: type[Handler]
    summary: str
    query: Any = q.Nothing
    body: Any = None
    answer: Any = None
    status: int = 200


_D = "dispatches/{id}"
_E = _D + "/electrons/{node}"

ROUTES: tuple[Route, ...] = (
    Route(
        "GET", "challenge", admin.Challenge, "Proof that the service holds the token; the only route without it",
        q.Nonce,
    ),
    Route(
        "GET", "health", admin.Health, "State of the service and its store, after a write and a read",
        answer=q.Health,
    ),
    Route("GET", "openapi.json", admin.OpenApi, "This document"),
    Route("GET", "metrics", admin.Metrics, "Figures for Prometheus", answer="text"),
    Route(
        "POST", "dispatches", dispatches.Dispatches, "Dispatch a lattice: a framed body",
        body="bytes", answer=q.Created, status=201,
    ),
    Route(
        "POST", "reuse", dispatches.ReuseOf, "What a redispatch would take over, without starting it: a framed body",
        body="bytes", answer=q.Reuse,
    ),
    Route(
        "GET", "dispatches", dispatches.Dispatches, "Dispatches, newest first",
        q.ListDispatches, answer=q.DispatchPage,
    ),
    Route(
        "GET", "summary", dispatches.SummaryOf, "Counts of dispatches by state, and by lattice or notebook",
        q.Summarize, answer=Summary,
    ),
    Route("GET", _D, dispatches.Dispatch, "One dispatch, by id or unique prefix", answer=DispatchRow),
    Route("PATCH", _D, dispatches.Dispatch, "Change label, tags or note", body=q.Annotate, answer=DispatchRow),
    Route("DELETE", _D, dispatches.Dispatch, "Forget an ended dispatch"),
    Route(
        "GET", _D + "/electrons", dispatches.Electrons, "Electrons of a dispatch",
        q.ListElectrons, answer=q.ElectronPage,
    ),
    Route("GET", _E, dispatches.Electron, "One electron with its inputs, source and options"),
    Route(
        "GET", _D + "/attempts", facts.AttemptsOf, "Attempts of its electrons", q.ListAttempts, answer=q.AttemptPage
    ),
    Route(
        "GET", _D + "/metrics", facts.MetricsOf, "What its electrons report, and how far they are",
        q.ReadAllMetrics, answer=q.AllMetrics,
    ),
    Route(
        "GET", _E + "/metrics", facts.ElectronMetrics, "What one electron reports, and how far it is",
        q.ReadMetrics, answer=q.Metrics,
    ),
    Route("GET", _E + "/{stream}", logs.LogOf, "What an electron printed", q.ReadLog, answer="text"),
    Route(
        "GET", _D + "/result", dispatches.ResultOfDispatch, "What the lattice returns, as previews of its parts",
        answer=q.ResultOf,
    ),
    Route(
        "GET", _E + "/outputs", logs.OutputsOf, "What an electron printed and displayed, in order",
        q.ReadOutputs, answer=q.Outputs,
    ),
    Route(
        "GET", _D + "/waiting", dispatches.WaitingOf, "Why what is ready does not run yet", answer=q.Waiting
    ),
    Route("GET", _D + "/graph", dispatches.GraphOf, "Nodes and edges with their states", answer=q.Graph),
    Route("GET", _D + "/manifest", dispatches.ManifestOf, "The graph as it was submitted", answer=Manifest),
    Route("POST", _D + "/cancel", dispatches.CancelDispatch, "Stop a dispatch or some electrons", body=q.Cancel),
    Route(
        "POST", _D + "/redispatch", dispatches.RedispatchDispatch, "Run a dispatch again",
        body=q.Redispatch, status=201,
    ),
    Route(
        "POST", "values/missing", values.MissingValues, "Which values are not here",
        body=q.Digests, answer=q.Missing,
    ),
    Route(
        "POST", "values/small", values.SmallValues, "Small values at once, as msgpack",
        body=q.FewDigests, answer="bytes",
    ),
    Route("GET", "values/{digest}", values.Value, "The bytes of a value", answer="bytes"),
    Route("PUT", "values/{digest}", values.Value, "Keep a value", body="bytes", status=201),
    Route("GET", "events", feed.Events, "What came after a sequence number; waits for it", q.Follow, answer=q.Feed),
    Route("GET", "executors", admin.Executors, "Executors that are known"),
    Route("GET", "cluster", admin.Cluster, "Dask clusters"),
    Route("POST", "cluster", admin.Cluster, "Restart, scale or close clusters", body=q.ClusterAction),
    Route("GET", "config", admin.Config, "Settings of the service"),
    Route("PATCH", "config", admin.Config, "Change settings", body=dict[str, Any]),
    Route("POST", "sql", admin.Sql, "One SELECT over the store", body=q.Sql),
    Route("GET", "sql/schema", facts.SqlSchema, "Views and columns for SQL", answer=q.SqlSchema),
    Route("GET", "runs", facts.Runs, "Runs of a lattice, with scalar inputs and results", q.ListRuns, answer=q.RunPage),
    Route("GET", "disk", admin.Disk, "What the store takes on the disk"),
    Route("POST", "purge", admin.Purge, "Delete what ended long ago, or what is named", body=q.Purge),
    Route("POST", "shutdown", admin.Shutdown, "Suspend the service", body=q.Shutdown, status=202),
)  # fmt: skip

_GROUPS = {"stream": "(stdout|stderr)"}


def pattern(path: str) -> str:
    """The regular expression of a route's path. Segments are taken as they are: the handlers check what they hold."""
    parts = re.split(r"\{(\w+)\}", path)
    return BASE + "".join(_GROUPS.get(p, "([^/]+)") if i % 2 else re.escape(p) for i, p in enumerate(parts))
