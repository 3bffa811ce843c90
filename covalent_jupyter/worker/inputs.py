"""Inputs of a task: functions by digest, and values, made anew for every electron."""

from __future__ import annotations

import dis
import operator
import sys
import types
from typing import Any

from .. import blobs, codec
from ..errors import DecodeError
from ..model.graph import Input, Lit, Ref, Step, Tpl, Val
from ..model.work import Hole, Output, Pack, Part, Produced, Task
from ..workflow.failed import Failed
from ..workflow.ops import SelectError, select

Buffer = bytes | memoryview
_FIXED = (
    type(None), bool, int, float, complex, str, bytes, types.ModuleType, types.BuiltinFunctionType,
    types.MethodDescriptorType,    type, frozenset, range, type(Ellipsis), type(NotImplemented),
)  # fmt: skip


_EMPTY = object()
_CONTAINERS = frozenset({list, dict, set})
#: a captured container, and what it held
Held = tuple[Any, list[Any]]
#: items of a container that are looked at one by one
_LOOKED_AT = 1000
#: Seconds for which a blob that was written, or compared by this runner, is not read twice: it is in memory.
_TRUSTED = 60.0


class Inputs:
    """The values that a pack brings, and what its tasks have produced so far.

    ``functions`` outlives the pack: functions that have nothing that a call could change are loaded once.
    """

    def __init__(self, pack: Pack, functions: dict[str, Any]) -> None:
        self._pack = pack
        self._functions = functions
        self._values = pack.values
        self.produced: dict[int, Produced] = dict(pack.outputs)

    def blob(self, digest: str) -> Buffer:
        """The bytes of a blob: immutable, or a private map that is the caller's. DecodeError if it is not in reach."""
        data = self._values.get(digest)
        if data is not None:
            return data
        root = self._pack.blob_root
        if root:
            try:
                return blobs.map_blob(root, digest, trusted_for=_TRUSTED)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise DecodeError(f"value {digest[:12]} cannot be read from {root}: {error}") from error
        where = f"in {root}" if root else "with the pack, and no blob folder is in reach of this worker"
        raise DecodeError(f"value {digest[:12]} is missing: it is not {where}")

    def function(self, digest: str) -> Any:
        found = self._functions.get(digest)
        if found is None:
            found = codec.decode_function(self.blob(digest), self.blob)
            if is_fixed(found):
                self._functions[digest] = found
        return found

    def held(self, digest: str, function: types.FunctionType) -> dict[str, Held]:
        """What lists, dicts and sets that the function captured hold before the call; {} where no call can change them."""
        if digest in self._functions:
            return {}
        items = function.__globals__.items()
        return {k: (v, _items(v)) for k, v in items if type(v) in _CONTAINERS and not k.startswith("__")}

    def changed_globals(self, digest: str, function: types.FunctionType, held: dict[str, Held]) -> list[str]:
        """Names that a call has bound anew by ``global``, or whose containers hold something else now: the kernel's
        variables stay as they are."""
        if digest in self._functions:  # it changes none
            if function.__dict__:  # but the call left an attribute on it
                del self._functions[digest]
            return []
        return sorted(_stored_globals(function.__code__) | {name for name, h in held.items() if _has_changed(*h)})

    def can_resolve(self, task: Task) -> bool:
        """Whether every reference of the task has a value."""
        produced = self.produced
        for values in (task.args, task.kwargs.values()):
            for value in values:
                kind = type(value)
                if kind is Ref:
                    if value.node not in produced:  # type: ignore[union-attr]
                        return False
                elif kind is Tpl and any(ref.node not in produced for ref in value.refs):  # type: ignore[union-attr]
                    return False
        return True

    def resolve(self, task: Task) -> tuple[list[Any], dict[str, Any]]:
        """Arguments of the call. DecodeError, or SelectError naming the parameter and the lattice's line."""
        args = [self._place(value, task, position) for position, value in enumerate(task.args)]
        kwargs = {name: self._place(value, task, name) for name, value in task.kwargs.items()}
        return args, kwargs

    def _place(self, value: Input, task: Task, parameter: int | str) -> Any:
        if type(value) is Lit:
            return value.value
        try:
            return self._value(value)
        except SelectError as error:
            name = parameter if isinstance(parameter, str) else f"number {parameter + 1}"
            where = f", line {task.line}" if task.line else ""
            raise SelectError(
                f"argument {name} of {task.name} (node {task.node}) in lattice {self._pack.lattice}{where}: {error}",
                error.step,
            ) from error

    def _value(self, value: Input) -> Any:
        if isinstance(value, Ref):
            return self._select(self.read(self.produced[value.node]), value.path)
        if isinstance(value, Val):
            return codec.decode(self.blob(value.digest))
        if isinstance(value, Tpl):
            whole: dict[int, Any] = {}  # one object for all references to a node: what was one stays one
            slots = []
            for ref in value.refs:
                if ref.node not in whole:
                    whole[ref.node] = self.read(self.produced[ref.node])
                slots.append(self._select(whole[ref.node], ref.path))
            return codec.decode(self.blob(value.digest), slots=slots)
        return value.value

    def read(self, produced: Produced) -> Any:
        """The object that a node or a lattice produced."""
        if isinstance(produced, Output):
            return codec.decode(self._bytes(produced))
        if isinstance(produced, Hole):
            return Failed(produced.error, produced.message, produced.node)
        parts = [self._part(part) for part in produced.parts]
        if produced.template is None:
            return parts[0]
        return codec.decode(self._bytes(produced.template), slots=parts)

    def _part(self, part: Part) -> Any:
        return self._select(self.read(part.value), part.path)

    def _bytes(self, output: Output) -> Buffer:
        return output.data if output.data is not None else self.blob(output.digest)

    def _select(self, value: Any, path: tuple[Step, ...]) -> Any:
        if not path or isinstance(value, Failed):
            return value
        return select(value, path, lambda digest: codec.decode(self.blob(digest)))


