"""Packs made by hand, and what a pool says about them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

from covalent_jupyter import codec
from covalent_jupyter.model import (
    Began,
    Environment,
    ExecutorSpec,
    Fact,
    Input,
    Lit,
    LogGrew,
    Options,
    Outcome,
    Pack,
    Ref,
    Reported,
    Returned,
    Task,
    Tpl,
    Val,
)
from covalent_jupyter.worker.pool import RunnerPool

ENVIRONMENT = Environment("python", "/", "3", "3")


def _made() -> Callable[[int], int]:
    def fine(x: int) -> int:
        return x + 1

    return fine


fine = _made()  # goes by value: a runner need not import the tests


class PackMaker:
    """A pack of one dispatch; ``add`` gives the reference to a task's output."""

    def __init__(self, root: str = "", **settings: Any) -> None:
        self.dispatch_id = str(uuid.uuid4())
        self.root = root or self.dispatch_id
        self.settings = settings
        self.values: dict[str, bytes] = {}
        self.tasks: list[Task] = []
        self.options: list[Options] = []

    def blob(self, chunks: list[Any]) -> str:
        data = b"".join(chunks)
        digest = codec.digest_of([data])
        self.values[digest] = data
        return digest

    def input(self, value: Any) -> Input:
        if isinstance(value, (Ref, Lit, Val, Tpl)):
            return value
        return Val(self.blob(codec.encode(value)))

    def add(
        self,
        function: Callable[..., Any],
        *args: Any,
        options: Options | None = None,
        kind: Any = "electron",
        seed: int = 1,
        node: int | None = None,
        name: str = "",
        **kwargs: Any,
    ) -> Ref:
        number = len(self.tasks) if node is None else node
        options = options or Options()
        if options not in self.options:
            self.options.append(options)
        self.tasks.append(
            Task(
                number, 1, name or function.__name__, kind, self.blob(codec.encode_function(function)),
                [self.input(value) for value in args], {key: self.input(value) for key, value in kwargs.items()},
                self.options.index(options), seed, line=10 + number,
            )
        )  # fmt: skip
        return Ref(number)

    def pack(self, **settings: Any) -> Pack:
        fields: dict[str, Any] = {
            "pack_id": str(uuid.uuid4()), "dispatch_id": self.dispatch_id, "root_id": self.root, "lattice": "flow",
            "executor": ExecutorSpec("local"), "environment": ENVIRONMENT, "variables": {}, "tasks": self.tasks,
            "options": self.options, "outputs": {}, "values": self.values, "budget": 10.0,
        }  # fmt: skip
        return Pack(**{**fields, **self.settings, **settings})


class Heard:
    """Everything that was emitted, and a way to wait for some of it."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.batches = 0
        self._changed = threading.Condition()

    def __call__(self, facts: list[Fact]) -> None:
        with self._changed:
            self.facts.extend(facts)
            self.batches += 1
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[Heard], bool], timeout: float = 90.0) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), timeout), self.facts

    @property
    def outcomes(self) -> dict[int, Outcome]:
        found: dict[int, Outcome] = {}
        for fact in self.facts:
            if isinstance(fact, Outcome):
                assert fact.node not in found, f"two outcomes of node {fact.node}"
                found[fact.node] = fact
        return found

    @property
    def returned(self) -> list[int]:
        return [node for fact in self.facts if isinstance(fact, Returned) for node, _ in fact.attempts]

    @property
    def began(self) -> list[int]:
        return [fact.node for fact in self.facts if isinstance(fact, Began)]

    @property
    def grown(self) -> list[LogGrew]:
        return [fact for fact in self.facts if isinstance(fact, LogGrew)]

    def reports(self, node: int) -> list[tuple[float, dict[str, Any]]]:
        """What the electron reported, in order and without gaps."""
        points: list[tuple[float, dict[str, Any]]] = []
        for fact in self.facts:
            if isinstance(fact, Reported) and fact.node == node:
                assert fact.first == len(points)
                points += fact.points
        return points

    def value(self, node: int) -> Any:
        outcome = self.outcomes[node]
        assert outcome.status == "completed", outcome.error and outcome.error.text
        assert outcome.output is not None and outcome.output.data is not None
        return codec.decode(outcome.output.data)


def run(pool: RunnerPool, maker: PackMaker, **settings: Any) -> Heard:
    heard = Heard()
    pack = maker.pack(**settings)
    pool.run_pack(pack, heard)
    ended = {*heard.outcomes, *heard.returned}
    assert ended == {task.node for task in pack.tasks}, heard.facts
    return heard


def start(pool: RunnerPool, pack: Pack) -> tuple[Heard, threading.Thread]:
    heard = Heard()
    thread = threading.Thread(target=pool.run_pack, args=(pack, heard))
    thread.start()
    return heard, thread
