"""Modules of the user's own: what belongs to a dispatch because a later edit must not change it.

A module is *local* if its file is neither the interpreter's, nor installed in site-packages, nor ours: it lies
beside the notebook, in a folder that the user put on ``sys.path``, or in an editable installation.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from ..model.graph import Digest
from .bytecode import Chain, normal_form
from .slices import Source, absolute, parse_file

_OWN = Path(__file__).resolve().parents[1]
_DATA_LIMIT = 1_000_000  # bytes of other files taken along with a package
_FILES_LIMIT = 3_000
_BYTES_LIMIT = 50_000_000
_SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})
_BINARY = tuple(importlib.machinery.EXTENSION_SUFFIXES)


class Snapshot(NamedTuple):
    """Files of local modules by their path under the snapshot's root (which goes on ``sys.path``)."""

    files: dict[str, Digest]
    blobs: dict[Digest, bytes]
    warnings: tuple[str, ...]


class Module(NamedTuple):
    """A local module as it lies on disk; ``path`` is None for a namespace package."""

    name: str
    path: Path | None
    folder: Path | None  # of a package

    @property
    def package(self) -> str:
        """The package that relative imports in it start from."""
        return self.name if self.folder is not None else self.name.rpartition(".")[0]


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    """Folders of the interpreter and of installed packages."""
    named = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders = [*named, *site.getsitepackages(), site.getusersitepackages(), str(_OWN)]
    return tuple(sorted({os.path.realpath(folder) + os.sep for folder in folders if folder}))


@lru_cache(maxsize=4096)
def is_local_path(path: str) -> bool:
    """Whether a file belongs to the user rather than to the interpreter, an installed package or us."""
    real = os.path.realpath(path)
    parts = real.split(os.sep)
    return not real.startswith(_installed()) and "site-packages" not in parts and "dist-packages" not in parts


