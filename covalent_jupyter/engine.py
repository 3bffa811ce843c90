"""What a fact means for a dispatch: ``advance(run, event) -> events``. Pure: no clock, no disk, no await.

Two functions change a :class:`DispatchRun`. :func:`apply` folds one recorded event and nothing else; replaying the
log through it gives the state again. :func:`advance` folds a new event, derives what follows from it (skips,
cancellations, the end of the dispatch) and returns all of these in the order in which they must be recorded.
What is to be *done* is left in the run's work lists, which the dispatcher drains with :func:`todo`.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, NamedTuple

from .model import (
    AttemptRow,
    Error,
    Hole,
    Log,
    Manifest,
    Options,
    Outcome,
    Preview,
    Produced,
    Status,
    dependencies,
    selected_of,
)
from .model.events import (
    Annotated,
    Cancelled,
    CancelRequested,
    ChildEnded,
    Closed,
    Event,
    Finished,
    GivenBack,
    Launched,
    MetricsReported,
    Noticed,
    RetryDue,
    Skipped,
    Started,
    Submitted,
    TakenOver,
)  # fmt: skip
from .model.graph import Step
from .model.outputs import produced_by

#: An electron that was cut off this often by the death of workers, not by its own fault, fails.
MAX_INTERRUPTIONS = 10
#: Seconds of running after which people should hear of an electron that was cut off, and how much they hear.
LONG = 600.0
MAX_NOTICES = 20

_NEW, _QUEUED, _RUNNING = Status.NEW_OBJECT, Status.DISPATCHING, Status.RUNNING
_COMPLETED, _FAILED, _CANCELLED, _SKIPPED = Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.SKIPPED


class NodeState:
    """What is known of one node. Times are seconds since the epoch."""

    __slots__ = (
        "status", "attempt", "failures", "interruptions", "unmet", "host", "pack", "cancel", "queued", "ran_on",
        "started", "ended", "duration", "worker", "output", "preview", "error", "stdout", "stderr", "child", "reused", "rss",
        "warnings", "progress", "reported",
    )  # fmt: skip

    def __init__(self, unmet: int) -> None:
        self.status = _NEW
        self.attempt = 1
        self.failures = 0
        self.interruptions = 0
        self.unmet = unmet  # dependencies without a value
        self.host = ""
        self.pack = ""
        self.cancel = False
        self.queued: float | None = None  # when the present attempt was handed to an executor
        self.ran_on = ""  # the host that got it
        self.started: float | None = None
        self.ended: float | None = None
        self.duration: float | None = None
        self.worker = ""
        self.output: Produced | None = None
        self.preview: Preview | None = None
        self.error: Error | None = None
        self.stdout = _NO_LOG
        self.stderr = _NO_LOG
        self.child: str | None = None
        self.reused = False
        self.rss = 0
        self.warnings: tuple[str, ...] = ()
        self.progress: dict[str, object] = {}
        self.reported = 0  # reports of the present attempt that are recorded

    @property
    def in_flight(self) -> bool:
        """Whether an executor holds the current attempt."""
        return self.host != ""


_NO_LOG = Log()


class Topology:
    """Who waits for whom; read-only."""

    __slots__ = ("parents", "children")

    def __init__(self, manifest: Manifest) -> None:
        self.parents: list[tuple[int, ...]] = []
        self.children: list[list[int]] = [[] for _ in manifest.nodes]
        for node_id, node in enumerate(manifest.nodes):
            parents = tuple(sorted(dependencies(node)))
            self.parents.append(parents)
            for parent in parents:
                self.children[parent].append(node_id)


class DispatchRun:
    """The state of one dispatch, as decided so far."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.dispatch_id = manifest.dispatch_id
        self.root = manifest.root or manifest.dispatch_id
        self.topology = Topology(manifest)
        self.nodes = [NodeState(len(p)) for p in self.topology.parents]
        self.status = _NEW
        self.created = manifest.created
        self.started: float | None = None
        self.ended: float | None = None
        self.output: Produced | None = None
        self.error = ""
        self.note = ""
        self.notices: list[str] = []
        self.cancel_requested = False
        self.unfinished = len(self.nodes)
        self.counts = dict.fromkeys(Status, 0)
        self.counts[_NEW] = len(self.nodes)
        self.reused = 0
        self.failed: list[int] = []  # in the order in which they failed
        self.unfit: dict[int, str] = {}  # completed, without what the lattice returns of their values
        # work lists, drained by todo()
        self.ready: list[dict[int, None]] = [{} for _ in manifest.executors]  # by executor, in order
        for node_id, parents in enumerate(self.topology.parents):
            if not parents:
                self.set_ready(node_id)
        self.to_stop: dict[int, None] = {}
        self.to_cancel_children: dict[str, None] = {}
        self.delayed: dict[int, float] = {}
        self.changed: set[int] = set()  # nodes whose row is out of date
        self.superseded: list[AttemptRow] = []  # attempts that others followed, not yet recorded as rows

    @cached_property
    def selected(self) -> dict[int, tuple[tuple[Step, ...], ...]]:
        """What the lattice returns of values of which it does not return all, by node."""
        return selected_of(self.manifest)

    def set_ready(self, node_id: int) -> None:
        """The node waits for a place on its executor."""
        self.ready[self.options(node_id).executor][node_id] = None

    def unset_ready(self, node_id: int) -> None:
        self.ready[self.options(node_id).executor].pop(node_id, None)

    def has_ready(self) -> bool:
        return any(self.ready)

    def executor_name(self, node_id: int) -> str:
        executors = self.manifest.executors
        return executors[self.options(node_id).executor].name if executors else ""

    def options(self, node_id: int) -> Options:
        index = self.manifest.nodes[node_id].options
        return self.manifest.options[index] if self.manifest.options else _DEFAULTS


