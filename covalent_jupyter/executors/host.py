"""The executor host: ``python -m covalent_jupyter.executors.host``, started by the service in the kernel's environment.

It takes packs from the service, gives them to executors, and brings back what happened. It outlives the service: what the
service has not acknowledged is kept and sent again to the next one. Its own death is the end of all that it started.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from .. import config, processes
from .._version import __version__
from ..crashpoint import crashpoint
from ..errors import CovalentError
from ..folders import make_folder
from ..frames import BUFFER, BadPeer, frame, prove_host, read_frame
from ..model import (
    PROTOCOL,
    Ack,
    Attempt,
    CancelAttempts,
    Close,
    ConnectionFile,
    Error,
    ExecutorSpec,
    ExecutorState,
    Fact,
    Hello,
    Outcome,
    Pack,
    PackEnded,
    Release,
    Revoke,
    Run,
    Scale,
    ServiceMessage,
    Welcome,
)  # fmt: skip
from ..model.wire import decode_from_service
from .base import HostContext, PackExecutor
from .kinds import make_executor
from .ledger import Ledger
from .outbox import Outbox
from .preload import Preload

log = logging.getLogger(__name__)

#: Seconds after which a host without work goes: when the service is gone, and when it is there.
_ABANDONED, _IDLE = 60.0, 1800.0
#: Seconds that a host with work waits for a service: COVALENT_HOST_LINGER.
_LINGER = 24 * 3600.0
_CONNECT, _RETRY = 5.0, (0.02, 1.0)
_CLOSING = 15.0  # seconds that executors are given to end what they run


class Options(msgspec.Struct, frozen=True):
    """What the service says when it starts a host."""

    store_dir: str
    connection_file: str
    host_id: str
    incarnation: str
    environment: str = ""
    plugin: bool = False


class Host:
    """The whole process. Everything happens on its event loop, except what executors do in threads of their own."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.ledger = Ledger()
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox(self._loop)
        self.preload = Preload(
            Path(options.store_dir) / "hosts" / f"{options.environment or options.host_id}.preload.json"
        )
        self.context = HostContext(
            Path(options.store_dir), options.host_id, options.incarnation, self.ledger, self.preload.names(), options.plugin,
            self._end,
        )  # fmt: skip
        self._executors: dict[str, PackExecutor] = {}
        self._of_pack: dict[str, PackExecutor] = {}
        self._stop = asyncio.Event()
        self._reason = ""
        self._linger = float(os.environ.get("COVALENT_HOST_LINGER") or _LINGER)
        self._used = time.monotonic()  # when there was work last
        self._seen = time.monotonic()  # when the service was there last
        self._here = False

    async def run(self) -> None:
        """Returns when there is no reason to be there any more."""
        make_folder(self.context.spool_dir, 2)
        for name in ("logs", "work"):  # before a runner of somebody else's Dask worker makes them, with another umask
            make_folder(self.context.store_dir / name)
        tasks = [asyncio.create_task(self._connect()), asyncio.create_task(self._watch())]
        await self._stop.wait()
        log.info("closing: %s", self._reason)
        await self._close_executors()
        if self._here:  # what they said at last
            self.outbox.flush()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.outbox.emptied.wait(), 2.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.preload.save()

    def stop(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._stop.set()

    def _end(self, reason: str) -> None:
        """An executor cannot go on but by the end of this process. From any thread."""
        self._loop.call_soon_threadsafe(self.stop, reason)

    async def _close_executors(self) -> None:
        """All at once, each in a thread: one that hangs does not keep the others."""
        threads = []
        for executor in self._executors.values():
            thread = threading.Thread(target=_close_quietly, args=(executor,), daemon=True)
            thread.start()
            threads.append(thread)
        end = time.monotonic() + _CLOSING
        for thread in threads:
            await asyncio.get_running_loop().run_in_executor(None, thread.join, max(0.0, end - time.monotonic()))

    async def _watch(self) -> None:
        """Goes when nobody needs it."""
        while True:
            await asyncio.sleep(min(1.0, _ABANDONED / 4))
            now = time.monotonic()
            if self._here:
                self._seen = now
            if len(self.ledger) or (self._here and len(self.outbox)):
                self._used = now
            waiting = len(self.ledger) or len(self.outbox)
            if not self._here and now - self._seen > (self._linger if waiting else _ABANDONED):
                return self.stop("the service did not come back")
            if not waiting and now - self._used > _IDLE:
                return self.stop("idle")

    # The connection

    async def _connect(self) -> None:
        """Connection after connection; the file is read anew each time, as the service may have been started again."""
        pause = _RETRY[0]
        while not self._stop.is_set():
            try:
                connection = self._read_connection()
                reader, writer = await asyncio.wait_for(
                    asyncio.open_connection("127.0.0.1", connection.host_port, limit=BUFFER), _CONNECT
                )
            except (TimeoutError, OSError, ValueError):
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _RETRY[1])
                continue
            try:
                await asyncio.wait_for(prove_host(reader, writer, connection.token), _CONNECT)
                pause = _RETRY[0]
                await self._session(reader, writer)
            except (TimeoutError, OSError, ValueError, BadPeer, asyncio.IncompleteReadError) as error:
                log.warning("the connection to the service ended: %s", error or type(error).__name__)
            finally:
                self._here = False
                self.outbox.disconnected()
                writer.close()
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _RETRY[1])

    def _read_connection(self) -> ConnectionFile:
        with open(self.options.connection_file, "rb") as file:
            if os.fstat(file.fileno()).st_uid != os.getuid():
                raise PermissionError("the connection file belongs to somebody else")
            return msgspec.json.decode(file.read(), type=ConnectionFile)

    def _hello(self) -> Hello:
        answered, _, ended = self.outbox.pending()  # what was given back is not held: the service may have sent it anew
        held = list(dict.fromkeys([*self.ledger.attempts(), *answered]))
        return Hello(
            PROTOCOL, self.options.host_id, self.options.incarnation, self.options.environment, os.getpid(),
            platform.python_version(), __version__, self.options.plugin, held, [*self.ledger.packs(), *ended],
        )  # fmt: skip

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(self._hello()))
        message = await self._next(reader)
        if isinstance(message, Close):
            return self.stop(message.reason)
        if not isinstance(message, Welcome):
            raise BadPeer("the service did not answer Hello with Welcome")
        log.info("connected to the service")
        self._here = True
        superseded = self.ledger.silence(message.drop)
        self.outbox.connected(writer, message.acked)
        if superseded:
            self._cancel(superseded, 1.0)
        for executor in self._executors.values():
            self._emit([executor.state()])
        while (received := await self._next(reader)) is not None:
            try:
                self._handle(received)
            except Exception:  # the border to executors: none of them ends the host
                log.exception("%s could not be handled", type(received).__name__)

    async def _next(self, reader: asyncio.StreamReader) -> ServiceMessage | None:
        body = await read_frame(reader)
        return None if body is None else decode_from_service(body)

    def _handle(self, message: ServiceMessage) -> None:
        if isinstance(message, Ack):
            self.outbox.acknowledge(message.n)
        elif isinstance(message, Run):
            self._run(message.pack)
        elif isinstance(message, Revoke):
            executor = self._of_pack.get(message.pack_id)
            if executor is not None:
                executor.revoke(message.pack_id)
        elif isinstance(message, CancelAttempts):
            self._cancel(message.attempts, message.grace)
        elif isinstance(message, Scale):
            self._executor(message.spec).scale(message.request, message.n)
        elif isinstance(message, Release):
            for executor in self._executors.values():
                executor.release(message.root_id)
            self.preload.save()
        elif isinstance(message, Close):
            self.stop(message.reason or "the service said so")

    # Work

    def _run(self, pack: Pack) -> None:
        if not self.ledger.open(pack):
            return
        self._used = time.monotonic()
        try:
            executor = self._executor(pack.executor)
            self._of_pack[pack.pack_id] = executor
            crashpoint("pack.received")
            executor.submit(pack)
            crashpoint("pack.submitted")
        except Exception as error:  # the border to executors: the pack fails, the host goes on
            if not isinstance(error, CovalentError):
                log.exception("executor %r refused a pack", pack.executor.name)
            self._emit(self.ledger.fail(pack.pack_id, error_of(error)))

    def _executor(self, spec: ExecutorSpec) -> PackExecutor:
        executor = self._executors.get(spec.key)
        if executor is None:
            executor = make_executor(spec)
            executor.start(self._emit, self.context)
            self._executors[spec.key] = executor
        return executor

    def _cancel(self, attempts: Sequence[Attempt], grace: float) -> None:
        by_pack, unknown = self.ledger.by_pack(attempts)
        by_executor: dict[PackExecutor, list[Attempt]] = {}
        for pack_id, members in by_pack.items():
            executor = self._of_pack.get(pack_id)
            if executor is not None:
                by_executor.setdefault(executor, []).extend(members)
        for executor, members in by_executor.items():
            executor.cancel(members, grace)
        now = time.time()
        ended, returned, _ = self.outbox.pending() if unknown else ([], [], [])
        answered = {*ended, *returned}
        gone: list[Fact] = [
            Outcome(*attempt, "cancelled", finished=now) for attempt in unknown if attempt not in answered
        ]
        if gone:
            self.outbox.put(gone)

    def _emit(self, facts: list[Fact]) -> None:
        """What executors say, from any thread."""
        self._put(self.ledger.note(facts))

    def _put(self, facts: list[Fact]) -> None:
        for fact in facts:
            if isinstance(fact, PackEnded):
                self._of_pack.pop(fact.pack_id, None)
            elif isinstance(fact, Outcome) and fact.imported:
                self.preload.add(fact.imported)
            elif isinstance(fact, ExecutorState) and fact.message:
                log.info("executor %s is %s: %s", fact.name, fact.state, fact.message)
        if facts:
            self.outbox.put(facts)


