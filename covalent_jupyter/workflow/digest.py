"""The digest of a function's code: it changes if and only if what the function does may change.

Taken over normalised bytecode, constants, defaults, closure values, and over the functions, classes, globals
and local modules that the function reaches. File names, line numbers, comments, docstrings, pickles, the
process and the seed of hashes do not show in it.
"""

from __future__ import annotations

import builtins
import copyreg
import hashlib
import struct
from collections.abc import Iterable
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

from .. import codec
from ..errors import BuildError, EncodeError
from .bytecode import Chain, facts, normal_form
from .localmodules import LocalModules, package_version
from .slices import absolute

_MOST = 20_000  # objects of one value that are looked at one by one; beyond it the value's frame is hashed
_DEEPEST = 100
_MODULE_NOTES = frozenset(
    {
        "__name__",
        "__file__",
        "__spec__",
        "__builtins__",
        "__doc__",
        "__package__",
        "__loader__",
        "__path__",
        "__debug__",
    }
)
_CLASS_NOISE = frozenset(
    "__dict__ __weakref__ __doc__ __module__ __qualname__ __firstlineno__ __static_attributes__ _abc_impl "
    "__abstractmethods__ __annotate_func__ __annotations_cache__ __slotnames__".split()
)
_SCALARS = frozenset({int, bool, type(None), complex, type(Ellipsis), type(NotImplemented), range})
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset})
_WRAPPERS = (staticmethod, classmethod)


class _TooLarge(Exception):
    """The value has too many parts to be looked at one by one."""


class Digester:
    """Digests of one build. It remembers values by identity, so that one large value is read once per build."""

    def __init__(self, modules: LocalModules | None = None) -> None:
        self.modules = modules if modules is not None else LocalModules()
        self._values: dict[int, tuple[Any, str]] = {}
        self._codes: dict[int, tuple[Any, str]] = {}

    def code(self, function: Any) -> str:
        """The code digest of a function, class, partial, bound method, callable object, electron or lattice."""
        known = self._codes.get(id(function))
        if known is None:
            known = (function, _Walk(self).run(function))
            self._codes[id(function)] = known
        return known[1]

    def value(self, obj: Any) -> str:
        """A digest of the value's contents: the same in every process, and for sets in any order.

        Functions and classes in it count by their code. Raises EncodeError only where the value is too large to be
        looked at part by part and cannot be pickled either.
        """
        known = self._values.get(id(obj))
        if known is None:
            try:
                text = _Walk(self).run(obj)
            except _TooLarge:
                text = codec.digest_of(codec.encode(obj))
            known = (obj, text)
            self._values[id(obj)] = known
        return known[1]

    def remember(self, obj: Any, digest: str) -> None:
        """Let ``digest`` stand for the contents of a large captured value, so that it is not read again."""
        self._values[id(obj)] = (obj, digest)

    def known_value(self, obj: Any) -> str | None:
        """The digest of a large value where this build has computed one."""
        known = self._values.get(id(obj))
        return known[1] if known is not None else None


def code_digest(function: Any, digester: Digester | None = None) -> str:
    """The code digest of ``function`` as things are now; see the module's docstring."""
    return (digester or Digester()).code(function)


def value_digest(obj: Any, digester: Digester | None = None) -> str:
    """A digest of the contents of a value that other processes find too; see :meth:`Digester.value`."""
    return (digester or Digester()).value(obj)


