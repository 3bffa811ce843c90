"""The local modules of a dispatch, as files: a folder per snapshot, named by what is in it.

The service lays a snapshot out before the first pack that needs it, so that packs need not carry the sources. A runner
that does not see that folder makes one from what its pack brings. Standard library only: service and workers use it alike.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from .errors import DecodeError
from .folders import make_folder

Buffer = bytes | memoryview


def folder_of(modules: Mapping[str, str], work_root: str) -> Path:
    """Where these files (path -> digest of the blob) lie, or would lie."""
    listing = "\n".join(f"{path} {digest}" for path, digest in sorted(modules.items()))
    return Path(work_root) / "modules" / hashlib.sha256(listing.encode()).hexdigest()[:32]


def materialise(modules: Mapping[str, str], load: Callable[[str], Buffer], work_root: str) -> Path:
    """The folder that holds these files, made once for all who share ``work_root``. ``load`` gives a blob by its digest."""
    folder = folder_of(modules, work_root)
    if folder.is_dir():
        return folder
    building = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    make_folder(building, 3)
    try:
        for path, digest in modules.items():
            target = building.joinpath(*_parts(path))
            make_folder(target.parent, len(target.parts) - len(building.parts))
            target.write_bytes(load(digest))
        os.rename(building, folder)
    except OSError:
        if not folder.is_dir():  # else another one was faster
            raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def is_whole(folder: Path, modules: Mapping[str, str]) -> bool:
    """Whether the files are there with the contents that they were laid out with: a power cut leaves empty ones."""
    try:
        return all(
            hashlib.sha256(folder.joinpath(*_parts(path)).read_bytes()).hexdigest() == digest
            for path, digest in modules.items()
        )
    except OSError:
        return False


def stamp_of(folder: Path, modules: Mapping[str, str]) -> list[tuple[int, int]]:
    """Size and time of every file, in order: others once somebody has written to one. OSError if one is missing."""
    found = []
    for path in modules:
        status = os.stat(os.path.join(folder, *_parts(path)))
        found.append((status.st_size, status.st_mtime_ns))
    return found


def collect(work_root: str, needed: Callable[[], Container[Path]], untouched: float) -> int:
    """Remove the snapshots that nobody has relied on for ``untouched`` seconds and that are not ``needed()``; how many."""
    border = time.time() - untouched
    old = []
    with suppress(FileNotFoundError):
        for folder in Path(work_root, "modules").iterdir():
            with suppress(OSError):
                if folder.stat().st_mtime < border:
                    old.append(folder)
    kept = needed() if old else ()
    gone = 0
    for folder in old:
        if folder not in kept:
            dead = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")  # never seen with half of its files
            with suppress(OSError):
                if folder.stat().st_mtime < border:
                    os.rename(folder, dead)
                    shutil.rmtree(dead, ignore_errors=True)
                    gone += 1
    return gone


def _parts(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(path).parts
    if not parts or PurePosixPath(path).is_absolute() or ".." in parts:
        raise DecodeError(f"the snapshot names a file outside of its folder: {path!r}")
    return parts
