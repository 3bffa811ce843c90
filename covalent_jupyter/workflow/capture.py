"""A user's function as data: its pickle, its code digest, its source, and the values that it takes along."""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Iterable
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from .. import codec
from ..codec import Buffer
from ..model.graph import Digest, FunctionDef
from ..model.work import INLINE
from .digest import Digester
from .environment import Taken, take_environment
from .globals import Captured, captured, human_size, short
from .localmodules import LocalModules

_LARGE = 50_000_000  # bytes of a captured value from which on the dispatch warns
_SOURCE = 200_000
_DOC = 2_000
_SIGNATURE = 1_000
_TINY = (int, float, bool, complex, type(None))

Blobs = dict[Digest, list[Buffer]]


class Capture:
    """Everything that one build takes out of the kernel: each value encoded once, each module read once.

    Captured values are taken as they are when the function is described, which is at the dispatch.
    """

    def __init__(self) -> None:
        self.modules = LocalModules()
        self.digester = Digester(self.modules)
        self.warnings: list[str] = []
        self._described: dict[tuple[int, str | None], tuple[Any, FunctionDef, Blobs]] = {}
        self._large: dict[int, tuple[Any, Digest, list[Buffer], int]] = {}
        self._sizes: dict[int, tuple[Any, int]] = {}

    def describe_function(
        self, function: Any, *, name: str | None = None, place: str = ""
    ) -> tuple[FunctionDef, Blobs]:
        """The function's definition, and the blobs that it names (its pickle, its large captured values). ``place`` is
        the cell that it came from, where this process is not the kernel that knows the cell.

        Raises EncodeError naming the path to what cannot be pickled: ``train -> helper -> conn: ...``.
        """
        key = (id(function), name)
        if key not in self._described:
            self._described[key] = (function, *self._describe(function, name, place))
        return self._described[key][1:]

    def _describe(self, function: Any, name: str | None, place: str) -> tuple[FunctionDef, Blobs]:
        label = name or name_of(function)
        values = captured(function, label)
        large = self._encode_captured(values, label)
        names: set[str] = set()
        chunks = codec.encode_function(
            function,
            external=(lambda obj: large[id(obj)][1] if id(obj) in large else None) if large else None,
            name=label,
            modules=names,
        )
        self.reach(names)
        digest = codec.digest_of(chunks)
        blobs: Blobs = {digest: chunks}
        for _, blob, parts, _ in large.values():
            blobs[blob] = parts
        source, file, line = source_of(function)
        shown, stored = self._shown(values, large)
        definition = FunctionDef(
            digest=digest,
            code=self.digester.code(function),
            name=label,
            source=source,
            file=file,
            line=line,
            place=cell_of(file) or place,
            signature=signature_of(function),
            doc=(inspect.getdoc(plain_function(function)) or "")[:_DOC],
            captured=shown,
            globals=stored,
            modules=self.modules.own_digests(sorted(n for n in names if self.modules.find(n) is not None)),
        )
        return definition, blobs

    def reach(self, module_names: Iterable[str]) -> None:
        """Take along the local ones of these modules: what ``codec.encode(modules=...)`` collected for a value."""
        self.modules.reach(module_names)

    def take_environment(self) -> Taken:
        """The environment with the local modules that were reached so far."""
        return take_environment(self.modules)

    def _encode_captured(self, values: list[Captured], label: str) -> dict[int, tuple[Any, Digest, list[Buffer], int]]:
        large = {}
        for _, path, value in values:
            if isinstance(value, _TINY) or (isinstance(value, str) and len(value) < INLINE // 4):
                continue
            key = id(value)
            if key not in self._sizes:
                names: set[str] = set()
                chunks = codec.encode(value, name=path, modules=names)
                self.reach(names)
                size = sum(memoryview(chunk).nbytes for chunk in chunks)
                self._sizes[key] = (value, size)
                if size > INLINE:
                    self._keep_large(value, chunks, size, path)
            if key in self._large:
                large[key] = self._large[key]
        return large

    def _keep_large(self, value: Any, chunks: list[Buffer], size: int, path: str) -> None:
        digest = codec.digest_of(chunks)
        self._large[id(value)] = (value, digest, chunks, size)
        if size > 1_000_000:
            self.digester.remember(value, digest)
        if size > _LARGE:
            function, _, variable = path.rpartition(" -> ")
            self.warnings.append(
                f"{function} captures {variable} ({human_size(size)}): pass it as an argument, "
                "so that it is an input of the electron and shown as one"
            )

    def _shown(
        self, values: list[Captured], large: dict[int, tuple[Any, Digest, list[Buffer], int]]
    ) -> tuple[dict[str, str], dict[str, Digest]]:
        shown: dict[str, str] = {}
        stored: dict[str, Digest] = {}
        for name, path, value in values:
            if name in shown:  # another helper's variable of the same name
                name = ".".join(path.split(" -> ")[-2:])
            shown[name] = short(value, self._sizes[id(value)][1] if id(value) in self._sizes else None)
            if id(value) in large:
                stored[name] = large[id(value)][1]
        return shown, stored


def describe_function(function: Any, *, name: str | None = None) -> tuple[FunctionDef, Blobs]:
    """:meth:`Capture.describe_function` for one function alone."""
    return Capture().describe_function(function, name=name)


def name_of(function: Any) -> str:
    """The name that people know it by: of a partial or callable object that of what it calls."""
    if isinstance(function, partial):
        return name_of(function.func)
    found = getattr(function, "__name__", None)
    return found if isinstance(found, str) else type(function).__name__


def plain_function(function: Any) -> Any:
    """The user's own function inside decorators, partials, methods, electrons and callable objects."""
    for _ in range(20):
        if isinstance(function, partial):
            function = function.func
        elif isinstance(function, MethodType):
            function = function.__func__
        elif type(function).__name__ in ("Electron", "Lattice") and hasattr(function, "function"):
            function = function.function
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif isinstance(function, (FunctionType, type)):
            return function
        else:
            method = vars(type(function)).get("__call__")
            return method if isinstance(method, FunctionType) else function
    return function


def source_of(function: Any) -> tuple[str, str, int]:
    """(source, file, first line); of a notebook's cell the file is the cell's name. ("", "", 0) where there is none."""
    inner = plain_function(function)
    code = getattr(inner, "__code__", None)
    try:
        if code is not None:
            linecache.checkcache(code.co_filename)
            lines = linecache.getlines(code.co_filename, inner.__globals__)
            text, line = "".join(inspect.getblock(lines[code.co_firstlineno - 1 :])), code.co_firstlineno
            return (
                inspect.cleandoc("\n" + text)[:_SOURCE] if text[:1].isspace() else text[:_SOURCE],
                code.co_filename,
                line,
            )
        file = inspect.getsourcefile(inner) or ""
        parts, line = inspect.getsourcelines(inner)
        return "".join(parts)[:_SOURCE], file, line
    except (OSError, TypeError, SyntaxError, IndexError):
        return "", getattr(code, "co_filename", ""), getattr(code, "co_firstlineno", 0)


def cell_of(file: str) -> str:
    """``Cell In[5]`` for the file that IPython makes of a cell, "" for any other."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    name = shell.compile.format_code_name(file) if shell is not None else None
    return " ".join(name) if name is not None else ""


def place_of(function: Any) -> str:
    """``Cell In[5]`` for a function of a notebook's cell, "" for any other."""
    known: str = getattr(function, "__dict__", {}).get("_place", "")  # of electrons and lattices that came in a pickle
    if known:
        return known
    code = getattr(plain_function(function), "__code__", None)
    return cell_of(code.co_filename) if code is not None else ""


class _Shown:
    """A default value in a signature."""

    def __init__(self, value: Any) -> None:
        self.text = short(value)

    def __repr__(self) -> str:
        return self.text


def signature_of(function: Any) -> str:
    """``(x, n=5)``; "" where it has none. Defaults are shown briefly."""
    try:
        signature = inspect.signature(function)
        parameters = [
            p if p.default is p.empty else p.replace(default=_Shown(p.default)) for p in signature.parameters.values()
        ]
        return str(signature.replace(parameters=parameters))[:_SIGNATURE]
    except Exception:  # border: annotations and defaults are the user's objects, and shown by their own repr
        return ""
