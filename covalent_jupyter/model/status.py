"""The states of dispatches and electrons, with the words and signs that every view shares."""

from __future__ import annotations

from enum import StrEnum, nonmember


class Status(StrEnum):
    """State of a dispatch or an electron; equal to its name as a string, as in Covalent."""

    NEW_OBJECT = "NEW_OBJECT"  # not ready, or ready and waiting for a place
    PENDING_REUSE = "PENDING_REUSE"  # will take the recorded value of an earlier dispatch
    DISPATCHING = "DISPATCHING"  # handed to an executor, not yet begun
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"  # an electron that it depends on gave no value

    # Covalent's others, to be compared with: nothing is ever in them here
    STARTING = nonmember("STARTING")
    PENDING_REPLACEMENT = nonmember("PENDING_REPLACEMENT")
    PENDING_POSTPROCESSING = nonmember("PENDING_POSTPROCESSING")
    POSTPROCESSING = nonmember("POSTPROCESSING")
    POSTPROCESSING_FAILED = nonmember("POSTPROCESSING_FAILED")
    DISPATCHING_SUBLATTICE = nonmember("DISPATCHING")

    def __str__(self) -> str:
        return self.value

    @property
    def ended(self) -> bool:
        return self in ENDED

    @staticmethod
    def is_terminal(status: object) -> bool:
        """``ended`` of a status or its name, as Covalent asks."""
        return str(status) in ENDED


ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.SKIPPED})

#: state -> (sign, word); one sign and one word wherever a person looks
SIGNS: dict[Status, tuple[str, str]] = {
    Status.NEW_OBJECT: ("○", "waiting"),
    Status.PENDING_REUSE: ("○", "waiting"),
    Status.DISPATCHING: ("○", "queued"),
    Status.RUNNING: ("◐", "running"),
    Status.COMPLETED: ("✓", "completed"),
    Status.FAILED: ("✕", "failed"),
    Status.CANCELLED: ("⊘", "cancelled"),
    Status.SKIPPED: ("⤼", "skipped"),
}
