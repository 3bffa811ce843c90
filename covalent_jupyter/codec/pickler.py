"""The pickler: everything by reference that another process can import, the rest by value with cloudpickle."""

from __future__ import annotations

import copyreg
import io
import operator
import pickle
import sys
from collections.abc import Callable
from functools import cache, lru_cache
from importlib import import_module
from types import CodeType, FunctionType, MemberDescriptorType, MethodDescriptorType, ModuleType
from typing import Any

from ..errors import EncodeError
from . import culprit, source
from .tables import reduce_table

_UNVERSIONED = sys.stdlib_module_names | {__name__.partition(".")[0]}
_NO_FILE = "<dynamic-code>"
_Cached = type(lru_cache(lambda: None))
_REFUSED = (io.FileIO, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.TextIOWrapper)


def new_pickler(
    file: io.BytesIO, on_buffer: Callable[[Any], Any], id_of: Callable[[Any], Any] | None, local_modules: frozenset[str]
) -> Any:
    """A pickler; ``id_of`` gives persistent ids, ``local_modules`` names modules that count as importable."""
    pickler = _pickler_class(id_of is not None)(file, on_buffer)
    if id_of is not None:
        pickler.id_of = id_of
    if local_modules:
        pickler.local_modules = local_modules
    return pickler


@cache
def _pickler_class(persistent: bool) -> Any:
    """The pickler, made when first needed: most processes that import this never need cloudpickle."""
    import cloudpickle

    by_value = cloudpickle.list_registry_pickle_by_value

    class Pickler(cloudpickle.Pickler):
        """C pickler; cloudpickle for what other processes cannot import."""

        has_code = False
        local_modules: frozenset[str] = frozenset()

        def __init__(self, file: Any, on_buffer: Callable[[Any], Any]) -> None:
            pickle.Pickler.__init__(self, file, 5, buffer_callback=on_buffer)
            self.globals_ref: dict[int, Any] = {}  # this and ``proto`` are what cloudpickle's own __init__ sets
            self.proto = 5
            self.modules: set[str] = set()
            self.forced: list[str] = []
            self.arrow: list[pickle.PickleBuffer] = []  # buffers that are Arrow streams
            self.lines: set[tuple[str, int]] = set()

        def reducer_override(self, obj: Any) -> Any:
            kind = type(obj)
            if kind is FunctionType or issubclass(kind, type):
                return self.reduce_code(obj, kind)
            if issubclass(kind, _REFUSED):
                raise EncodeError(f"{culprit.type_name(obj)} cannot be pickled")
            if kind is ModuleType:
                return self.reduce_module(obj)
            if kind is CodeType:
                return self.reduce_code_object(obj)
            if kind is _Cached and not self.by_name(obj):
                return _cache_again, (obj.__wrapped__, obj.cache_parameters())
            if issubclass(kind, BaseException):
                return _reduce_exception(obj, kind)
            module = kind.__module__
            if type(module) is str:
                if module.startswith("torch"):
                    return _reduce_tensor(obj)
                if module.startswith(("pandas", "pyarrow")):
                    return self.reduce_table(obj, module)
            return NotImplemented

        def by_name(self, obj: Any) -> bool:
            module = obj.__module__
            return (module in self.local_modules or module_importable(module)) and steps_to(obj, module) == ()

        def reduce_code(self, obj: Any, kind: type) -> Any:
            module = getattr(obj, "__module__", None)
            if type(module) is str:
                self.modules.add(module)
                if module in self.local_modules or module_importable(module):
                    if _lookup(module, obj.__qualname__) is obj and not by_value():
                        return NotImplemented
                    if kind is FunctionType and (steps := steps_to(obj, module)):
                        return _follow, (module, obj.__qualname__, steps)
                else:
                    self.force_by_value(module)
            reduced = super().reducer_override(obj)
            if reduced is not NotImplemented and reduced[0] is not type:
                self.has_code = True
                if kind is not FunctionType:
                    return _with_slots(obj, reduced)
            return reduced

        def reduce_table(self, obj: Any, module: str) -> Any:
            reduced = reduce_table(obj, module, self.arrow)
            if reduced is not NotImplemented:
                self.modules.update(("pyarrow", module))
            return reduced

        def reduce_code_object(self, obj: CodeType) -> Any:
            """With its file's name, which some cloudpickles leave out, and the lines of a cell: so that a traceback is
            the user's own wherever it is raised."""
            make, arguments = cloudpickle.Pickler.dispatch_table[CodeType](obj)
            arguments = tuple(obj.co_filename if a == _NO_FILE else a for a in arguments)
            first, text = source.lines_of(obj)
            if text and (obj.co_filename, first) not in self.lines:
                self.lines.add((obj.co_filename, first))
                self.lines.update((obj.co_filename, first + n) for n in range(text.count("\n")))
                return source.with_lines, (arguments, first, text)
            return make, arguments

        def reduce_module(self, obj: ModuleType) -> Any:
            self.modules.add(obj.__name__)
            if obj.__name__ not in self.local_modules and not module_importable(obj.__name__):
                self.force_by_value(obj.__name__)
                self.has_code = True
            return NotImplemented  # cloudpickle's dispatch table has modules

        def force_by_value(self, module: str) -> None:
            """cloudpickle takes everything in ``sys.modules`` for importable elsewhere."""
            found = sys.modules.get(module)
            if found is not None and module != "__main__" and module not in by_value():
                cloudpickle.register_pickle_by_value(found)
                self.forced.append(module)

        def restore(self) -> None:
            for module in self.forced:
                if module in by_value():
                    cloudpickle.unregister_pickle_by_value(sys.modules[module])
            self.forced.clear()

    if not persistent:
        return Pickler

    class PersistentPickler(Pickler):
        """Writes ids for some objects."""

        id_of: Callable[[Any], Any]

        def persistent_id(self, obj: Any) -> Any:
            return self.id_of(obj)

    return PersistentPickler


