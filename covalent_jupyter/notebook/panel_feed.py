"""The one thread of a kernel that follows dispatches for its widgets, and says no more than a connection can bear."""

from __future__ import annotations

import functools
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from ..client.rest import Rest
from ..errors import CovalentError, ServiceUnavailable
from ..model import DispatchRow, ElectronRow
from .panel_ends import AWAY, watching_rest
from .panel_snapshot import slim, slim_row

#: seconds that one question may wait at the service: one who comes is heard after that at the latest
POLL = 1.0
#: least seconds between two updates of the browser, and bytes a second that it gets
PACE, RATE = 0.25, 100_000
#: rows of electrons in one message, some 20 kB: a quarter of what a second may carry
ROWS = 1000


class Changes(msgspec.Struct):
    """What the service answers to "what came after N?"."""

    seq: int
    next: int | None = None
    reset: bool = False
    dispatches: list[DispatchRow] = []
    electrons: list[ElectronRow] = []
    deleted: list[str] = []
    logs: list[dict[str, Any]] = []


#: called with the kind of the message, its content, and a compressed JSON document
Tell = Callable[[dict[str, Any], bytes], None]
_decoder = msgspec.json.Decoder(Changes)


class Budget:
    """When the next message may go: at most four a second, and 100 kB a second, for all panels together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free_at = 0.0

    def spend(self, size: int) -> float:
        """Take the place of a message of ``size`` bytes; the seconds to wait before it is sent."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._free_at)
            self._free_at = at + max(PACE, size / RATE)
            return at - now


@functools.cache
def budget() -> Budget:
    """The one of this process."""
    return Budget()


class Feed:
    """Tells followers of the changes of dispatches until these have ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followers: dict[str, list[Tell]] = {}
        self._thread: threading.Thread | None = None

    def follow(self, dispatch_id: str, tell: Tell) -> None:
        """``tell`` is called from the feed's thread: first with ``reset``, for which a snapshot is to be taken."""
        with self._lock:
            tells = self._followers.setdefault(dispatch_id, [])
            if tell not in tells:
                tells.append(tell)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="covalent-panel-feed", daemon=True)
                self._thread.start()

    def leave(self, dispatch_id: str, tell: Tell) -> None:
        with self._lock:
            tells = self._followers.get(dispatch_id, [])
            if tell in tells:
                tells.remove(tell)
            if not tells:
                self._followers.pop(dispatch_id, None)

    @property
    def busy(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None

    def _run(self) -> None:
        rest = watching_rest()
        begun: set[str] = set()
        after: int | None = None
        try:
            while (wanted := self._wanted()) is not None:
                try:
                    if after is None:
                        after = rest.dispatches(limit=1).seq
                        begun.clear()
                        self._say(wanted, "online", "")
                    after = self._step(rest, wanted, begun, after)
                except CovalentError as error:
                    rest.connector.forget()
                    after = None
                    self._say(wanted, "starting" if isinstance(error, ServiceUnavailable) else "refused", str(error))
                    time.sleep(AWAY)
        finally:
            rest.disconnect()
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _wanted(self) -> list[str] | None:
        with self._lock:
            if self._followers:
                return list(self._followers)
            self._thread = None
            return None

    def _step(self, rest: Rest, wanted: list[str], begun: set[str], after: int) -> int | None:
        """One question and its answer; the cursor of the next."""
        for dispatch_id in [i for i in wanted if i not in begun]:
            begun.add(dispatch_id)
            self._begin(rest, dispatch_id, after)
        begun.intersection_update(wanted)
        query = {"after": after, "wait": POLL, "electrons_of": ",".join(wanted[:100]), "pictures": "false"}
        changes = _decoder.decode(rest.request("GET", "events", query=query).data)
        if changes.reset:
            return None
        self._pass_on(rest, changes, wanted)
        return changes.next if changes.next is not None else changes.seq

    def _begin(self, rest: Rest, dispatch_id: str, after: int) -> None:
        """Its followers need a snapshot; one that has ended needs nothing more."""
        try:
            row = rest.dispatch(dispatch_id)
        except ServiceUnavailable:
            raise
        except CovalentError as error:
            self._tell(dispatch_id, {"kind": "link", "link": "refused", "problem": str(error)}, b"")
            self._end(dispatch_id)
            return
        self._tell(dispatch_id, {"kind": "changes", "reset": True}, packed(Changes(after, None, True, [row])))
        if row.status.ended:
            self._end(dispatch_id)

    def _pass_on(self, rest: Rest, changes: Changes, wanted: Iterable[str]) -> None:
        for dispatch_id in wanted:
            own = [r for r in changes.dispatches if dispatch_id in (r.dispatch_id, r.parent_id, r.root_id)]
            electrons = [e for e in changes.electrons if e.dispatch_id == dispatch_id]
            logs = [log for log in changes.logs if log.get("dispatch_id") == dispatch_id]
            deleted = [d for d in changes.deleted if d == dispatch_id]
            if not (own or electrons or logs or deleted):
                continue
            if changes.next is not None and not own:
                own = [row for row in [rest.dispatch(dispatch_id)] if not row.status.ended]
            ended = any(r.dispatch_id == dispatch_id and r.status.ended for r in own)
            parts = [electrons[at : at + ROWS] for at in range(0, len(electrons), ROWS)] or [[]]
            for number, part in enumerate(parts):
                last = number == len(parts) - 1
                # how it stands is said first; that it is over, when all has been said
                rows = own if (last if ended else number == 0) else []
                told = Changes(changes.seq, None, False, rows, part, deleted if last else [], logs if last else [])
                self._tell(dispatch_id, {"kind": "changes", "reset": False}, packed(told))
            if deleted or (ended and changes.next is None):
                self._end(dispatch_id)

    def _tell(self, dispatch_id: str, content: dict[str, Any], data: bytes) -> None:
        with self._lock:
            tells = list(self._followers.get(dispatch_id, []))
        for tell in tells:
            time.sleep(budget().spend(len(data)))
            tell({**content, "dispatch": dispatch_id, "now": time.time()}, data)

    def _say(self, wanted: Iterable[str], link: str, problem: str) -> None:
        for dispatch_id in wanted:
            self._tell(dispatch_id, {"kind": "link", "link": link, "problem": problem}, b"")

    def _end(self, dispatch_id: str) -> None:
        """No more is told of it."""
        with self._lock:
            self._followers.pop(dispatch_id, None)


def packed(changes: Changes) -> bytes:
    """Small, as JSON, compressed."""
    small = Changes(
        changes.seq, changes.next, changes.reset, [slim_row(r) for r in changes.dispatches],
        [slim(e) for e in changes.electrons], changes.deleted, changes.logs,
    )  # fmt: skip
    return compressed(msgspec.json.encode(small))


def compressed(data: bytes) -> bytes:
    return zlib.compress(data, 6)


@functools.cache
def feed() -> Feed:
    """The one of this process."""
    return Feed()