class _Walk:
    """One traversal. Functions and classes get numbers in the order in which they are found, so cycles need no care."""

    def __init__(self, digester: Digester) -> None:
        self.digester = digester
        self.modules = digester.modules
        self.state = hashlib.sha256()
        self.numbers: dict[int, int] = {}
        self.queue: list[Any] = []
        self.stack: dict[int, int] = {}  # data being looked at -> depth
        self.count = 0
        self.keep: list[Any] = []

    def run(self, root: Any) -> str:
        self.feed(root)
        at = 0
        while at < len(self.queue):
            obj = self.queue[at]
            at += 1
            self.say("define")
            if isinstance(obj, FunctionType):
                self.function(obj)
            elif isinstance(obj, ModuleType):
                self.items("module", [(k, v) for k, v in sorted(vars(obj).items()) if k not in _MODULE_NOTES])
            else:
                self.class_(obj)
        return self.state.hexdigest()

    def say(self, *words: Any) -> None:
        """Write words so that no two sequences of words look the same."""
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogatepass")
            self.state.update(b"%d:" % len(data))
            self.state.update(data)

    # Values

    def feed(self, obj: Any) -> None:
        """Write any object."""
        kind = type(obj)
        if kind is str:
            self.say("s", obj)
        elif kind in _SCALARS:
            self.say(kind.__name__, repr(obj))
        elif kind is float:
            self.say("f", struct.pack("<d", obj))
        elif kind is bytes or kind is bytearray:
            self.say(kind.__name__, obj)
        elif kind is FunctionType or isinstance(obj, (type, ModuleType)):
            self.code(obj)
        else:
            self.composite(obj, kind)

    def composite(self, obj: Any, kind: type) -> None:
        self.count += len(obj) if kind in _CONTAINERS else 1
        if self.count > _MOST or len(self.stack) > _DEEPEST:
            raise _TooLarge
        key = id(obj)
        if key in self.stack:
            self.say("above", len(self.stack) - self.stack[key])
            return
        self.stack[key] = len(self.stack)
        self.keep.append(obj)
        try:
            self.contents(obj, kind)
        finally:
            del self.stack[key]

    def contents(self, obj: Any, kind: type) -> None:
        if kind is list or kind is tuple:
            self.say(kind.__name__, len(obj))
            for item in obj:
                self.feed(item)
        elif kind is dict or kind is MappingProxyType:
            self.say("dict", len(obj))
            for name, value in obj.items():
                self.feed(name)
                self.feed(value)
        elif kind is set or kind is frozenset:
            self.say(kind.__name__, *sorted(_Walk(self.digester).run(item) for item in obj))
        elif kind.__name__ == "ndarray" and kind.__module__ == "numpy":
            self.array(obj)
        elif kind is codec.PickleBuffer:
            self.say("buffer", hashlib.sha256(obj.raw()).digest())
        elif kind is MethodType:
            self.say("method")
            self.feed(obj.__func__)
            self.feed(obj.__self__)
        elif kind is CellType:
            self.cell(obj)
        elif kind is CodeType:
            self.say("code", normal_form(obj))
        elif kind is property:
            self.items("property", [("", part) for part in (obj.fget, obj.fset, obj.fdel)])
        elif isinstance(obj, _WRAPPERS):
            self.items(kind.__name__, [("", obj.__func__)])
        elif isinstance(obj, (MemberDescriptorType, GetSetDescriptorType)):
            self.say("descriptor", obj.__name__)
        elif kind is BuiltinFunctionType:
            self.builtin(obj)
        else:
            self.instance(obj, kind)

    def array(self, obj: Any) -> None:
        order = "F" if obj.flags.f_contiguous and not obj.flags.c_contiguous else "C"
        self.say("ndarray", obj.shape, order)
        self.feed(obj.dtype)
        if obj.dtype.hasobject:
            if obj.size > _MOST:
                raise _TooLarge
            for item in obj.ravel().tolist():
                self.feed(item)
        else:
            flat = obj.ravel(order="K") if order == "F" else obj.ravel()
            self.say(hashlib.sha256(memoryview(flat.view("u1"))).digest() if flat.size and flat.itemsize else b"")

    def cell(self, cell: CellType) -> None:
        try:
            value = cell.cell_contents
        except ValueError:
            self.say("empty cell")
        else:
            self.say("cell")
            self.data(value)

    def builtin(self, obj: Any) -> None:
        owner = getattr(obj, "__self__", None)
        if owner is None or isinstance(owner, ModuleType):
            self.library(obj.__module__ or "builtins", obj.__qualname__)
        else:
            self.say("bound builtin", obj.__name__)
            self.feed(owner)

    def instance(self, obj: Any, kind: type) -> None:
        """An object: its class, and what its pickle would say; an electron is its function."""
        if kind.__name__ in ("Electron", "Lattice") and (inner := getattr(obj, "function", None)) is not None:
            self.say(kind.__name__)
            self.feed(inner)
            return
        self.say("instance")
        self.feed(kind)
        try:
            registered = copyreg.dispatch_table.get(kind)
            reduced = registered(obj) if registered is not None else obj.__reduce_ex__(5)
        except BuildError:
            raise
        except Exception:  # border: the object's own code; what cannot be pickled is reported when it is encoded
            self.attributes(obj)
            return
        if isinstance(reduced, str):
            self.say("global", getattr(obj, "__module__", ""), reduced)
            self.attributes(obj)
            return
        make, arguments, *rest = (*reduced, None, None, None)[:5]
        self.feed(make)
        self.feed(arguments)
        self.feed(rest[0])
        if rest[1] is not None:
            self.feed(list(rest[1]))
        if rest[2] is not None:
            self.feed(dict(rest[2]))

    def attributes(self, obj: Any) -> None:
        attributes = getattr(obj, "__dict__", None)
        if isinstance(attributes, dict):
            self.items("attributes", sorted(attributes.items(), key=lambda item: str(item[0])))

    def items(self, word: str, items: Iterable[tuple[str, Any]]) -> None:
        self.say(word)
        for name, value in items:
            self.say(name)
            self.feed(value)

    # Code

    def code(self, obj: Any) -> None:
        """Refer to a function, class or module: a library's by name, a local module's by its source, else by number."""
        if isinstance(obj, ModuleType):
            self.module(obj, frozenset({()}))
            return
        module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", "")
        if isinstance(module, str) and module not in ("__main__", "__mp_main__"):
            if self.modules.find(module) is not None:
                if "<locals>" not in name and codec.steps_to(obj, module) is not None:
                    self.say("local", name, self.modules.digest(module, (name.partition(".")[0],)))
                    return
            elif codec.importable(obj):
                self.library(module, name)
                return
        number = self.numbers.get(id(obj))
        if number is None:
            number = self.numbers[id(obj)] = len(self.numbers)
            self.queue.append(obj)
        self.say("number", number)

    def library(self, module: str, name: str) -> None:
        self.say("library", module, name, package_version(module))

    def module(self, module: ModuleType, chains: frozenset[Chain]) -> None:
        name = module.__name__
        if self.modules.find(name) is not None:
            for chain in sorted(chains):
                self.say("local module", *chain, self.modules.digest(name, chain))
        elif codec.module_importable(name):
            self.library(name, "")
        elif id(module) not in self.numbers:  # made in this process: goes by value
            self.numbers[id(module)] = len(self.numbers)
            self.queue.append(module)
            self.say("number", self.numbers[id(module)])
        else:
            self.say("number", self.numbers[id(module)])

    def function(self, function: FunctionType) -> None:
        code = function.__code__
        self.say("function", normal_form(code))
        self.data(function.__defaults__)
        self.data(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            self.cell(cell)
        known = facts(code)
        for name, chains in known.loads.items():
            if name not in _MODULE_NOTES:
                self.global_(function, name, chains)
        for wanted in known.imports:
            self.imported(function, wanted.level, wanted.name, wanted.names)
        for name, value in sorted(vars(function).items()):
            self.say("attribute", name)
            self.data(value)

    def global_(self, function: FunctionType, name: str, chains: frozenset[Chain]) -> None:
        self.say("global", name)
        scope = function.__globals__
        if name not in scope:
            self.say("builtin" if hasattr(builtins, name) else "missing")
        elif isinstance(value := scope[name], ModuleType):
            self.module(value, chains)
        else:
            self.data(value)

    def data(self, value: Any) -> None:
        """A captured value, each with the same bound on what is looked at one by one."""
        if (known := self.digester.known_value(value)) is not None:
            self.say("value", known)
            return
        before, self.count = self.count, 0
        try:
            self.feed(value)
        except _TooLarge:
            if self.stack:  # a part of a larger one, which stops as a whole
                raise
            self.say("large", self._frame_digest(value))
        finally:
            self.count += before

    def _frame_digest(self, value: Any) -> str:
        try:
            digest = codec.digest_of(codec.encode(value))
        except EncodeError:  # reported, with the path to it, when the function is encoded
            digest = f"opaque {type(value).__qualname__}"
        self.digester.remember(value, digest)
        return digest

    def imported(self, function: FunctionType, level: int, name: str, names: tuple[str, ...]) -> None:
        package = str(function.__globals__.get("__package__") or "")
        target = absolute(level, name, package)
        if self.modules.find(target) is None:
            self.library(target, ",".join(names))
            return
        chains: list[Chain] = [(item,) for item in names if item != "*"]
        for chain in chains or [()]:
            self.say("import", target, *chain, self.modules.digest(target, chain))

    def class_(self, cls: type) -> None:
        self.say("class", cls.__name__)
        self.feed(type(cls))
        for base in cls.__bases__:
            self.feed(base)
        members = [(name, value) for name, value in vars(cls).items() if name not in _CLASS_NOISE]
        for name, value in sorted(members):
            self.say("member", name)
            self.data(value)
