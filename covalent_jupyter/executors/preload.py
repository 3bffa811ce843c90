"""What the forkserver of an environment imports ahead: packages that electrons were seen to import."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from ..folders import make_folder

#: Packages whose state (CUDA, threads) does not survive a fork.
NEVER = frozenset(
    "torch torchvision torchaudio jax jaxlib tensorflow keras cupy cudf numba_cuda pycuda mpi4py ray pyspark tensorrt".split()
)
_MOST = 64


class Preload:
    """The list of one environment, in a file of its own (a JSON list of names, newest last)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: dict[str, None] = {}
        self._changed = False
        with suppress(OSError, msgspec.DecodeError):
            self._names = dict.fromkeys(filter(_allowed, msgspec.json.decode(path.read_bytes(), type=list[str])))

    def names(self) -> tuple[str, ...]:
        return tuple(self._names)

    def add(self, imported: Iterable[str]) -> None:
        """Packages that an electron imported. From any thread."""
        for name in filter(_allowed, imported):
            if name not in self._names:
                self._names[name] = None
                self._changed = True

    def save(self) -> None:
        """Writes the list if it has changed; a full disk is no reason to stop."""
        if not self._changed:
            return
        self._changed = False
        temporary = self._path.with_suffix(f".{secrets.token_hex(4)}.tmp")
        with suppress(OSError):
            make_folder(self._path.parent)
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(msgspec.json.encode(list(self._names)[-_MOST:]))
            os.replace(temporary, self._path)


def _allowed(name: str) -> bool:
    return name.isidentifier() and name not in NEVER and name != "covalent_jupyter"
