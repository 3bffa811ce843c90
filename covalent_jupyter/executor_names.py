"""Short names of executors that an environment has: ours, and entry points of installed packages. Loads none of them."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

#: Entry point group: ``name = "package.module:ExecutorClass"``.
GROUP = "covalent_jupyter.executors"
BUILT_IN = ("dask", "local")


def plugins() -> dict[str, EntryPoint]:
    """Those of installed packages, by name."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILT_IN}


def is_installed(name: str) -> bool:
    """Whether this environment has an executor of the name."""
    return name in BUILT_IN or name in plugins()
