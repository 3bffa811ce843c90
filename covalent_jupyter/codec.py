"""Values and functions as bytes: the only file that pickles. Kernel and workers import it, the service never.

A *value frame* is::

    magic "CJV1"  version  Python major, minor  flags  crc32  length of notes  number of buffers  length of pickle
    notes (JSON: cloudpickle's version, versions of packages that the pickle names)
    lengths of the buffers (8 bytes each)
    pickle (protocol 5)
    buffers, each at a multiple of 64 bytes from the start of the frame

Buffers (the memory of arrays) are not copied when a frame is made, and not when it is decoded from a
private map of a file. Functions and classes that another process cannot import (those of a notebook) go by
value, with cloudpickle; everything else by reference. Decoding needs the same Python minor only where code
went by value.
"""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zlib
from functools import lru_cache
from importlib import import_module
from pickle import PickleBuffer as PickleBuffer
from types import FunctionType, ModuleType
from typing import Any, Callable, Iterable, Sequence, Union

import msgspec

from . import culprit
from .blobs import digest_of as digest_of  # the digest of a value is that of its blob
from .errors import BuildError, DecodeError, EncodeError

Buffer = Union[bytes, bytearray, memoryview]

MAGIC = b"CJV1"
VERSION = 1
ALIGN = 64
CODE = 1  # flag: functions or classes went by value
SLOTS = 2  # flag: has slots, see ``encode(slot_of=...)``

_HEAD = struct.Struct("<4sBBBBIIIQ")
_PYTHON = (sys.version_info.major, sys.version_info.minor)
_PLAIN = frozenset({int, float, complex, str, bool, type(None)})
_SMALL = 1 << 16  # bytes: a frame up to this size is one chunk
_ZEROS = bytes(ALIGN)
_UNVERSIONED = sys.stdlib_module_names | {__name__.partition(".")[0]}


class Notes(msgspec.Struct, omit_defaults=True):
    """What the frame says about how it was made; ``packages`` maps modules to versions."""

    cloudpickle: str = ""
    packages: dict[str, str] = {}


_notes_decoder = msgspec.json.Decoder(Notes)


# Making frames


def encode(
    obj: Any,
    *,
    slot_of: Callable[[Any], int | None] | None = None,
    name: str = "value",
    modules: set[str] | None = None,
) -> list[Buffer]:
    """The chunks of the value's frame; large ones are the memory of the value itself, so use them at once.

    ``slot_of`` may give a number for an object: then only the number is written, and ``decode`` puts
    ``slots[number]`` there. ``name`` is what an error calls the value. ``modules`` collects the names of the
    modules whose functions and classes the frame names: loading it imports them.

    Raises EncodeError naming the path to what cannot be pickled; a BuildError that an object raises when it is
    pickled (a reference to an electron's output) is passed on with the path.
    """
    if slot_of is None and type(obj) in _PLAIN:
        return [_plain_frame(obj)]
    return _encode(obj, None if slot_of is None else _Slots(slot_of), name, modules=modules)


def encode_function(
    function: Any,
    local_modules: Iterable[str] = (),
    *,
    external: Callable[[Any], str | None] | None = None,
    name: str = "",
    modules: set[str] | None = None,
) -> list[Buffer]:
    """The chunks of a function's frame.

    Functions and classes of ``__main__``, and of modules that cannot be imported by name elsewhere, go by value;
    those of ``local_modules`` (names; the runner has their snapshot) and of installed packages by reference.
    ``external`` may give the digest of a captured object's own blob: then only the digest is written.
    """
    persistent = None if external is None else _External(external)
    name = name or getattr(function, "__name__", "function")
    return _encode(function, persistent, name, frozenset(local_modules), modules)


def encode_exception(exception: BaseException) -> list[Buffer] | None:
    """The chunks of a frame with the exception and its chain of causes, without tracebacks.

    None if it cannot be pickled, or would not come back as the same type (a custom ``__init__`` does that).
    """
    chain, seen = [exception], {id(exception)}
    while (cause := chain[-1].__cause__) is not None and id(cause) not in seen and len(chain) < 20:
        chain.append(cause)
        seen.add(id(cause))
    for candidate in (chain, chain[:1]) if len(chain) > 1 else (chain,):  # a cause that cannot be pickled is left out
        try:
            chunks = encode(_Chain(candidate), name="exception")
            back = decode(b"".join(chunks))
        except Exception:  # border: any code may run in an exception's __reduce__ and __init__
            continue
        if type(back) is type(exception) and _same_text(back, exception):
            return chunks
    return None