def package_version(module: str) -> str:
    """Version of the package that an installed module belongs to; "" for the standard library, for us, if unknown."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == _OWN.name:
        return ""
    version = getattr(sys.modules.get(top), "__version__", None)
    return version if isinstance(version, str) else ""


def _of_loaded(name: str, module: ModuleType) -> Module | None:
    file, paths = getattr(module, "__file__", None), getattr(module, "__path__", None)
    if getattr(module, "__spec__", None) is None:
        return None
    if isinstance(file, str):
        path = Path(file)
        if not (is_local_path(file) and path.is_file()):
            return None
        return Module(name, path, path.parent if paths is not None else None)
    folder = next((p for p in paths or () if is_local_path(p) and os.path.isdir(p)), None)
    return Module(name, None, Path(folder)) if folder else None


def _of_spec(name: str, search: list[str] | None) -> Module | None:
    """A module that is not loaded in this process, as the import system would find it."""
    spec = None
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is not None and (spec := find(name, search)) is not None:
            break
    if spec is None:
        return None
    if spec.origin and spec.has_location and is_local_path(spec.origin) and os.path.isfile(spec.origin):
        path = Path(spec.origin)
        return Module(name, path, path.parent if spec.submodule_search_locations is not None else None)
    folder = next((p for p in spec.submodule_search_locations or () if is_local_path(p)), None)
    return Module(name, None, Path(folder)) if folder and not spec.origin else None


class LocalModules:
    """The local modules of one build: looked up, followed through their imports, taken as files.

    Files are read once, so that digest and snapshot of one dispatch speak of the same text.
    """

    def __init__(self) -> None:
        self.reached: dict[str, Module] = {}
        self._found: dict[str, Module | None] = {}
        self._sources: dict[Path, Source] = {}
        self._slices: dict[tuple[str, Chain], str] = {}

    def find(self, name: str) -> Module | None:
        """The local module of that name; None if there is none, or it is not local."""
        if name not in self._found:
            self._found[name] = None  # ends recursion through parents
            self._found[name] = self._look_up(name)
        return self._found[name]

    def _look_up(self, name: str) -> Module | None:
        if not name or name in ("__main__", "__mp_main__"):
            return None
        loaded = sys.modules.get(name)
        if loaded is not None:
            return _of_loaded(name, loaded)
        parent = name.rpartition(".")[0]
        if not parent:
            return _of_spec(name, None)
        above = self.find(parent)
        return _of_spec(name, [str(above.folder)]) if above is not None and above.folder else None

    def source(self, module: Module) -> Source | None:
        """Its parsed text; None for a namespace package and for a compiled module."""
        if module.path is None or module.path.suffix != ".py":
            return None
        if module.path not in self._sources:
            self._sources[module.path] = parse_file(module.path)
        return self._sources[module.path]

    def reach(self, names: Iterable[str]) -> None:
        """Take these modules (others than local ones are ignored), their packages, and what they import."""
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            module = None if name in self.reached else self.find(name)
            if module is None:
                continue
            self.reached[name] = module
            waiting.append(name.rpartition(".")[0])
            source = self.source(module)
            for statement in source.statements if source else ():
                for bound in statement.imports:
                    target = absolute(bound.level, bound.module, module.package)
                    waiting.append(target)
                    if bound.attribute is not None:
                        waiting.append(f"{target}.{bound.attribute}")

    # Digests

    def digest(self, name: str, chain: Chain = ()) -> str:
        """Of all that ``module.<chain>`` depends on in local modules; of the whole module if ``chain`` is empty.

        Statements that bind no name count for every name of their module. What is installed counts by name and version.
        """
        key = (name, chain)
        if key not in self._slices:
            self._slices[key] = _Slice(self).digest(name, chain)
        return self._slices[key]

    # Files

    def snapshot(self) -> Snapshot:
        """Every file that the reached modules need, packages as whole folders."""
        files: dict[str, Digest] = {}
        blobs: dict[Digest, bytes] = {}
        warnings: list[str] = []
        tops = {name.partition(".")[0] for name in self.reached}
        for top in sorted(tops):
            module = self.find(top)
            if module is None:
                continue
            found = _files_of(module)
            size = sum(os.path.getsize(path) for _, path in found)
            if len(found) > _FILES_LIMIT or size > _BYTES_LIMIT:
                warnings.append(
                    f"the local package {top!r} ({len(found)} files, {size / 1e6:.0f} MB) is too large to be taken "
                    f"along: electrons import it from {module.folder} as it is when they run"
                )
                continue
            for relative, path in found:
                with open(path, "rb") as file:
                    data = file.read()
                digest = hashlib.sha256(data).hexdigest()
                files[relative], blobs[digest] = digest, data
        warnings.extend(self._stale())
        return Snapshot(files, blobs, tuple(warnings))

    def own_digests(self, names: Iterable[str]) -> tuple[Digest, ...]:
        """Digests of the files of these modules, in order."""
        found = []
        for name in names:
            module = self.find(name)
            if module is not None and module.path is not None:
                found.append(hashlib.sha256(module.path.read_bytes()).hexdigest())
        return tuple(found)

    def _stale(self) -> Iterator[str]:
        born = _process_start()
        for name, module in sorted(self.reached.items()):
            loaded = sys.modules.get(name)
            if loaded is None or module.path is None or module.path.suffix != ".py":
                continue
            if module.path.stat().st_mtime > born and (what := _difference(loaded, module.path)):
                yield (
                    f"{module.path} has changed since this kernel imported {name!r} ({what}): the dispatch takes the "
                    "file as it is now; reload the module, or restart the kernel, to see the same here"
                )


class _Slice:
    """The statements that one name of a module depends on, across local modules."""

    def __init__(self, modules: LocalModules) -> None:
        self.modules = modules
        self.taken: set[tuple[str, int]] = set()
        self.digests: dict[tuple[str, int], bytes] = {}
        self.other: set[str] = set()
        self.seen: set[tuple[str, Chain]] = set()
        self.waiting: list[tuple[str, Chain]] = []

    def digest(self, name: str, chain: Chain) -> str:
        self.waiting.append((name, chain))
        while self.waiting:
            item = self.waiting.pop()
            if item not in self.seen:
                self.seen.add(item)
                self._follow(*item)
        state = hashlib.sha256()
        for key in sorted(self.digests):
            state.update(self.digests[key])
        for token in sorted(self.other):
            state.update(token.encode("utf-8", "surrogatepass") + b"\0")
        return state.hexdigest()

    def _follow(self, name: str, chain: Chain) -> None:
        module = self.modules.find(name)
        if module is None:
            self.other.add(f"{'.'.join((name, *chain))}={package_version(name)}")
            return
        if parent := name.rpartition(".")[0]:
            self._take_effects(parent)
        self._take_effects(name)
        if module.folder is not None:
            self.other.update(f"{relative}:{_file_digest(path)}" for relative, path in _data_of(module))
        source = self.modules.source(module)
        if source is None:
            if module.path is not None:
                self.other.add(f"{name}:{_file_digest(module.path)}")
            elif chain:
                self.waiting.append((f"{name}.{chain[0]}", chain[1:]))
            return
        if not chain:
            indices: Iterable[int] = range(len(source.statements))
        elif chain[0] in source.binds:
            indices = source.binds[chain[0]]
        elif self.modules.find(f"{name}.{chain[0]}") is not None:
            self.waiting.append((f"{name}.{chain[0]}", chain[1:]))
            return
        else:  # made in a way that the text does not show: ``from x import *``, ``__getattr__``, ``globals()``
            indices = range(len(source.statements))
        for index in indices:
            self._take(module, source, index, chain)

    def _take_effects(self, name: str) -> None:
        module = self.modules.find(name)
        source = self.modules.source(module) if module is not None else None
        if module is not None and source is not None:
            for index in source.effects:
                self._take(module, source, index, ())

    def _take(self, module: Module, source: Source, index: int, chain: Chain) -> None:
        statement, key = source.statements[index], (module.name, index)
        for bound in statement.imports:
            target = absolute(bound.level, bound.module, module.package)
            rest = chain[1:] if chain and chain[0] == bound.name else ()
            if bound.attribute is None:
                dotted = "." in target and bound.name == target.partition(".")[0]
                self.waiting.append((bound.name, rest) if dotted and rest else (target, rest))  # a.b.f starts at a
            elif bound.attribute == "*":
                self.waiting.append((target, ()))
            else:
                self.waiting.append((target, (bound.attribute, *rest)))
        if key in self.digests:
            return
        self.digests[key] = statement.digest
        for name, attributes in statement.loads:
            if name in source.binds and not (len(statement.binds) == 1 and name in statement.binds):
                self.waiting.append((module.name, (name, *attributes)))


@lru_cache(maxsize=4096)
def _digest_of_state(path: str, _mtime: int, _size: int) -> Digest:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _file_digest(path: str | Path) -> Digest:
    found = os.stat(path)
    return _digest_of_state(str(path), found.st_mtime_ns, found.st_size)


def _files_of(module: Module) -> list[tuple[str, str]]:
    """(path under the snapshot's root, file) of a top-level module or package."""
    if module.folder is None:
        return [] if module.path is None else [(module.path.name, str(module.path))]
    files = _walk(module)
    taken = [item for item in files if item[1].endswith((".py", *_BINARY))]
    return taken + _data_among(files) if module.path is not None else taken


def _data_of(module: Module) -> list[tuple[str, str]]:
    """Other files of a package, as long as they are few and small."""
    return [] if module.path is None else _data_among(_walk(module))


def _data_among(files: list[tuple[str, str]]) -> list[tuple[str, str]]:
    found = [item for item in files if not item[1].endswith((".py", ".pyc", *_BINARY))]
    return found if sum(os.path.getsize(path) for _, path in found) < _DATA_LIMIT else []


def _walk(module: Module) -> list[tuple[str, str]]:
    """Every file below a package, in the same order everywhere. A repository has hundreds: no more is asked than is needed."""
    assert module.folder is not None
    found: list[tuple[str, str]] = []
    waiting = [(str(module.folder), module.name.replace(".", "/"))]
    while waiting:
        folder, relative = waiting.pop()
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                name = entry.name
                if name.startswith("."):
                    continue
                if entry.is_file():
                    found.append((f"{relative}/{name}", entry.path))
                elif (
                    name not in _SKIPPED_FOLDERS and entry.is_dir(follow_symlinks=False) and not _is_environment(entry)
                ):
                    waiting.append((entry.path, f"{relative}/{name}"))
    return found


def _is_environment(entry: os.DirEntry[str]) -> bool:
    return os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))


