"""Executors by short name: ours, and those that installed packages offer as entry points. Used by the kernel; nothing heavy."""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ..absent import SHORT_NAMES
from ..errors import ConfigError
from .objects import DaskExecutor, Executor, LocalExecutor

#: Entry point group: ``name = "package.module:ExecutorClass"``.
GROUP = "covalent_jupyter.executors"

_BUILT_IN: dict[str, type[Executor]] = {"dask": DaskExecutor, "local": LocalExecutor}


def names() -> list[str]:
    """All short names."""
    return sorted({*_BUILT_IN, *_plugins()})


def by_name(name: str) -> Executor:
    """A new executor with default options. ConfigError if there is none of that name, or its plug-in cannot be loaded."""
    built_in = _BUILT_IN.get(name)
    if built_in is not None:
        return built_in()
    point = _plugins().get(name)
    if point is None and name.lower() in SHORT_NAMES:
        raise ConfigError(f"there is no executor {name!r}, which Covalent has: {SHORT_NAMES[name.lower()]}")
    if point is None:
        known = names()
        close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"there is no executor {name!r}.{meant} Known are: {', '.join(known)}")
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


def as_executor(given: Any) -> Executor:
    """What ``executor=`` was given, as an object. ConfigError if it is none."""
    if isinstance(given, Executor):
        return given
    if isinstance(given, str):
        return by_name(given)
    if isinstance(given, type) and issubclass(given, Executor):
        raise ConfigError(f"executor={given.__name__} is a class: give an instance, {given.__name__}()")
    raise ConfigError(f"executor={given!r} is neither a short name ({', '.join(names())}) nor an executor object")


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in _BUILT_IN}
