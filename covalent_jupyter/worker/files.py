"""``ct.File(path)``: a file as a value. It is stored by its content and arrives as a file on the machine that reads it."""

from __future__ import annotations

import functools
import itertools
import mmap
import os
import tempfile
from pathlib import Path
from pickle import PickleBuffer
from typing import Any

from ..errors import EncodeError
from ..folders import make_folder
from .context import get_context


class File(os.PathLike[str]):
    """A file that goes where the value goes: pass it to electrons, return it from them.

    Its content is read when the lattice is dispatched, or when the electron returns, and stored once by digest. Whoever
    reads the value gets a File with a copy of its own, under the same file name: inside an electron in
    ``get_context().workdir``, elsewhere in a temporary folder that goes with the process. ``open(file)``,
    ``pandas.read_csv(file)`` and the like take it as it is; ``file.path`` is its :class:`pathlib.Path`.
    """

    __slots__ = ("path",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser().absolute()

    @property
    def name(self) -> str:
        """The file's name, without folders."""
        return self.path.name

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        try:
            return f"File({self.name!r}, {self.path.stat().st_size} bytes)"
        except OSError:
            return f"File({self.name!r}, not there)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, File) and other.path == self.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        executable = os.access(self.path, os.X_OK)
        return _arrive, (self.name, executable, PickleBuffer(_content(self.path)))


def _content(path: Path) -> bytes | mmap.mmap:
    """What the file holds now, mapped: it is read when it is written out. EncodeError if there is no such file."""
    try:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if os.fstat(file.fileno()).st_size else b""
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise EncodeError(
            f"ct.File({str(path)!r}) cannot be read ({why}): it must be there when its value is recorded"
        ) from error


def _arrive(name: str, executable: bool, content: Any) -> File:
    """Write the content to a file of the reader's own."""
    electron = get_context()
    folder = (electron.workdir if electron.dispatch_id else Path(_folder().name)) / "files"
    make_folder(folder, 4)
    while True:
        own = folder / str(next(_numbers()))
        try:
            own.mkdir(mode=0o700)
            break
        except FileExistsError:
            continue
    path = own / name
    with open(path, "xb") as file:
        file.write(content)
    if executable:
        path.chmod(0o700)
    return File(path)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Where files arrive outside of electrons; goes with the process."""
    return tempfile.TemporaryDirectory(prefix="covalent-files-")


@functools.cache
def _numbers() -> itertools.count[int]:
    return itertools.count(1)