_DEFAULTS = Options()


class Todo(NamedTuple):
    """What the dispatcher is to do for a run, besides launching what is ready."""

    stop: list[int]  # in flight: tell the host to stop them
    cancel_children: list[str]
    delayed: list[tuple[int, float]]  # (node, seconds): send RetryDue then


def todo(run: DispatchRun) -> Todo:
    """The commands that are due; each is handed out once."""
    result = Todo(list(run.to_stop), list(run.to_cancel_children), list(run.delayed.items()))
    run.to_stop, run.to_cancel_children, run.delayed = {}, {}, {}
    return result


def child_id(dispatch_id: str, node: int, attempt: int) -> str:
    """The id of a sublattice's run: the same for the same attempt, so that nothing starts twice."""
    d = hashlib.sha256(f"{dispatch_id}/{node}/{attempt}".encode()).hexdigest()
    return f"{d[:8]}-{d[8:12]}-5{d[13:16]}-8{d[17:20]}-{d[20:32]}"


def task_seed(seed: int, node: int) -> int:
    """The seed of a node, 32 bits, from the dispatch's."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{node}".encode(), digest_size=4).digest(), "big")


# Folding


def advance(run: DispatchRun, event: Event) -> list[Event]:
    """Folds a new event; returns it with all that follows from it, to be recorded in this order."""
    if run.ended is not None:
        return []
    events: list[Event] = [event]
    lost = apply(run, event)
    gone: list[int] = []
    if isinstance(event, CancelRequested):
        gone = _cancellable(run, event.nodes)
    elif isinstance(event, GivenBack):  # asked to stop before it began
        gone = [i for i in _cancellable(run, [n for n, _ in event.items]) if run.nodes[i].cancel]
    if gone:
        cancelled = Cancelled(gone, _time_of(event, run))
        events.append(cancelled)
        lost += apply(run, cancelled)
    if lost:
        skipped = _descendants(run, lost)
        if skipped:
            event_ = Skipped(skipped, _time_of(event, run))
            events.append(event_)
            apply(run, event_)
    closed = _closing(run, _time_of(event, run))
    if closed is not None:
        events.append(closed)
        apply(run, closed)
    return events


def apply(run: DispatchRun, event: Event) -> list[int]:
    """Folds one event as it is; returns the nodes that ended without a value for those behind them."""
    return _FOLDS[type(event)](run, event) or []


def replay(manifest: Manifest, events: Iterable[Event]) -> DispatchRun:
    """The run as the log tells it."""
    run = DispatchRun(manifest)
    for event in events:
        apply(run, event)
    return run


def _set(run: DispatchRun, node_id: int, status: Status) -> None:
    state = run.nodes[node_id]
    run.counts[state.status] -= 1
    run.counts[status] += 1
    state.status = status
    run.changed.add(node_id)


def _end(run: DispatchRun, node_id: int, status: Status, when: float | None) -> None:
    state = run.nodes[node_id]
    _set(run, node_id, status)
    state.ended = when
    state.host = state.pack = ""
    run.unfinished -= 1
    run.unset_ready(node_id)
    run.to_stop.pop(node_id, None)
    run.delayed.pop(node_id, None)


def _satisfy(run: DispatchRun, node_id: int) -> None:
    """The node has a value: those behind it come one step nearer."""
    nodes = run.nodes
    for child in run.topology.children[node_id]:
        state = nodes[child]
        state.unmet -= 1
        if state.unmet == 0 and state.status is _NEW and not state.cancel:
            run.set_ready(child)


def _submitted(run: DispatchRun, event: Submitted) -> None:
    run.status = _RUNNING
    run.created = event.created


def _taken_over(run: DispatchRun, event: TakenOver) -> None:
    for item in event.nodes:
        state = run.nodes[item.node]
        state.output, state.preview, state.child = item.output, item.preview, item.child
        state.started, state.reused = item.started, True
        run.reused += 1
        _end(run, item.node, _COMPLETED, item.ended)
        _satisfy(run, item.node)


def _launched(run: DispatchRun, event: Launched) -> None:
    if run.started is None:
        run.started = event.time
    for node_id, attempt in event.tasks:
        state = run.nodes[node_id]
        state.attempt = attempt
        state.host, state.pack = event.host, event.pack_id
        state.queued, state.ran_on = event.time, event.host
        run.unset_ready(node_id)
        _set(run, node_id, _QUEUED)


def _started(run: DispatchRun, event: Started) -> None:
    for node_id, attempt, when, worker in event.items:
        state = run.nodes[node_id]
        if state.attempt == attempt and state.status is _QUEUED:
            state.started, state.worker = when, worker
            _set(run, node_id, _RUNNING)


def _metrics_reported(run: DispatchRun, event: MetricsReported) -> None:
    for node_id, attempt, count in event.items:
        state = run.nodes[node_id]
        if state.attempt == attempt:
            state.reported = count


def is_current(run: DispatchRun, outcome: Outcome) -> bool:
    """Whether this outcome is the end of the node's present attempt; others are dropped."""
    if not 0 <= outcome.node < len(run.nodes):
        return False
    state = run.nodes[outcome.node]
    return state.attempt == outcome.attempt and not state.status.ended and state.child is None


