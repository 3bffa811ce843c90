"""How an attempt ended whose runner did not live to say so."""

from __future__ import annotations

import os
import signal

from ..model.work import Error, Task
from ..processes import signal_name
from .budget import Excess
from .limits import show_bytes
from .process import Death
from .protocol import CLOSED

_HINTS = {
    "SIGSEGV": "native code wrote where it must not; the log of stderr shows where Python was. "
    "Run the electron alone, in a Python of its own, to find the call",
    "SIGABRT": "native code gave up on itself; the log of stderr shows its last words",
    "SIGKILL": "somebody killed it from outside: an out-of-memory killer, an administrator, or the electron itself",
    "SIGBUS": "a mapped file shrank, or the disk is full",
}


def crashed(task: Task, death: Death, out_of_memory: bool) -> Error:
    """The error of an electron whose process died by itself."""
    who = f"{task.name} (node {task.node})"
    if death.status is None:
        return Error("ElectronInterrupted", f"{who} was cut off: {death.reason}", cause="interrupted",
                     hint="dispatch it again, or redispatch with reuse")  # fmt: skip
    if os.WIFSIGNALED(death.status):
        name = signal_name(os.WTERMSIG(death.status))
        if name == "SIGKILL" and out_of_memory:
            return Error(
                "MemoryLimitExceeded",
                f"{who} was killed because the machine ran out of memory (peak {show_bytes(death.peak)})",
                signal=name, cause="memory",
                hint="give it resources={'memory': ...} so that fewer run at once, or make it smaller",
            )  # fmt: skip
        return Error(
            "ElectronCrashed", f"{who} was killed by {name}", signal=name, cause="crashed", hint=_HINTS.get(name, "")
        )
    code = os.WEXITSTATUS(death.status)
    if code == CLOSED:
        return Error(
            "ElectronCrashed", f"{who} closed descriptors that are not its own (exit code {code})", exitcode=code,
            cause="crashed", hint="close what the electron has opened, by name: os.closerange closes everybody's",
        )  # fmt: skip
    return Error(
        "ElectronCrashed", f"{who} ended its process with exit code {code}", exitcode=code, cause="crashed",
        hint="os._exit, or exit() in native code, ends the process before the electron returns: return or raise",
    )  # fmt: skip


def timed_out(task: Task, seconds: float) -> Error:
    return Error(
        "ElectronTimeout", f"{task.name} (node {task.node}) ran longer than its timeout of {seconds:g} s",
        cause="timeout", hint="raise the electron's timeout option, or make it faster",
    )  # fmt: skip


def cancelled(task: Task) -> Error:
    """What is said of an electron that was cancelled and has handed something out."""
    return Error(
        "Cancelled", f"{task.name} (node {task.node}) was cancelled; what it had assigned by then is kept",
        cause="interrupted",
    )  # fmt: skip


def over_memory(task: Task, used: int, limit: int) -> Error:
    return Error(
        "MemoryLimitExceeded",
        f"{task.name} (node {task.node}) used {show_bytes(used)}, more than its limit of {show_bytes(limit)}",
        cause="memory", hint="raise resources={'memory': ...}, or work on smaller pieces",
    )  # fmt: skip


def over_share(task: Task, excess: Excess) -> Error:
    return Error(
        "MemoryLimitExceeded",
        f"{task.name} (node {task.node}) used {show_bytes(excess.used)}, more than its share of {show_bytes(excess.share)}, when all "
        f"electrons here together used {show_bytes(excess.together)} of the {show_bytes(excess.limit)} that there are for them",
        cause="memory",
        hint="give it resources={'memory': ...}, so that fewer run beside it, or work on smaller pieces",
    )  # fmt: skip


def died_unstarted(task: Task, death: Death) -> Error:
    """The runner did not come as far as its first electron."""
    if death.status is None:
        how = death.reason
    elif os.WIFSIGNALED(death.status):
        how = f"it was killed by {signal_name(os.WTERMSIG(death.status))}"
    else:
        how = f"it ended with exit code {os.WEXITSTATUS(death.status)}"
    return Error(
        "ElectronCrashed", f"the runner for {task.name} (node {task.node}) died before the electron began: {how}",
        cause="executor", hint="the log of the executor host says more",
    )  # fmt: skip


def was_ended_from_outside(death: Death) -> bool:
    """Whether a signal that no code raises by itself ended the process."""
    status = death.status
    return status is not None and os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGTERM)
