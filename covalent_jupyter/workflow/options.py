"""Options of electrons and lattices: checked where they are written, resolved at dispatch, never written back."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from ..absent import OPTIONS as ABSENT
from ..errors import ConfigError
from .deps import as_bash, as_calls, as_modules, as_pip


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"


#: default of a parameter where ``None`` means something of its own
UNSET: Any = _Unset()

#: options for which None is a value ("no timeout"), not "not given"
_NONE_IS_A_VALUE = frozenset({"timeout"})

_CHOICES = {
    "on_error": ("fail", "value"),
    "on_interrupt": ("run_again", "fail"),
    "keep": ("always", "until_done", "never"),
}
_MISSPELT_RESOURCES = {
    "cpus": "cpu", "cores": "cpu", "gpus": "gpu", "mem": "memory", "ram": "memory", "memory_limit": "memory",
}  # fmt: skip
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def checked(given: dict[str, Any], owner: str, *, only: Iterable[str] | None = None) -> dict[str, Any]:
    """The options that were really given, normalised.

    Raises ConfigError naming the option, ``owner`` and the choices. ``only`` limits the names.
    """
    names = tuple(_CHECKS) if only is None else tuple(only)
    result = {}
    for name, value in given.items():
        if name in ABSENT:
            raise ConfigError(f"{owner}: there is no option {name!r}, which Covalent has: {ABSENT[name]}")
        if name not in names:
            raise ConfigError(
                f"{owner}: there is no option {name!r}{suggest(name, names)}; options are {', '.join(names)}"
            )
        if value is UNSET or (value is None and name not in _NONE_IS_A_VALUE):
            continue
        result[name] = _CHECKS[name](value, f"{owner}: {name}")
    return result


def merged(outer: dict[str, Any], inner: dict[str, Any]) -> dict[str, Any]:
    """The options of an electron inside a lattice: its own, else the lattice's; resources key by key."""
    result = {**outer, **inner}
    if "resources" in outer and "resources" in inner:
        result["resources"] = {**outer["resources"], **inner["resources"]}
    return result


def suggest(name: str, names: Iterable[str]) -> str:
    """``" (did you mean 'retries'?)"`` or nothing."""
    close = difflib.get_close_matches(str(name), list(names), 1, 0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _choice(option: str) -> Callable[[Any, str], str]:
    choices = _CHOICES[option]

    def check(value: Any, where: str) -> str:
        if not isinstance(value, str) or value not in choices:
            listed = " or ".join(map(repr, choices))
            raise ConfigError(f"{where} must be {listed}, not {value!r}{suggest(value, choices)}")
        return value

    return check


def _count(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{where} must be a whole number from 0, not {value!r}")
    return int(value)


def _seconds(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ConfigError(f"{where} must be a number of seconds from 0, not {value!r}")
    return float(value)


def _timeout(value: Any, where: str) -> float | None:
    if value is None:
        return None
    seconds = _seconds(value, where)
    if seconds == 0:
        raise ConfigError(f"{where} must be more than 0 seconds, or None for no limit")
    return seconds


def _label(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise ConfigError(f"{where} must be a string of 1 to 200 characters, not {value!r}")
    return value


def _resources(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f'{where} must be a dict such as {{"cpu": 2, "memory": "4 GB"}}, not {value!r}')
    result = {}
    for key, amount in value.items():
        if not isinstance(key, str):
            raise ConfigError(f"{where}: {key!r} is no name of a resource")
        if key in _MISSPELT_RESOURCES:
            raise ConfigError(f"{where}: there is no {key!r} (did you mean {_MISSPELT_RESOURCES[key]!r}?)")
        if key == "memory" and isinstance(amount, str):
            amount = parse_bytes(amount, f"{where}: memory")
        if key in ("cpu", "gpu", "memory") and amount is not None:
            if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not (0 <= amount < math.inf):
                raise ConfigError(f"{where}: {key} must be a number from 0, not {amount!r}")
            amount = int(amount) if key == "memory" else amount
        elif not isinstance(amount, (bool, int, float, str, type(None))):
            raise ConfigError(f"{where}: {key} must be a number or a string, not {type(amount).__name__}")
        result[key] = amount
    return result


def parse_bytes(text: str, where: str) -> int:
    """Bytes in ``"4 GB"``, ``"512MiB"``, ``"1e9"``; ConfigError if it is none of these."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?(?:e\d+)?)\s*([kmgt]i?)?b?\s*", text.lower())
    if match is None:
        raise ConfigError(f'{where} must be bytes or a text such as "4 GB", not {text!r}')
    return int(float(match[1]) * _UNITS[match[2] or ""])


def _executor(value: Any, where: str) -> Any:
    if isinstance(value, str):
        return _label(value, where)
    if isinstance(value, type):
        raise ConfigError(f"{where}: pass an instance: {value.__name__}(), not the class")
    if not callable(getattr(value, "to_spec", None)):
        raise ConfigError(
            f"{where} must be a short name such as 'dask' or 'local', or an executor object "
            f"(derived from ct.executor.BaseExecutor), not {value!r}"
        )
    return value


def _plain(convert: Callable[[Any], Any]) -> Callable[[Any, str], Any]:
    def check(value: Any, where: str) -> Any:
        try:
            return convert(value)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None

    return check


_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "executor": _executor,
    "deps_bash": _plain(as_bash),
    "deps_pip": _plain(as_pip),
    "deps_module": _plain(as_modules),
    "call_before": _plain(as_calls),
    "call_after": _plain(as_calls),
    "retries": _count,
    "retry_delay": _seconds,
    "timeout": _timeout,
    "resources": _resources,
    "on_error": _choice("on_error"),
    "on_interrupt": _choice("on_interrupt"),
    "keep": _choice("keep"),
    "name": _label,
}

ELECTRON_OPTIONS = tuple(_CHECKS)
LATTICE_OPTIONS = tuple(name for name in _CHECKS if name != "name")
