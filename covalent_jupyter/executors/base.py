"""The contract of executors: packs in, facts out.

An executor lives in the executor host. Its methods are called on the host's event loop and return at once (``close``
excepted, which is called in a thread); what it does, it does in threads and processes of its own. Facts go to
``emit`` from any thread. For every pack it sees to it that each task gets an Outcome or is Returned, and then
that PackEnded follows; the host's ledger helps with it (see :mod:`.ledger`).
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ExecutorError
from ..model import Attempt, ExecutorSpec, ExecutorState, Fact, Pack
from ..worker.limits import total_memory
from .ledger import Ledger

Emit = Callable[[list[Fact]], None]
#: Most slots per CPU to which executors on this machine may be scaled.
SLOTS_PER_CPU = 32


@dataclass(frozen=True)
class HostContext:
    """What executors are told about the host that holds them."""

    store_dir: Path
    host_id: str
    incarnation: str
    ledger: Ledger
    preload: tuple[str, ...] = ()  # packages that the forkserver imports
    plugin: bool = False  # whether this host serves users' executors of one root dispatch
    end: Callable[[str], None] = lambda reason: None  # ends the host's process; from any thread

    @property
    def spool_dir(self) -> Path:
        """Where runners write down what they did; the service reads it when this host has died."""
        return self.store_dir / "spool" / self.incarnation

    @property
    def scratch_dir(self) -> Path:
        return self.store_dir / "hosts" / f"{self.host_id}.scratch"


class PackExecutor(ABC):
    """Runs packs for one :class:`ExecutorSpec`."""

    def __init__(self, spec: ExecutorSpec) -> None:
        self.spec = spec

    @abstractmethod
    def start(self, emit: Emit, context: HostContext) -> None:
        """Begin to come up. An ExecutorState is emitted when it is ready, and whenever that changes."""

    @abstractmethod
    def submit(self, pack: Pack) -> None:
        """Take a pack that is open in the ledger."""

    @abstractmethod
    def cancel(self, attempts: list[Attempt], grace: float) -> None:
        """Stop these attempts: SIGTERM, ``grace`` seconds, SIGKILL. Each is answered by an Outcome when it is gone."""

    @abstractmethod
    def revoke(self, pack_id: str) -> None:
        """Give back what of the pack has not begun."""

    def scale(self, request: str, n: int) -> None:
        """Have places for ``n`` electrons at once. Answered by an ExecutorState whose ``info["scaled"]`` has the ``request``, and
        what became of it: ``slots`` and ``workers`` that there will be, or a ``problem``."""
        self._answer(request, problem=f"executor {self.spec.name!r} has no slots that could be changed from here")

    @abstractmethod
    def _answer(self, request: str, *, slots: int = 0, workers: int = 0, problem: str = "") -> None:
        """Emit the state with the answer to a request to scale."""

    @abstractmethod
    def release(self, root_id: str) -> None:
        """The root dispatch has ended: what was kept for it may go."""

    @abstractmethod
    def close(self) -> None:
        """End everything that it started; blocks until it is gone. Facts may still be emitted."""

    @abstractmethod
    def state(self) -> ExecutorState:
        """What it is at present."""


def cpu_slots() -> int:
    """CPUs that this process may use, by its affinity mask and its cgroup's quota; at least 1."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        count = os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, min(count, math.ceil(quota)) if quota else count)


def check_slots(n: int) -> None:
    """ExecutorError if this machine should not be asked to run so many electrons at once."""
    most = SLOTS_PER_CPU * cpu_slots()
    if n > most:
        raise ExecutorError(f"{n} electrons at once are too many for this machine ({cpu_slots()} CPUs): at most {most}")


def gpu_count() -> int:
    """GPUs that CUDA may use here."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([v for v in visible.split(",") if v.strip() and v.strip() != "-1"])
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def machine_info() -> dict[str, Any]:
    """Amounts that admission goes by, as ``ExecutorState.info`` has them."""
    return {"memory": total_memory(), "gpu": gpu_count()}


def _cgroup_quota() -> float | None:
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            return float(quota) / float(period)
    with suppress(OSError, ValueError):
        quota_us = int(Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read_text())
        if quota_us > 0:
            return quota_us / int(Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us").read_text())
    return None
