"""Telling the user's command or address that a dispatch failed or ended.

A notification that is owed is a setting of the store, written with the event that caused it; it goes when the command
or address has answered, or failed. After a crash it is tried once more, and no more than that. Nothing waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from .._version import __version__
from ..config import Settings
from ..dispatcher import Dispatcher
from ..errors import CovalentError, StoreError
from ..model import DispatchRow, Status
from ..model.notify import is_address, words_of
from ..model.status import SIGNS
from ..store import Batch, Store

log = logging.getLogger(__name__)

PREFIX = "notify:"  # of the store's settings: notify:<dispatch id>:<failure or finished> -> tries so far
_TRIES = 2
_AT_ONCE = 4
_SETTLING = 1.0  # seconds that a dispatch is given to end after its first failure, before that is told by itself
_TAIL = 500  # characters of what a failed command printed


class Notifier:
    """Carries out notifications, a few at a time. All methods are called on the event loop."""

    def __init__(self, store: Store, dispatcher: Dispatcher, settings: Callable[[], Settings]) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._settings = settings
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def target(self, notify: bool | str | None, event: str) -> str:
        """The command or address that is told of this event of a dispatch; "" for none."""
        if notify is False or (notify == "failure" and event != "failure"):
            return ""
        if isinstance(notify, str) and notify != "failure":
            return notify
        return str(self._settings().on_finish)

    def owe(self, dispatch_id: str, notify: bool | str | None, event: str) -> dict[str, str | None]:
        """Settings to be stored with the event; then call :meth:`tell`."""
        return {_key(dispatch_id, event): "0"} if self.target(notify, event) else {}

    def tell(self, dispatch_id: str, event: str) -> None:
        """Tell what is owed, in the background."""
        self._start(dispatch_id, event, 0)

    async def recover(self) -> int:
        """Take up what was owed when the service ended; how many."""
        owed = await asyncio.to_thread(self._store.settings, PREFIX)
        for name, tries in owed.items():
            dispatch_id, _, event = name.removeprefix(PREFIX).partition(":")
            self._start(dispatch_id, event, int(tries))
        return len(owed)

    async def close(self) -> None:
        """What was not told is told by the next service."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, dispatch_id: str, event: str, tries: int) -> None:
        task = asyncio.ensure_future(self._notify(dispatch_id, event, tries))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a notification failed", exc_info=error)

    async def _notify(self, dispatch_id: str, event: str, tries: int) -> None:
        row, notify = await self._look(dispatch_id, event)
        target = "" if row is None else self.target(notify, event)
        over = event == "failure" and notify != "failure" and row is not None and row.status.ended
        if row is None or not target or over or tries >= _TRIES:
            await self._set(_key(dispatch_id, event), None)
            if tries >= _TRIES:
                log.warning("the notification of dispatch %s was tried %d times; no more", dispatch_id[:8], tries)
            return
        async with self._slots:
            await self._set(_key(dispatch_id, event), str(tries + 1))
            problem = await self._tell(target, payload(row, event))
            await self._set(_key(dispatch_id, event), None)
        if problem:
            what = "the address" if is_address(target) else "the command"
            log.warning("dispatch %s: %s %r was not told: %s", dispatch_id[:8], what, target[:200], problem)
            with suppress(CovalentError):  # deleted meanwhile
                await self._dispatcher.notice(dispatch_id, f"{what} that is told of the end failed: {problem}")
        else:
            log.info("dispatch %s: %s was told", dispatch_id[:8], event)

    async def _look(self, dispatch_id: str, event: str) -> tuple[DispatchRow | None, bool | str | None]:
        """The dispatch as it is, after a moment in which a failed one may end, and what it asked for."""
        row = await asyncio.to_thread(self._store.dispatch, dispatch_id)
        if event == "failure" and row is not None and not row.status.ended:
            await asyncio.sleep(_SETTLING)
            row = await asyncio.to_thread(self._store.dispatch, dispatch_id)
        return row, await asyncio.to_thread(self._asked, dispatch_id)

    def _asked(self, dispatch_id: str) -> bool | str | None:
        data = self._store.manifest(dispatch_id)
        return None if data is None else msgspec.json.decode(data, type=_Asked).notify

    async def _set(self, key: str, value: str | None) -> None:
        await asyncio.wrap_future(self._store.append(Batch(settings={key: value})))

    async def _tell(self, target: str, body: dict[str, Any]) -> str:
        """What went wrong; "" if nothing did. Never raises, but for a cancellation."""
        data, limit = msgspec.json.encode(body), float(self._settings().notify_timeout)
        try:
            if is_address(target):
                return await _post(target, data, limit)
            return await _run(words_of(target), data, limit, body)
        except StoreError:
            raise
        except Exception as error:  # border: the user's command or address
            return f"{type(error).__name__}: {error}"