@cache
def module_importable(module: str) -> bool:
    """Whether a fresh process with this ``sys.path`` could import the module by its name."""
    top = module.partition(".")[0]
    if module in ("__main__", "__mp_main__") or getattr(sys.modules.get(module), "__spec__", None) is None:
        return module in sys.builtin_module_names
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is not None and find(top, None) is not None:
            return True
    return False


def importable(obj: Any) -> bool:
    """Whether a function or class goes by reference: another process can import it by its name."""
    module = getattr(obj, "__module__", None)
    if not isinstance(module, str) or not module_importable(module):
        return False
    return module == "builtins" or steps_to(obj, module) is not None  # ``types.FunctionType`` is builtins.function


def _lookup(module: str, qualname: str) -> Any:
    obj: Any = sys.modules.get(module)
    for part in qualname.split("."):
        obj = getattr(obj, part, None)
        if obj is None:
            return None
    return obj


def steps_to(obj: Any, module: str) -> tuple[str, ...] | None:
    """How ``module.<qualname of obj>`` leads to the object: () at once, else through the attributes that decorators
    (an electron's ``function``, a ``__wrapped__``) hide it behind; None if it does not."""
    qualname = getattr(obj, "__qualname__", None)
    if not isinstance(qualname, str) or "<locals>" in qualname:
        return None
    found, steps = _lookup(module, qualname), list[str]()
    while found is not obj and found is not None and len(steps) < 10:
        inside = getattr(found, "__dict__", {})
        step = "__wrapped__" if "__wrapped__" in inside and type(found) is FunctionType else "function"
        if getattr(found, step, None) is None:
            step = "__wrapped__"
        found = getattr(found, step, None)
        steps.append(step)
    return tuple(steps) if found is obj else None


def _follow(module: str, qualname: str, steps: tuple[str, ...]) -> Any:
    import_module(module)
    found = _lookup(module, qualname)
    for step in steps:
        found = getattr(found, step)
    return found


