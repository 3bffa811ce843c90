"""Queries and bodies that the service takes, and answers that it gives, as data.

Handlers and the OpenAPI document share them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ..model import DispatchRow, ElectronRow, Preview
from ..store.views import View

Seq = Annotated[int, Meta(ge=0, le=1 << 62)]


class Nothing(Struct, forbid_unknown_fields=True):
    """No parameters."""


class Nonce(Struct, forbid_unknown_fields=True):
    nonce: Annotated[str, Meta(min_length=1, max_length=256)]


class ListDispatches(Struct, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 50
    before: str = ""  # the ``next`` of the page before
    status: str = ""  # one or more, with commas
    q: Annotated[str, Meta(max_length=1000)] = ""  # text in name, label, note, id
    lattice: str = ""
    notebook: str = ""  # a path, or the end of one; "none": of no notebook
    tag: str = ""
    parent: str = ""  # an id, or "none": only dispatches that are nobody's sublattice
    root: str = ""
    name: Annotated[str, Meta(max_length=1000)] = ""  # text in the name alone
    tags: str = ""  # one or more, with commas: all of them
    since: Annotated[float, Meta(ge=-1e12, le=1e12)] | None = None  # dispatched then or later, seconds since the epoch
    until: Annotated[float, Meta(ge=-1e12, le=1e12)] | None = None  # dispatched before


class Summarize(Struct, forbid_unknown_fields=True):
    by: Literal["", "lattice", "notebook"] = ""
    most: Annotated[int, Meta(ge=1, le=10_000)] = 1000  # groups
    status: str = ""
    q: Annotated[str, Meta(max_length=1000)] = ""
    lattice: str = ""
    notebook: str = ""
    tag: str = ""
    parent: str = ""
    root: str = ""


class ListRuns(Struct, forbid_unknown_fields=True):
    lattice: Annotated[str, Meta(max_length=1000)] = ""
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 200
    before: str = ""  # the ``next`` of the page before
    status: str = ""  # one or more, with commas
    q: Annotated[str, Meta(max_length=1000)] = ""
    tag: str = ""
    tags: str = ""  # one or more, with commas: all of them
    since: Annotated[float, Meta(ge=-1e12, le=1e12)] | None = None
    until: Annotated[float, Meta(ge=-1e12, le=1e12)] | None = None
    sublattices: bool = False  # also those that ran as a part of another dispatch
    parent: str = ""  # an id: those that ran as a part of this one, as the runs of a sweep


class ListAttempts(Struct, forbid_unknown_fields=True):
    offset: Annotated[int, Meta(ge=0, le=1 << 40)] = 0
    limit: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    node: Annotated[int, Meta(ge=0, le=1 << 31)] | None = None  # only of this electron


class ReadMetrics(Struct, forbid_unknown_fields=True):
    attempt: Annotated[int, Meta(ge=1, le=1 << 31)] | None = None
    after: Annotated[int, Meta(ge=-1, le=1 << 62)] = -1  # only reports above this index
    points: Annotated[int, Meta(ge=1, le=100_000)] = 2000  # of one series, at most


class ReadAllMetrics(Struct, forbid_unknown_fields=True):
    points: Annotated[int, Meta(ge=1, le=500)] = 500  # of one series, at most


class ListElectrons(Struct, forbid_unknown_fields=True):
    offset: Annotated[int, Meta(ge=0, le=1 << 40)] = 0
    limit: Annotated[int, Meta(ge=1, le=100_000)] = 200
    status: str = ""  # one or more, with commas
    name: str = ""
    nodes: str = ""  # ids with commas
    pictures: bool = True  # whether previews bring their pictures and tables, of up to 60 kB a row


class ReadLog(Struct, forbid_unknown_fields=True):
    attempt: Annotated[int, Meta(ge=1, le=1 << 31)] | None = None
    offset: Annotated[int, Meta(ge=0, le=1 << 62)] = 0
    limit: Annotated[int, Meta(ge=1, le=16 << 20)] = 1 << 20


class ReadOutputs(Struct, forbid_unknown_fields=True):
    attempt: Annotated[int, Meta(ge=1, le=1 << 31)] | None = None
    after: Annotated[str, Meta(max_length=60)] = ""  # what the last answer gave as next
    limit: Annotated[int, Meta(ge=1, le=16 << 20)] = 1 << 20  # bytes of each stream


class Follow(Struct, forbid_unknown_fields=True):
    after: Seq = 0
    wait: Annotated[float, Meta(ge=0, le=300)] = 0.0  # seconds
    dispatch: str = ""
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    electrons: bool = True  # false: rows of dispatches alone
    # ids with commas: rows of all dispatches, electrons and logs of these alone
    electrons_of: Annotated[str, Meta(max_length=8192)] = ""
    pictures: bool = True  # whether previews bring their pictures and tables, of up to 60 kB a row
    ended: bool = False  # with ``dispatch``: answer only when it has ended (or the wait is over)


class Cancel(Struct, forbid_unknown_fields=True):
    nodes: list[Annotated[int, Meta(ge=0, le=1 << 31)]] | None = None


class Redispatch(Struct, forbid_unknown_fields=True):
    reuse: str = "none"  # "none", "changed" or "failed"
    seed: Annotated[int, Meta(ge=-(1 << 62), le=1 << 62)] | None = None


class Annotate(Struct, forbid_unknown_fields=True):
    label: Annotated[str, Meta(max_length=1000)] | None = None
    tags: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=100)] | None = None
    note: Annotated[str, Meta(max_length=100_000)] | None = None


class Digests(Struct, forbid_unknown_fields=True):
    digests: list[str]


class FewDigests(Struct, forbid_unknown_fields=True):
    digests: Annotated[list[str], Meta(max_length=4096)]


class ClusterAction(Struct, forbid_unknown_fields=True):
    action: str  # "restart", "scale" or "close"
    name: str = "dask"  # of the executor
    host: str = ""  # its host; empty: all
    n: Annotated[int, Meta(ge=0, le=100_000)] | None = None  # slots, for "scale"


class Sql(Struct, forbid_unknown_fields=True):
    query: Annotated[str, Meta(min_length=1, max_length=100_000)]
    max_rows: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000


class Purge(Struct, forbid_unknown_fields=True):
    older_than: Annotated[float, Meta(ge=0)] = 30 * 86_400.0  # seconds since the end
    states: tuple[str, ...] = ("COMPLETED", "FAILED", "CANCELLED")
    dispatch_ids: list[str] | None = None  # these alone, however old
    dry_run: bool = False


class Shutdown(Struct, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(max_length=1000)] = ""
    if_idle: bool = False
    stop_hosts: bool | None = None  # executor hosts with what they run; none: those that work on something go on


class Health(Struct):
    ok: bool
    version: str
    protocol: int
    pid: int
    store: str
    store_id: str
    host: str
    started: float
    running: int
    seq: int
    write_ms: float
    read_ms: float
    problem: str
    idle_timeout: float = 0.0
    warnings: list[str] = []
    place: str = ""  # what the service lives in: hub, job, container, session, laptop or machine
    place_text: str = ""  # what that means for runs, in a sentence


class Created(Struct):
    dispatch_id: str
    seq: int
    created: bool


class Reuse(Struct):
    """Electrons of a graph, by their numbers, of which an earlier dispatch has a value."""

    reused: list[int]
    gone: list[int]  # it was not kept, or dropped, and something that runs needs it
    unfit: list[int]  # it does not have what the lattice returns of it


class DispatchPage(Struct):
    dispatches: list[DispatchRow]
    seq: int
    total: int
    next: str | None
    children: dict[str, int] = {}  # of those that have any: how many runs of sublattices


class ElectronPage(Struct):
    electrons: list[ElectronRow]
    total: int
    seq: int = 0


class InputText(Struct, omit_defaults=True):
    """One input of an electron, for people; ``kind`` is literal, value, node or template."""

    name: str
    kind: str
    text: str
    digest: str = ""
    nodes: list[int] = []


class Detail(Struct):
    """What an electron was given, and the code that it ran."""

    inputs: list[InputText]
    source: str
    signature: str
    doc: str
    file: str
    line: int
    captured: dict[str, str]
    options: dict[str, Any]
    after: list[int]
    call_file: str = ""  # where the lattice calls it
    call_line: int = 0


class Graph(Struct):
    nodes: list[tuple[int, str, str, str, str | None]]  # id, name, kind, status, child
    edges: list[tuple[int, int, str]]  # from, to, parameter
    inputs: dict[int, str] = {}  # node -> "C=0.1, kernel='rbf'": what it was given besides values of other nodes


class Waiting(Struct):
    """Why what is ready does not run yet, a sentence each; none where nothing waits."""

    reasons: list[str]


class ResultPart(Struct):
    """One electron whose value is in what the lattice returned; ``path`` names the piece of it, "" is all of it."""

    node: int
    name: str
    path: str
    status: str
    preview: Preview | None
    child: str | None


class ResultOf(Struct):
    status: str
    parts: list[ResultPart]
    total: int
    whole: bool  # the one part is all that was returned
    text: str = ""  # of all that was returned, as far as it is known
    type: str = ""
    shape: str = ""  # "3 items"


class Attempt(Struct):
    """One attempt of an electron; times in seconds since the epoch."""

    node: int
    attempt: int
    name: str
    status: str  # DISPATCHING, RUNNING, COMPLETED, FAILED, CANCELLED or INTERRUPTED
    queued: float | None  # handed to the executor
    started: float | None
    ended: float | None
    duration: float | None  # seconds in the user's function
    executor: str
    host: str  # executor host
    worker: str  # machine:process
    rss: int
    error_type: str
    error_message: str
    cause: str
    exit_code: int | None
    signal: str


class AttemptPage(Struct):
    attempts: list[Attempt]
    total: int
    seq: int


class Bar(Struct):
    """How far an electron is; ``elapsed`` in seconds."""

    done: float
    total: float | None = None
    elapsed: float | None = None
    name: str = ""


class Metrics(Struct):
    """What one attempt reported: numbers by name as [index, time, value], ``total`` reports in all, its progress."""

    node: int
    name: str
    attempt: int
    status: str
    series: dict[str, list[tuple[int, float, float | None]]]
    total: int
    last: dict[str, Any]  # the newest report, texts included
    bar: Bar | None
    bars: list[Bar]  # all of them, outermost first


class AllMetrics(Struct):
    electrons: list[Metrics]
    seq: int


class RunOf(Struct):
    """One run of a lattice: a row of the table of its runs."""

    dispatch_id: str
    name: str
    label: str
    lattice: str
    status: str
    created: float
    started: float | None
    ended: float | None
    duration: float | None
    tags: list[str]
    note: str
    error: str
    inputs: dict[str, Any]  # scalars as they are; other inputs as text
    results: dict[str, Any]  # scalars; "result" is the whole value


class RunPage(Struct):
    lattice: str
    inputs: list[str]  # columns
    results: list[str]
    runs: list[RunOf]
    seq: int
    total: int
    next: str | None


class SqlSchema(Struct):
    version: int  # grows when what is there changes, not when something is added
    views: list[View]


class LiveLog(Struct):
    """What a running attempt has printed so far; read it by offset."""

    dispatch_id: str
    node: int
    attempt: int
    stdout_size: int
    stderr_size: int
    progress: dict[str, Any] | UnsetType = UNSET
    displays_size: int = 0


class Outputs(Struct):
    """What an electron printed and displayed, in order, each in the shape of an output of a notebook."""

    outputs: list[dict[str, Any]]
    next: str  # where the next question goes on
    more: bool  # whether there is more already
    ended: bool  # whether nothing will come any more


class Feed(Struct):
    seq: int
    next: int | None  # ask again at once with this: there is more
    reset: bool
    dispatches: list[DispatchRow]
    electrons: list[ElectronRow]
    deleted: list[str]
    logs: list[LiveLog] = []


class Missing(Struct):
    missing: list[str]


class Problem(Struct):
    """Every answer of status 400 and above."""

    message: str
    reason: str
    details: dict[str, Any]
