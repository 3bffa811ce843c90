"""What runs inside a Dask worker: a bay of runners, and a line back to the executor host.

Only bytes cross Dask: a task is ``run_pack_bytes(pack, setup)``. What happens is told at once, over a unix socket where the host is
on this machine, else as events of one topic on the scheduler.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from ..folders import make_folder
from ..model import Fact, LogGrew, Outcome, Pack
from .bay import Bay

log = logging.getLogger(__name__)

#: Values larger than this go back as the result of the Dask task, not over the scheduler's events; bytes.
BIG = 1 << 20
LENGTH = struct.Struct(">I")

#: Folder below the host's spools: a file for each pack that has begun or was taken back.
CLAIMS = "claims"

_STATIONS = "covalent_stations"  # attribute of the Dask worker
_IDLE_CLOSE = 600.0  # seconds after which a worker of somebody else's cluster keeps no runners


class Setup(msgspec.Struct, frozen=True):
    """What a station is told about the host that it works for; travels with every pack."""

    incarnation: str
    socket: str = ""  # path of the host's unix socket; "": events on the scheduler
    topic: str = ""
    spool_dir: str = ""  # "": a folder of the worker's own
    scratch: str = ""
    preload: tuple[str, ...] = ()
    variables: dict[str, str] = {}  # for electrons that use Dask themselves
    memory: int | None = (
        None  # bytes for all electrons of this worker; 0: no limit; None: what the worker or machine has
    )
    part: float = 1.0  # of what the machine has free, that is this worker's
    connection: int = 1  # counts the connections of this host to the cluster: what came over an earlier one is void


class Said(msgspec.Struct, array_like=True):
    """What a station says of a pack."""

    worker: str
    pack_id: str
    kind: Literal["hello", "begun", "again", "facts", "ended", "failed"]
    facts: list[Fact] = []
    text: str = ""


class DaskWorker(Protocol):
    """What is used of ``distributed.Worker``."""

    @property
    def address(self) -> str: ...
    @property
    def scheduler(self) -> Any: ...
    @property
    def state(self) -> Any: ...
    @property
    def memory_manager(self) -> Any: ...
    def log_event(self, topic: str, msg: Any) -> None: ...


_encoder = msgspec.msgpack.Encoder()
_setup = msgspec.msgpack.Decoder(Setup)
_pack = msgspec.msgpack.Decoder(Pack)
_said = msgspec.msgpack.Decoder(Said)


def encode(message: Any) -> bytes:
    return _encoder.encode(message)


def decode_said(data: bytes) -> Said:
    return _said.decode(data)


def worker_name(pid: int | None = None) -> str:
    """Names this process, or another of this machine: ``<host>:<pid>``."""
    return f"{socket.gethostname()}:{pid or os.getpid()}"


def worker_folder(spool_dir: Path, worker: str) -> Path:
    """Where the runners of a worker process write their spools."""
    return spool_dir / f"dask-{worker.rpartition(':')[2]}"


def claim(spool_dir: Path, pack_id: str) -> bool:
    """Mark a pack as taken: begun by a worker, or back with the host. False if it was taken already; of two who try, one succeeds."""
    claims = spool_dir / CLAIMS
    for _ in range(2):
        try:
            os.close(os.open(claims / pack_id, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            return True
        except FileExistsError:
            return False
        except FileNotFoundError:
            make_folder(claims)
    raise FileNotFoundError(str(claims))


class Station:
    """The runners that one Dask worker keeps for one executor host."""

    def __init__(self, worker: DaskWorker, setup: Setup) -> None:
        self.name = worker_name()
        self.connection = setup.connection
        self._worker = worker
        self._setup = setup
        self._lock = threading.Lock()
        self._slots = int(worker.state.nthreads)
        self._bay: Bay | None = None
        self._line: socket.socket | None = None
        self._running = self._bays = 0
        self._idle: threading.Timer | None = None
        os.environ["COVALENT_DASK_ADDRESS"] = worker.scheduler.address
        os.environ.update(setup.variables)
        if setup.socket:
            self._line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._line.connect(setup.socket)
            self._say(Said(self.name, "", "hello", text=worker.address))
        self._open()

    def _open(self) -> Bay:
        with self._lock:
            if self._bay is None:
                own = not self._setup.spool_dir
                root = Path(tempfile.mkdtemp(prefix="covalent-")) if own else Path(self._setup.spool_dir)
                scratch = Path(self._setup.scratch) if self._setup.scratch else root / "scratch"
                self._bays += 1  # each has spools of its own: names of runners begin anew
                part = f"{self._setup.connection}-{self._bays}"
                self._bay = Bay(
                    slots=self._slots, spool_dir=worker_folder(root, self.name) / part, scratch=scratch / f"w{os.getpid()}-{part}",
                    preload=self._setup.preload, name="dask", memory=self._memory(), part=self._setup.part,
                    learn=bool(self._setup.socket), patient=bool(self._setup.scratch),
                )  # fmt: skip
            return self._bay

    def _memory(self) -> int | None:
        """What the host says; else the limit that this worker was started with, if any."""
        if self._setup.memory is not None:
            return self._setup.memory
        return int(getattr(self._worker.memory_manager, "memory_limit", None) or 0) or None

    def run(self, pack: Pack) -> bytes:
        """Runs a pack; gives outcomes with big values (msgpack of a list of facts), everything else was said meanwhile.

        A scheduler gives the task of a worker that died to another one, and what waited to a worker that has only just come. What
        of it ran elsewhere, or was taken back, is the host's to judge: nothing of it runs here.
        """
        if not self._claim(pack.pack_id):
            self._say(Said(self.name, pack.pack_id, "again", text=self._worker.address))
            return b""
        self._used(1)
        held: list[Fact] = []
        lent = False

        def emit(facts: list[Fact]) -> None:
            nonlocal lent
            if not lent and any(isinstance(fact, LogGrew) and fact.waits_for for fact in facts):
                lent = True
                self._worker_lends()
            big = [f for f in facts if _is_big(f)]
            held.extend(big)
            self._say(Said(self.name, pack.pack_id, "facts", [f for f in facts if not _is_big(f)] if big else facts))

        try:
            self._say(Said(self.name, pack.pack_id, "begun", text=self._worker.address))
            if not self._open().run(pack, emit):
                return b""
            if not held:
                self._say(Said(self.name, pack.pack_id, "ended"))
        except Exception as error:  # the border of the task: the host says what becomes of the pack
            log.exception("pack %s could not be run", pack.pack_id)
            self._say(Said(self.name, pack.pack_id, "failed", text=f"{type(error).__name__}: {error}"))
        finally:
            self._used(-1)
        return encode(held) if held else b""

    def _worker_lends(self) -> None:
        """The slot of the pack that runs in this thread is another's: an electron of it waits for a dispatch, which may need one."""
        import distributed

        try:
            distributed.secede()
        except Exception:  # the border to Dask: without it, the electron only keeps its slot
            log.exception("the Dask worker does not give the slot of an electron that waits to another")

    def _claim(self, pack_id: str) -> bool:
        """Whether the pack is this worker's: it has begun nowhere, and was not taken back, as far as workers and host see a
        folder in common."""
        if not self._setup.spool_dir:
            return True
        try:
            return claim(Path(self._setup.spool_dir), pack_id)
        except OSError as error:  # better without than not at all
            log.warning("pack %s is not marked as begun: %s", pack_id, error)
            return True

    def control(self, op: str, arguments: tuple[Any, ...]) -> Any:
        """What the host asks for; see :class:`.bay.Bay`."""
        if op == "close":
            return self.close()
        if op == "release" and self._bay is None:
            return None
        return getattr(self._open(), op)(*arguments)

    def close(self) -> None:
        with self._lock:
            bay, self._bay = self._bay, None
            if self._idle is not None:
                self._idle.cancel()
        if bay is not None:
            bay.close()

    def _say(self, said: Said) -> None:
        """Tell the host; if it cannot be reached, it is in the spools."""
        data = encode(said)
        if self._line is None:
            self._worker.log_event(self._setup.topic, {"data": data})
            return
        with self._lock, suppress(OSError):
            self._line.sendall(LENGTH.pack(len(data)) + data)

    def _used(self, change: int) -> None:
        """On somebody else's cluster runners do not wait for ever for a host that may be gone."""
        if self._line is not None:
            return
        with self._lock:
            self._running += change
            if self._idle is not None:
                self._idle.cancel()
            if not self._running:
                self._idle = threading.Timer(_IDLE_CLOSE, self.close)
                self._idle.daemon = True
                self._idle.start()


