"""Facts about one dispatch, as the log holds them. Names are in the past tense; folding them in order with
:func:`covalent_jupyter.engine.apply` gives the state of the dispatch.

Outputs inside events carry no bytes: small values lie in the store's value table, large ones in files.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from .status import Status
from .work import Error, Outcome, Preview, Produced


class Submitted(Struct, tag="submitted", omit_defaults=True):
    """The dispatch exists; its manifest is stored beside the log."""

    created: float
    root: str
    parent: tuple[str, int] | None = None


class Reused(Struct, tag="reused", array_like=True):
    """A node took over the recorded value of an earlier dispatch."""

    node: int
    output: Produced
    preview: Preview | None
    child: str | None
    started: float | None
    ended: float | None


class TakenOver(Struct, tag="taken_over"):
    """Nodes that need not run: an earlier dispatch has their values."""

    source: str
    nodes: list[Reused]


class Launched(Struct, tag="launched"):
    """A pack was decided for a host; ``tasks`` are (node, attempt)."""

    pack_id: str
    host: str
    executor: str
    tasks: list[tuple[int, int]]
    time: float


class Started(Struct, tag="started"):
    """Attempts began: (node, attempt, time, worker)."""

    items: list[tuple[int, int, float, str]]


class MetricsReported(Struct, tag="metrics_reported"):
    """Attempts reported values, which are stored beside the log: (node, attempt, how many reports so far)."""

    items: list[tuple[int, int, int]]


class Finished(Struct, tag="finished"):
    """Attempts ended. A failed one that has retries left is run again."""

    outcomes: list[Outcome]


class GivenBack(Struct, tag="given_back"):
    """Attempts that never began: (node, attempt)."""

    items: list[tuple[int, int]]


class RetryDue(Struct, tag="retry_due"):
    """The retry delay of these nodes is over."""

    nodes: list[int]


class Skipped(Struct, tag="skipped"):
    """Nodes that cannot run: (node, the node whose end was the reason)."""

    items: list[tuple[int, int]]
    time: float


class CancelRequested(Struct, tag="cancel_requested"):
    """``nodes`` None: the whole dispatch."""

    nodes: list[int] | None
    time: float


class Cancelled(Struct, tag="cancelled"):
    """Nodes that were not with an executor and now never will be."""

    nodes: list[int]
    time: float


class ChildEnded(Struct, tag="child_ended"):
    """The run of a sublattice's inner graph ended."""

    node: int
    child: str
    status: Status
    output: Produced | None
    error: Error | None
    time: float
    preview: Preview | None = None


class Annotated(Struct, tag="annotated"):
    """What people wrote on the dispatch; None: unchanged."""

    label: str | None
    tags: list[str] | None
    note: str | None


class Noticed(Struct, tag="noticed"):
    """Something that people should be told about the dispatch."""

    text: str


class Closed(Struct, tag="closed"):
    """The dispatch ended."""

    status: Status
    output: Produced | None
    error: str
    time: float


Event = (
    Submitted
    | TakenOver
    | Launched
    | Started
    | MetricsReported
    | Finished
    | GivenBack
    | RetryDue
    | Skipped
    | CancelRequested
    | Cancelled
    | ChildEnded
    | Annotated
    | Noticed
    | Closed
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    return _encoder.encode(event)


def decode_event(data: bytes) -> Event:
    return _decoder.decode(data)


def kind_of(event: Event) -> str:
    """The tag under which the event is logged."""
    return str(type(event).__struct_config__.tag)
