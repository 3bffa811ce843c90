"""``ct.executor``: the executors that users name or derive from."""

from __future__ import annotations

from .executors.objects import AsyncBaseExecutor, BaseExecutor, DaskExecutor, LocalExecutor

__all__ = ["AsyncBaseExecutor", "BaseExecutor", "DaskExecutor", "LocalExecutor"]
