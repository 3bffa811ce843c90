"""``ct.executor``: the executors that users name or derive from."""

from __future__ import annotations

from typing import NoReturn

from .absent import EXECUTORS, explain
from .executors.objects import AsyncBaseExecutor, BaseExecutor, DaskExecutor, LocalExecutor

__all__ = ["AsyncBaseExecutor", "BaseExecutor", "DaskExecutor", "LocalExecutor"]


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(explain(__name__, name, __all__, EXECUTORS))