def _same_text(one: BaseException, other: BaseException) -> bool:
    try:
        return str(one) == str(other)
    except Exception:  # border: a user's __str__
        return False


def _plain_frame(obj: Any) -> bytes:
    body = pickle.dumps(obj, 5)
    crc = zlib.crc32(body)
    return _HEAD.pack(MAGIC, VERSION, *_PYTHON, 0, crc, 0, 0, len(body)) + body


class _Chain:
    """Pickles as its first exception with ``__cause__`` set along the chain."""

    def __init__(self, chain: list[BaseException]) -> None:
        self.chain = chain

    def __reduce__(self) -> Any:
        return _join_chain, (self.chain,)


def _join_chain(chain: list[BaseException]) -> BaseException:
    for exception, cause in zip(chain, chain[1:]):
        exception.__cause__ = cause
    return chain[0]


class _Slots:
    """Persistent ids of a template: numbers."""

    flag = SLOTS

    def __init__(self, slot_of: Callable[[Any], int | None]) -> None:
        self.id_of: Callable[[Any], Any] = slot_of


class _External(_Slots):
    """Persistent ids of a function: digests of captured values."""


def _encode(
    obj: Any,
    persistent: _Slots | None,
    name: str,
    local_modules: frozenset[str] = frozenset(),
    modules: set[str] | None = None,
) -> list[Buffer]:
    file, buffers = io.BytesIO(), list[pickle.PickleBuffer]()
    pickler = _pickler(file, buffers.append, persistent, local_modules)
    try:
        pickle.Pickler.dump(pickler, obj)
    except BuildError as error:
        raise type(error)(f"{_where(obj, persistent, name, local_modules)}: {error}") from error
    except Exception as error:  # border: pickling runs the value's own code
        raise _encode_error(obj, error, persistent, name, local_modules) from error
    finally:
        if pickler.forced:
            pickler.restore()
    if modules is not None:
        modules |= pickler.modules
    return _frame(file.getbuffer(), buffers, pickler, persistent)


def _pickler(
    file: io.BytesIO, on_buffer: Callable[[Any], Any], persistent: _Slots | None, local_modules: frozenset[str]
) -> Any:
    pickler = _pickler_class(persistent is not None)(file, on_buffer)
    if persistent is not None:
        pickler.id_of = persistent.id_of
    if local_modules:
        pickler.local_modules = local_modules
    return pickler


def _frame(body: memoryview, buffers: list[pickle.PickleBuffer], pickler: Any, persistent: _Slots | None) -> list[Buffer]:
    flags = (CODE if pickler.has_code else 0) | (persistent.flag if persistent is not None else 0)
    lead = _notes_of(pickler.modules, pickler.has_code) if pickler.modules or flags else b""
    notes_size = len(lead)
    views = [buffer.raw() for buffer in buffers]
    if views:
        lead += struct.pack(f"<{len(views)}Q", *[view.nbytes for view in views])
    crc = zlib.crc32(body, zlib.crc32(lead) if lead else 0)
    head = _HEAD.pack(MAGIC, VERSION, *_PYTHON, flags, crc, notes_size, len(views), len(body)) + lead
    chunks: list[Buffer] = [head, body]
    at = len(head) + len(body)
    for view in views:
        gap = -at % ALIGN
        chunks.append(_ZEROS[:gap])
        chunks.append(view)
        at += gap + view.nbytes
    return [b"".join(chunks)] if at <= _SMALL else [chunk for chunk in chunks if len(chunk)]


def _notes_of(modules: set[str], has_code: bool) -> bytes:
    packages = {}
    for name in {module.partition(".")[0] for module in modules}:
        if name not in _UNVERSIONED:
            version = getattr(sys.modules.get(name), "__version__", None)
            if isinstance(version, str):
                packages[name] = version
    if not packages and not has_code:
        return b""
    return msgspec.json.encode(Notes(cloudpickle_version() if has_code else "", packages), order="deterministic")


# Pickling


