"""``@ct.electron``: a function that runs as a node of a lattice."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from ..absent import ELECTRON as ABSENT
from ..errors import BuildError, ConfigError, RefError
from ..executors.registry import carried
from ..model.graph import Ref as RefTo
from . import ops
from .capture import place_of
from .containers import find_refs
from .decorated import Decorated
from .deps import name_of
from .graph import BUILDING, Graph, Kind
from .lattice import Lattice
from .options import ELECTRON_OPTIONS, UNSET, checked, merged
from .refs import Ref


class Electron(Decorated):
    """A function that becomes a node where it is called inside a lattice that is being built, and is itself elsewhere.

    Attributes: ``function``; ``given``, its own options; ``kind``, ``"sublattice"`` where the function is a lattice.
    """

    _kind = "an electron"
    _options = ELECTRON_OPTIONS
    _absent = ABSENT
    _instead = "call it in a lattice, and select from what it gives"

    def __init__(self, function: Callable[..., Any], given: dict[str, Any] | None = None) -> None:
        inner: Any = function
        if isinstance(inner, Electron):
            inner, given = inner.function, merged(inner.given, given or {})
        if isinstance(inner, classmethod):
            raise ConfigError(f"{inner.__name__}: write @classmethod above @ct.electron, not below it")
        if not callable(inner):
            raise ConfigError(f"ct.electron needs a function, not {inner!r}")
        self.function: Any = inner
        self.given = given or {}
        self.kind: Kind = "electron"
        self._place = place_of(inner)
        if isinstance(inner, Lattice):
            self.kind = "sublattice"
            if inner.workflow_executor is not None:
                self.given = {"executor": inner.workflow_executor, **self.given}
        functools.update_wrapper(self, inner, updated=())

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        graph = BUILDING.get()
        if graph is not None:
            return graph.call(self, args, kwargs)
        for value in (*args, *kwargs.values()):
            if type(value) is Ref:
                raise RefError(
                    f"{self.name} is called with {value!r} outside of the building of its lattice (in a thread?): "
                    "call electrons in the lattice function itself"
                )
        return self.function(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def options(self, **changes: Any) -> Electron:
        """A copy with other options, for one call or more; this electron stays as it is. ConfigError as above."""
        options = checked(changes, f"{self.name}.options", only=ELECTRON_OPTIONS)
        copy = Electron.__new__(Electron)
        copy.__dict__.update(self.__dict__)
        copy.given = merged(self.given, options)
        return copy

    @property
    def name(self) -> str:
        found: str = self.given.get("name") or name_of(self.function)
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"function": self.function, "given": carried(self.given), "kind": self.kind, "_place": self.place}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def _other_with(self, option: str) -> str:
        return f"take a copy, {self.function_name}.options({option}=...)"

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}{inspect.signature(self.function) if self.binder.signature else ''}>"


def electron(
    func: Callable[..., Any] | None = None,
    *,
    executor: Any = None,
    deps_bash: Any = None,
    deps_pip: Any = None,
    deps_module: Any = None,
    call_before: Any = None,
    call_after: Any = None,
    retries: int | None = None,
    retry_delay: float | None = None,
    timeout: Any = UNSET,
    resources: dict[str, Any] | None = None,
    on_error: str | None = None,
    on_interrupt: str | None = None,
    keep: str | None = None,
    name: str | None = None,
    **unknown: Any,
) -> Any:
    """Make an electron of a function (plain or async), or a sublattice of a lattice; with or without parentheses.

    What is not given comes from the lattice, key by key, when it is dispatched. Raises ConfigError for an unknown
    option or value.
    """
    given = {
        "executor": executor, "deps_bash": deps_bash, "deps_pip": deps_pip, "deps_module": deps_module,
        "call_before": call_before, "call_after": call_after, "retries": retries, "retry_delay": retry_delay,
        "timeout": timeout, "resources": resources, "on_error": on_error, "on_interrupt": on_interrupt, "keep": keep,
        "name": name, **unknown,
    }  # fmt: skip
    options = checked(given, f"electron {name_of(func)}" if func is not None else "ct.electron", only=ELECTRON_OPTIONS)
    return functools.partial(Electron, given=options) if func is None else Electron(func, options)


def wait(child: Any, parents: Any) -> Any:
    """Let ``child`` run after ``parents`` although it takes nothing from them.

    Each is an electron's value or a list of them. Gives ``child`` back. A cycle is a BuildError at the end of
    the building.
    """
    graph = BUILDING.get()
    if graph is None:
        return child
    after = _nodes(graph, parents, "parents")
    for node in _nodes(graph, child, "child"):
        graph.wait(node, after)
    return child


def completed(values: Any) -> Any:
    """The values of electrons that did not fail (``on_error="value"``): of a dict a dict, else a list.

    A node where it is called in a lattice.
    """
    graph = BUILDING.get()
    if graph is not None and find_refs(values):
        return graph.operate("completed", (values,), {})
    return ops.completed(values)


def _nodes(graph: Graph, given: Any, what: str) -> list[RefTo]:
    items: Iterable[Any] = given if isinstance(given, (list, tuple)) else (given,)
    found = []
    for item in items:
        if type(item) is not Ref:
            raise BuildError(f"ct.wait: {what} must be what electrons of this lattice gave, not {item!r}")
        reference, _ = graph.input(item, f"ct.wait: {what}")
        assert isinstance(reference, RefTo)
        found.append(reference)
    return found
