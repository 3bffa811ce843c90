"""Waiting for dispatches: long polls on "what came after N?"."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

from ..errors import CovalentError, NotFinished, NotFound
from ..model import DispatchRow
from ..worker.context import get_context
from .display import plain
from .rest import EventsAnswer, Rest

_T = TypeVar("_T")

#: seconds that one long poll waits at the service
POLL = 20.0
_WHOLE_ID = 36  # characters; a beginning of an id must be looked up first
#: seconds between two turns of a kernel's event loop in which something is awaited
GLANCE = 0.5
#: seconds after which an electron that waits for a dispatch looks why that does not run
PATIENCE = 5.0
#: seconds between polls that came back at once with nothing
PAUSE = 0.05


def wait_for(
    rest: Rest,
    dispatch_id: str,
    timeout: float | None = None,
    on_change: Callable[[DispatchRow], None] | None = None,
    stop: threading.Event | None = None,
    stopped: Callable[[], None] | None = None,
) -> DispatchRow:
    """The row of the dispatch once it has ended, or as it is after ``timeout`` seconds (or when ``stop`` is set).

    Ctrl-C stops the waiting and nothing else; it says how to cancel the dispatch, after a call of ``stopped``, which
    leaves the terminal at the beginning of a line.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    row: DispatchRow | None = None
    try:
        with _lending_its_place(rest, dispatch_id, deadline) if get_context().dispatch_id else nullcontext():
            if on_change is None and stop is None and len(dispatch_id) == _WHOLE_ID:
                row = _end_of(rest, dispatch_id, deadline)
            else:
                row = rest.dispatch(dispatch_id)
                for changed in _changes(rest, row, deadline, stop):
                    row = changed
                    if on_change is not None:
                        on_change(row)
    except KeyboardInterrupt:
        name, known = (
            (row.name or "the dispatch", row.dispatch_id) if row is not None else ("the dispatch", dispatch_id)
        )
        if stopped is not None:
            stopped()
        begin = "" if stopped is not None else "\n"
        print(begin + runs_on(name, known), file=sys.stderr)
        raise KeyboardInterrupt from None  # without the twelve frames of a wait on a socket
    return row


@contextmanager
def _lending_its_place(rest: Rest, dispatch_id: str, deadline: float | None) -> Iterator[None]:
    """An electron that waits for another dispatch leaves it its place, so that not both wait for ever. Where that dispatch does
    not begin all the same, since it needs another executor's place, the electron's stderr says why."""
    whole = rest.dispatch(dispatch_id).dispatch_id
    with get_context().waiting_for(whole):
        patience = time.monotonic() + PATIENCE
        row = _end_of(rest, whole, patience if deadline is None else min(patience, deadline))
        if why := waits_text(rest, row):
            print(
                f"Warning: this electron waits for dispatch {whole[:8]} ({plain(row.name)}){why}.",
                file=sys.stderr,
                flush=True,
            )
        yield


def runs_on(name: str, dispatch_id: str) -> str:
    """What somebody is told who waits for it no more."""
    return f'Stopped waiting; {plain(name)} {dispatch_id[:8]} runs on. Cancel it with ct.cancel("{dispatch_id}").'


def still_running(ids: Iterable[str]) -> str:
    """What somebody is told who waits for several no more."""
    shown = [i[:8] for i in ids]
    more = f" and {len(shown) - 10} more" if len(shown) > 10 else ""
    runs = "run" if len(shown) > 1 else "runs"
    return f'Stopped waiting; {", ".join(shown[:10])}{more} {runs} on. Cancel it with ct.cancel("{shown[0]}").'


def _end_of(rest: Rest, dispatch_id: str, deadline: float | None) -> DispatchRow:
    """The row at the end, asked for once: the service answers when there is something to say."""
    while True:
        wait = POLL if deadline is None else max(0.0, min(POLL, deadline - time.monotonic()))
        answer = rest.events(0, wait=round(wait, 3), dispatch=dispatch_id, electrons=0, ended=1)
        row = next((d for d in answer.dispatches if d.dispatch_id == dispatch_id), None) or rest.dispatch(dispatch_id)
        if row.status.ended or (deadline is not None and time.monotonic() >= deadline):
            return row


