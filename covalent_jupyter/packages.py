"""Installed packages and their versions: of the kernel at the dispatch, and of whoever runs its electrons."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache

from .model.graph import Environment

#: packages whose values another version may read wrongly or not at all -> what they are imported as
TELLING = {
    "cloudpickle": "cloudpickle", "numpy": "numpy", "pandas": "pandas", "pyarrow": "pyarrow", "scipy": "scipy",
    "scikit-learn": "sklearn", "torch": "torch", "jax": "jax", "tensorflow": "tensorflow", "xarray": "xarray",
    "dask": "dask", "polars": "polars",
}  # fmt: skip
_DIST = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+?)(-py[\d.]+)?\.(dist|egg)-info")


def installed_packages(before: Iterable[str] = ()) -> dict[str, str]:
    """Name -> version of what is installed on ``sys.path``, and in folders ``before`` it; the first one found of a name
    counts, as for imports."""
    found: dict[str, str] = {}
    for folder in dict.fromkeys([*before, *sys.path]):
        try:
            stamp = os.stat(folder or ".").st_mtime_ns
        except OSError:
            continue
        for name, version in _distributions(os.path.abspath(folder), stamp).items():
            found.setdefault(name, version)
    return dict(sorted(found.items()))


@lru_cache(maxsize=256)
def _distributions(folder: str, _stamp: int) -> dict[str, str]:
    found = {}
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    for entry in names:
        match = _DIST.fullmatch(entry)
        if match:
            found[re.sub(r"[-_.]+", "-", match["name"]).lower()] = match["version"]
    return found


def differences(environment: Environment) -> tuple[str, ...]:
    """In what this process differs from the kernel that dispatched, as a warning for electrons; () if in nothing that tells."""
    found, own = [], platform.python_version()
    if _minor(environment.python) != _minor(own) and "." in environment.python:
        found.append(f"Python {own} (dispatched from {environment.python})")
    here = _told(installed_packages(environment.sys_path))
    for name, version in _told(environment.packages).items():
        if here.get(name, version) != version:
            found.append(f"{name} {here[name]} (dispatched from {version})")
    return (f"other versions than in the kernel: {', '.join(found)}",) if found else ()


def _told(packages: Mapping[str, str]) -> dict[str, str]:
    return {name: packages[name] for name in TELLING if name in packages}


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def outdated(packages: Mapping[str, str]) -> list[str]:
    """Warnings about packages that this process has loaded in another version than ``packages`` says is installed by now."""
    found = []
    for name, version in _told(packages).items():
        loaded = getattr(sys.modules.get(TELLING[name]), "__version__", None)
        if isinstance(loaded, str) and loaded.partition("+")[0] != version.partition("+")[0]:
            found.append(
                f"{name} {loaded} is loaded in this process, but {version} is installed by now: electrons run with {version}. "
                "Restart the kernel to have the same on both sides"
            )
    return found