@lru_cache(maxsize=1)
def _process_start() -> float:
    """Seconds since the epoch; 0 where it cannot be told, so that every file counts as newer."""
    try:
        return os.stat(f"/proc/{os.getpid()}").st_ctime
    except OSError:
        return 0.0


def _difference(loaded: ModuleType, path: Path) -> str:
    """What of the loaded module is not as in the file; "" if nothing that can be seen."""
    try:
        parsed = ast.parse(path.read_bytes(), str(path))
        tree = compile(parsed, str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return "the file cannot be compiled now"
    on_disk: dict[str, set[bytes]] = {}
    _collect(tree, on_disk)
    for name, value in list(vars(loaded).items()):
        function = _plain_function(value)
        if function is None or function.__module__ != loaded.__name__ or function.__code__.co_filename != str(path):
            continue
        if normal_form(function.__code__) not in on_disk.get(function.__code__.co_name, ()):
            return f"{name} differs"
    for name, value in _constants(parsed).items():
        here = vars(loaded).get(name, value)
        if type(here) is type(value) and here != value:
            return f"{name} differs"
    return ""


def _constants(tree: ast.Module) -> dict[str, Any]:
    """What the module binds to a literal, and binds once."""
    found: dict[str, Any] = {}
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        for target in targets:
            if isinstance(target, ast.Name):
                try:
                    found[target.id] = ast.literal_eval(statement.value)  # type: ignore[attr-defined]
                except ValueError:
                    continue
    bound = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return {name: value for name, value in found.items() if bound.count(name) == 1}


def _collect(code: CodeType, into: dict[str, set[bytes]]) -> None:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            into.setdefault(constant.co_name, set()).add(normal_form(constant))
            _collect(constant, into)


def _plain_function(value: Any) -> FunctionType | None:
    for _ in range(10):
        if isinstance(value, FunctionType) and "__wrapped__" not in vars(value):
            return value
        inside = getattr(value, "__dict__", {})
        value = inside.get("__wrapped__") or inside.get("function")
        if value is None:
            return None
    return None