def _reduce_exception(obj: BaseException, kind: type[BaseException]) -> Any:
    """Exceptions that say themselves how they are pickled are left to it; see ``_made_again`` for the others."""
    registered = copyreg.dispatch_table.get(kind)
    if registered is not None and not _is_tblibs(registered):
        return NotImplemented
    if type(kind.__reduce__) is MethodDescriptorType and FunctionType in (type(kind.__init__), type(kind.__new__)):
        reduced: Any = obj.__reduce_ex__(5)
        if reduced[0] is kind:
            return _made_again, (kind, reduced[1]), *reduced[2:]
    return NotImplemented if registered is None else obj.__reduce_ex__(5)


def _made_again(kind: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    """An exception with these ``args``, also where its own ``__init__`` takes others than it hands to ``Exception``: then
    without calling it. Attributes follow as the state."""
    try:
        made = kind(*arguments)
        if len(made.args) == len(arguments) and all(map(operator.is_, made.args, arguments)):
            return made
    except Exception:  # border: the user's __init__
        pass
    builtin = kind
    while builtin.__module__ != "builtins":
        builtin = builtin.__base__  # type: ignore[assignment]
    made = builtin.__new__(kind, *arguments)
    builtin.__init__(made, *arguments)
    return made


def _is_tblibs(reduce: Any) -> bool:
    """Whether exceptions are pickled by tblib: importing distributed sees to that, for the whole process. They would bring their
    traceback and causes along, and be other bytes than where distributed was not imported."""
    return str(getattr(reduce, "__module__", "")).partition(".")[0] == "tblib"


def _cache_again(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """``functools.lru_cache`` around a function by value, empty; its own pickle is a name in ``__main__``."""
    return lru_cache(**parameters)(function)


def _with_slots(cls: type, reduced: Any) -> Any:
    """How a class by value is made, with its slots: cloudpickle sets ``__slots__`` on the finished class, whose instances then have
    a ``__dict__`` after all, and do not fit the class in the process that it came from."""
    if getattr(reduced[0], "__name__", "") != "_make_skeleton_class":
        return reduced
    make, arguments, (attributes, rest), *others = reduced
    for name, value in list(attributes.items()):
        if name == "__slotnames__" or (type(value) is MemberDescriptorType and value.__objclass__ is cls):
            del attributes[name]  # what Python makes of the slots by itself
    if "__slots__" in attributes and not (issubclass(cls, tuple) and hasattr(cls, "_fields")):  # NamedTuple has its own
        constructor, name, bases, given, *more = arguments
        arguments = (constructor, name, bases, {**given, "__slots__": attributes.pop("__slots__")}, *more)
    return make, arguments, (attributes, rest), *others


def _reduce_tensor(obj: Any) -> Any:
    """Tensors of a GPU travel through the CPU's memory; see ``_place_tensor``."""
    device = str(getattr(obj, "device", "cpu"))
    if device.partition(":")[0] in ("cpu", "meta") or not hasattr(obj, "detach") or not hasattr(obj, "cpu"):
        return NotImplemented
    return _place_tensor, (obj.detach().cpu(), device, bool(obj.requires_grad), type(obj).__name__ == "Parameter")


def _place_tensor(tensor: Any, device: str, requires_grad: bool, parameter: bool) -> Any:
    """On its device again where this process has one of that kind, else on the CPU."""
    torch = sys.modules["torch"]
    kind = device.partition(":")[0]
    backend = getattr(torch, kind, None)
    if backend is not None and backend.is_available():
        tensor = tensor.to(kind)
    if parameter:
        return torch.nn.Parameter(tensor, requires_grad)
    return tensor.requires_grad_(requires_grad) if requires_grad else tensor


@cache
def cloudpickle_version() -> str:
    """Version of the cloudpickle of this process."""
    import cloudpickle

    return str(cloudpickle.__version__)


def versions_of(modules: set[str]) -> dict[str, str]:
    """Versions of the installed packages that these modules belong to, where they say so."""
    packages = {}
    for name in {module.partition(".")[0] for module in modules}:
        if name not in _UNVERSIONED:
            version = getattr(sys.modules.get(name), "__version__", None)
            if isinstance(version, str):
                packages[name] = version
    return packages
