"""Options, deps and executors of a build, as data: each table holds every entry once."""

from __future__ import annotations

from typing import Any

import msgspec

from .. import codec
from ..errors import ConfigError
from ..executor_names import BUILT_IN
from ..executors.objects import limits_of
from ..executors.registry import by_name, check_name
from ..model.graph import CallDep, Deps, ExecutorSpec, Options
from .deps import DepsCall, name_of
from .values import Chunks, Encoder

_to_json = msgspec.json.Encoder(order="deterministic").encode
#: what executors of this package share out
_RESOURCES = ("cpu", "gpu", "memory")
_PLAIN = ("retries", "retry_delay", "timeout", "on_interrupt", "on_error", "resources", "keep")


class Resolver:
    """Tables of a manifest."""

    def __init__(self, encoder: Encoder) -> None:
        self.options_table: list[Options] = []
        self.executors_table: list[ExecutorSpec] = []
        self._encoder = encoder
        self._options: dict[bytes, int] = {}
        self._executors: dict[bytes, int] = {}
        self._instances: dict[int, tuple[Any, int]] = {}
        self._plugins: dict[str, Any] = {}
        self._calls: dict[int, tuple[DepsCall, CallDep, str]] = {}
        self._call_keys: dict[CallDep, str] = {}
        self._ignored: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was asked for and will not be done."""
        return tuple(self._ignored)

    def check(self, executor: Any, where: str) -> None:
        """ConfigError if ``executor`` is the name of none."""
        if isinstance(executor, str):
            try:
                check_name(executor)
            except ConfigError as error:
                raise ConfigError(f"{where}: {error}") from error

    def options(self, given: dict[str, Any], name: str) -> tuple[int, Deps]:
        """The index of an electron's options. ``given`` is merged with the lattice's; ``name`` is for errors."""
        deps = self._deps(given, name)
        executor = given.get("executor", "dask")
        chosen = {**limits_of(executor), **{key: given[key] for key in _PLAIN if key in given}}
        options = Options(executor=self._executor(executor, name), deps=deps, **chosen)
        self._note_ignored(options, name)
        key = _to_json(options)
        index = self._options.get(key)
        if index is None:
            index = self._options[key] = len(self.options_table)
            self.options_table.append(options)
        return index, deps

    def _note_ignored(self, options: Options, name: str) -> None:
        spec = self.executors_table[options.executor]
        unknown = [key for key in options.resources if key not in _RESOURCES]
        if unknown and spec.instance is None and spec.name in BUILT_IN:
            self._ignored[
                f"{name}: executor {spec.name!r} knows no resource {', '.join(map(repr, unknown))}, and does not wait for it; "
                f"it knows {', '.join(_RESOURCES)}"
            ] = None

    def key(self, deps: Deps) -> str:
        """The part of a node's key that deps are; calls count by their code, not by their pickle."""
        calls = [f"{self._call_keys[call]}:{call.retval_keyword}" for call in (*deps.before, *deps.after)]
        return _to_json([deps.bash, deps.pip, calls, len(deps.before)]).decode() if deps != _NONE else ""

    def function_chunks(self, function: Any) -> Chunks:
        """The frame of one of our own functions, which goes by name."""
        return codec.encode_function(function)

    def _deps(self, given: dict[str, Any], name: str) -> Deps:
        if not given.keys() & {"deps_bash", "deps_pip", "call_before", "call_after"}:
            return _NONE
        return Deps(
            bash=given["deps_bash"].commands if "deps_bash" in given else (),
            pip=given["deps_pip"].requirements() if "deps_pip" in given else (),
            before=tuple(self._call(call, f"call_before of {name}") for call in given.get("call_before", ())),
            after=tuple(self._call(call, f"call_after of {name}") for call in given.get("call_after", ())),
        )

    def _call(self, call: DepsCall, where: str) -> CallDep:
        known = self._calls.get(id(call))
        if known is None:
            function = (
                getattr(call.func, "function", call.func) if type(call.func).__name__ == "Electron" else call.func
            )
            value, part = self._encoder.value((function, call.args, call.kwargs), where)
            dep = CallDep(value.digest, name_of(function), call.retval_keyword)
            self._call_keys[dep] = part
            known = self._calls[id(call)] = (call, dep, part)
        return known[1]

    def _executor(self, executor: Any, name: str) -> int:
        if isinstance(executor, str) and executor not in BUILT_IN:
            executor = self._plugins.get(executor) or self._plugin(executor, name)
        if not isinstance(executor, str):
            known = self._instances.get(id(executor))
            if known is None:
                known = self._instances[id(executor)] = (executor, self._add(self._spec(executor, name)))
            return known[1]
        return self._add(ExecutorSpec(executor))

    def _plugin(self, short_name: str, name: str) -> Any:
        """The executor that an installed package offers under this name."""
        try:
            made = self._plugins[short_name] = by_name(short_name)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error
        return made

    def _spec(self, executor: Any, name: str) -> ExecutorSpec:
        spec = executor.to_spec(lambda obj: self._encoder.value(obj, f"executor of {name}")[0].digest)
        if not isinstance(spec, ExecutorSpec):
            raise ConfigError(
                f"{name}: to_spec() of executor {executor!r} gave {type(spec).__name__}, not an ExecutorSpec"
            )
        return spec

    def _add(self, spec: ExecutorSpec) -> int:
        key = _to_json([spec.name, spec.options, spec.instance])
        index = self._executors.get(key)
        if index is None:
            index = self._executors[key] = len(self.executors_table)
            self.executors_table.append(spec)
        return index


_NONE = Deps()
