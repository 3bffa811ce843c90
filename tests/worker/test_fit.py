"""Values that lack what the lattice returns of them."""

from __future__ import annotations

from typing import Any

import pytest

from covalent_jupyter import codec
from covalent_jupyter.model import Task
from covalent_jupyter.worker.fit import unfit
from covalent_jupyter.workflow.ops import Unpack

KEYS = {
    "last": b"".join(map(bytes, codec.encode(-1))),
    "second of two": b"".join(map(bytes, codec.encode(Unpack(1, 2)))),
}


@pytest.mark.parametrize(
    ("value", "path", "wrong"),
    [
        ([1, 2], (("item", 1),), ""),
        ([1, 2], (("item", 2),), "IndexError"),
        ({"a": 1 + 2j}, (("item", "a"), ("attr", "imag")), ""),
        ({"a": 1}, (("item", "b"),), "KeyError"),
        (3, (("attr", "missing"),), "AttributeError"),
        ([1, 2], (("pick", "last"),), ""),
        ((1, 2), (("pick", "second of two"),), ""),
        ((1, 2, 3), (("pick", "second of two"),), "into 2 names: got 3"),
    ],
)
def test_the_first_that_is_missing_is_named(value: Any, path: Any, wrong: str) -> None:
    task = Task(0, 1, "t", "electron", "", [], {}, 0, 0, selected=((), path))
    found = unfit(value, task, KEYS.__getitem__)
    assert (wrong in found and bool(found)) if wrong else found == ""
