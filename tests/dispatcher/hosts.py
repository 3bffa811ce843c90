"""An executor host in memory: it keeps what it is sent, and the test decides what becomes of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from covalent_jupyter.dispatcher import Dispatcher
from covalent_jupyter.model import (
    Began,
    CancelAttempts,
    Environment,
    ExecutorSpec,
    Hello,
    Outcome,
    Output,
    Pack,
    PackEnded,
    Returned,
    Run,
    Task,
)


class Hosts:
    """One connected host that runs nothing by itself."""

    def __init__(self) -> None:
        self.connected = True
        self.sent: list[Any] = []
        self.packs: dict[str, Pack] = {}
        self.dropped: list[str] = []
        self.n = 0
        self.state = {"state": "ready", "message": ""}
        self.said: list[Any] = []  # the last facts, which the service may die without having acknowledged
        self.known: set[str] = set()  # packs that were there when they were said

    def ensure(self, environment: Environment, *, plugin: ExecutorSpec | None = None, root_id: str = "") -> str:
        return f"plugin-{root_id}" if plugin else environment.digest

    def send(self, host_id: str, message: Any) -> bool:
        if not self.connected:
            return False
        self.sent.append(message)
        if isinstance(message, Run):
            self.packs[message.pack.pack_id] = message.pack
        return True

    def drop(self, host_id: str) -> None:
        self.dropped.append(host_id)

    def state_of(self, host_id: str) -> dict[str, Any]:
        return self.state

    def cancels(self) -> list[tuple[str, int, int]]:
        return [a for m in self.sent if isinstance(m, CancelAttempts) for a in m.attempts]

    def facts(self, dispatcher: Dispatcher, *facts: Any) -> None:
        self.n += 1
        self.said, self.known = list(facts), set(self.packs)
        dispatcher.host_facts("env", self.n, list(facts))

    def lose(self) -> None:
        """The connection broke right after the last facts: what was sent because of them never came."""
        self.packs = {pack_id: pack for pack_id, pack in self.packs.items() if pack_id in self.known}

    def come_back(self, dispatcher: Dispatcher) -> None:
        """To a service that was started anew: it says again what was not acknowledged."""
        said = self.said
        held = [(p.dispatch_id, t.node, t.attempt) for p in self.packs.values() for t in p.tasks]
        held += [(f.dispatch_id, f.node, f.attempt) for f in said if isinstance(f, Outcome)]
        ended = [f.pack_id for f in said if isinstance(f, PackEnded)]
        self.hello(dispatcher, held, [*self.packs, *ended])
        if said:
            self.facts(dispatcher, *said)

    def hello(
        self,
        dispatcher: Dispatcher,
        held: Sequence[Any] = (),
        packs: Sequence[str] = (),
        host_id: str = "env",
    ) -> Any:
        return dispatcher.host_ready(
            host_id, Hello(1, host_id, "i", "env", 1, "3.11", "0", held=list(held), packs=list(packs))
        )

    def run(self, dispatcher: Dispatcher, pack: Pack, function: Callable[[Task, Pack], Any]) -> None:
        """Runs a pack: ``function`` gives each task's value (bytes), an exception type to fail with, or an Outcome."""
        del self.packs[pack.pack_id]
        facts: list[Any] = []
        for task in pack.tasks:
            value = function(task, pack)
            facts += [value] if isinstance(value, Outcome) else completed(task, pack, value)
        self.facts(dispatcher, *facts, PackEnded(pack.pack_id))

    def give_back(self, dispatcher: Dispatcher, pack: Pack) -> None:
        del self.packs[pack.pack_id]
        attempts = [(t.node, t.attempt) for t in pack.tasks]
        self.facts(dispatcher, Returned(pack.pack_id, pack.dispatch_id, attempts), PackEnded(pack.pack_id))


def completed(task: Task, pack: Pack, value: bytes) -> list[Any]:
    """What is said of an electron that begins and gives this value."""
    now = time.time()
    output = Output(hashlib.sha256(value).hexdigest(), len(value), value)
    return [
        Began(pack.dispatch_id, task.node, task.attempt, now),
        Outcome(pack.dispatch_id, task.node, task.attempt, "completed", now, now, 1e-4, output),
    ]
