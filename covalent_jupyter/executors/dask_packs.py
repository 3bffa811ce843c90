"""Packs that are with a Dask cluster: each from its submission to the last that is said of it.

Dask decides where a pack runs; what has become of its electrons is said by the stations in the workers (:mod:`.dask_worker`).
Everything here happens on the loop of the executor (:mod:`.dask`), which sees to the cluster itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from .. import processes
from ..lastwords import last_words
from ..model import Attempt, Error, Fact, Pack, PackEnded
from .base import Emit, HostContext
from .dask_cluster import Dask
from .dask_worker import CLAIMS, Said, claim, control, decode_said, encode, run_pack_bytes, worker_folder
from .inline import keep_big_values, with_values

log = logging.getLogger(__name__)

_QUEUED = 0.5  # seconds that a pack waits for its worker before a place that is free elsewhere is its own
_PRUNED = 1000  # packs after which the marks of old ones are removed
_OLD = 3600.0  # seconds in which a scheduler has given the task of a dead worker to another one,
_OLD_HERE = 60.0  # and one of our own
_FENCINGS = 5  # attempts to take a pack back while workers come
_LAST_WORDS = 5.0  # seconds in which a pack whose Dask task has finished must have ended

_facts = msgspec.msgpack.Decoder(list[Fact])


@dataclass
class _Sent:
    """A pack that is with Dask."""

    pack: Pack  # as Dask has it
    future: Any
    blob_root: str  # where its values are kept here
    worker: str = ""  # the station that began it
    address: str = ""  # of its Dask worker
    missed: int = 0  # looks at the cluster in which that worker was not there
    begun: asyncio.Event = field(default_factory=asyncio.Event)  # a station said so
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    since: float = field(default_factory=time.monotonic)  # when Dask got it
    moving: bool = False  # it is being taken back, since its worker has no place for it and another one has

    @property
    def places(self) -> float:
        """How many slots it takes."""
        return max([1.0, *(float(options.resources.get("cpu", 1) or 1) for options in self.pack.options)])


class DaskPacks:
    """Answers for every attempt of every pack that it is given, whatever becomes of the cluster.

    ``begin`` starts a coroutine on the loop; ``wanted`` is called when a pack waits for a cluster.
    """

    def __init__(
        self, emit: Emit, context: HostContext, begin: Callable[[Coroutine[Any, Any, Any]], None], wanted: Callable[[], None]
    ) -> None:  # fmt: skip
        self._emit = emit
        self._context = context
        self._ledger = context.ledger
        self._begin = begin
        self._wanted = wanted
        self._dask: Dask | None = None
        self._setup = b""
        self._closing = False
        self._sent: dict[str, _Sent] = {}
        self._followed = 0
        self._waiting: list[Pack] = []
        self._abandoned: dict[str, dict[str, list[Attempt]]] = {}  # by worker's address: what it must not go on with

    # The cluster comes and goes

    def opened(self, dask: Dask, setup: bytes) -> None:
        """A cluster is there; its stations know by ``setup`` whose they are."""
        self._dask, self._setup = dask, setup
        self._abandoned.clear()

    def left(self) -> None:
        """There is none any more. What it held is answered by :meth:`part`."""
        self._dask, self._setup = None, b""

    def close(self) -> None:
        """The executor ends: what is open then, the service settles when the host is gone."""
        self._closing = True

    async def part(self, local: bool) -> None:
        """Everything that was with the cluster that has been left was cut off."""
        for worker in {sent.worker for sent in self._sent.values()}:
            await self.worker_gone(worker, "the connection to its Dask cluster was lost", local)

    def refuse(self, problem: Error) -> None:
        """There will be no cluster: what waits for one fails."""
        waiting, self._waiting = self._waiting, []
        for pack in waiting:
            self._emit(self._ledger.fail(pack.pack_id, problem))

    def blob_root(self) -> str:
        """Where values of a pack that waits are kept; ``""``: it has none of its own, or none waits."""
        return next((pack.blob_root for pack in self._waiting if pack.blob_root), "")

    # To Dask, and back

    def submit(self, pack: Pack) -> None:
        """Gives it to Dask; without a cluster it waits for one."""
        dask = self._dask
        if dask is None or not self._setup or not dask.connected or dask.only() == []:
            self._waiting.append(pack)
            self._wanted()
            return
        blob_root = pack.blob_root
        try:
            if not dask.shared:
                pack = with_values(pack)
            future = dask.client.submit(
                run_pack_bytes, encode(pack), self._setup, key=f"covalent-{pack.pack_id}", pure=False, retries=0,
                workers=dask.only(),
            )  # fmt: skip
        except Exception as error:  # the border to Dask
            log.exception("pack %s could not be submitted", pack.pack_id)
            problem = Error(type(error).__name__, f"Dask did not take the electron: {error}", cause="executor")
            self._emit(self._ledger.fail(pack.pack_id, problem))
            return
        sent = self._sent[pack.pack_id] = _Sent(pack, future, blob_root)
        self._begin(self._follow(sent))

    def submit_waiting(self) -> None:
        """What has waited for a cluster, or for a worker that speaks, is tried again."""
        waiting, self._waiting = self._waiting, []
        for pack in waiting:
            self.submit(pack)

    async def _follow(self, sent: _Sent) -> None:
        """Sees to the end of a pack, however its Dask task ends."""
        pack_id = sent.pack.pack_id
        try:
            await self._until_ended(sent)
        except Exception as error:  # the border to Dask: a pack that nobody follows would never end
            log.exception("pack %s is given up", pack_id)
            if not sent.ended.is_set() and not self._closing:
                reason = f"its Dask worker could not report: {type(error).__name__}: {error}"
                self._close_pack(sent, self._ledger.interrupt(pack_id, reason))
        finally:
            self._sent.pop(pack_id, None)
        sent.future.release()
        self._followed += 1
        if self._followed % _PRUNED == 0:
            old = _OLD_HERE if self._dask is not None and self._dask.local else _OLD
            await asyncio.to_thread(_prune, self._context.spool_dir / CLAIMS, set(self._sent), old)

    async def _until_ended(self, sent: _Sent) -> None:
        from distributed import CancelledError, wait

        pack_id = sent.pack.pack_id
        try:
            with sent.future.client.as_current():
                await wait(sent.future)
            status = sent.future.status
        except (CancelledError, asyncio.CancelledError):
            status = "cancelled"
        if status == "finished" and not sent.ended.is_set():
            if not (self._dask and self._dask.local):
                await self._take_result(sent)
            try:
                await asyncio.wait_for(sent.ended.wait(), _LAST_WORDS)
            except TimeoutError:
                self._close_pack(sent, self._ledger.interrupt(pack_id, "its Dask worker could not report"))
        elif status == "error" and not sent.ended.is_set():
            await self._task_failed(sent)
        elif not sent.ended.is_set() and not self._closing:
            self._close_pack(sent, self._ledger.interrupt(pack_id, "the connection to its Dask cluster was lost"))

    async def _take_result(self, sent: _Sent) -> None:
        """Outcomes with big values come as the result of the task."""
        data = await sent.future
        if data:
            await self._pass_on(sent, _facts.decode(data))
            self._close_pack(sent, [PackEnded(sent.pack.pack_id)])

    async def _task_failed(self, sent: _Sent) -> None:
        """The Dask task itself failed: its worker died, or what runs there is not ours."""
        error = await sent.future.exception()
        if type(error).__name__ == "KilledWorker":
            if not sent.worker and not self._fence(sent.pack.pack_id):
                with suppress(TimeoutError):  # it died before it could say that it began
                    await asyncio.wait_for(sent.begun.wait(), _LAST_WORDS)
            if sent.worker and self._dask is not None:
                await self.worker_gone(sent.worker, "its Dask worker died", self._dask.local)
            if not sent.ended.is_set():
                self._close_pack(sent, self._ledger.interrupt(sent.pack.pack_id, "its Dask worker died"))
            return
        text = f"the Dask worker could not run it: {type(error).__name__}: {error}"
        self._close_pack(
            sent, self._ledger.fail(sent.pack.pack_id, Error(type(error).__name__, text, cause="executor"))
        )

    def _close_pack(self, sent: _Sent, facts: list[Fact]) -> None:
        sent.ended.set()
        self._emit(facts)

    async def _pass_on(self, sent: _Sent, facts: list[Fact]) -> None:
        if self._dask is not None and not self._dask.shared:
            facts = await asyncio.to_thread(keep_big_values, facts, sent.blob_root)
        self._emit(facts)

    async def take_back(self, pack_id: str, op: str, *args: Any) -> None:
        """Revoke or cancel: where the pack has begun its station answers; else it is fenced everywhere, and answered here."""
        waiting = next((p for p in self._waiting if p.pack_id == pack_id), None)
        if waiting is not None:
            self._waiting.remove(waiting)
            self._emit(self._ledger.give_back(pack_id, args[0] if args else ()))
            return
        sent = self._sent.get(pack_id)
        if sent is None or sent.ended.is_set():
            return
        for _ in range(_FENCINGS):
            answers = await self.control(op, pack_id, *args)
            if sent.worker or sent.ended.is_set() or not answers or not all(answer is True for answer in answers):
                return
            if self._fence(pack_id):
                break  # else a worker that was not asked, for it has only just come, was quicker: it is asked now
        else:
            if self._dask is None or not self._dask.silent:
                return  # it died before it could say so: Dask will tell
        for address in self._dask.silent if self._dask is not None else ():
            self._abandon(address, pack_id)
        self._close_pack(sent, self._ledger.give_back(pack_id, args[0] if args else ()))
        await sent.future.cancel()

    def _fence(self, pack_id: str) -> bool:
        """Keep workers that nobody asked from beginning it; False if one has. As far as they see a folder in common with this host."""
        if self._dask is None or not self._dask.shared:
            return True
        try:
            return claim(self._context.spool_dir, pack_id)
        except OSError as error:
            log.warning("pack %s is taken back without a mark: %s", pack_id, error)
            return True

    def move(self, slots: int) -> None:
        """Give back packs that wait behind others on their worker while another worker has a place.

        Dask binds a task to a worker when it comes. With several workers, one of which has a long electron, what is bound
        to that one would wait for its end; stealing does not help, for Dask steals no tasks that are short on average.
        Given back, a pack is planned anew, and comes to a worker that is idle.
        """
        alive = [sent for sent in self._sent.values() if not sent.ended.is_set()]
        late = time.monotonic() - _QUEUED
        stuck = [sent for sent in alive if not sent.worker and not sent.moving and sent.since < late]
        # what has begun has its place, and so will what has only just come
        free = slots - sum(sent.places for sent in alive if sent not in stuck)
        for sent in stuck:
            free -= sent.places
            if free < 0:
                break
            self._begin(self._moved(sent))

    async def _moved(self, sent: _Sent) -> None:
        """Take one back. Where that did not work, because a worker died meanwhile, it is tried again at the next look."""
        sent.moving = True
        try:
            await self.take_back(sent.pack.pack_id, "revoke")
        finally:
            sent.moving = False

    async def control(self, op: str, *args: Any) -> list[Any]:
        """Asks all stations; those of workers that have just died give an exception."""
        if self._dask is None or not self._setup:
            return []
        try:
            answers = await self._dask.ask(control, self._setup, op, *args)
        except OSError as error:
            log.info("%s: %s", op, error)
            return []
        return list(answers.values())

    # What stations say

    def heard(self, event: tuple[float, Any]) -> None:
        """An event of our topic on the scheduler."""
        try:
            self.said(decode_said(event[1]["data"]))
        except (KeyError, TypeError, ValueError, msgspec.DecodeError) as error:
            log.warning("an event on the Dask scheduler is none of ours: %s", error)

    def said(self, said: Said) -> None:
        """What a station says of a pack."""
        sent = self._sent.get(said.pack_id)
        if said.kind == "hello" or sent is None or sent.ended.is_set():
            if said.kind == "begun" and said.pack_id in self._abandoned.get(said.text, {}):
                self.heard_again(said.text)
            return
        if said.kind == "again" and sent.worker and self._dask is not None and self._dask.local:
            return  # the end of its line says what became of it there
        if said.kind == "again" or (said.kind == "begun" and sent.worker not in ("", said.worker)):
            self._given_to_another(sent)
        elif said.kind == "begun":
            sent.worker, sent.address = said.worker, said.text
            sent.begun.set()
        elif said.worker != sent.worker:
            return  # of a worker that was taken for dead
        elif said.kind == "facts":
            if self._dask is not None and not self._dask.shared:
                self._emit(keep_big_values(said.facts, sent.blob_root))
            else:
                self._emit(said.facts)
        elif said.kind == "ended":
            self._close_pack(sent, [PackEnded(said.pack_id)])
        elif said.kind == "failed":
            text = f"the Dask worker could not run it: {said.text}"
            self._close_pack(sent, self._ledger.fail(said.pack_id, Error("ExecutorError", text, cause="executor")))

    def _given_to_another(self, sent: _Sent) -> None:
        """The scheduler runs tasks of a dead worker again. What had begun there is ours to judge."""
        pack_id = sent.pack.pack_id
        self._begin(self.control("cancel", pack_id, self._ledger_attempts(pack_id), 0.0))
        self._close_pack(sent, self._ledger.interrupt(pack_id, "its Dask worker died"))

    def _ledger_attempts(self, pack_id: str) -> list[Attempt]:
        return [a for a in self._ledger.attempts() if pack_id in self._ledger.by_pack([a])[0]]

    async def worker_gone(self, worker: str, reason: str, local: bool) -> None:
        """A worker is gone: what its runners wrote down counts, the rest of its packs was cut off.

        The process of one of our own may be there yet, where the scheduler has given it up: then it is ended first.
        """
        packs = [sent for sent in self._sent.values() if sent.worker == worker and not sent.ended.is_set()]
        if not packs:
            return
        if local and worker:
            blob_root = Path(packs[0].blob_root or self._context.store_dir / "blobs")
            folder = worker_folder(self._context.spool_dir, worker)
            self._emit(await asyncio.to_thread(_last_words, worker, folder, blob_root))
        for sent in packs:
            if not sent.ended.is_set():
                self._close_pack(sent, self._ledger.interrupt(sent.pack.pack_id, reason))

    # Workers that are silent, gone, or heard again

    def give_up(self, address: str, reason: str) -> None:
        """A worker counts as gone, and what it has begun as cut off."""
        for sent in [s for s in self._sent.values() if s.address == address and not s.ended.is_set()]:
            self._abandon(address, sent.pack.pack_id)
            self._close_pack(sent, self._ledger.interrupt(sent.pack.pack_id, reason))
            self._begin(self._cancel_future(sent))

    async def _cancel_future(self, sent: _Sent) -> None:
        await sent.future.cancel()

    def look(self, workers: Collection[str]) -> None:
        """``workers``: those that the scheduler of somebody else's cluster has now."""
        for sent in list(self._sent.values()):
            sent.missed = sent.missed + 1 if sent.address and sent.address not in workers else 0
            if sent.missed > 1:  # once may be: what it said last comes by another way
                self.give_up(sent.address, "its Dask worker died")
        for address in self._abandoned.keys() - set(workers):
            del self._abandoned[address]

    def fell_silent(self) -> None:
        """A worker is not heard any more: what has not begun may be with it, and is taken back."""
        for sent in [s for s in self._sent.values() if not s.worker and not s.ended.is_set() and not s.moving]:
            self._begin(self._moved(sent))

    def heard_again(self, address: str) -> None:
        """A worker speaks again: what it was given up with, others do by now."""
        self._begin(self._stop_abandoned(address))

    def _abandon(self, address: str, pack_id: str) -> None:
        self._abandoned.setdefault(address, {})[pack_id] = self._ledger_attempts(pack_id)

    async def _stop_abandoned(self, address: str) -> None:
        dask = self._dask
        for pack_id, attempts in self._abandoned.pop(address, {}).items():
            if dask is not None and self._setup:
                await dask.ask(control, self._setup, "cancel", pack_id, attempts, 0.0, workers=[address])


def _last_words(worker: str, folder: Path, blob_root: Path) -> list[Fact]:
    """What the runners of a worker wrote down, when it is gone, so that it starts no others, and they are gone too."""
    processes.end_child(int(worker.rpartition(":")[2]))
    processes.end_survivors(folder)
    return last_words(folder, blob_root)


def _prune(claims: Path, present: Collection[str], old: float) -> None:
    """Removes the marks of packs that are older than ``old`` seconds, and not ``present`` any more."""
    with suppress(OSError):
        for path in list(claims.iterdir()):
            with suppress(FileNotFoundError):
                if path.name not in present and path.stat().st_mtime < time.time() - old:
                    path.unlink()
