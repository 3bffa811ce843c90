"""Executors by short name: ours, classes that this process defines, and those that installed packages offer as entry points.

Used by the kernel; nothing heavy.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from typing import Any

from ..absent import SHORT_NAMES
from ..errors import ConfigError
from ..executor_names import is_installed, plugins
from .objects import AsyncBaseExecutor, BaseExecutor, DaskExecutor, Executor, LocalExecutor

_BUILT_IN: dict[str, type[Executor]] = {"dask": DaskExecutor, "local": LocalExecutor}


def names() -> list[str]:
    """All short names."""
    return sorted({*_BUILT_IN, *plugins(), *map(_name_of, _classes())})


def check_name(name: str) -> None:
    """ConfigError if this process has no executor of the name; makes and loads none."""
    if not is_installed(name) and _defined(name) is None:
        raise _unknown(name)


def _unknown(name: str) -> ConfigError:
    if name.lower() in SHORT_NAMES:
        return ConfigError(f"there is no executor {name!r}, which Covalent has: {SHORT_NAMES[name.lower()]}")
    known = names()
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return ConfigError(f"there is no executor {name!r}.{meant} Known are: {', '.join(known)}")


def by_name(name: str) -> Executor:
    """A new executor with default options. ConfigError if there is none of that name, or its plug-in cannot be loaded."""
    built_in = _BUILT_IN.get(name)
    if built_in is not None:
        return built_in()
    defined = _defined(name)
    if defined is not None:
        return _made(name, defined)
    point = plugins().get(name)
    if point is None:
        raise _unknown(name)
    try:
        made = point.load()()
    except Exception as error:  # the border to the plug-in
        raise ConfigError(
            f"executor {name!r} ({point.value}) cannot be made: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, Executor):
        raise ConfigError(
            f"executor {name!r} ({point.value}) is no BaseExecutor or AsyncBaseExecutor of covalent_jupyter"
        )
    return made


def carried(given: dict[str, Any]) -> dict[str, Any]:
    """Options on their way to another process: with an executor itself where its class is defined here alone."""
    name = given.get("executor")
    if not isinstance(name, str) or name in _BUILT_IN or _defined(name) is None:
        return given
    return {**given, "executor": by_name(name)}


def as_executor(given: Any) -> Executor:
    """What ``executor=`` was given, as an object. ConfigError if it is none."""
    if isinstance(given, Executor):
        return given
    if isinstance(given, str):
        return by_name(given)
    if isinstance(given, type) and issubclass(given, Executor):
        raise ConfigError(f"executor={given.__name__} is a class: give an instance, {given.__name__}()")
    raise ConfigError(f"executor={given!r} is neither a short name ({', '.join(names())}) nor an executor object")


def _classes() -> Iterator[type[Executor]]:
    """Executor classes that users or packages have defined in this process, older ones of a base before newer ones."""
    waiting: list[type[Executor]] = [BaseExecutor, AsyncBaseExecutor]
    while waiting:
        found = waiting.pop(0).__subclasses__()
        yield from found
        waiting += found


def _name_of(cls: type[Executor]) -> str:
    """What it says itself, or its own name."""
    said = vars(cls).get("short_name")
    return said if isinstance(said, str) else cls.__name__


def _defined(name: str) -> type[Executor] | None:
    """The class of this name; of a cell that was run again, that of its last run."""
    found = None
    for cls in _classes():
        if _name_of(cls) == name and (found is None or _is_current(cls) or not _is_current(found)):
            found = cls
    return found


def _is_current(cls: type[Executor]) -> bool:
    """Whether its module still knows it by its name."""
    return vars(sys.modules.get(cls.__module__, object)).get(cls.__name__) is cls


def _made(name: str, cls: type[Executor]) -> Executor:
    try:
        return cls()
    except Exception as error:  # border: the constructor is the user's code
        raise ConfigError(
            f"executor {name!r} cannot be made without arguments ({type(error).__name__}: {error}): "
            f"give an instance, executor={cls.__name__}(...)"
        ) from error
