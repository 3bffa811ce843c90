"""Feeding one pack to one runner, and hearing what becomes of it.

The tasks go over at once; their *tokens* lie in a socket from which both sides may take: the runner to begin a task,
the feed to keep it from beginning. What happened is read from the runner's spool, so nothing is heard that was
not written down, and nothing that was written down is missed when the runner dies.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from ..blobs import sync_blob
from ..crashpoint import crashpoint
from ..model.wire import encode
from ..model.work import Attempt, Began, Error, Fact, Log, Outcome, Output, Pack, Reported, Returned, Task
from . import verdict
from .budget import Budget
from .capture import collect, take_displays, with_displays
from .limits import oom_kills
from .page import STORING
from .process import RunnerProcess
from .protocol import END, LAST, TOKEN
from .watch import Watch

Emit = Callable[[list[Fact]], None]
_FIRST_LOOK = 0.01  # seconds
_LOOK = 0.05
_SLOW_LOOK = 0.1
_REPORTS_EVERY = 0.25
_SETTLED = 2.0  # seconds of running after which it is looked at less often
_GRACE = 1.0  # seconds between SIGTERM and SIGKILL for a cell that ran too long: it hands out what it has assigned
_TO_STORE = 10.0  # further seconds for one that is doing so

_decoder = msgspec.msgpack.Decoder(Began | Outcome | Reported | Returned)


@dataclass
class Sentence:
    """An attempt that is being ended, and what will be said of it when it is gone."""

    number: int
    status: str  # of its outcome
    error: Error | None
    kill_at: float  # monotonic
    latest: float = 0.0  # until when it may go on to store what it hands out
    said: Outcome | None = None  # by itself, when it gave way


class Feed:
    """One pack on its way through one runner. ``run`` is called once, the requests come from any thread."""

    def __init__(self, pack: Pack, emit: Emit, budget: Budget, fallocate: Any) -> None:
        self.pack = pack
        self._emit = emit
        self._budget = budget
        self._fallocate = fallocate
        self._lock = threading.Lock()
        self._requests: deque[tuple[set[int] | None, float]] = deque()  # numbers to cancel, None: give back; grace
        self._process: RunnerProcess | None = None
        self._numbers = {(task.node, task.attempt): number for number, task in enumerate(pack.tasks)}
        self._open = dict(enumerate(pack.tasks))  # no outcome, not returned
        self._begun: dict[int, Began] = {}  # open ones that began
        self._facts: list[Fact] = []
        self._reports: list[Reported] = []  # heard, and not told yet
        self._reports_told = 0.0
        self._sentence: Sentence | None = None
        self._oom_kills: int | None = None  # of the machine, when the pack had run for a moment
        self._cut = False
        self._over = False

    # requests

    def attempts(self) -> set[Attempt]:
        """What this feed has not heard the end of."""
        tasks = [self.pack.tasks[number] for number in list(self._open)]
        return {(self.pack.dispatch_id, task.node, task.attempt) for task in tasks}

    def cancel(self, attempts: set[Attempt], grace: float) -> None:
        numbers = {self._numbers[node, attempt] for _, node, attempt in attempts}
        self._request(numbers, grace)

    def revoke(self) -> None:
        self._request(None, 0.0)

    def _request(self, numbers: set[int] | None, grace: float) -> None:
        with self._lock:
            self._requests.append((numbers, grace))
            if self._process is not None:
                self._process.nudge()

    # feeding

    def run(self, process: RunnerProcess, settled: Callable[[], None]) -> bool:
        """Feed until every task has had its outcome or was returned. Whether the runner can be used again.

        ``settled`` is called when the pack takes longer than a moment.
        """
        live = os.path.join(self.pack.log_root, "live") if self.pack.log_root else process.sheet.scratch
        process.live = (os.path.join(live, f"{process.name}.out"), os.path.join(live, f"{process.name}.err"))
        self._watch = Watch(self.pack, process, self._budget, self._fallocate)
        with self._lock:
            self._process = process
        self._send(process)
        poll = select.poll()
        poll.register(process.control, select.POLLIN)
        poll.register(process.nudged, select.POLLIN)
        wait = _FIRST_LOOK
        while not self._over and not process.ended.is_set():
            ready = poll.poll(wait * 1000)
            for fd, _ in ready:
                if fd == process.nudged.fileno():
                    process.nudged.recv(4096)
                elif not self._hear(process):
                    poll.unregister(fd)  # it is dying; the nursery will say how
            self._read(process)
            self._obey(process)
            wait = self._look(process)
            self._flush()
            if self._oom_kills is None and not self._over:
                self._oom_kills = oom_kills()
                settled()
        return self._finish(process)

    def _send(self, process: RunnerProcess) -> None:
        body = encode(self.pack)
        try:
            process.control.sendall(len(body).to_bytes(8, "big"))
            process.control.sendall(body)
            tokens = [TOKEN.pack(number) for number in range(len(self.pack.tasks))]
            process.tokens.sendall(b"".join(tokens) + TOKEN.pack(LAST))
        except OSError:  # it died: the loop will see that
            process.ended.wait(_SETTLED)

    def _hear(self, process: RunnerProcess) -> bool:
        try:
            said = process.control.recv(4096)
        except OSError:
            said = b""
        self._over = self._over or END in said
        return bool(said)

    def _read(self, process: RunnerProcess) -> None:
        """Take what the runner has written down."""
        for record in process.spool.read():
            fact = _decoder.decode(record)
            if isinstance(fact, Began):
                number = self._numbers[fact.node, fact.attempt]
                self._begun[number] = fact
                self._facts.append(fact)
            elif isinstance(fact, Outcome):
                self._ended(self._numbers[fact.node, fact.attempt], fact)
            elif isinstance(fact, Reported):
                self._reported(fact)
            else:
                for key in fact.attempts:
                    self._open.pop(self._numbers[key], None)
                self._facts.append(fact)

    def _reported(self, fact: Reported) -> None:
        """Held back for a moment, with those that follow it: four times a second is often enough to hear of them."""
        last = self._reports[-1] if self._reports else None
        if last is not None and (last.node, last.attempt) == (fact.node, fact.attempt):
            last.points += fact.points
        else:
            self._reports.append(fact)

    def _ended(self, number: int, outcome: Outcome) -> None:
        if self._open.get(number) is None:
            return
        sentence = self._sentence
        if sentence is not None and sentence.number == number and outcome.status != "completed":
            sentence.kill_at, sentence.said = 0.0, outcome  # it gave way to SIGTERM: said when the group is gone
            return
        del self._open[number]
        self._begun.pop(number, None)
        self._facts.append(outcome)

    def _flush(self) -> None:
        """Tell what came; of an attempt that began and ended meanwhile, the end."""
        facts, self._facts = self._facts, []
        if self._reports and (facts or time.monotonic() - self._reports_told >= _REPORTS_EVERY):
            facts = [*self._reports, *facts]  # before the outcome of the same attempt
            self._reports, self._reports_told = [], time.monotonic()
        if not facts:
            return
        for fact in facts:
            if isinstance(fact, Outcome) and fact.output is not None:
                self._make_durable(fact.output)
        crashpoint("outcome.durable")
        ended = {(fact.node, fact.attempt) for fact in facts if isinstance(fact, Outcome)}
        self._emit([fact for fact in facts if not isinstance(fact, Began) or (fact.node, fact.attempt) not in ended])

    def _make_durable(self, output: Output) -> None:
        """A large value is on the disk before anybody hears of it. The runner, which wrote it, is at the next electron
        meanwhile."""
        if output.data is None and self.pack.blob_root:
            with suppress(FileNotFoundError):  # collected already: nobody refers to it
                sync_blob(self.pack.blob_root, output.digest)

    # stopping

    def _take_back(self, process: RunnerProcess) -> list[Task]:
        """Keep what has not begun from beginning."""
        if self._cut:
            return []
        self._cut = True
        data = process.drain_tokens()
        numbers = [number for (number,) in TOKEN.iter_unpack(data) if number != LAST]
        try:
            process.tokens.sendall(TOKEN.pack(LAST))
        except OSError:  # it died
            pass
        return [task for number in numbers if (task := self._open.pop(number, None)) is not None]

    def _return(self, tasks: list[Task]) -> None:
        if tasks:
            attempts = [(task.node, task.attempt) for task in tasks]
            self._facts.append(Returned(self.pack.pack_id, self.pack.dispatch_id, attempts))

    def _obey(self, process: RunnerProcess) -> None:
        while self._requests:
            numbers, grace = self._requests.popleft()
            taken = self._take_back(process)
            wanted = numbers or set()
            self._return([task for task in taken if self._number(task) not in wanted])
            for task in taken:
                if self._number(task) in wanted:
                    self._facts.append(self._outcome(task, "cancelled", None))
            for number in wanted & self._open.keys():
                self._condemn(process, Sentence(number, "cancelled", None, time.monotonic() + grace))

    def _number(self, task: Task) -> int:
        return self._numbers[task.node, task.attempt]

    def _condemn(self, process: RunnerProcess, sentence: Sentence) -> None:
        """Have an attempt ended; the first sentence stands."""
        if self._sentence is None:
            self._read(process)
            if sentence.number not in self._open:
                return
            self._sentence = sentence
            self._return(self._take_back(process))
            crashpoint("cancel.condemned")
            if sentence.kill_at > time.monotonic():
                sentence.latest = sentence.kill_at + _TO_STORE
                process.nursery.signal(process, signal.SIGTERM)

    def _look(self, process: RunnerProcess) -> float:
        """See to the running electron. Gives the seconds until the next look."""
        now = time.monotonic()
        sentence = self._sentence
        if sentence is not None:
            if sentence.said is None and now < sentence.latest and process.page.leaves() == STORING:
                return _LOOK
            if now >= sentence.kill_at:
                process.nursery.signal(process, signal.SIGKILL, tree=True)
                sentence.kill_at = now + 1.0  # again, should it be needed
            return min(_LOOK, max(0.001, sentence.kill_at - now))
        number, started = process.page.running()
        if number < 0 or number not in self._open:
            return _LOOK
        elapsed = now - started
        if not self._cut and elapsed > self.pack.budget:
            self._return(self._take_back(process))
        self._facts.extend(self._watch.logs(number, now) if number in self._begun else ())
        task = self.pack.tasks[number]
        error = self._watch.excess(task, elapsed, now)
        if error is not None:
            grace = _GRACE if error.cause == "timeout" and process.page.leaves() else 0.0
            self._condemn(process, Sentence(number, "failed", error, now + grace))
            return 0.0
        if elapsed < self.pack.budget and not self._cut:
            return max(0.001, min(_LOOK, self.pack.budget - elapsed))
        wait = _LOOK if elapsed < _SETTLED else _SLOW_LOOK
        limit = self.pack.options[task.options].timeout
        return wait if limit is None else max(0.0, min(wait, limit - elapsed))

    # the end

    def _finish(self, process: RunnerProcess) -> bool:
        self._read(process)
        self._obey_late(process)
        usable = not process.ended.is_set()
        if self._sentence is not None and usable:
            process.nursery.signal(process, signal.SIGKILL, tree=True)
            process.ended.wait()
            usable = False
            self._read(process)
        if not usable:
            self._after_death(process)
        elif self._open:  # cannot be, but nobody shall wait for it for ever
            self._return(list(self._open.values()))
            self._open.clear()
        with self._lock:
            self._process = None
        self._flush()
        return usable

    def _obey_late(self, process: RunnerProcess) -> None:
        if not process.ended.is_set():
            self._obey(process)

    def _after_death(self, process: RunnerProcess) -> None:
        """The runner is gone with all that it started: one attempt at most is to blame."""
        death = process.death
        assert death is not None
        sentence = self._sentence
        unstarted = self._take_back(process)
        tasks = self.pack.tasks
        if sentence is not None and self._open.pop(sentence.number, None) is not None:
            crashpoint("cancel.gone")
            self._facts.append(self._sentenced(tasks[sentence.number], sentence, process))
        for number in [number for number in self._begun if number in self._open]:
            error = verdict.crashed(tasks[number], death, self._oom_kills is not None and oom_kills() > self._oom_kills)
            status = "interrupted" if error.cause == "interrupted" else "failed"
            self._facts.append(self._outcome(self._open.pop(number), status, error, process, death.peak))
        left = [*unstarted, *self._open.values()]
        if left and len(left) == len(tasks) and death.status is not None:
            task = left.pop(0)
            outcome = self._outcome(task, "failed", verdict.died_unstarted(task, death))
            if verdict.was_ended_from_outside(
                death
            ):  # nobody's fault, and it did nothing: it may run again, though not for ever
                outcome.status, outcome.started = "interrupted", 0.0
            self._facts.append(outcome)
        self._return(left)
        self._open.clear()

    def _sentenced(self, task: Task, sentence: Sentence, process: RunnerProcess) -> Outcome:
        """The outcome of an attempt that was ended, with what it printed and handed out before."""
        outcome, said = self._outcome(task, sentence.status, sentence.error, process), sentence.said
        if said is None:
            return outcome
        outcome.stdout, outcome.stderr = said.stdout, said.stderr  # the runner has taken them from the live files
        if said.error is not None and said.error.left:
            error = sentence.error or verdict.cancelled(task)
            outcome.output, outcome.error = said.output, msgspec.structs.replace(error, left=said.error.left)
        return outcome

    def _outcome(
        self, task: Task, status: Any, error: Error | None, process: RunnerProcess | None = None, peak: int = 0
    ) -> Outcome:
        now = time.time()
        began = self._begun.pop(self._number(task), None)
        outcome = Outcome(
            self.pack.dispatch_id, task.node, task.attempt, status, began.started if began else now, now,
            max(0.0, now - began.started) if began else 0.0, error=error,
            worker=began.worker if began else "", rss=peak,
        )  # fmt: skip
        if process is not None and began:
            outcome.stdout, outcome.stderr = self._logs(process, task)
            outcome.progress = process.page.noted(0, self._number(task))[1]
        return outcome

    def _logs(self, process: RunnerProcess, task: Task) -> tuple[Log, Log]:
        root, name = self.pack.log_root, f"{task.node}.{task.attempt}"
        shown = take_displays(process.live, root, process.page.dropped())
        out, err = (
            collect(path, root, self.pack.dispatch_id, name, kind, cut)
            for path, kind, cut in zip(process.live, ("out", "err"), process.page.dropped(), strict=True)
        )
        if shown:
            out = with_displays(out, shown, root, self.pack.dispatch_id, name)
        return out, err
