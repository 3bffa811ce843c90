"""Arguments of a call against the signature of its electron: checked while the lattice is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..errors import BuildError
from .options import suggest

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_MISSING = inspect.Parameter.empty


class Binder:
    """Checks calls of one function. ``exact`` is the number of positional arguments that need no further check."""

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            self.signature: inspect.Signature | None = inspect.signature(function)
        except (ValueError, TypeError):  # builtins without a text signature
            self.signature = None
        parameters = list(self.signature.parameters.values()) if self.signature else []
        self.names = tuple(p.name for p in parameters if p.kind in _POSITIONAL)
        self.variadic = next(
            (p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "" if self.signature else "args"
        )
        self.any_keyword = self.signature is None or any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.by_keyword = frozenset(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
        self.required = frozenset(
            p.name for p in parameters if p.default is _MISSING and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        )
        only = any(p.kind is p.KEYWORD_ONLY and p.default is _MISSING for p in parameters)
        self.exact = -1 if self.variadic or only else len(self.names)

    def check(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], injected: frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """Names of the parameters that ``args`` bind. ``injected`` are keywords that ``call_before`` fills at run time.

        Raises BuildError with the signature.
        """
        count = len(args)
        if count > len(self.names) and not self.variadic:
            raise self._error(
                name, f"takes {_numbered(len(self.names), 'positional argument')}, and {count} were given"
            )
        taken = self.names[:count]
        for keyword in kwargs:
            if keyword in self.by_keyword:
                if keyword in taken:
                    raise self._error(name, f"got two values for {keyword!r}")
            elif not self.any_keyword:
                hint = suggest(keyword, self.by_keyword.difference(taken))
                raise self._error(name, f"has no parameter {keyword!r}{hint}")
        if not self.any_keyword and not injected <= self.by_keyword:
            unknown = ", ".join(map(repr, sorted(injected - self.by_keyword)))
            raise self._error(name, f"has no parameter {unknown}, which the retval_keyword of a DepsCall names")
        for keyword in injected.intersection(taken):
            raise self._error(
                name, f"got two values for {keyword!r}: one by position, one by the retval_keyword of a DepsCall"
            )
        missing = [n for n in self._in_order() if n not in taken and n not in kwargs and n not in injected]
        if missing:
            what = "the argument" if len(missing) == 1 else "the arguments"
            raise self._error(name, f"misses {what} {', '.join(map(repr, missing))}")
        return (*taken, *(f"{self.variadic}[{i}]" for i in range(count - len(taken))))

    def _in_order(self) -> list[str]:
        return [n for n in self.signature.parameters if n in self.required] if self.signature and self.required else []

    def _error(self, name: str, problem: str) -> BuildError:
        return BuildError(f"{name} {problem}; its signature is {name}{self.signature}")


def _numbered(count: int, what: str) -> str:
    return f"no {what}s" if count == 0 else f"{count} {what}" if count == 1 else f"{count} {what}s"
