"""Rows and digests for the store's tests."""

from __future__ import annotations

import hashlib
from typing import Any

from covalent_jupyter.model import Counts, DispatchRow, ElectronRow, Log, Status


def digest(text: object) -> str:
    return hashlib.sha256(repr(text).encode()).hexdigest()


def dispatch(dispatch_id: str, **changes: Any) -> DispatchRow:
    given: dict[str, Any] = dict(  # noqa: C408
        dispatch_id=dispatch_id,
        root_id=dispatch_id,
        parent_id=None,
        parent_node=None,
        name="run",
        label="",
        lattice="best_model",
        status=Status.RUNNING,
        seq=0,
        counts=Counts(total=3),
        created=1000.0,
        started=None,
        ended=None,
        inputs={"C": "1.0"},
        tags=[],
        notebook="",
        key="",
        seed=7,
        redispatch_of=None,
        error="",
        environment={"python": "3.11.7"},
    )
    return DispatchRow(**{**given, **changes})


def electron(dispatch_id: str, node: int, **changes: Any) -> ElectronRow:
    given: dict[str, Any] = dict(  # noqa: C408
        dispatch_id=dispatch_id,
        node=node,
        name="train",
        kind="electron",
        status=Status.NEW_OBJECT,
        seq=0,
        attempt=0,
        executor="dask",
        started=None,
        ended=None,
        duration=None,
        worker="",
        output=None,
        preview=None,
        error=None,
        stdout=Log(),
        stderr=Log(),
        child=None,
    )
    return ElectronRow(**{**given, **changes})
