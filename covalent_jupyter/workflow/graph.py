"""The graph while it is built: every call of an electron becomes a node, every operator on a reference too."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from hashlib import sha256
from types import CodeType, FrameType
from typing import Any, Literal, NamedTuple

from ..errors import BuildError, CovalentError
from ..model.graph import Deps, ExecutorSpec, FunctionDef, Input, Lit, Node, Options, Step, refs_of
from ..model.graph import Ref as RefTo
from ..model.wire import sendable
from . import ops
from .annotations import lacking, returns
from .binding import Binder
from .capture import Capture
from .globals import short
from .ops import SIGNS, show_path
from .options import merged, suggest
from .refs import Ref, make
from .resolve import Resolver
from .values import Encoder, literal_of

Kind = Literal["electron", "sublattice", "operator"]

#: The graph that the lattice running in this context writes to.
BUILDING: ContextVar[Graph | None] = ContextVar("BUILDING", default=None)


class Plan(NamedTuple):
    """What every call of one electron has in common."""

    electron: Any  # kept alive, so that its id stays its own
    function: int
    options: int
    name: str
    kind: Kind
    prefix: str  # of the key: code and deps
    binder: Binder | None
    injected: frozenset[str]


class Graph:
    """Nodes of one lattice, and the tables that they point into. ``defaults`` are the lattice's options."""

    def __init__(
        self, name: str, code: CodeType | None, defaults: dict[str, Any], replace: dict[str, Any] | None = None
    ) -> None:
        self.name = name
        self.code = code
        self.defaults = defaults
        self.nodes: list[Node] = []
        self.keys: list[str] = []
        self.functions: list[FunctionDef] = []
        self.capture = Capture()
        self.encoder = Encoder(self.capture.digester.value, self._target_of, self._key_of)
        self.resolver = Resolver(self.encoder)
        self.wait_lines: dict[int, int] = {}
        self.replaced: set[str] = set()
        self._replace = replace or {}
        self._plans: dict[int, Plan] = {}
        self._operators: dict[str, Plan] = {}
        self._function_index: dict[tuple[int, str], tuple[Any, int]] = {}
        self._sublattices: dict[int, tuple[Any, Any]] = {}
        self._picks: dict[str, str] = {}  # digest of a key -> how it was written
        self._unpacked: dict[int, list[Step]] = {}
        self._returns: dict[int, Any] = {}  # function index -> annotation

    # Recording

    def call(self, electron: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ref:
        """The node of one call of an electron."""
        plan = self._plans.get(id(electron)) or self._plan(electron)
        binder = plan.binder
        if binder is None:
            names: tuple[str, ...] = ()
        elif not kwargs and len(args) == binder.exact and not plan.injected:
            names = binder.names
        else:
            names = binder.check(plan.name, args, kwargs, plan.injected)
        return self._record(plan, plan.name, args, kwargs, names)

    def operate(self, operator: str, args: tuple[Any, ...], kwargs: dict[str, Any], label: str = "") -> Ref:
        """The node of an operator, a method call or a NumPy function; ``operator`` names a function of ``ops``."""
        if BUILDING.get() is not self:
            raise self._foreign()
        plan = self._operators.get(operator) or self._operator(operator)
        return self._record(plan, label or plan.name, args, kwargs, ())

    def _record(
        self, plan: Plan, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], names: tuple[str, ...]
    ) -> Ref:
        parts = [plan.prefix]
        inputs: list[Input] = []
        for value in args:
            if type(value) is Ref and value._cj_graph is self:
                ref = value._cj_ref
                inputs.append(ref)
                parts.append(self._key_of(ref) if ref.path else self.keys[ref.node])
                continue
            found = literal_of(value) or self._input(value, plan, name, names, len(inputs))
            inputs.append(found[0])
            parts.append(found[1])
        named: dict[str, Input] = {}
        if kwargs:
            for keyword, value in kwargs.items():
                named[keyword], part = literal_of(value) or self._input(value, plan, name, names, keyword)
                parts.append(f"{keyword}={part}")
            if not (plan.binder is not None and plan.binder.any_keyword):
                parts[len(args) + 1 :] = sorted(parts[len(args) + 1 :])
        try:
            key = sha256("|".join(parts).encode()).hexdigest()
        except UnicodeEncodeError:
            wrong = ", ".join(ascii(keyword) for keyword in kwargs if keyword != sendable(keyword))
            raise BuildError(
                f"{name}: a keyword has a character that UTF-8 cannot carry: {wrong}; pass it in a dict"
            ) from None
        node = len(self.nodes)
        self.nodes.append(
            Node(plan.function, name, plan.kind, inputs, named, plan.options, (), key, self.line(), names)
        )  # fmt: skip
        self.keys.append(key)
        return make(self, RefTo(node))

    def _input(self, value: Any, plan: Plan, name: str, names: tuple[str, ...], at: int | str) -> tuple[Input, str]:
        """Any value but a literal and a reference of this graph."""
        argument = at if isinstance(at, str) else names[at] if at < len(names) else None
        where = f"argument {argument!r} of {name}" if argument is not None else f"operand {int(at) + 1} of {name}"
        if plan.kind == "operator" and isinstance(at, str):
            where = f"keyword {at!r} of {name}"
        return self.input(value, where)

    def input(self, value: Any, where: str) -> tuple[Input, str]:
        """The input that stands for a value, references included, and its part of the key."""
        if type(value) is Ref:
            target = self._target_of(value, where)
            return target, self._key_of(target)
        return self.encoder.input(value, where)

    def _target_of(self, ref: Ref, where: str) -> RefTo:
        if ref._cj_graph is not self:
            raise BuildError(
                f"{where}: {ref!r} belongs to another lattice, or to another building of this one; "
                "pass values between lattices as arguments and results"
            )
        return ref._cj_ref

    def _key_of(self, ref: RefTo) -> str:
        key = self.keys[ref.node]
        return f"{key}{list(ref.path)!r}" if ref.path else key

    def line(self) -> int:
        """The line of the lattice that runs now; 0 where that is not known."""
        code = self.code
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            if frame.f_code is code:
                return frame.f_lineno
            frame = frame.f_back
        return 0

    def close(self) -> None:
        """The lattice is built: its references can still say what they are, and no more."""
        self.encoder.close()
        self.capture = Capture()
        self._plans, self._operators, self._function_index, self._sublattices = {}, {}, {}, {}

    # What references ask (refs.Recorder)

    def describe(self, ref: RefTo) -> str:
        node = self.nodes[ref.node]
        what = "result of" if node.kind != "operator" else "operator"
        return f"{what} {node.name} (node {ref.node} of {self.name}){self._shown(ref.path)}"

    def _shown(self, path: tuple[Step, ...]) -> str:
        steps = (self._picks.get(str(step[1])) if step[0] == "pick" else None for step in path)
        return "".join(text or show_path([step]) for text, step in zip(steps, path, strict=True))

    def select(self, ref: Ref, key: Any) -> Ref:
        """``ref[key]`` for a key that is neither a string nor a small int."""
        if BUILDING.get() is not self:
            raise self._foreign()
        old = ref._cj_ref
        found = literal_of(key) if type(key) in (float, bool, type(None)) else None
        if found is not None:
            return make(self, RefTo(old.node, (*old.path, ("item", found[0].value))))
        value, _ = self.input(key, f"the key of {self.describe(old)}")
        if refs_of(value):
            return self.operate("getitem", (ref, key), {})
        if isinstance(value, Lit):
            value, _ = self.encoder.value(key, "key")
        assert not isinstance(value, (RefTo, Lit))
        self._picks[value.digest] = f"[{short(key)}]"
        return make(self, RefTo(old.node, (*old.path, ("pick", value.digest))))

    def unpack(self, ref: Ref, count: int) -> list[Ref]:
        """The references of ``a, b = ref``."""
        if BUILDING.get() is not self:
            raise self._foreign()
        if count not in self._unpacked:
            steps: list[Step] = [
                ("pick", self.encoder.value(ops.Unpack(i, count), "key")[0].digest) for i in range(count)
            ]
            self._unpacked[count] = steps
            self._picks.update((str(digest), f"[{i} of {count}]") for i, (_, digest) in enumerate(steps))
        old = ref._cj_ref
        return [make(self, RefTo(old.node, (*old.path, step))) for step in self._unpacked[count]]

    def check_attribute(self, ref: RefTo, name: str) -> None:
        if ref.path:
            return
        index = self.nodes[ref.node].function
        annotation = self._returns.get(index)
        if annotation is not None and (problem := lacking(annotation, name)):
            raise BuildError(f"{self.describe(ref)}: by its return annotation, {problem}")

    # Tables

    def _plan(self, electron: Any) -> Plan:
        chosen = electron
        for label in dict.fromkeys((electron.name, electron.function_name)):
            if label in self._replace:
                self.replaced.add(label)
                chosen = self._replace[label]
                break
        given = merged(self.defaults, chosen.given)
        function = self._described(chosen)
        if function not in self._returns:
            self._returns[function] = returns(chosen.function)
        options, deps = self.resolver.options(given, chosen.name)
        injected = frozenset(call.retval_keyword for call in deps.before if call.retval_keyword)
        modules = tuple(module.name for module in given.get("deps_module", ()))
        self._reach(modules, chosen.name)
        code = self.functions[function].code
        plan = Plan(
            electron, function, options, chosen.name, chosen.kind, self._prefix(code, deps, modules),
            chosen.binder, injected,
        )  # fmt: skip
        self._plans[id(electron)] = plan
        return plan

    def _prefix(self, code: str, deps: Deps, modules: tuple[str, ...]) -> str:
        return f"{code}|{self.resolver.key(deps)}|{','.join(map(self.capture.modules.digest, modules))}"

    def _reach(self, modules: tuple[str, ...], name: str) -> None:
        for module in modules:
            if self.capture.modules.find(module) is None and module not in sys.modules:
                raise BuildError(f"deps_module of {name}: there is no local module {module!r} on sys.path")
        self.capture.reach(modules)

    def _described(self, electron: Any) -> int:
        target = electron.function
        if electron.kind == "sublattice":
            known = self._sublattices.get(id(target))
            if known is None:  # what the inner lattice does not say comes from this one
                known = self._sublattices[id(target)] = (target, target.inside(self.defaults))
            target = known[1]
        key = (id(target), electron.function_name)
        found = self._function_index.get(key)
        if found is None:
            definition, blobs = self.capture.describe_function(
                target, name=electron.function_name, place=electron.place
            )
            self.encoder.add_all(blobs.items())
            found = self._function_index[key] = (target, len(self.functions))
            self.functions.append(definition)
        return found[1]

    def _operator(self, operator: str) -> Plan:
        function = getattr(ops, operator)
        digest = self.encoder.add(self.resolver.function_chunks(function))
        code = sha256(f"covalent operator {operator} 1".encode()).hexdigest()
        self.functions.append(FunctionDef(digest, code, operator))
        given = {k: v for k, v in self.defaults.items() if k not in ("call_before", "call_after")}
        options, deps = self.resolver.options(given, SIGNS[operator])
        plan = Plan(
            function, len(self.functions) - 1, options, SIGNS[operator], "operator", self._prefix(code, deps, ()),
            None, frozenset(),
        )  # fmt: skip
        self._operators[operator] = plan
        return plan

    @property
    def options(self) -> list[Options]:
        return self.resolver.options_table

    @property
    def executors(self) -> list[ExecutorSpec]:
        return self.resolver.executors_table

    # Waiting

    def wait(self, child: RefTo, parents: list[RefTo]) -> None:
        """``child`` runs after ``parents`` although it takes nothing from them."""
        node = self.nodes[child.node]
        node.after = tuple(dict.fromkeys((*node.after, *(parent.node for parent in parents))))
        self.wait_lines[child.node] = self.line()

    def check_acyclic(self) -> None:
        """BuildError naming the nodes of a cycle; only ``wait`` can make one."""
        waiting = {i for i in self.wait_lines if any(j >= i for j in self.nodes[i].after)}
        for start in sorted(waiting):
            cycle = self._cycle_through(start)
            if cycle:
                shown = " -> ".join(f"{self.nodes[i].name} (node {i})" for i in cycle)
                raise BuildError(
                    f"lattice {self.name}, line {self.wait_lines[start]}: ct.wait closes a cycle, in which each waits "
                    f"for the next: {shown}"
                )

    def _cycle_through(self, start: int) -> list[int]:
        came_from: dict[int, int] = {}
        stack = [start]
        while stack:
            current = stack.pop()
            for other in self._needs(current):
                if other == start:
                    path = [current]
                    while path[-1] != start:
                        path.append(came_from[path[-1]])
                    return [*reversed(path), start]
                if other not in came_from:
                    came_from[other] = current
                    stack.append(other)
        return []

    def _needs(self, index: int) -> list[int]:
        node = self.nodes[index]
        found = list(node.after)
        for value in (*node.args, *node.kwargs.values()):
            found.extend(ref.node for ref in refs_of(value))
        return found

    # Errors

    def check_replaced(self) -> None:
        unknown = [name for name in self._replace if name not in self.replaced]
        if unknown:
            known = sorted({node.name for node in self.nodes if node.kind != "operator"})
            named = f"{', '.join(map(repr, unknown))}{suggest(unknown[0], known)}"
            raise BuildError(
                f"no electron of lattice {self.name} is called {named}; it has {', '.join(known) or 'none'}"
            )

    def _foreign(self) -> CovalentError:
        return BuildError(
            f"a value of lattice {self.name} is used outside of it: its graph is finished; "
            "dispatch the lattice and use its result"
        )