@lru_cache(maxsize=None)
def _pickler_class(persistent: bool) -> Any:
    """The pickler, made when first needed: importing cloudpickle takes 15 ms and more."""
    import cloudpickle

    by_value = cloudpickle.list_registry_pickle_by_value

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        """C pickler; cloudpickle for what other processes cannot import."""

        has_code = False
        local_modules: frozenset[str] = frozenset()

        def __init__(self, file: Any, on_buffer: Callable[[Any], Any]) -> None:
            pickle.Pickler.__init__(self, file, 5, buffer_callback=on_buffer)
            self.globals_ref: dict[int, Any] = {}  # this and ``proto`` are what cloudpickle's own __init__ sets
            self.proto = 5
            self.modules: set[str] = set()
            self.forced: list[str] = []

        def reducer_override(self, obj: Any) -> Any:
            kind = type(obj)
            if kind is FunctionType or issubclass(kind, type):
                return self.reduce_code(obj, kind)
            if issubclass(kind, _REFUSED):
                raise EncodeError(f"{culprit.type_name(obj)} cannot be pickled")
            if kind is ModuleType:
                return self.reduce_module(obj)
            if kind is _Cached and (module := obj.__module__) not in self.local_modules and not importable(module):
                return _cache_again, (obj.__wrapped__, obj.cache_parameters())
            module = kind.__module__
            if type(module) is str and module.startswith("torch"):
                return _reduce_tensor(obj)
            return NotImplemented

        def reduce_code(self, obj: Any, kind: type) -> Any:
            module = getattr(obj, "__module__", None)
            if type(module) is str:
                self.modules.add(module)
                if module in self.local_modules or importable(module):
                    if _lookup(module, obj.__qualname__) is obj and not by_value():
                        return NotImplemented
                    if kind is FunctionType and (steps := steps_to(obj, module)):
                        return _follow, (module, obj.__qualname__, steps)
                else:
                    self.force_by_value(module)
            reduced = super().reducer_override(obj)
            if reduced is not NotImplemented and reduced[0] is not type:
                self.has_code = True
            return reduced

        def reduce_module(self, obj: ModuleType) -> Any:
            self.modules.add(obj.__name__)
            if obj.__name__ not in self.local_modules and not importable(obj.__name__):
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


@lru_cache(maxsize=None)
def importable(module: str) -> bool:
    """Whether a fresh process with this ``sys.path`` could import the module by its name."""
    top = module.partition(".")[0]
    if module in ("__main__", "__mp_main__") or getattr(sys.modules.get(module), "__spec__", None) is None:
        return module in sys.builtin_module_names
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is not None and find(top, None) is not None:
            return True
    return False


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


def _cache_again(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """``functools.lru_cache`` around a function by value, empty; its own pickle is a name in ``__main__``."""
    return lru_cache(**parameters)(function)


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


_Cached = type(lru_cache(lambda: None))
_REFUSED = (io.FileIO, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.TextIOWrapper)


@lru_cache(maxsize=None)
def cloudpickle_version() -> str:
    import cloudpickle

    return str(cloudpickle.__version__)


def _attempt(persistent: _Slots | None, local_modules: frozenset[str]) -> Callable[[Any], Exception | None]:
    """A trial whether one object can be pickled, for the search of the culprit."""

    def attempt(obj: Any) -> Exception | None:
        pickler = _pickler(io.BytesIO(), lambda _: None, persistent, local_modules)
        try:
            pickle.Pickler.dump(pickler, obj)
        except Exception as error:  # border: pickling runs the value's own code
            return error
        finally:
            pickler.restore()
        return None

    return attempt


def _where(obj: Any, persistent: _Slots | None, name: str, local_modules: frozenset[str]) -> str:
    return culprit.find(obj, name, _attempt(persistent, local_modules)).path


def _encode_error(
    obj: Any, error: Exception, persistent: _Slots | None, name: str, local_modules: frozenset[str]
) -> EncodeError:
    if isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError):
        return EncodeError(
            f"{name}: {culprit.type_name(obj)} is nested too deeply to be pickled (or refers to itself through "
            "its __reduce__); flatten it, or return what you need from it"
        )
    found = culprit.find(obj, name, _attempt(persistent, local_modules))
    return EncodeError(culprit.explain(found, error))


# Reading frames


def decode(data: Buffer, *, slots: Sequence[Any] | None = None) -> Any:
    """The value of a frame.

    The value owns its memory: from read-only ``data`` (bytes) buffers are copied; *writable* ``data`` (the private
    map of :func:`blobs.map_blob`, a bytearray) becomes the value's memory, so decode that once.

    Raises DecodeError, and nothing else, for whatever is wrong: damaged bytes, a missing module, another Python.
    """
    return _decode(data, None if slots is None else slots.__getitem__)