def _is_big(fact: Fact) -> bool:
    if not isinstance(fact, Outcome):
        return False
    output = fact.output
    return (output is not None and output.data is not None and len(output.data) > BIG) or len(fact.child or b"") > BIG


class Superseded(Exception):
    """It came over a connection that the host has left."""


class _Stations:
    """The stations of one Dask worker, one per executor host."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_host: dict[str, Station] = {}

    def get(self, worker: DaskWorker, setup: Setup) -> Station:
        """The one of this connection of the host; what ran for an earlier connection is ended. Superseded if there is a later."""
        with self._lock:
            station = old = self._by_host.get(setup.incarnation)
            if station is not None and station.connection > setup.connection:
                raise Superseded("the executor host has connected anew since")
            if station is None or station.connection < setup.connection:
                station = self._by_host[setup.incarnation] = Station(worker, setup)
        if old is not None and old is not station:
            old.close()
        return station

    def drop(self, incarnation: str) -> None:
        with self._lock:
            station = self._by_host.pop(incarnation, None)
        if station is not None:
            station.close()


def _stations(worker: DaskWorker) -> _Stations:
    stations: _Stations = worker.__dict__.setdefault(_STATIONS, _Stations())
    return stations


def run_pack_bytes(data: bytes, setup: bytes) -> bytes:
    """The Dask task: a pack, as bytes; see :meth:`Station.run`."""
    from distributed import get_worker

    try:
        station = _stations(get_worker()).get(get_worker(), _setup.decode(setup))
    except Superseded:  # nobody waits for it any more
        return b""
    return station.run(_pack.decode(data))


async def control(setup: bytes, op: str, *arguments: Any, dask_worker: Any) -> Any:
    """Called through ``client.run``: ``prepare``, ``revoke``, ``cancel``, ``release``, ``resize`` or ``close`` on this worker."""
    given, stations = _setup.decode(setup), _stations(dask_worker)
    if op == "close":
        return await asyncio.to_thread(stations.drop, given.incarnation)
    station = await asyncio.to_thread(stations.get, dask_worker, given)
    if op == "prepare":
        return station.name
    return await asyncio.to_thread(station.control, op, arguments)
