"""Errors that were raised on purpose, shown without the frames of this package that nobody can do anything about."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from ..absent import ARGUMENTS as ABSENT
from ..errors import ConfigError, CovalentError, ServiceUnavailable

P = ParamSpec("P")
T = TypeVar("T")


def brief(function: Callable[P, T]) -> Callable[P, T]:
    """``function``, whose own errors end at its caller. An argument that only Covalent's has is one, unless it is None."""
    own = inspect.signature(function).parameters
    absent = {} if _takes_any(own.values()) else {name: text for name, text in ABSENT.items() if name not in own}

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        for name in absent.keys() & kwargs.keys():
            if kwargs.pop(name) is not None:
                raise ConfigError(f"{function.__name__} has no argument {name!r}, which Covalent's has: {absent[name]}")
        try:
            return function(*args, **kwargs)
        except ServiceUnavailable as error:  # what it comes from is in its text
            raise error.with_traceback(None) from None
        except CovalentError as error:
            raise error.with_traceback(None)  # noqa: B904 - the same one

    return called


def _takes_any(parameters: Iterable[inspect.Parameter]) -> bool:
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