def _changes(
    rest: Rest, row: DispatchRow, deadline: float | None, stop: threading.Event | None
) -> Iterator[DispatchRow]:
    """The row now, and whenever it changed, until it has ended or time is over."""
    yield row
    after = row.seq
    while not row.status.ended and not (stop is not None and stop.is_set()):
        wait = POLL if stop is None else 2.0  # an abandoned wait lets go of its connection soon
        if deadline is not None:
            wait = min(wait, deadline - time.monotonic())
            if wait <= 0:
                return
        asked = time.monotonic()
        answer = rest.events(after, wait=round(wait, 3), dispatch=row.dispatch_id, electrons=0)
        changed = _row_in(rest, answer, row)
        after = _cursor(answer, after)
        if changed is not None:
            row = changed
            yield row
        elif time.monotonic() - asked < min(wait, PAUSE) / 2:
            time.sleep(min(wait, PAUSE))


def _row_in(rest: Rest, answer: EventsAnswer, row: DispatchRow) -> DispatchRow | None:
    if row.dispatch_id in answer.deleted:
        raise NotFound(f"dispatch {row.dispatch_id} was deleted while it was waited for")
    if answer.reset:
        return rest.dispatch(row.dispatch_id)
    return next((d for d in answer.dispatches if d.dispatch_id == row.dispatch_id), None)


def _cursor(answer: EventsAnswer, after: int) -> int:
    return answer.next if answer.next is not None else max(answer.seq, after)


def require_ended(rest: Rest, row: DispatchRow, timeout: float | None) -> DispatchRow:
    """``row``; NotFinished if it has not ended, with what it waits for."""
    if not row.status.ended:
        done, total = row.counts.completed, row.counts.total
        raise NotFinished(
            f"dispatch {row.dispatch_id} ({row.name}) is still {row.status} after {timeout or 0:g} s: "
            f"{done} of {total} electrons completed{waits_text(rest, row)}. It runs on; ask again, or cancel it with "
            "ct.cancel."
        )
    return row


def waits_text(rest: Rest, row: DispatchRow) -> str:
    """ ", and it waits: executor 'dask' starts"; "" while something of it runs."""
    if row.status.ended or row.counts.running:
        return ""
    try:
        reasons = rest.waiting(row.dispatch_id)
    except CovalentError:  # this only adds to another message
        return ""
    return f", and it waits: {plain('; '.join(reasons))}" if reasons else ""


async def ended(rest: Rest, dispatch_id: str) -> DispatchRow:
    """The row once the dispatch has ended; the event loop goes on meanwhile.

    Cancelling the awaiting task ends the waiting, not the dispatch.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[DispatchRow] = loop.create_future()
    stop = threading.Event()

    def run() -> None:
        try:
            outcome: Any = wait_for(rest, dispatch_id, stop=stop)
            call: Any = future.set_result
        except BaseException as error:  # border of the thread: whatever it was goes to the awaiting task
            outcome, call = error, future.set_exception
        finally:
            rest.disconnect()
        if not stop.is_set():
            try:
                loop.call_soon_threadsafe(_resolve, future, call, outcome)
            except RuntimeError:
                pass  # the loop is closed, nobody waits any more

    # a thread of its own, not the loop's pool: a hundred of these may wait for hours
    threading.Thread(target=run, name=f"covalent-wait-{dispatch_id[:8]}", daemon=True).start()
    try:
        await _awake(future)
        return future.result()
    except asyncio.CancelledError:
        if "ipykernel" in sys.modules:  # Ctrl-C in a cell that awaits
            print(runs_on("the dispatch", dispatch_id), file=sys.stderr)
        raise
    finally:
        stop.set()


async def _awake(future: asyncio.Future[Any]) -> None:
    """Wait for it, and let the loop turn now and then: a kernel's Ctrl-C is seen only when it does."""
    while not future.done():
        await asyncio.wait({future}, timeout=GLANCE if "ipykernel" in sys.modules else None)


