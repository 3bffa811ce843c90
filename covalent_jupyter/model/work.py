"""What goes to the workers and what comes back: tasks, packs, outcomes, and the messages between
service and executor host (msgpack, see :mod:`covalent_jupyter.model.wire`)."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from .graph import Digest, Environment, ExecutorSpec, Input, Options, Step

Attempt = tuple[str, int, int]  # (dispatch id, node, attempt number from 1)


class Output(Struct, tag="o", array_like=True, frozen=True):
    """A value that exists: ``data`` holds its blob where it is small (at most INLINE bytes)."""

    digest: Digest
    size: int
    data: bytes | None = None


class Hole(Struct, tag="h", array_like=True, frozen=True):
    """In the place of a value: node ``node`` failed and has ``on_error="value"``. Read as ``ct.Failed``."""

    node: int
    error: str  # type of the exception
    message: str


class Part(Struct, array_like=True, frozen=True):
    """A piece of a composite: the value, or what ``path`` selects of it."""

    value: Output | Composite | Hole
    path: tuple[Step, ...] = ()


class Composite(Struct, tag="c", array_like=True, frozen=True):
    """What a lattice returned where that is not one electron's value: never gathered, put together
    by whoever reads it. ``template`` None: the only part is the value; else the pickle of a template
    whose slot ``i`` is ``parts[i]``."""

    template: Output | None
    parts: tuple[Part, ...]


Produced = Output | Composite | Hole


class Frame(Struct, array_like=True, frozen=True):
    """One frame of a traceback; ``user`` marks the user's own code."""

    file: str
    line: int
    function: str
    text: str = ""
    user: bool = True
    place: str = ""  # what people call the file, where that is a notebook's cell: "Cell In[5]"


class Error(Struct, omit_defaults=True):
    """What went wrong, as text; ``exception`` is the blob of the pickled exception where it could be made, ``left`` the
    digest of what the electron hands out though it failed or was cancelled: the names that a cell had assigned by then."""

    type: str  # "ValueError"
    message: str
    frames: list[Frame] = []
    text: str = ""  # the whole formatted traceback
    exception: Output | None = None
    signal: str = ""  # "SIGSEGV"
    exitcode: int | None = None
    hint: str = ""  # what to do next
    cause: Literal["raised", "crashed", "timeout", "memory", "interrupted", "encode", "decode", "deps", "executor"] = (
        "raised"
    )
    left: Digest = ""
    behind: tuple[str, ...] = ()  # a line each: what it was raised from, or the exceptions of a group


class Task(Struct, array_like=True):
    """One attempt of one electron."""

    node: int
    attempt: int
    name: str
    kind: Literal["electron", "sublattice", "operator"]
    function: Digest
    args: list[Input]
    kwargs: dict[str, Input]
    options: int  # index into Pack.options
    seed: int
    line: int = 0
    selected: tuple[tuple[Step, ...], ...] = ()  # what the lattice returns of the value, where that is not all of it


class Pack(Struct):
    """Tasks of one dispatch that one slot runs one after another.

    A ``Ref`` inside a task is resolved from ``outputs`` (by node) or from the output of an earlier task
    of the same pack. Blobs are in ``values``, or files under ``blob_root``.
    """

    pack_id: str
    dispatch_id: str
    root_id: str
    lattice: str
    executor: ExecutorSpec
    environment: Environment
    variables: dict[str, str]  # environment variables with their values
    tasks: list[Task]
    options: list[Options]
    outputs: dict[int, Produced]
    values: dict[Digest, bytes]
    blob_root: str = ""  # folder with the blobs, "" where the worker cannot see it
    log_root: str = ""  # folder for files of logs: <log_root>/<dispatch>/<node>.<attempt>.{out,err}
    work_root: str = ""  # folder for get_context().workdir and checkpoint_dir
    devices: tuple[int, ...] = ()  # GPUs that are the pack's own, counted from 0 among the visible ones
    budget: float = 0.05  # seconds: an electron that overruns it sends the unstarted tail back
    notes: tuple[str, ...] = ()  # warnings for its electrons about the place where it runs; made there


class Preview(Struct, omit_defaults=True):
    """What people see of a value without unpickling it."""

    type: str  # qualified name, "numpy.ndarray"
    repr: str  # at most 2 kB
    size: int = 0  # bytes of the blob
    mime: dict[str, str] = {}  # "text/html", "image/png" (base64); small
    shape: str = ""  # "100×4 float64"
    scalar: bool | int | float | str | None = None  # of a plain scalar, for tables and plots
    warnings: tuple[str, ...] = ()
    scalars: dict[str, bool | int | float | str | None] = {}  # of a dict or dataclass: the plain scalars in it


class Log(Struct, array_like=True, frozen=True):
    """One stream of an attempt: all of it in ``text`` while it is short, else a file under the log root.

    That of stdout also tells what was displayed: ``shown`` holds it, as lines of JSON, while that is short; else it
    is in a file beside that of the log, with the ending ``.dsp``.
    """

    text: str = ""
    size: int = 0  # bytes printed
    file: str = ""  # path relative to the log root
    dropped: int = 0  # bytes cut out of the middle
    displays: int = 0  # how often something was displayed
    shown: str = ""


