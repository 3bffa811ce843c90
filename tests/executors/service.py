"""A service as executor hosts see it: the real Hosts, with a listener that writes down what it hears."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec

from covalent_jupyter import codec, processes
from covalent_jupyter.model import (
    PROTOCOL,
    Ack,
    ConnectionFile,
    Environment,
    ExecutorSpec,
    Fact,
    Hello,
    Lit,
    Options,
    Outcome,
    Pack,
    PackEnded,
    Returned,
    Run,
    Task,
    Welcome,
)
from covalent_jupyter.service.hosts import Hosts

PACKAGE = Path(__file__).parents[2]


def environment(**changes: Any) -> Environment:
    """The environment of this test process."""
    made = Environment(
        sys.executable,
        sys.prefix,
        "3",
        cloudpickle.__version__,
        digest="e" * 64,
        package_path=str(PACKAGE),
        cwd=os.getcwd(),
    )
    return msgspec.structs.replace(made, **changes)


class Work:
    """Makes packs of functions of this test process."""

    def __init__(self, store_dir: Path, spec: ExecutorSpec | None = None) -> None:
        self.store_dir = store_dir
        self.spec = spec or ExecutorSpec("local")
        self.dispatch_id = str(uuid.uuid4())
        self.values: dict[str, bytes] = {}
        self.node = 0

    def put(self, obj: Any) -> str:
        data = b"".join(codec.encode(obj))
        digest = codec.digest_of([data])
        self.values[digest] = data
        return digest

    def put_function(self, function: Callable[..., Any]) -> str:
        data = codec.encode_function(function)
        data = data if isinstance(data, bytes) else b"".join(data)
        digest = codec.digest_of([data])
        self.values[digest] = data
        return digest

    def pack(
        self, function: Callable[..., Any], *calls: tuple[Any, ...], options: Options | None = None, **kw: Any
    ) -> Pack:
        """A pack that calls the function once per tuple of JSON literals."""
        digest = self.put_function(function)
        tasks = []
        for args in calls or [()]:
            tasks.append(
                Task(self.node, 1, function.__name__, "electron", digest, [Lit(a) for a in args], {}, 0, self.node)
            )
            self.node += 1
        given: dict[str, Any] = {
            "blob_root": str(self.store_dir / "blobs"),
            "log_root": str(self.store_dir / "logs"),
            "work_root": str(self.store_dir / "work"),
            "budget": 0.05,
            **kw,
        }
        return Pack(
            str(uuid.uuid4()),
            self.dispatch_id,
            self.dispatch_id,
            "lattice",
            self.spec,
            environment(),
            {"PATH": os.environ["PATH"]},
            tasks,
            [options or Options()],
            {},
            dict(self.values),
            **given,
        )

    def value(self, outcome: Outcome) -> Any:
        assert outcome.output is not None, outcome
        data = outcome.output.data
        if data is None:
            data = (self.store_dir / "blobs" / outcome.output.digest[:2] / outcome.output.digest).read_bytes()
        return codec.decode(data)


class Listener:
    """Keeps every fact, acknowledges if told to, and lets tests wait."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.hellos: list[Hello] = []
        self.lost: list[tuple[str, str, str]] = []
        self.recovered: list[Fact] = []
        self.recorded: list[Callable[[], None]] = []  # to be called when they would be durable
        self.acks = True
        self.drop: list[Any] = []
        self.hosts: Hosts | None = None
        self._changed = asyncio.Event()

    def host_ready(self, host_id: str, hello: Hello) -> Welcome:
        self.hellos.append(hello)
        self._changed.set()
        return Welcome(PROTOCOL, 0, self.drop)

    def host_facts(self, host_id: str, n: int, facts: list[Fact]) -> None:
        self.facts.extend(facts)
        if self.acks and self.hosts is not None:
            self.hosts.send(host_id, Ack(n))
        self._changed.set()

    def host_recovered(self, host_id: str, incarnation: str, facts: list[Fact], recorded: Callable[[], None]) -> None:
        self.recovered.extend(facts)
        self.recorded.append(recorded)

    def host_lost(self, host_id: str, incarnation: str, reason: str, status: int | None) -> None:
        self.lost.append((host_id, incarnation, reason))
        self._changed.set()

    async def until(self, condition: Callable[[], Any], timeout: float = 120.0) -> Any:
        end = time.monotonic() + timeout
        while not (found := condition()):
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"did not happen in {timeout} s; facts: {self.facts[-5:]}, lost: {self.lost}")
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), min(left, 0.2))
            except TimeoutError:
                pass
        return found

    def outcomes(self, pack: Pack | None = None) -> dict[int, Outcome]:
        nodes = None if pack is None else {t.node for t in pack.tasks}
        return {
            f.node: f
            for f in self.facts
            if isinstance(f, Outcome) and (pack is None or (f.dispatch_id == pack.dispatch_id and f.node in nodes))
        }

    def returned(self, pack: Pack) -> set[int]:
        return {n for f in self.facts if isinstance(f, Returned) and f.pack_id == pack.pack_id for n, _ in f.attempts}

    def ended(self, pack: Pack) -> bool:
        return any(isinstance(f, PackEnded) and f.pack_id == pack.pack_id for f in self.facts)


class Service:
    """A listener with its hosts over a store, which can be ended and begun again."""

    def __init__(self, store_dir: Path) -> None:
        self.store_dir = store_dir
        self.connection_file = store_dir / "connection.json"
        self.listener = Listener()
        self.hosts: Hosts
        self.host_id = ""

    async def start(self) -> Service:
        self.token = secrets.token_hex(32)
        self.listener = Listener()
        self.hosts = self.listener.hosts = Hosts(
            token=self.token,
            store_dir=self.store_dir,
            store_id="s",
            connection_file=self.connection_file,
            listener=self.listener,
        )
        self.port = await self.hosts.start()
        file = ConnectionFile(
            "",
            self.token,
            os.getpid(),
            "0",
            PROTOCOL,
            str(self.store_dir),
            "s",
            socket.gethostname(),
            processes.boot_id(),
            self.port,
            time.time(),
        )
        self.connection_file.write_bytes(msgspec.json.encode(file))
        self.connection_file.chmod(0o600)
        return self

    async def host(self, plugin: ExecutorSpec | None = None, **changes: Any) -> str:
        """A host that is ready."""
        self.host_id = self.hosts.ensure(environment(**changes), plugin=plugin, root_id="root" if plugin else "")
        await self.listener.until(lambda: self.state() == "ready")
        return self.host_id

    def state(self) -> str:
        return next((s["state"] for s in self.hosts.states() if s["host"] == self.host_id), "")

    def pid(self) -> int:
        return next(s["pid"] for s in self.hosts.states() if s["host"] == self.host_id)

    def run(self, *packs: Pack) -> None:
        for pack in packs:
            assert self.hosts.send(self.host_id, Run(pack))

    async def done(self, *packs: Pack, timeout: float = 120.0) -> dict[int, Outcome]:
        """The outcomes of these packs, when all have ended."""
        await self.listener.until(lambda: all(map(self.listener.ended, packs)), timeout)
        found: dict[int, Outcome] = {}
        for pack in packs:
            found.update(self.listener.outcomes(pack))
        return found

    async def stop(self, *, stop_hosts: bool = True) -> None:
        await self.hosts.close(stop_hosts=stop_hosts)
