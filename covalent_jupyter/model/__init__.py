"""Plain data that every part shares. Standard library and msgspec only: no clock, no disk, no network."""

from .graph import (
    CallDep, Deps, Digest, Environment, ExecutorSpec, FunctionDef, Input, Lit, Manifest, Node, Options, Ref,
    Step, Tpl, Val, dependencies, refs_of,
)
from .status import ENDED, SIGNS, Status
from .views import ConnectionFile, Counts, DispatchRow, ElectronRow
from .work import (
    INLINE, PROTOCOL, Ack, Attempt, Began, CancelAttempts, Close, Composite, Error, ExecutorState, Fact, Facts, Frame,
    Hello, Hole, HostMessage, Log, LogGrew, Outcome, Output, Pack, PackEnded, Part, Preview, Produced, Release, Returned, Revoke, Run,
    ServiceMessage, Task, Welcome,
)

__all__ = [
    "ENDED", "INLINE", "PROTOCOL", "SIGNS", "Ack", "Attempt", "Began", "CallDep", "CancelAttempts", "Close", "Composite",
    "ConnectionFile", "Counts", "Deps", "Digest", "DispatchRow", "ElectronRow", "Environment", "Error",
    "ExecutorSpec", "ExecutorState", "Fact", "Facts", "Frame", "FunctionDef", "Hello", "Hole", "HostMessage", "Input",
    "Lit", "Log", "LogGrew", "Manifest", "Node", "Options", "Outcome", "Output", "Pack", "PackEnded", "Part", "Preview", "Produced",
    "Ref", "Release", "Returned", "Revoke", "Run", "ServiceMessage", "Status", "Step", "Task", "Tpl", "Val",
    "Welcome", "dependencies", "refs_of",
]
