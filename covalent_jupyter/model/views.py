"""The face of the log: rows of the store, and what REST answers. Times are seconds since the epoch."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from .status import Status
from .work import Error, Log, Preview, Produced


class Counts(Struct, omit_defaults=True):
    """Electrons of a dispatch by state (its own nodes; sublattices count as one)."""

    total: int = 0
    waiting: int = 0
    queued: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0
    reused: int = 0  # of completed


class DispatchRow(Struct):
    """One dispatch as lists show it."""

    dispatch_id: str
    root_id: str
    parent_id: str | None
    parent_node: int | None
    name: str
    label: str
    lattice: str  # name of the lattice function
    status: Status
    seq: int  # of its last event
    counts: Counts
    created: float
    started: float | None
    ended: float | None
    inputs: dict[str, str]  # parameter -> short text
    tags: list[str]
    notebook: str
    key: str
    seed: int
    redispatch_of: str | None
    error: str  # readable list, "" if none
    environment: dict[str, str]  # python, prefix, host, digest
    output: Produced | None = None
    note: str = ""
    preview: Preview | None = None  # of what it returned, where that is what one electron gave; without pictures
    results: dict[str, Any] = {}  # plain scalars of what it returned, by name; "result" is the whole value
    notify: str = ""  # what was asked for: "", "off", "end", "failure"; a command or address counts as "end"
    notices: list[str] = []  # what people should be told: runs that were cut off, notifications that failed


class ElectronRow(Struct):
    """One electron as tables show it."""

    dispatch_id: str
    node: int
    name: str
    kind: str
    status: Status
    seq: int
    attempt: int
    executor: str
    started: float | None
    ended: float | None
    duration: float | None
    worker: str
    output: Produced | None
    preview: Preview | None
    error: Error | None
    stdout: Log
    stderr: Log
    child: str | None  # dispatch id of the sublattice's run
    reused: bool = False
    key: str = ""
    rss: int = 0
    warnings: tuple[str, ...] = ()
    progress: dict[str, Any] = {}  # bar and last report: done, total, elapsed, report, bars
    queued: float | None = None  # when the attempt was handed to its executor
    host: str = ""  # executor host that has it, or had it


class AttemptRow(Struct):
    """One attempt of an electron; its end where it has ended."""

    dispatch_id: str
    node: int
    attempt: int  # from 1
    name: str
    status: str  # DISPATCHING, RUNNING, COMPLETED, FAILED, CANCELLED or INTERRUPTED
    executor: str
    host: str
    worker: str
    queued: float | None
    started: float | None
    ended: float | None
    duration: float | None
    rss: int
    error: Error | None
    stdout: Log
    stderr: Log


class ConnectionFile(Struct):
    """How clients find the service: a file of mode 0600 in Jupyter's runtime directory."""

    url: str  # "http://127.0.0.1:40123/covalent/"
    token: str
    pid: int
    version: str
    protocol: int
    store: str  # folder
    store_id: str
    host: str
    boot_id: str
    host_port: int  # where executor hosts connect, 127.0.0.1
    started: float
    prefix: str = ""
