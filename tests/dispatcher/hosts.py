"""An executor host in memory: it keeps what it is sent, and the test decides what becomes of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
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
        dispatcher.host_facts("env", self.n, list(facts))

    def hello(self, dispatcher: Dispatcher, held: list[Any] = [], packs: list[str] = []) -> Any:  # noqa: B006
        return dispatcher.host_ready("env", Hello(1, "env", "i", "env", 1, "3.11", "0", held=held, packs=packs))

    def run(self, dispatcher: Dispatcher, pack: Pack, function: Callable[[Task, Pack], Any]) -> None:
        """Runs a pack: ``function`` gives each task's value (bytes), an exception type to fail with, or an Outcome."""
        del self.packs[pack.pack_id]
        facts: list[Any] = []
        for task in pack.tasks:
            value = function(task, pack)
            now = time.time()
            if isinstance(value, Outcome):
                facts.append(value)
                continue
            facts.append(Began(pack.dispatch_id, task.node, task.attempt, now))
            output = Output(hashlib.sha256(value).hexdigest(), len(value), value)
            facts.append(Outcome(pack.dispatch_id, task.node, task.attempt, "completed", now, now, 1e-4, output))
        self.facts(dispatcher, *facts, PackEnded(pack.pack_id))

    def give_back(self, dispatcher: Dispatcher, pack: Pack) -> None:
        del self.packs[pack.pack_id]
        attempts = [(t.node, t.attempt) for t in pack.tasks]
        self.facts(dispatcher, Returned(pack.pack_id, pack.dispatch_id, attempts), PackEnded(pack.pack_id))