def _finished(run: DispatchRun, event: Finished) -> list[int]:
    lost: list[int] = []
    for outcome in event.outcomes:
        if not is_current(run, outcome):
            continue
        node_id, state = outcome.node, run.nodes[outcome.node]
        state.host = state.pack = ""
        state.started = outcome.started or state.started
        state.duration, state.worker, state.rss = outcome.duration, outcome.worker or state.worker, outcome.rss
        state.stdout, state.stderr, state.warnings = outcome.stdout, outcome.stderr, outcome.warnings
        if outcome.progress or outcome.reports:
            state.progress = outcome.progress or {"report": outcome.reports[-1]}
        status = outcome.status
        if status == "completed":
            if outcome.child is not None:
                state.child = child_id(run.dispatch_id, node_id, outcome.attempt)
                state.preview = outcome.preview
                _set(run, node_id, _RUNNING)
                if state.cancel:
                    run.to_cancel_children[state.child] = None
                continue
            state.output, state.preview, state.error = outcome.output, outcome.preview, None
            if outcome.unfit:
                run.unfit[node_id] = outcome.unfit
            _end(run, node_id, _COMPLETED, outcome.finished)
            _satisfy(run, node_id)
        elif status == "failed":
            lost += _failure(run, node_id, outcome.error or Error("Error", ""), outcome.finished)
        elif status == "interrupted":
            lost += _interruption(run, node_id, outcome)
        else:
            state.error = outcome.error or state.error
            _end(run, node_id, _CANCELLED, outcome.finished)
            lost.append(node_id)
    return lost


def _failure(run: DispatchRun, node_id: int, error: Error, when: float) -> list[int]:
    """A failed attempt: again, or the end."""
    state, options = run.nodes[node_id], run.options(node_id)
    state.error = error
    state.failures += 1
    if state.cancel:
        _end(run, node_id, _CANCELLED, when)
        return [node_id]
    if state.failures <= options.retries:
        _again(run, node_id, "FAILED", when, error)
        if options.retry_delay > 0:
            run.unset_ready(node_id)
            run.delayed[node_id] = options.retry_delay
        return []
    return _final_failure(run, node_id, when)