def _resolve(future: asyncio.Future[DispatchRow], call: Callable[[Any], None], outcome: Any) -> None:
    if not future.done():
        call(outcome)


async def in_thread(make: Callable[[threading.Event], Iterator[_T]], name: str) -> AsyncIterator[_T]:
    """What an iterator gives that blocks, while the event loop goes on; it runs in a thread of its own.

    The event that ``make`` is given is set when nobody listens any more.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    stop = threading.Event()

    def tell(kind: str, value: Any = None) -> None:
        try:
            loop.call_soon_threadsafe(queue.put_nowait, (kind, value))
        except RuntimeError:
            stop.set()  # the loop is closed, nobody listens any more

    def run() -> None:
        try:
            for item in make(stop):
                tell("item", item)
                if stop.is_set():
                    return
            tell("end")
        except BaseException as error:  # border of the thread: whatever it was goes to the awaiting task
            tell("error", error)

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        while True:
            coming = asyncio.ensure_future(queue.get())
            try:
                await _awake(coming)
            finally:
                coming.cancel()
            kind, value = coming.result()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        stop.set()


def completion_order(
    rest: Rest, dispatch_ids: Iterable[str], timeout: float | None = None, stop: threading.Event | None = None
) -> Iterator[DispatchRow]:
    """Rows of these dispatches in the order in which they end; one feed for all of them.

    Raises NotFinished naming those that run after ``timeout`` seconds. Ctrl-C stops the waiting and says how to cancel
    those that run.
    """
    left: dict[str, DispatchRow] = {}
    try:
        yield from _as_they_end(rest, dispatch_ids, timeout, stop, left)
    except KeyboardInterrupt:
        if left:
            print(f"\n{still_running(left)}", file=sys.stderr)
        raise KeyboardInterrupt from None


def _as_they_end(
    rest: Rest, dispatch_ids: Iterable[str], timeout: float | None, stop: threading.Event | None,
    open_rows: dict[str, DispatchRow],
) -> Iterator[DispatchRow]:  # fmt: skip
    deadline = None if timeout is None else time.monotonic() + timeout
    rows = {row.dispatch_id: row for row in map(rest.dispatch, dispatch_ids)}
    after = min((row.seq for row in rows.values()), default=0)
    for row in sorted(rows.values(), key=lambda r: r.ended or 0.0):
        if row.status.ended:
            yield row
        else:
            open_rows[row.dispatch_id] = row
    while open_rows and not (stop is not None and stop.is_set()):
        longest = POLL if stop is None else 2.0  # an abandoned wait lets go of its connection soon
        wait = longest if deadline is None else min(longest, deadline - time.monotonic())
        if wait <= 0:
            names = ", ".join(f"{r.name} {r.dispatch_id[:8]}" for r in open_rows.values())
            raise NotFinished(f"still running after {timeout or 0:g} s: {names}")
        asked = time.monotonic()
        with get_context().waiting_for(next(iter(open_rows))):
            answer = rest.events(after, wait=round(wait, 3), electrons=0)
        found = [rest.dispatch(i) for i in open_rows] if answer.reset else answer.dispatches
        after = _cursor(answer, after)
        for row in found:
            if row.status.ended and open_rows.pop(row.dispatch_id, None) is not None:
                yield row
        gone = set(open_rows).intersection(answer.deleted)
        if gone:
            raise NotFound(f"deleted while they were waited for: {', '.join(sorted(gone))}")
        if not found and time.monotonic() - asked < min(wait, PAUSE) / 2:
            time.sleep(min(wait, PAUSE))
