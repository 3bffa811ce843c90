"""What is prepared round an electron: shell commands, pip packages, calls before and after, local modules."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ConfigError

_RESERVED = frozenset({"files"})  # keywords that Covalent keeps for file transfers


class DepsBash:
    """Shell commands, run one after another in the electron's environment; a failing one fails the electron."""

    def __init__(self, commands: str | Sequence[str] = ()) -> None:
        self.commands = _texts(commands, "DepsBash", "commands")

    def __repr__(self) -> str:
        return f"DepsBash({list(self.commands)!r})"


class DepsPip:
    """Packages that pip installs for the electron: requirement strings, or a requirements file, or both.

    The file is read at each dispatch.
    """

    def __init__(self, packages: str | Sequence[str] = (), reqs_path: str | Path = "") -> None:
        self.packages = _texts(packages, "DepsPip", "packages")
        self.reqs_path = str(reqs_path)

    def requirements(self) -> tuple[str, ...]:
        """Arguments for ``pip install``; ConfigError if the requirements file cannot be read."""
        return (*self.packages, *(_requirements_of(self.reqs_path) if self.reqs_path else ()))

    def __repr__(self) -> str:
        path = f", reqs_path={self.reqs_path!r}" if self.reqs_path else ""
        return f"DepsPip({list(self.packages)!r}{path})"


class DepsCall:
    """A call before or after the electron, in its process.

    With ``retval_keyword`` what it returns is given to the electron under that keyword; several calls with the same
    keyword give a list.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        retval_keyword: str = "",
        override_reserved_retval_keys: bool = False,
    ) -> None:
        if not callable(func):
            raise ConfigError(f"DepsCall needs a function, not {type(func).__name__} {func!r}")
        if isinstance(args, (str, bytes)):
            raise ConfigError(f"DepsCall(args=...) is the list of arguments: write args=[{args!r}]")
        if retval_keyword and not (isinstance(retval_keyword, str) and retval_keyword.isidentifier()):
            raise ConfigError(f"retval_keyword {retval_keyword!r} is no parameter name")
        if retval_keyword in _RESERVED and not override_reserved_retval_keys:
            raise ConfigError(
                f"retval_keyword {retval_keyword!r} is kept for file transfers; choose another name, "
                "or pass override_reserved_retval_keys=True"
            )
        self.func = func
        self.args = tuple(args)
        self.kwargs = dict(kwargs or {})
        self.retval_keyword = retval_keyword
        self.override_reserved_retval_keys = override_reserved_retval_keys

    def __repr__(self) -> str:
        keyword = f", retval_keyword={self.retval_keyword!r}" if self.retval_keyword else ""
        return f"DepsCall({name_of(self.func)}{keyword})"


class DepsModule:
    """A local module that goes with the electron although nothing in it names the module."""

    def __init__(self, module: ModuleType | str) -> None:
        if not isinstance(module, (ModuleType, str)) or not module:
            raise ConfigError(f"DepsModule needs a module or its name, not {module!r}")
        self.name = module if isinstance(module, str) else module.__name__

    def __repr__(self) -> str:
        return f"DepsModule({self.name!r})"


def name_of(func: Any) -> str:
    """A short name of any callable."""
    return str(getattr(func, "__name__", None) or type(func).__name__)


def as_bash(value: Any) -> DepsBash:
    return value if isinstance(value, DepsBash) else DepsBash(value)


def as_pip(value: Any) -> DepsPip:
    return value if isinstance(value, DepsPip) else DepsPip(value)


def as_calls(value: Any) -> tuple[DepsCall, ...]:
    items = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(item if isinstance(item, DepsCall) else DepsCall(item) for item in items)


def as_modules(value: Any) -> tuple[DepsModule, ...]:
    items: Iterable[DepsModule | ModuleType | str] = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(item if isinstance(item, DepsModule) else DepsModule(item) for item in items)


def _texts(value: Any, where: str, what: str) -> tuple[str, ...]:
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) and item.strip() for item in items):
        raise ConfigError(f"{where}: {what} must be a string or a list of strings, not {value!r}")
    return tuple(items)


def _requirements_of(path: str) -> tuple[str, ...]:
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"DepsPip: the requirements file {path!r} cannot be read: {error}") from error
    found: list[str] = []
    for line in lines:
        text = line.split(" #")[0].strip()
        if text and not text.startswith("#"):
            found.extend(shlex.split(text) if text.startswith("-") else [text])
    return tuple(found)