def _final_failure(run: DispatchRun, node_id: int, when: float) -> list[int]:
    state = run.nodes[node_id]
    run.failed.append(node_id)
    _end(run, node_id, _FAILED, when)
    if run.options(node_id).on_error == "value" and state.error is not None:
        state.output = Hole(node_id, state.error.type, state.error.message)
        _satisfy(run, node_id)
        return []
    return [node_id]


def _again(run: DispatchRun, node_id: int, status: str, when: float, error: Error | None) -> None:
    """The attempt ended with this status, and the node is to run once more, as its next attempt."""
    state = run.nodes[node_id]
    run.superseded.append(
        AttemptRow(
            run.dispatch_id, node_id, state.attempt, run.manifest.nodes[node_id].name, status,
            run.executor_name(node_id), state.ran_on, state.worker, state.queued, state.started, when, state.duration,
            state.rss, error, state.stdout, state.stderr,
        )
    )  # fmt: skip
    state.queued = state.started = state.ended = state.duration = None
    state.worker, state.ran_on, state.rss, state.stdout, state.stderr = "", "", 0, _NO_LOG, _NO_LOG
    state.progress, state.reported = {}, 0
    state.attempt += 1
    state.host = state.pack = ""
    state.child = None
    _set(run, node_id, _NEW)
    if state.unmet == 0:
        run.set_ready(node_id)


def _interruption(run: DispatchRun, node_id: int, outcome: Outcome) -> list[int]:
    state = run.nodes[node_id]
    state.interruptions += 1
    if outcome.started and outcome.finished - outcome.started > LONG and len(run.notices) < MAX_NOTICES:
        minutes = round((outcome.finished - outcome.started) / 60)
        run.notices.append(f"{run.manifest.nodes[node_id].name} ({node_id}) was cut off after {minutes} minutes")
    if state.cancel:
        _end(run, node_id, _CANCELLED, outcome.finished)
        return [node_id]
    harmless = not outcome.started  # it never began, so that running it repeats nothing
    if (harmless or run.options(node_id).on_interrupt == "run_again") and state.interruptions <= MAX_INTERRUPTIONS:
        _again(run, node_id, "INTERRUPTED", outcome.finished, outcome.error)
        return []
    state.error = outcome.error or Error("ElectronInterrupted", "it was cut off", cause="interrupted")
    return _final_failure(run, node_id, outcome.finished)


def _given_back(run: DispatchRun, event: GivenBack) -> None:
    for node_id, attempt in event.items:
        state = run.nodes[node_id]
        if state.attempt != attempt or not state.in_flight or state.status.ended:
            continue
        state.host = state.pack = state.ran_on = ""
        state.queued = None
        run.to_stop.pop(node_id, None)
        _set(run, node_id, _NEW)
        if state.unmet == 0 and not state.cancel:
            run.set_ready(node_id)


def _retry_due(run: DispatchRun, event: RetryDue) -> None:
    for node_id in event.nodes:
        state = run.nodes[node_id]
        run.delayed.pop(node_id, None)
        if state.status is _NEW and state.unmet == 0 and not state.cancel:
            run.set_ready(node_id)


def _skipped(run: DispatchRun, event: Skipped) -> None:
    for node_id, _reason in event.items:
        if not run.nodes[node_id].status.ended:
            _end(run, node_id, _SKIPPED, event.time)


def _cancel_requested(run: DispatchRun, event: CancelRequested) -> None:
    if event.nodes is None:
        run.cancel_requested = True
    for node_id in range(len(run.nodes)) if event.nodes is None else event.nodes:
        state = run.nodes[node_id]
        if state.status.ended:
            continue
        state.cancel = True
        run.unset_ready(node_id)
        if state.in_flight:
            run.to_stop[node_id] = None
        elif state.child is not None:
            run.to_cancel_children[state.child] = None


def _cancelled(run: DispatchRun, event: Cancelled) -> list[int]:
    for node_id in event.nodes:
        _end(run, node_id, _CANCELLED, event.time)
    return event.nodes


