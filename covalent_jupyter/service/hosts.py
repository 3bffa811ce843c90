"""The service's side of executor hosts: starts them, talks to them, and buries them.

A host is a process in the environment of the kernel that dispatched; it outlives the service. One *incarnation* of a host is one
process. Its end is believed when the process is gone (pid and start time), not when the connection is: then what it
left running is ended, the spools of its runners are read, and only then the dispatcher hears of the loss.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from .. import processes
from ..crashpoint import crashpoint
from ..folders import FolderGone, make_folder
from ..frames import BUFFER, BadPeer, frame, prove_service, read_frame
from ..model import PROTOCOL, Ack, Close, Environment, ExecutorSpec, Fact, Facts, Hello, ServiceMessage, Welcome
from ..model.wire import decode_from_host
from .hostprocess import HostProcess, HostRecord, forget_spools, host_id_of, read_records, recover_strays

log = logging.getLogger(__name__)

#: Seconds: for a stranger to prove itself; for a new host to connect; for a live host to come back after its connection
#: broke; the same after a restart of the service.
GREETING, STARTING, RETURNING, ADOPTING = 5.0, 60.0, 30.0, 10.0
#: Starts without success after which a host is given up until it is asked for again.
TRIES = 3
_BACKOFF = (0.2, 1.0)  # seconds: the first pause between two starts, and by how much a short life prolongs it
_SHORT_LIFE = 10.0
_LONGEST_PAUSE = 30.0
#: Seconds until a store that was moved away is looked for again.
_STORE_PAUSE = 0.5


class HostListener(Protocol):
    """Who hears of hosts (the dispatcher). Called on the event loop."""

    def host_ready(self, host_id: str, hello: Hello) -> Welcome: ...
    def host_facts(self, host_id: str, n: int, facts: list[Fact]) -> None: ...

    def host_recovered(
        self, host_id: str, incarnation: str, facts: list[Fact], recorded: Callable[[], None]
    ) -> None: ...  # calls ``recorded`` when they are durable
    def host_lost(self, host_id: str, incarnation: str, reason: str, status: int | None) -> None: ...


class _Host:
    """One host, through all its incarnations."""

    def __init__(self, host_id: str) -> None:
        self.host_id = host_id
        self.environment: Environment | None = None
        self.plugin = False
        self.process: HostProcess | None = None
        self.hello: Hello | None = None
        self.writer: asyncio.StreamWriter | None = None
        self.reading: asyncio.Task[None] | None = None
        self.greeting: list[bytes] | None = None  # frames that wait for the Welcome
        self.connected = asyncio.Event()
        self.disconnected = asyncio.Event()
        self.disconnected.set()
        self.keeper: asyncio.Task[None] | None = None
        self.wanted = False
        self.received = 0  # number of the last facts of this incarnation
        self.state = "new"
        self.message = ""
        self.since = time.time()

    def enter(self, state: str, message: str = "") -> None:
        self.state, self.message, self.since = state, message, time.time()

    def told(self) -> dict[str, Any]:
        """For people."""
        return {
            "host": self.host_id,
            "state": self.state,
            "message": self.message,
            "since": self.since,
            "pid": self.process.pid if self.process else None,
            "incarnation": self.process.incarnation if self.process else "",
            "python": self.hello.python if self.hello else "",
            "version": self.hello.version if self.hello else "",
            "interpreter": self.environment.interpreter if self.environment else "",
            "plugin": self.plugin,
        }


class Hosts:
    """All executor hosts of one service. Methods are called on the event loop."""

    def __init__(
        self, *, token: str, store_dir: Path, store_id: str, connection_file: Path, listener: HostListener,
        blob_root: Path | None = None,
    ) -> None:  # fmt: skip
        self._token = token
        self._store_dir = Path(store_dir)
        self._blob_root = Path(blob_root) if blob_root is not None else self._store_dir / "blobs"
        self._store_id = store_id
        self._connection_file = Path(connection_file)
        self._listener = listener
        self._hosts: dict[str, _Host] = {}
        self._server: asyncio.Server | None = None
        self._greeters: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(4, "hosts")
        self._started = False
        self._closing = False

    async def start(self) -> int:
        """Listen, look for hosts of an earlier service, and read what dead ones left. Gives the port.

        Call it when the listener is ready to fold facts (after its recovery).
        """
        make_folder(self._store_dir / "hosts")
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=BUFFER)
        records = await self._in_thread(read_records, self._store_dir)
        for record in records:
            host = self._hosts.setdefault(record.host_id, _Host(record.host_id))
            host.plugin = record.plugin
            host.process = HostProcess.of_record(self._store_dir, record)
            self._keep(host)
        strays = await self._in_thread(
            recover_strays, self._store_dir, {r.incarnation for r in records}, self._blob_root
        )
        for incarnation, facts in strays:
            self._recovered("", incarnation, facts)
        self._started = True
        for host in self._hosts.values():
            if host.wanted and host.keeper is None:
                self._keep(host)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def ensure(self, environment: Environment, *, plugin: ExecutorSpec | None = None, root_id: str = "") -> str:
        """The id of the host for an environment (for users' own executors: for one root dispatch in it); started if
        it does not run. Does not block."""
        host_id = host_id_of(environment, root_id if plugin is not None else "")
        host = self._hosts.get(host_id)
        if host is None:
            host = self._hosts[host_id] = _Host(host_id)
            host.plugin = plugin is not None
        host.environment = environment
        host.wanted = True
        if self._started and not self._closing and (host.keeper is None or host.keeper.done()):
            self._keep(host)
        return host_id

    def send(self, host_id: str, message: ServiceMessage) -> bool:
        """Hand a message to a host; False if it is not connected (send it again when it is ready)."""
        host = self._hosts.get(host_id)
        if host is None:
            return False
        if host.writer is None:
            if not isinstance(message, Ack):
                host.wanted = True
            return False
        data = frame(message)
        if host.greeting is not None:
            host.greeting.append(data)
        else:
            host.writer.write(data)
        return True

    def ack(self, host_id: str, n: int) -> None:
        """Everything up to facts number ``n`` is recorded."""
        self.send(host_id, Ack(n))

    def drop(self, host_id: str) -> None:
        """The host is not needed any more."""
        host = self._hosts.get(host_id)
        if host is None:
            return
        if host.writer is not None:
            self.send(host_id, Close("the service has no more work for it"))
        elif host.process is not None:
            host.process.terminate()
        host.wanted = False

    def states(self) -> list[dict[str, Any]]:
        """What hosts there are, for people."""
        return [host.told() for host in self._hosts.values()]

    def state_of(self, host_id: str) -> dict[str, Any]:
        """The same of one host; empty where there is none."""
        host = self._hosts.get(host_id)
        return {} if host is None else host.told()

    async def close(self, *, stop_hosts: bool) -> None:
        """Stop listening. Hosts go on with what they have, or with ``stop_hosts`` end now, and with them what they run."""
        self._closing = True
        if stop_hosts:
            await self._stop_all()  # one that was just started is still let in, to be sent away
        if self._server is not None:
            self._server.close()
        tasks = [t for h in self._hosts.values() for t in (h.keeper, h.reading) if t is not None and not t.done()]
        tasks += list(self._greeters)
        for task in tasks:
            task.cancel()
        for host in self._hosts.values():
            if host.writer is not None:
                host.writer.close()
            if host.process is not None:
                host.process.leave()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), 1.0)
        self._threads.shutdown(wait=False)

    async def _stop_all(self) -> None:
        for host_id in list(self._hosts):
            self.drop(host_id)
        keepers = [h.keeper for h in self._hosts.values() if h.keeper is not None and not h.keeper.done()]
        if keepers:
            _, pending = await asyncio.wait(keepers, timeout=10.0)
            for host in self._hosts.values():
                if host.keeper in pending and host.process is not None:
                    host.process.kill()
            if pending:
                await asyncio.wait(pending, timeout=10.0)

    # One host's life

    def _keep(self, host: _Host) -> None:
        host.keeper = asyncio.get_running_loop().create_task(self._keeper(host))

    async def _keeper(self, host: _Host) -> None:
        """Incarnation after incarnation, for as long as the host is wanted."""
        try:
            await self._incarnations(host)
        except asyncio.CancelledError:
            raise
        except Exception:  # the border of the task: nobody awaits it
            log.exception("keeping executor host %s failed", host.host_id)
            host.enter("failed", "an internal error; see the service's log")

    async def _incarnations(self, host: _Host) -> None:
        failures, pause = 0, _BACKOFF[0]
        while not self._closing:
            adopted = host.process is not None
            host.wanted = False
            began = time.monotonic()
            problem = "" if adopted else await self._begin(host)
            if problem is None:
                return
            ready = not problem and await self._until_dead(host, ADOPTING if adopted else STARTING)
            lived = time.monotonic() - began
            failures = 0 if ready or adopted else failures + 1
            await self._bury(host, problem, given_up=failures >= TRIES)
            if failures >= TRIES and not host.wanted:
                return
            if host.environment is None or ((ready or adopted) and not host.wanted):
                break
            failures %= TRIES
            pause = min(pause * 2, _LONGEST_PAUSE) if lived < _SHORT_LIFE else _BACKOFF[0]
            if not (ready and lived > _SHORT_LIFE):
                await asyncio.sleep(pause / 2)
        if host.plugin and not host.wanted:
            self._hosts.pop(host.host_id, None)

    async def _begin(self, host: _Host) -> str | None:
        """Starts a process, once the store is where it was; says what hindered it. None if the service closes meanwhile."""
        assert host.environment is not None
        host.enter("starting")
        host.process = HostProcess(
            self._store_dir, host.host_id, host.environment, plugin=host.plugin, connection_file=self._connection_file
        )
        host.hello, host.received = None, 0
        while True:
            try:
                return await self._in_thread(host.process.start)
            except FolderGone as error:
                if self._closing:
                    host.process = None
                    return None
                host.enter("starting", f"{error.filename} was moved or removed")
                await asyncio.sleep(_STORE_PAUSE)

    async def _until_dead(self, host: _Host, patience: float) -> bool:
        """Returns when the process is gone, having ended it if it does not connect; whether it ever did."""
        assert host.process is not None
        dead = asyncio.ensure_future(host.process.wait())
        ready = False
        try:
            while not dead.done():
                connected = asyncio.ensure_future(host.connected.wait())
                await asyncio.wait({dead, connected}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if dead.done() or not connected.done():
                    ready |= connected.done() and not connected.cancelled()
                    connected.cancel()
                    if not dead.done():
                        log.warning("executor host %s did not connect within %g s and is ended", host.host_id, patience)
                        host.process.kill()
                        await dead
                    break
                ready, patience = True, RETURNING
                broken = asyncio.ensure_future(host.disconnected.wait())
                await asyncio.wait({dead, broken}, return_when=asyncio.FIRST_COMPLETED)
                broken.cancel()
        finally:
            dead.cancel()
        return ready

    async def _bury(self, host: _Host, problem: str, *, given_up: bool) -> None:
        """What follows a death: ends what it left, reads what it wrote, tells the listener."""
        process = host.process
        assert process is not None
        if host.reading is not None:  # what it said last is still in the socket
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(host.reading), 5.0)
        self._disconnect(host)
        facts = await self._in_thread(process.bury, self._blob_root)
        reason = problem or await self._in_thread(process.epitaph)
        status = process.status()
        host.process = None
        host.enter("gone" if host.hello is not None else "failed", reason)
        if facts:
            self._recovered(host.host_id, process.incarnation, facts)
            crashpoint("recovery.adopted")
        if given_up:
            host.wanted = False  # unless the listener asks for it again
        self._listener.host_lost(host.host_id, process.incarnation, reason, status)

    def _recovered(self, host_id: str, incarnation: str, facts: list[Fact]) -> None:
        def recorded() -> None:
            if not self._closing:  # the next service does it then
                self._threads.submit(forget_spools, self._store_dir, incarnation)

        self._listener.host_recovered(host_id, incarnation, facts, recorded)

    # Connections

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._greeters.add(task)
        try:
            hello = await asyncio.wait_for(self._greet(reader, writer), GREETING)
            await self._welcome(hello, reader, writer)
        except (TimeoutError, BadPeer, ValueError, OSError, asyncio.IncompleteReadError) as error:
            log.warning("a connection to the port of executor hosts was refused: %s", error or type(error).__name__)
        except asyncio.CancelledError:
            pass  # the service is ending; the stream's own callback would log it as an error
        finally:
            self._greeters.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Hello:
        await prove_service(reader, writer, self._token)
        body = await read_frame(reader)
        message = decode_from_host(body) if body is not None else None
        if not isinstance(message, Hello):
            raise BadPeer("it did not begin with Hello")
        return message

    async def _welcome(self, hello: Hello, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = self._admit(hello)
        if isinstance(host, str):
            log.warning("executor host %s (process %d) is sent away: %s", hello.host_id, hello.pid, host)
            writer.write(frame(Close(host)))
            await writer.drain()
            return
        self._disconnect(host)
        host.hello, host.writer, host.greeting = hello, writer, []
        welcome = self._listener.host_ready(host.host_id, hello)
        crashpoint("host.welcomed")
        writer.write(frame(welcome) + b"".join(host.greeting))
        host.greeting = None
        host.enter("ready")
        host.reading = asyncio.current_task()
        host.disconnected.clear()
        host.connected.set()
        try:
            await self._read(host, reader)
        finally:
            if host.writer is writer:
                self._disconnect(host)

    def _admit(self, hello: Hello) -> _Host | str:
        """The host that says hello, or why it is none of ours."""
        if self._closing:
            return "the service is ending"
        if hello.protocol not in (PROTOCOL, PROTOCOL - 1):
            return f"it speaks protocol {hello.protocol}, this service {PROTOCOL}; restart the service or update the environment"
        host = self._hosts.setdefault(hello.host_id, _Host(hello.host_id))
        if host.process is None:
            start = processes.start_time(hello.pid)
            if start is None or (host.keeper is not None and not host.keeper.done()):
                return "another process took its place"
            record = HostRecord(hello.host_id, hello.incarnation, hello.pid, start, processes.boot_id(), hello.plugin)
            host.plugin = hello.plugin
            host.process = HostProcess.of_record(self._store_dir, record)
            self._keep(host)
        elif host.process.incarnation != hello.incarnation:
            return "another process took its place"
        return host

    async def _read(self, host: _Host, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                body = await read_frame(reader)
                if body is None:
                    return
                message = decode_from_host(body)
            except (BadPeer, msgspec.DecodeError) as error:
                log.warning("the connection of executor host %s is closed: %s", host.host_id, error)
                return
            except OSError as error:
                log.info("the connection of executor host %s broke: %s", host.host_id, error)
                return
            if not isinstance(message, Facts) or message.n <= host.received:
                continue  # sent again after a reconnection, while the first is on its way into the store
            host.received = message.n
            try:
                self._listener.host_facts(host.host_id, message.n, message.facts)
            except Exception:  # the border between the parts: a fact that cannot be folded must not end the host
                log.exception("facts %d of executor host %s could not be taken", message.n, host.host_id)

    def _disconnect(self, host: _Host) -> None:
        if host.writer is not None:
            host.writer.close()
        host.writer, host.greeting, host.reading = None, None, None
        host.connected.clear()
        host.disconnected.set()
        if host.state == "ready":
            host.enter("disconnected")

    async def _in_thread(self, function: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)