def is_fixed(function: Any, depth: int = 0) -> bool:
    """Whether a call can leave nothing behind in the function that another call would see.

    False is always safe: then every electron loads a function of its own.
    """
    if isinstance(function, _FIXED):
        return True
    if isinstance(function, tuple):
        return all(is_fixed(item, depth + 1) for item in function)
    if not isinstance(function, types.FunctionType) or depth > 8:
        return False
    if getattr(sys.modules.get(function.__module__), "__dict__", None) is function.__globals__:
        return True  # by name, from a module that all share anyway
    if function.__dict__ or _leaves_something(function.__code__):
        return False
    cells = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
    names = {name for name in function.__globals__ if not name.startswith("__")}
    values = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values(), *cells]
    values += [function.__globals__[name] for name in names]
    return all(value is function or is_fixed(value, depth + 1) for value in values)


def _items(container: Any) -> list[Any]:
    """The container's items; of a large one their number."""
    if len(container) > _LOOKED_AT:
        return [len(container)]
    return [*container, *container.values()] if type(container) is dict else list(container)


def _has_changed(container: Any, before: list[Any]) -> bool:
    """Whether other objects are in it now; nothing of the user's is called."""
    now = _items(container)
    if len(container) > _LOOKED_AT:
        return now != before
    return len(now) != len(before) or not all(map(operator.is_, now, before))


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not _EMPTY
    except ValueError:
        return False


def _leaves_something(code: types.CodeType) -> bool:
    """Whether the code binds variables of outer functions or globals, or attributes (of a function, say)."""
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if name in ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR"):
            return True
        if name in ("STORE_DEREF", "DELETE_DEREF") and instruction.argval in code.co_freevars:
            return True
    return any(_leaves_something(constant) for constant in code.co_consts if isinstance(constant, types.CodeType))


def _stored_globals(code: types.CodeType) -> set[str]:
    """Names that the code binds by ``global``."""
    operations = ("STORE_GLOBAL", "DELETE_GLOBAL")
    found = {str(instruction.argval) for instruction in dis.get_instructions(code) if instruction.opname in operations}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _stored_globals(constant)
    return found