class Outcome(Struct, omit_defaults=True, tag="outcome"):
    """The end of one attempt. The first outcome of an attempt that is recorded counts, others are dropped."""

    dispatch_id: str
    node: int
    attempt: int
    status: Literal["completed", "failed", "cancelled", "interrupted"]
    started: float = 0.0  # seconds since the epoch
    finished: float = 0.0
    duration: float = 0.0  # monotonic seconds in the user's function
    output: Output | None = None
    preview: Preview | None = None
    error: Error | None = None
    child: bytes | None = None  # sublattice: a framed manifest (wire.pack_manifest)
    stdout: Log = Log()
    stderr: Log = Log()
    worker: str = ""  # "hostname:pid"
    rss: int = 0  # peak bytes of the runner
    imported: tuple[str, ...] = ()  # third-party packages that the electron imported first
    warnings: tuple[str, ...] = ()
    wrote: tuple[str, ...] = ()  # paths that it opened for writing by a relative name; not recorded
    reports: list[dict[str, Any]] = []  # of an older version, all of them; see Reported
    progress: dict[str, Any] = {}  # bars (done, total, elapsed, name, bars) and the last report, at the end
    unfit: str = ""  # why the value does not have what the lattice returns of it (Task.selected)


class Began(Struct, omit_defaults=True, tag="began"):
    """A runner began an attempt."""

    dispatch_id: str
    node: int
    attempt: int
    started: float
    worker: str = ""


class Reported(Struct, tag="reported"):
    """What an attempt reported with ``ct.report``: (seconds since the epoch, values), from number ``first`` on."""

    dispatch_id: str
    node: int
    attempt: int
    first: int
    points: list[tuple[float, dict[str, Any]]]


class Returned(Struct, tag="returned"):
    """Tasks of a pack that did not begin: they may go to any slot, without blame."""

    pack_id: str
    dispatch_id: str
    attempts: list[tuple[int, int]]  # (node, attempt)


class PackEnded(Struct, tag="pack_ended"):
    """The slot is free; every task of the pack has had its outcome or was returned."""

    pack_id: str


class LogGrew(Struct, omit_defaults=True, tag="log"):
    """What a running attempt has printed so far lies in these files (absolute paths under the log root); how far it is, and
    whether it waits for another dispatch."""

    dispatch_id: str
    node: int
    attempt: int
    stdout: str = ""
    stderr: str = ""
    stdout_size: int = 0
    stderr_size: int = 0
    progress: dict[str, Any] = {}  # bars and the last report, as in Outcome
    displays: str = ""  # file
    displays_size: int = 0
    waits_for: str = ""  # the dispatch that the electron has sent and waits for


class ExecutorState(Struct, omit_defaults=True, tag="executor"):
    """What an executor is: sent at its start and whenever it changes. ``slots`` 0 means: not ready."""

    name: str
    spec: ExecutorSpec
    slots: int
    workers: int = 0
    state: Literal["starting", "ready", "degraded", "failed", "closed"] = "ready"
    message: str = ""
    info: dict[str, Any] = {}


Fact = Began | Outcome | Reported | Returned | PackEnded | LogGrew | ExecutorState


# Messages between service and executor host.


class Hello(Struct, tag="hello"):
    """First frame of a host, after the challenge. ``held`` are attempts that it still works on."""

    protocol: int
    host_id: str
    incarnation: str
    environment: str  # Environment.digest
    pid: int
    python: str
    version: str
    plugin: bool = False
    held: list[Attempt] = []
    packs: list[str] = []


class Welcome(Struct, tag="welcome"):
    """The service accepts the host. ``acked`` is the number of the last facts that it has recorded."""

    protocol: int
    acked: int = 0
    drop: list[Attempt] = []  # superseded attempts: stop them, send nothing of them


class Facts(Struct, tag="facts"):
    """Numbered by the host from 1, without gaps; kept by it until acknowledged."""

    n: int
    facts: list[Fact]


class Ack(Struct, tag="ack"):
    n: int


class Run(Struct, tag="run"):
    pack: Pack


class Revoke(Struct, tag="revoke"):
    """Give back what of the pack has not begun (answered by Returned)."""

    pack_id: str


class CancelAttempts(Struct, tag="cancel"):
    """Stop these attempts; each is answered by an Outcome (cancelled, or what it already was)."""

    attempts: list[Attempt]
    grace: float = 1.0  # seconds between SIGTERM and SIGKILL


class Scale(Struct, tag="scale"):
    """Have an executor take ``n`` electrons at once. Its next ExecutorState answers, in ``info["scaled"]``."""

    request: str
    spec: ExecutorSpec
    n: int


class Release(Struct, tag="release"):
    """The root dispatch has ended: its runners, snapshot and folders may go."""

    root_id: str


class Close(Struct, tag="close"):
    """Close executors and exit."""

    reason: str = ""


HostMessage = Hello | Facts
ServiceMessage = Welcome | Ack | Run | Revoke | CancelAttempts | Scale | Release | Close

#: Values up to this many bytes ride inside outcomes and lie in DuckDB; larger ones are files.
INLINE = 16_384
#: Protocol number between client, service and host. The service speaks this and the one before.
PROTOCOL = 1