def decode_function(data: Buffer, load: Callable[[str], Buffer]) -> Any:
    """The function of a frame; ``load(digest)`` gives the blob of a captured value. Raises DecodeError."""
    loaded: dict[str, Any] = {}

    def resolve(digest: str) -> Any:
        if digest not in loaded:
            loaded[digest] = decode(load(digest))
        return loaded[digest]

    return _decode(data, resolve)


class _Unpickler(pickle.Unpickler):
    """Resolves slots."""

    resolve: Callable[[Any], Any]

    def persistent_load(self, pid: Any) -> Any:
        return self.resolve(pid)


def _decode(data: Buffer, resolve: Callable[[Any], Any] | None) -> Any:
    view = memoryview(data)
    if view.format != "B" or view.ndim != 1:
        view = view.cast("B")
    size = len(view)
    if size < _HEAD.size or view[:4] != MAGIC:
        raise DecodeError(f"these {size} bytes are not a recorded value")
    _, version, major, minor, flags, crc, notes_size, count, body_size = _HEAD.unpack_from(view)
    if version != VERSION:
        raise DecodeError(f"the value is in format {version}; this covalent-jupyter reads format {VERSION}")
    table = _HEAD.size + notes_size
    start = table + 8 * count
    end = start + body_size
    if end > size or zlib.crc32(view[_HEAD.size : end]) != crc:
        raise DecodeError(f"the recorded value ({size} bytes) is damaged: its checksum does not match")
    notes = _read_notes(view[_HEAD.size : table])
    if flags & CODE:
        _check_versions((major, minor), notes)
    if flags & SLOTS and resolve is None:
        raise DecodeError("this is a template or a function with captured values, to be decoded with what fills it")
    buffers = _read_buffers(view, table, count, end) if count else ()
    try:
        if flags & SLOTS:
            unpickler = _Unpickler(io.BytesIO(view[start:end]), buffers=buffers)
            unpickler.resolve = resolve  # type: ignore[assignment]
            return unpickler.load()
        return pickle.loads(view[start:end], buffers=buffers)
    except DecodeError:
        raise
    except Exception as error:  # border: loading runs the value's own code
        raise DecodeError(_load_problem(error, (major, minor), notes)) from error


def _read_notes(data: memoryview) -> Notes:
    if not data:
        return Notes()
    try:
        return _notes_decoder.decode(data)
    except msgspec.DecodeError as error:
        raise DecodeError(f"the recorded value is damaged: {error}") from error


def _read_buffers(view: memoryview, table: int, count: int, end: int) -> list[memoryview]:
    lengths = struct.unpack_from(f"<{count}Q", view, table)
    at = end + -end % ALIGN
    total = at
    for length in lengths:
        total += -total % ALIGN + length
    if total != len(view):
        raise DecodeError(f"the recorded value is cut: {len(view)} of {total} bytes")
    if view.readonly:
        view, at = memoryview(bytearray(view[at:])), 0
    buffers = []
    for length in lengths:
        at += -at % ALIGN
        buffers.append(view[at : at + length])
        at += length
    return buffers


def _check_versions(python: tuple[int, int], notes: Notes) -> None:
    here, there = cloudpickle_version(), notes.cloudpickle
    if python != _PYTHON or there.split(".")[:2] != here.split(".")[:2]:
        raise DecodeError(
            f"the value contains code recorded by Python {python[0]}.{python[1]} with cloudpickle {there}; this is "
            f"Python {_PYTHON[0]}.{_PYTHON[1]} with cloudpickle {here}. Load it in an environment like the recorded one"
        )


def _load_problem(error: Exception, python: tuple[int, int], notes: Notes) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        version = notes.packages.get(top)
        recorded = f" (recorded with {top} {version})" if version else ""
        return f"the value needs the module {error.name!r}, which cannot be imported here{recorded}; install it, or put it on sys.path"
    differing = []
    for name, version in notes.packages.items():
        here = getattr(sys.modules.get(name), "__version__", None)
        if here is not None and here != version:
            differing.append(f"{name} {version} (here {here})")
    if python != _PYTHON:
        differing.insert(0, f"Python {python[0]}.{python[1]} (here {_PYTHON[0]}.{_PYTHON[1]})")
    made = f"; it was recorded with {', '.join(differing)}" if differing else ""
    return f"the value cannot be loaded: {type(error).__name__}: {error}{made}"
