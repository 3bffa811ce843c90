"""Lattices that the tests dispatch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import covalent_jupyter as ct


class Unlucky(Exception):
    """An exception of the user's own."""


class Stubborn(Exception):
    """Does not come back from a pickle."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


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
        raise Stubborn(1, 2)
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


@ct.lattice
def sums(a: Any, b: Any = 2) -> Any:
    first = add(a, b)
    return {"sum": first, "pair": (add(first, 1), first), "plain": [b, None]}


@ct.lattice
def one(a: Any, b: Any = 2) -> Any:
    return add(a, b)


@ct.lattice
def shouting(text: str) -> Any:
    return shout(text)


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