def _child_ended(run: DispatchRun, event: ChildEnded) -> list[int]:
    state = run.nodes[event.node]
    if state.child != event.child or state.status.ended:
        return []
    if event.status is _COMPLETED:
        state.output, state.preview = event.output, event.preview or state.preview
        _end(run, event.node, _COMPLETED, event.time)
        _satisfy(run, event.node)
        return []
    if event.status is _CANCELLED:
        _end(run, event.node, _CANCELLED, event.time)
        return [event.node]
    return _failure(run, event.node, event.error or Error("DispatchFailed", "the sublattice failed"), event.time)


def _annotated(run: DispatchRun, event: Annotated) -> None:
    if event.label is not None:
        run.manifest.label = event.label
    if event.tags is not None:
        run.manifest.tags = tuple(event.tags)
    if event.note is not None:
        run.note = event.note


def _noticed(run: DispatchRun, event: Noticed) -> None:
    run.notices.append(event.text)


def _closed(run: DispatchRun, event: Closed) -> None:
    run.status, run.output, run.error, run.ended = event.status, event.output, event.error, event.time
    for ready in run.ready:
        ready.clear()


_FOLDS: dict[type, Callable[[DispatchRun, Any], list[int] | None]] = {
    Submitted: _submitted, TakenOver: _taken_over, Launched: _launched, Started: _started, MetricsReported: _metrics_reported,
    Finished: _finished,
    GivenBack: _given_back, RetryDue: _retry_due, Skipped: _skipped, CancelRequested: _cancel_requested,
    Cancelled: _cancelled, ChildEnded: _child_ended, Annotated: _annotated, Noticed: _noticed, Closed: _closed,
}  # fmt: skip


# Deriving


def _time_of(event: Event, run: DispatchRun) -> float:
    when = getattr(event, "time", 0.0) or getattr(event, "created", 0.0)
    if isinstance(event, Finished):
        when = max((o.finished for o in event.outcomes), default=0.0)
    return when or run.created


def _cancellable(run: DispatchRun, nodes: list[int] | None) -> list[int]:
    """Of the nodes to be cancelled, those that no executor and no child dispatch holds."""
    wanted = range(len(run.nodes)) if nodes is None else nodes
    return [i for i in wanted if not (s := run.nodes[i]).status.ended and not s.in_flight and s.child is None]


def _descendants(run: DispatchRun, lost: list[int]) -> list[tuple[int, int]]:
    """All nodes behind these that have not ended, each with the lost node that it goes back to."""
    found: dict[int, int] = {}
    queue = deque((i, i) for i in lost)
    while queue:
        node_id, reason = queue.popleft()
        for child in run.topology.children[node_id]:
            if child not in found and not run.nodes[child].status.ended:
                found[child] = reason
                queue.append((child, reason))
    return sorted(found.items())


def _closing(run: DispatchRun, when: float) -> Closed | None:
    if run.unfinished or run.ended is not None:
        return None
    fatal = [i for i in run.failed if run.options(i).on_error == "fail"]
    cancelled = run.counts[_CANCELLED] > 0
    if cancelled and (run.cancel_requested or not fatal):
        status = _CANCELLED
    else:
        status = _FAILED if fatal or run.unfit else _COMPLETED
    output = produced_by(run.manifest, [s.output for s in run.nodes]) if status is _COMPLETED else None
    return Closed(status, output, _story(run, fatal) if status is _FAILED else "", when)


def _story(run: DispatchRun, failed: list[int], most: int = 10) -> str:
    """The dispatch's error: a readable list of the electrons that failed."""
    lines = []
    for node_id in failed[:most]:
        error = run.nodes[node_id].error
        what = f"{error.type}: {error.message}" if error else "failed"
        lines.append(f"{run.manifest.nodes[node_id].name} ({node_id}): {what}")
    if len(failed) > most:
        lines.append(f"... and {len(failed) - most} more")
    lattice = run.manifest.lattice
    file = lattice.place or lattice.file.rpartition("/")[2]
    where = f"lattice {lattice.name}" + (f" ({file}, line {lattice.line})" if file and lattice.line else "")
    for node_id, problem in list(run.unfit.items())[:most]:
        name = run.manifest.nodes[node_id].name
        lines.append(f"the return value of {where}, of what {name} ({node_id}) returned: {problem}")
    if run.counts[_SKIPPED]:
        lines.append(f"{run.counts[_SKIPPED]} skipped because of that")
    return "\n".join(lines)
