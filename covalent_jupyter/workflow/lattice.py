"""``@ct.lattice``: a function that composes electrons."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import CodeType, MethodType
from typing import Any

from ..absent import LATTICE as ABSENT_HERE
from ..absent import NAMES as ABSENT
from ..errors import ConfigError
from ..executors.registry import carried
from ..model.graph import Manifest
from ..parts import part
from .assemble import assemble
from .capture import place_of, plain_function
from .decorated import Decorated
from .deps import name_of
from .options import LATTICE_OPTIONS, UNSET, checked, merged


class Lattice(Decorated):
    """A workflow function. Called, it is an ordinary function; dispatched, it is run once to build its graph.

    Attributes: ``function``; ``given``, the options for its electrons; ``workflow_executor``, which builds
    it where it is a sublattice; ``transport_graph``, the last graph of :meth:`build_graph`.
    """

    _kind = "a lattice"
    _options = LATTICE_OPTIONS
    _absent = ABSENT_HERE

    def __init__(
        self,
        function: Callable[..., Any],
        given: dict[str, Any] | None = None,
        *,
        workflow_executor: Any = None,
    ) -> None:
        if isinstance(function, Lattice):
            raise ConfigError(f"{function.name} is a lattice already")
        if isinstance(function, classmethod):
            raise ConfigError(f"{function.__name__}: write @classmethod above @ct.lattice, not below it")
        if not callable(function):
            raise ConfigError(f"ct.lattice needs a function, not {function!r}")
        self.function = function
        self.given = given or {}
        self.workflow_executor = workflow_executor
        self.transport_graph: Manifest | None = None
        self._place = place_of(function)
        functools.update_wrapper(self, function, updated=())

    @classmethod
    def of_electron(cls, electron: Any) -> Lattice:
        """A lattice of one electron."""
        return cls(electron)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method: a lattice whose first argument is the instance, which is recorded with it."""
        return self if instance is None else self._with_function(MethodType(self.function, instance), self.given)

    @property
    def code(self) -> CodeType | None:
        """The code of the user's own function, inside decorators and electrons."""
        found = getattr(plain_function(self.function), "__code__", None)
        return found if isinstance(found, CodeType) else None

    def inside(self, defaults: dict[str, Any]) -> Lattice:
        """A copy with the options of the lattice round it where it has none of its own."""
        return self._with_function(self.function, merged(defaults, self.given))

    def _with_function(self, function: Callable[..., Any], given: dict[str, Any]) -> Lattice:
        copy = Lattice(function, given, workflow_executor=self.workflow_executor)
        copy._place = self.place
        return copy

    def build_graph(self, /, *args: Any, **kwargs: Any) -> Manifest:
        """Build the graph without dispatching it; also kept as ``transport_graph``."""
        self.transport_graph = assemble(self, args, kwargs).manifest
        return self.transport_graph

    def draw(self, /, *args: Any, **kwargs: Any) -> Any:
        """The transport graph that these arguments give, before a dispatch: a ``plotly.graph_objects.Figure``.

        ``find="train[C=0.1]"`` zooms to an electron, ``collapse`` says how many equal electrons become one box (False:
        never), ``direction="down"`` draws from top to bottom; where the lattice has a parameter of that
        name, the argument is the lattice's.
        """
        return part("notebook.graph").draw_lattice(self, args, kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "function": self.function,
            "given": carried(self.given),
            "workflow_executor": carried({"executor": self.workflow_executor})["executor"],
            "_place": self.place,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, transport_graph=None)

    def _other_with(self, option: str) -> str:
        return f"make another one, ct.lattice({self.function_name}.function, {option}=...)"

    def __repr__(self) -> str:
        return f"<lattice {self.name}{inspect.signature(self.function) if self.binder.signature else ''}>"


def lattice(
    func: Callable[..., Any] | None = None,
    *,
    executor: Any = None,
    workflow_executor: Any = None,
    deps_bash: Any = None,
    deps_pip: Any = None,
    deps_module: Any = None,
    call_before: Any = None,
    call_after: Any = None,
    triggers: Any = None,
    retries: int | None = None,
    retry_delay: float | None = None,
    timeout: Any = UNSET,
    resources: dict[str, Any] | None = None,
    on_error: str | None = None,
    on_interrupt: str | None = None,
    keep: str | None = None,
    **unknown: Any,
) -> Any:
    """Make a workflow function of a function that calls electrons; with or without parentheses.

    The options are those of its electrons that do not say otherwise, key by key. ``workflow_executor`` runs the
    building of the lattice where it is a sublattice. Everything is resolved at dispatch, nothing now. Raises
    ConfigError for an unknown option or value.
    """
    given = {
        "executor": executor, "deps_bash": deps_bash, "deps_pip": deps_pip, "deps_module": deps_module,
        "call_before": call_before, "call_after": call_after, "retries": retries, "retry_delay": retry_delay,
        "timeout": timeout, "resources": resources, "on_error": on_error, "on_interrupt": on_interrupt, "keep": keep,
        **unknown,
    }  # fmt: skip
    owner = f"lattice {name_of(func)}" if func is not None else "ct.lattice"
    options = checked(given, owner, only=LATTICE_OPTIONS)
    if triggers is not None:
        raise ConfigError(f"{owner}: triggers are not supported, which Covalent has: {ABSENT['triggers']}")
    if workflow_executor is not None:
        workflow_executor = checked({"executor": workflow_executor}, f"{owner}, workflow_executor")["executor"]

    def decorate(function: Callable[..., Any]) -> Lattice:
        return Lattice(function, options, workflow_executor=workflow_executor)

    return decorate if func is None else decorate(func)
