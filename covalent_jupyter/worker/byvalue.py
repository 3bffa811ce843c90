"""What a notebook or script defines, on its way to and from processes that an electron starts with ``multiprocessing``.

There pickle names a function ``__main__.f``, which the main module of a runner does not have.
"""

from __future__ import annotations

import io
import sys
from collections import ChainMap
from types import FunctionType
from typing import Any


def teach(reduction: Any) -> None:
    """Have the pickler of ``multiprocessing.reduction`` send by value what nobody can find by its name."""
    reduction.ForkingPickler.reducer_override = _reduce


def _reduce(forking: Any, obj: Any) -> Any:
    if (type(obj) is FunctionType or isinstance(obj, type)) and not _is_found(obj):
        import cloudpickle

        class Pickler(cloudpickle.Pickler):
            """Knows queues and locks, too."""

            dispatch_table = ChainMap(forking.dispatch_table, cloudpickle.Pickler.dispatch_table)

        file = io.BytesIO()
        Pickler(file).dump(obj)
        return load, (file.getvalue(),)
    return NotImplemented


def _is_found(obj: Any) -> bool:
    found: Any = sys.modules.get(obj.__module__ or "__main__")
    for part in obj.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is obj or obj.__module__ not in sys.modules


def load(data: bytes) -> Any:
    """The function or class; what it gives can be sent back in the same way."""
    import multiprocessing.reduction

    import cloudpickle

    teach(multiprocessing.reduction)
    return cloudpickle.loads(data)