def error_of(error: BaseException) -> Error:
    """What an executor could not do, as the error of the electrons that it should have run."""
    return Error(type(error).__name__, str(error) or repr(error), cause="executor")


def _close_quietly(executor: PackExecutor) -> None:
    try:
        executor.close()
    except Exception:  # the border to executors
        log.exception("executor %s could not be closed", executor.spec.name)


async def _main(options: Options) -> None:
    host = Host(options)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, host.stop, f"{signal.Signals(number).name}")
    await host.run()


def parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m covalent_jupyter.executors.host", description=__doc__)
    for name in ("store-dir", "connection-file", "host-id", "incarnation"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--environment", default="")
    parser.add_argument("--plugin", action="store_true", help="holds executors of the user's own")
    return Options(**vars(parser.parse_args(arguments)))


def main(arguments: Sequence[str]) -> int:
    """The process, from its arguments to its exit status."""
    os.umask(0o077)
    os.nice(config.load().nice)  # and so are its cluster and its runners: notebooks stay quick while electrons run
    processes.step_back_in_session()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for noisy in ("tornado", "asyncio", "bokeh"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")  # it sets its own levels when it is imported
    asyncio.run(_main(parse(arguments)))
    return 0


if __name__ == "__main__":
    # when run with -m this file is __main__; executors and the rest must see one host module
    from covalent_jupyter.executors.host import main as run_host

    status = run_host(sys.argv[1:])
    logging.shutdown()
    os._exit(status)  # threads of a user's executor may hang; everything that counts is closed
