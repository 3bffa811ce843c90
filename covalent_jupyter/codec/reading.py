"""Frames back into values and functions."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import DecodeError
from .frame import CODE, PYTHON, SLOTS, Buffer, Notes, parse_frame
from .pickler import cloudpickle_version


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


def arrow_streams(data: Buffer) -> list[memoryview]:
    """The tables inside a value, as Arrow IPC streams; nothing is unpickled. Raises DecodeError."""
    parts = parse_frame(data)
    return [parts.buffers[number] for number in parts.notes.arrow if 0 <= number < len(parts.buffers)]


class _Unpickler(pickle.Unpickler):
    """Resolves slots."""

    resolve: Callable[[Any], Any]

    def persistent_load(self, pid: Any) -> Any:
        return self.resolve(pid)


def _decode(data: Buffer, resolve: Callable[[Any], Any] | None) -> Any:
    python, flags, notes, body, buffers = parse_frame(data)
    if flags & CODE:
        _check_versions(python, notes)
    if flags & SLOTS and resolve is None:
        raise DecodeError("this is a template or a function with captured values, to be decoded with what fills it")
    try:
        if flags & SLOTS:
            unpickler = _Unpickler(io.BytesIO(body), buffers=buffers)
            unpickler.resolve = resolve  # type: ignore[assignment]
            return unpickler.load()
        return pickle.loads(body, buffers=buffers)
    except DecodeError:
        raise
    except Exception as error:  # border: loading runs the value's own code
        raise DecodeError(_load_problem(error, python, notes)) from error


def _check_versions(python: tuple[int, int], notes: Notes) -> None:
    here, there = cloudpickle_version(), notes.cloudpickle
    if python != PYTHON or there.split(".")[:2] != here.split(".")[:2]:
        raise DecodeError(
            f"the value contains code recorded by Python {python[0]}.{python[1]} with cloudpickle {there}; this is "
            f"Python {PYTHON[0]}.{PYTHON[1]} with cloudpickle {here}. Load it in an environment like the recorded one"
        )


def _load_problem(error: Exception, python: tuple[int, int], notes: Notes) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        version = notes.packages.get(top)
        recorded = f" (recorded with {top} {version})" if version else ""
        if top == "covalent":
            return f"the value needs the module {error.name!r}: call covalent_jupyter.install_as_covalent() first"
        return (
            f"the value needs the module {error.name!r}, which cannot be imported here{recorded}; "
            "install it, or put it on sys.path"
        )
    differing = []
    for name, version in notes.packages.items():
        here = getattr(sys.modules.get(name), "__version__", None)
        if here is not None and here != version:
            differing.append(f"{name} {version} (here {here})")
    if python != PYTHON:
        differing.insert(0, f"Python {python[0]}.{python[1]} (here {PYTHON[0]}.{PYTHON[1]})")
    made = f"; it was recorded with {', '.join(differing)}" if differing else ""
    return f"the value cannot be loaded: {type(error).__name__}: {error}{made}"
