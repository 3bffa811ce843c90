"""One thread that notices the ends of the dispatches whose panels are shown, so that what a notebook saves is the end."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable

from ..client.connection import Connector, Endpoint, Settings, settings
from ..client.rest import Rest
from ..errors import CovalentError, NotFound, ServiceUnavailable

#: seconds that one question may wait at the service
POLL = 20.0
#: least seconds between two questions; seconds until a service that is away is looked for again
PACE, AWAY = 1.0, 3.0


class Watcher(Connector):
    """Finds the service and never starts it: looking is no reason to."""

    def _locate(self) -> Endpoint:
        found = self.find()
        if found is None:
            raise ServiceUnavailable("the service does not run just now; it is started by the next dispatch")
        return found


@functools.lru_cache(maxsize=8)
def _watching(chosen: Settings) -> Rest:
    return Rest(Watcher(chosen))


def watching_rest() -> Rest:
    """As ``client.rest.connect``, but for threads in the background."""
    return _watching(settings())


class Ends:
    """Calls what was given for a dispatch once, from its thread, when the dispatch has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        self._following: dict[str, list[Callable[[], None]]] = {}
        self._thread: threading.Thread | None = None

    def call(self, dispatch_id: str, then: Callable[[], None], changed: Callable[[], None] | None = None) -> None:
        """``changed`` is called, once a second at most, when its electrons have gone on."""
        with self._lock:
            self._waiting.setdefault(dispatch_id, []).append(then)
            if changed is not None:
                self._following.setdefault(dispatch_id, []).append(changed)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="covalent-panels", daemon=True)
                self._thread.start()

    def forget(self, dispatch_id: str, then: Callable[[], None]) -> None:
        with self._lock:
            calls = self._waiting.get(dispatch_id, [])
            if then in calls:
                calls.remove(then)
            if not calls:
                self._waiting.pop(dispatch_id, None)
                self._following.pop(dispatch_id, None)

    def _run(self) -> None:
        rest = watching_rest()
        known: set[str] = set()  # waited for since ``after``: their ends come with the feed
        after = 0
        try:
            while (waiting := self._left()) is not None:
                try:
                    if new := waiting - known:
                        after = after or rest.dispatches(limit=1).seq
                        for dispatch_id in new:
                            self._look(rest, dispatch_id)
                        known |= new
                        continue
                    answer = rest.events(after, wait=POLL, electrons=0)
                    after = answer.next if answer.next is not None else max(answer.seq, 0 if answer.reset else after)
                    known = set() if answer.reset else known & waiting
                    for row in answer.dispatches:
                        if row.status.ended:
                            self._over(row.dispatch_id)
                        else:
                            self._on(row.dispatch_id)
                    for dispatch_id in answer.deleted:
                        self._over(dispatch_id)
                    time.sleep(PACE)
                except CovalentError:
                    rest.connector.forget()
                    known.clear()
                    after = 0
                    time.sleep(AWAY)
        finally:
            rest.disconnect()
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _left(self) -> set[str] | None:
        """Whose ends are waited for; None ends the thread."""
        with self._lock:
            if not self._waiting:
                self._thread = None
                return None
            return set(self._waiting)

    def _look(self, rest: Rest, dispatch_id: str) -> None:
        try:
            ended = rest.dispatch(dispatch_id).status.ended
        except NotFound:
            ended = True
        if ended:
            self._over(dispatch_id)

    def _on(self, dispatch_id: str) -> None:
        with self._lock:
            calls = list(self._following.get(dispatch_id, ()))
        for changed in calls:
            changed()

    def _over(self, dispatch_id: str) -> None:
        with self._lock:
            calls = self._waiting.pop(dispatch_id, [])
            self._following.pop(dispatch_id, None)
        for then in calls:
            then()


@functools.cache
def ends() -> Ends:
    """The one of this process."""
    return Ends()
