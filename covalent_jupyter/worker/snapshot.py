"""The dispatch's local modules, as files: a folder per snapshot, named by what is in it."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from ..errors import DecodeError

Buffer = bytes | memoryview


def materialise(modules: dict[str, str], load: Callable[[str], Buffer], work_root: str) -> Path:
    """The folder that holds these files (path -> digest of the blob), made once for all runners of ``work_root``."""
    listing = "\n".join(f"{path} {digest}" for path, digest in sorted(modules.items()))
    name = hashlib.sha256(listing.encode()).hexdigest()[:32]
    folder = Path(work_root) / "modules" / name
    if folder.is_dir():
        return folder
    building = folder.with_name(f".{name}.{uuid.uuid4().hex}")
    building.mkdir(parents=True, mode=0o700)
    for path, digest in modules.items():
        target = building.joinpath(*_parts(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(load(digest))
    try:
        os.rename(building, folder)
    except OSError:  # another runner was faster
        shutil.rmtree(building, ignore_errors=True)
        if not folder.is_dir():
            raise
    return folder


def _parts(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(path).parts
    if not parts or PurePosixPath(path).is_absolute() or ".." in parts:
        raise DecodeError(f"the snapshot names a file outside of its folder: {path!r}")
    return parts