class _Asked(msgspec.Struct):
    """What is needed of a manifest."""

    notify: bool | str | None = None


def _key(dispatch_id: str, event: str) -> str:
    return f"{PREFIX}{dispatch_id}:{event}"


def payload(row: DispatchRow, event: str) -> dict[str, Any]:
    """What the command gets on its standard input, and the address as its body."""
    counts = row.counts
    duration = None if row.started is None else (row.ended or time.time()) - row.started
    return {
        "event": event, "text": text_of(row, event), "dispatch_id": row.dispatch_id, "name": row.name, "lattice": row.lattice,
        "status": str(row.status), "created": row.created, "started": row.started, "ended": row.ended, "duration": duration,
        "electrons": {"total": counts.total, "completed": counts.completed, "failed": counts.failed,
                      "cancelled": counts.cancelled, "skipped": counts.skipped},
        "error": row.error, "inputs": row.inputs, "results": row.results, "tags": row.tags, "note": row.note,
        "notebook": row.notebook, "notices": row.notices, "version": __version__,
    }  # fmt: skip


def text_of(row: DispatchRow, event: str) -> str:
    """One line for people."""
    counts = row.counts
    if event == "failure" and not row.status.ended:
        return f"✕ {row.name}: {counts.failed} of {counts.total} electrons failed, the others go on"
    sign, word = SIGNS[row.status]
    took = "" if row.started is None or row.ended is None else f" after {row.ended - row.started:.0f} s"
    why = f": {row.error.splitlines()[0]}" if row.status is Status.FAILED and row.error else ""
    return f"{sign} {row.name} {word}{took}{why}"


async def _post(address: str, data: bytes, limit: float) -> str:
    client = SimpleAsyncHTTPClient(force_instance=True)
    try:
        answer = await client.fetch(
            address, method="POST", body=data, raise_error=False, follow_redirects=False, request_timeout=limit,
            connect_timeout=limit, headers={"Content-Type": "application/json", "User-Agent": f"covalent-jupyter/{__version__}"},
        )  # fmt: skip
    finally:
        client.close()
    if answer.code == 599:
        return str(answer.error)
    return "" if answer.code < 300 else f"it answered {answer.code}"


async def _run(words: list[str], data: bytes, limit: float, body: dict[str, Any]) -> str:
    env = {
        **os.environ, "COVALENT_EVENT": body["event"], "COVALENT_DISPATCH_ID": body["dispatch_id"],
        "COVALENT_STATUS": body["status"], "COVALENT_NAME": body["name"].replace("\x00", ""),
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        cwd=Path.home(), env=env, start_new_session=True,
    )  # fmt: skip
    try:
        printed, _ = await asyncio.wait_for(process.communicate(data), limit)
    except BaseException as error:
        with suppress(ProcessLookupError):  # with all that it started
            os.killpg(process.pid, signal.SIGKILL)
        if isinstance(error, TimeoutError):
            return f"it took more than {limit:g} s (notify_timeout) and was ended"
        raise
    if process.returncode == 0:
        return ""
    told = printed.decode("utf-8", "replace").strip()[-_TAIL:]
    return f"exit status {process.returncode}" + (f": {told}" if told else "")
