"""A recorded dispatch, sent again just as it was recorded, by a process that has folder and variables for it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Literal

import msgspec

from ..errors import InvalidRequest
from ..model import Manifest
from ..workflow import Built, renewed
from .rest import Rest
from .submit import mark, submit


def send_again(
    rest: Rest,
    old: Manifest,
    *,
    reuse: Literal["none", "changed", "failed"],
    seed: int | None,
    additions: Sequence[str] | None = None,
) -> tuple[str, tuple[str, ...]]:
    """The id of the new dispatch, and warnings about the world that it was given.

    The graph is not built anew. ``additions`` are those to ``sys.path``; None takes this process's.
    """
    if old.environment is None:
        raise InvalidRequest("a sublattice's run cannot be redispatched by itself; redispatch its root")
    taken = renewed(old.environment, additions)
    manifest = msgspec.structs.replace(
        old, dispatch_id=str(uuid.uuid4()), redispatch_of=old.dispatch_id, reuse=reuse, created=time.time(),
        environment=taken.environment, warnings=tuple(dict.fromkeys((*old.warnings, *taken.warnings))),
    )  # fmt: skip
    mark(manifest, name=None, tags=(), seed=seed)
    submit(rest, Built(manifest, {}, taken.variables))
    return manifest.dispatch_id, taken.warnings
