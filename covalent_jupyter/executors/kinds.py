"""Which executor runs the packs of a spec."""

from __future__ import annotations

from ..errors import ConfigError
from ..model import ExecutorSpec
from .base import PackExecutor
from .dask import DaskPackExecutor
from .local import LocalPackExecutor


def make_executor(spec: ExecutorSpec) -> PackExecutor:
    """A new executor for ``spec``. ConfigError if the name or an option is unknown."""
    if spec.name == "dask":
        return DaskPackExecutor(spec)
    if spec.name == "local":
        return LocalPackExecutor(spec)
    raise ConfigError(
        f"executor {spec.name!r} came without an instance, and only 'dask' and 'local' can do without: give "
        f"executor=<an instance of its class>, or the short name of an installed plug-in"
    )
