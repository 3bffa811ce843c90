"""Whether a value has what the lattice returns of it. Later, only whoever reads the result would find out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import codec
from ..model.work import Task
from ..workflow.ops import SelectError, select


def unfit(value: Any, task: Task, load: Callable[[str], Any]) -> str:
    """What is wrong with the first of the task's ``selected`` that the value does not have; "" if it has all. ``load`` gives the
    blob of a key."""
    for path in task.selected:
        try:
            select(value, path, lambda digest: codec.decode(load(digest)))
        except SelectError as error:
            return str(error)
    return ""
