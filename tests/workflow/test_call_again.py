"""The arguments of a run that repeats another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from covalent_jupyter.workflow import call_again, lattice

Call = tuple[tuple[Any, ...], dict[str, Any]]


def plain(a, b=2, *, c=3): ...  # type: ignore[no-untyped-def]
def many(a, *rest, c=3, **others): ...  # type: ignore[no-untyped-def]
def positional(a, b=2, /, c=3): ...  # type: ignore[no-untyped-def]


def call(*args: Any, **kwargs: Any) -> Call:
    return args, kwargs


CASES = [
    (plain, call(1, 5, c=6), call(7), call(7, 5, c=6)),
    (plain, call(1, 5, c=6), call(c=8), call(1, 5, c=8)),
    (plain, call(b=5, a=1), call(7), call(7, 5)),
    (plain, call(1, c=6), call(b=9), call(1, 9, c=6)),
    (plain, call(1), call(b=9, a=3, c=4), call(b=9, a=3, c=4)),  # all of it is new
    (many, call(1, 2, 3, x=1), call(7), call(7, x=1)),  # *rest is one thing, given anew with the first
    (many, call(1, 2, 3, x=1), call(x=2, y=3), call(1, 2, 3, x=2, y=3)),
    (many, call(1, c=5), call(7, 8), call(7, 8, c=5)),
    (positional, call(1, 5, 6), call(7), call(7, 5, 6)),
    (plain, call(1), call(1, 2, 3), call(1, 2, 3)),  # does not fit: for the build to refuse
    (plain, call(1), call(d=1), call(d=1)),
    (plain, call(1, gone=2, c=9), call(5), call(5, c=9)),  # recorded by another definition
]


@pytest.mark.parametrize(("function", "recorded", "given", "wanted"), CASES)
def test_what_is_not_given_is_as_it_was(
    function: Callable[..., Any], recorded: Call, given: Call, wanted: Call
) -> None:
    assert call_again(lattice(function), lambda: recorded, *given) == wanted


def test_what_was_recorded_is_not_loaded_in_vain() -> None:
    def lost() -> Call:
        raise AssertionError("the recorded arguments cannot be loaded here")

    assert call_again(lattice(plain), lost, *call(1, 2, c=3)) == call(1, 2, c=3)
