"""Lattices that the tests dispatch."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import covalent_jupyter as ct


class Unlucky(Exception):
    """An exception of the user's own."""


class Picky(Exception):
    """Takes other arguments than it hands on."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")
        self.one = one


class Stubborn(Exception):
    """Does not go into a pickle."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


@ct.electron
def add(a: Any, b: Any) -> Any:
    return a + b


@ct.electron
def shout(text: str) -> str:
    print(f"out {text}")
    import sys

    print(f"err {text}", file=sys.stderr)
    return text.upper()


@ct.electron
def fail(kind: str) -> Any:
    if kind == "stubborn":
        try:
            raise Picky(1, 2)
        except Picky as error:
            raise Stubborn("1 and 2") from error
    if kind == "picky":
        raise Picky(1, 2)
    if kind == "exit":
        import os

        os._exit(7)
    raise Unlucky(f"no luck with {kind}")


@ct.electron
def hold(gate: str, value: Any) -> Any:
    """Waits until the file ``gate`` is there."""
    deadline = time.monotonic() + 60
    while not Path(gate).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(gate)
        time.sleep(0.005)
    return value


@ct.electron
def surroundings(name: str) -> Any:
    """The folder that it runs in, and a variable."""
    import os

    return os.getcwd(), os.environ[name]


@ct.lattice
def sums(a: Any, b: Any = 2) -> Any:
    first = add(a, b)
    return {"sum": first, "pair": (add(first, 1), first), "plain": [b, None]}


@ct.electron
def three() -> Any:
    return [1, 2, 3]


@ct.lattice
def badly_unpacked(alone: bool) -> Any:
    first, _ = three()
    return first if alone else {"first": first, "whole": three()}


@ct.lattice
def one(a: Any, b: Any = 2) -> Any:
    return add(a, b)


@ct.lattice
def shouting(text: str) -> Any:
    return shout(text)


class Model:
    """Electrons and lattices as methods."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    @ct.electron
    def scaled(self, x: Any) -> Any:
        return x * self.factor

    @ct.lattice
    def flow(self, x: Any, y: Any = 1) -> Any:
        return self.scaled(x), add(y, self.factor)

    @ct.lattice
    def outer(self, x: Any) -> Any:
        return ct.electron(self.flow)(x)


@ct.lattice
def failing(kind: str, value: Any = 1) -> Any:
    good = add(value, 1)
    bad = fail(kind)
    return {"good": good, "bad": bad, "after": add(bad, good)}


@ct.lattice
def gated(gate: str, value: Any = 1) -> Any:
    return [hold(gate, value), add(value, 1)]


@ct.lattice
def inner(a: Any) -> Any:
    return [add(a, 1), add(a, 2)]


@ct.lattice
def outer(a: Any) -> Any:
    return ct.electron(inner)(add(a, 10))


@ct.lattice
def failing_inside(kind: str) -> Any:
    return ct.electron(failing)(kind)


@ct.electron(keep="never")
def upto(n: int) -> list[int]:
    return list(range(n))


@ct.electron
def total(numbers: list[int], more: list[int], k: int) -> int:
    return sum(numbers) + len(more) + k


@ct.electron
def least(numbers: list[int]) -> int:
    return min(numbers)


@ct.lattice
def unkept(n: int, k: int) -> Any:
    numbers = upto(n)
    return least(numbers), total(numbers, numbers, k)


@ct.electron
def two_words() -> list[str]:
    return ["one", "two"]


@ct.lattice
def third_of_two() -> Any:
    return two_words()[2]


def value_of(found: Any) -> Any:
    return found.value


@ct.electron
def waits_inside(x: int) -> Any:
    return ct.dispatch_sync(one)(x, b=1).value


@ct.lattice
def waiting_inside(count: int) -> Any:
    return [waits_inside(i) for i in range(count)]
