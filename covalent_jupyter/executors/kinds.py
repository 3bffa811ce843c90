"""Which executor runs the packs of a spec."""

from __future__ import annotations

from ..model import ExecutorSpec
from .base import PackExecutor
from .dask import DaskPackExecutor
from .local import LocalPackExecutor
from .plugin import PluginPackExecutor
from .registry import by_name


def make_executor(spec: ExecutorSpec) -> PackExecutor:
    """A new executor for ``spec``. ConfigError if the name or an option is unknown."""
    if spec.instance is not None:
        return PluginPackExecutor(spec)
    if spec.name == "dask":
        return DaskPackExecutor(spec)
    if spec.name == "local":
        return LocalPackExecutor(spec)
    return PluginPackExecutor(spec, by_name(spec.name))
