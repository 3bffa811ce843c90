"""What executor hosts say becomes events of runs: begins, reports, outcomes, and the inner graphs of sublattices."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .. import engine
from ..crashpoint import crashpoint
from ..engine import DispatchRun
from ..errors import InvalidRequest
from ..model import Began, Error, ExecutorState, Fact, LogGrew, Outcome, PackEnded, Reported, Returned, Status, wire
from ..model.events import ChildEnded, Finished, MetricsReported, Started
from ..rows import inputs_of
from . import keeping
from .checks import Limits, check_manifest
from .deadlines import Deadlines
from .ledger import Ledger
from .metrics import metrics_of
from .placement import Placement
from .sharedpaths import SharedPaths
from .sources import with_source
from .upkeep import Upkeep
from .variables import Variables


class Folding:
    """Takes facts as hosts send them: in any order, repeated, of attempts that are long over. No method awaits."""

    def __init__(
        self,
        ledger: Ledger,
        placement: Placement,
        upkeep: Upkeep,
        variables: Variables,
        deadlines: Deadlines,
        limits: Callable[[], Limits],
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._placement = placement
        self._upkeep = upkeep
        self._variables = variables
        self._deadlines = deadlines
        self._shared_paths = SharedPaths()
        self._limits = limits
        self._clock = clock
        #: How far the logs of running electrons have grown, by (dispatch, node); never recorded.
        self.live_logs: dict[tuple[str, int], LogGrew] = {}

    def fold(self, host_id: str, facts: list[Fact]) -> None:
        """Every fact that still counts becomes an event of its run; what packs gave back or ended is told to the placement."""
        outcomes: dict[str, list[Outcome]] = {}
        began: dict[str, list[Began]] = {}
        reported: dict[str, list[Reported]] = {}
        for fact in facts:
            if isinstance(fact, Outcome):
                outcomes.setdefault(fact.dispatch_id, []).append(fact)
            elif isinstance(fact, Began):
                began.setdefault(fact.dispatch_id, []).append(fact)
            elif isinstance(fact, Reported):
                reported.setdefault(fact.dispatch_id, []).append(fact)
            elif isinstance(fact, LogGrew):
                self._log_grew(fact)
            elif isinstance(fact, ExecutorState):
                self._placement.tell_state(host_id, fact)
        for dispatch_id, items in began.items():
            run = self._ledger.runs.get(dispatch_id)
            if run is not None:
                self._began(run, items, outcomes.get(dispatch_id, ()))
        for dispatch_id, told in reported.items():
            run = self._ledger.runs.get(dispatch_id)
            if run is not None:
                self._reported(run, told)
        for dispatch_id, ended in outcomes.items():
            run = self._ledger.runs.get(dispatch_id)
            if run is not None:
                self._finished(run, ended)
        for fact in facts:
            if isinstance(fact, Returned):
                self._placement.given_back(fact.dispatch_id, fact.pack_id, fact.attempts)
            elif isinstance(fact, PackEnded):
                self._placement.pack_ended(fact.pack_id)

    def _log_grew(self, fact: LogGrew) -> None:
        """Not recorded: viewers look at the file, and only need to know that there is more."""
        run = self._ledger.runs.get(fact.dispatch_id)
        if run is not None and 0 <= fact.node < len(run.nodes):
            before = self.live_logs.get((fact.dispatch_id, fact.node))
            if before is not None and before.attempt == fact.attempt and not fact.progress:
                fact.progress = before.progress
            if fact.attempt == run.nodes[fact.node].attempt:
                self._placement.tell_waits(run, fact.node, fact.waits_for)
            self.live_logs[(fact.dispatch_id, fact.node)] = fact
            self._ledger.bus.wake()

    def _reported(self, run: DispatchRun, facts: list[Reported]) -> None:
        """Records reports of present attempts, each once: after a death they may come again."""
        counts: dict[tuple[int, int], int] = {}
        for fact in facts:
            if not 0 <= fact.node < len(run.nodes):
                continue
            state, key = run.nodes[fact.node], (fact.node, fact.attempt)
            if state.attempt != fact.attempt or state.status.ended:
                continue
            known = counts.get(key, state.reported)
            fresh = fact.points[max(0, known - fact.first) :]
            if fresh:
                start = max(known, fact.first)
                self._ledger.keep_metrics(metrics_of(run.dispatch_id, *key, start, fresh))
                counts[key] = start + len(fresh)
        if counts:
            self._ledger.step(run, MetricsReported([(*key, count) for key, count in counts.items()]))

    def _began(self, run: DispatchRun, items: list[Began], ended: Iterable[Outcome]) -> None:
        over = {(o.node, o.attempt) for o in ended}
        fresh = [
            (b.node, b.attempt, b.started, b.worker)
            for b in items
            if (b.node, b.attempt) not in over
            and 0 <= b.node < len(run.nodes)
            and run.nodes[b.node].status is Status.DISPATCHING
            and run.nodes[b.node].attempt == b.attempt
        ]
        if fresh:
            self._ledger.step(run, Started(fresh))

    def _finished(self, run: DispatchRun, outcomes: list[Outcome]) -> None:
        """Folds the outcomes that count."""
        current: dict[int, Outcome] = {}
        children: dict[int, bytes] = {}
        functions, nodes = run.manifest.functions, run.manifest.nodes
        for outcome in outcomes:
            node_id = outcome.node
            if node_id in current or not engine.is_current(run, outcome):
                continue
            if outcome.status == "completed" and outcome.child is None:
                self._placement.statistics.add(functions[nodes[node_id].function].code, outcome.duration)
            elif outcome.error is not None:
                outcome.error = with_source(outcome.error, run.manifest)
                self._explain_lost_variables(run, outcome)
            if outcome.child:
                children[node_id] = outcome.child
            if outcome.wrote:
                self._shared_paths.look(run, outcome, nodes[node_id].name)
            current[node_id] = self._ledger.take_values(outcome)
            self.live_logs.pop((run.dispatch_id, node_id), None)
        if not current:
            return
        self._ledger.step(run, Finished(list(current.values())))
        if run.ended is None:
            self._let_go(run, keeping.may_go(run, current))
        for node_id, body in children.items():
            child_id = run.nodes[node_id].child
            if child_id is not None and not run.nodes[node_id].status.ended:
                self._expand(run, node_id, child_id, body)

    def _let_go(self, run: DispatchRun, digests: list[str]) -> None:
        """Values that their electrons did not ask to keep."""
        if digests:
            self._ledger.drop_references(run, digests)
            self._ledger.act(lambda: self._upkeep.collect(digests))

    def _explain_lost_variables(self, run: DispatchRun, outcome: Outcome) -> None:
        lost = self._variables.lost.get(run.root)
        if lost and outcome.error is not None:
            names = ", ".join(lost[:10])
            outcome.error.hint = (
                f"the environment variables of the kernel ({names}) are gone, for they are kept only until their dispatch ends and this machine is restarted; "
                f"redispatch from a kernel that has them. {outcome.error.hint}"
            ).strip()

    def _expand(self, parent: DispatchRun, node_id: int, child_id: str, body: bytes) -> None:
        """A sublattice's inner graph becomes a run of its own, in the same commit as its node's outcome."""
        try:
            head, small = wire.unpack_body(body)
            manifest = head.manifest
            manifest.dispatch_id, manifest.parent, manifest.root = child_id, (parent.dispatch_id, node_id), parent.root
            manifest.environment = None
            total = sum(len(r.nodes) for r in self._ledger.runs.values() if r.root == parent.root) + len(manifest.nodes)
            check_manifest(manifest, depth=self._depth(parent) + 1, total=total, limits=self._limits())
            run = DispatchRun(manifest)
        except (ValueError, InvalidRequest) as e:
            error = Error("BuildError", f"the sublattice gave no sound graph: {e}")
            self._ledger.step(parent, ChildEnded(node_id, child_id, Status.FAILED, None, error, self._clock()))
            return
        crashpoint("sublattice.built")
        self._ledger.enter(run, wire.encode_manifest(manifest), inputs_of(manifest), small, self._clock())
        self._deadlines.watch(parent, node_id)

    def _depth(self, run: DispatchRun) -> int:
        depth = 0
        while run.manifest.parent is not None and run.manifest.parent[0] in self._ledger.runs:
            run, depth = self._ledger.runs[run.manifest.parent[0]], depth + 1
        return depth

    def retire(self, run: DispatchRun) -> None:
        """A run has ended: what was kept for its electrons goes."""
        self._let_go(run, keeping.may_go(run, ()))
        for key in [k for k in self.live_logs if k[0] == run.dispatch_id]:
            del self.live_logs[key]
        if run.root == run.dispatch_id:
            self._placement.release(run)
            self._shared_paths.forget(run.root)
