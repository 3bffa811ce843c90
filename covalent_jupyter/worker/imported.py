"""Third-party packages that an electron was the first to import: what the forkserver should preload."""

from __future__ import annotations

import os
import sys
import sysconfig

_PACKAGES = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})


def newly_imported(known: set[str]) -> tuple[str, ...]:
    """Top-level names of installed packages that are imported now and are not among ``known`` modules."""
    found = set()
    for name in list(sys.modules):
        top = name.partition(".")[0]
        if name in known or top in known or top in found or top == __name__.partition(".")[0]:
            continue
        file = getattr(sys.modules.get(top), "__file__", None)
        if isinstance(file, str) and file.startswith(_PACKAGES):
            found.add(top)
    return tuple(sorted(found))


def installed_state() -> tuple[int, ...]:
    """Changes when a package is installed, upgraded or removed: the times of the folders that hold them."""
    state = []
    for folder in _PACKAGES:
        try:
            state.append(os.stat(folder).st_mtime_ns)
        except OSError:
            state.append(0)
    return tuple(state)
