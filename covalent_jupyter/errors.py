"""Every error that covalent-jupyter raises, in one tree.

::

    CovalentError
    ├── BuildError                 a lattice cannot be built as written
    │   └── (RefError)             also a TypeError: an electron's value was used before it exists
    ├── EncodeError                a function or value cannot be pickled; says where inside it
    ├── DecodeError                a recorded value cannot be loaded here; names both versions
    ├── ConfigError                an option, name or setting that is wrong or unknown
    ├── ServiceError               the service answered, and refused
    │   ├── InvalidRequest   400
    │   ├── NotFound         404   also a LookupError
    │   ├── Conflict         409   the id exists with another graph, or the state forbids it
    │   ├── TooLarge         413
    │   ├── MissingBlobs     422   the request names blobs that the service does not have
    │   ├── StoreGone        424   the store was removed while the service ran
    │   ├── VersionMismatch  426   client and service speak different protocols
    │   └── StorageFull      507
    ├── ServiceUnavailable         the service cannot be reached or started (also a ConnectionError)
    ├── StoreError                 the store cannot be opened or written
    │   ├── StoreLocked            another process, or another host, owns it
    │   ├── StoreTooNew            written by a newer version
    │   └── StoreDamaged           cannot be repaired by itself; says what to do
    ├── ExecutorError              an executor cannot be made or reached
    │   └── EnvironmentMismatch    Python or cloudpickle differ between two sides
    ├── DispatchError              a dispatch did not give what was asked for
    │   ├── DispatchFailed         it failed; ``electrons`` lists which and why
    │   ├── DispatchCancelled
    │   └── NotFinished            no value yet
    └── ElectronError              one electron did not give a value
        ├── ElectronCrashed        its process died; ``signal`` or ``exitcode``
        ├── ElectronTimeout        (also a TimeoutError)
        ├── ElectronInterrupted    cut off, and declared ``on_interrupt="fail"``
        └── MemoryLimitExceeded
"""

from __future__ import annotations

from typing import Any


class CovalentError(Exception):
    """Base of every error that this package raises on purpose."""


class BuildError(CovalentError):
    """A lattice cannot be built as written."""


class RefError(BuildError, TypeError):
    """The value of an electron was used before it exists (while the lattice is built)."""


class EncodeError(CovalentError):
    """A function or value cannot be pickled; the message names the path to the culprit."""


class DecodeError(CovalentError):
    """A recorded value cannot be loaded here; the message names recorded and present versions."""


class ConfigError(CovalentError, ValueError):
    """An option, name or setting is wrong or unknown."""


class ServiceError(CovalentError):
    """The service refused a request. ``status`` is the HTTP status, ``details`` its JSON details."""

    status = 400

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class InvalidRequest(ServiceError):
    """The request is malformed; the message says what is wrong with it."""


class NotFound(ServiceError, LookupError):
    """No such dispatch, electron or value."""

    status = 404

    def __str__(self) -> str:  # LookupError would show the repr of the message
        return str(self.args[0])


class Conflict(ServiceError):
    """The id exists with another graph, or the present state forbids the request."""

    status = 409


class TooLarge(ServiceError):
    """The request exceeds a cap, which the message names."""

    status = 413


class MissingBlobs(ServiceError):
    """The request names blobs that the service does not have: ``details["missing"]``."""

    status = 422


class StoreGone(ServiceError):
    """The store was removed while the service ran; nothing was accepted."""

    status = 424


class VersionMismatch(ServiceError):
    """Client and service speak protocols that do not meet."""

    status = 426


class StorageFull(ServiceError):
    """The store cannot take more at the moment; nothing was accepted."""

    status = 507


SERVICE_ERRORS: dict[int, type[ServiceError]] = {
    c.status: c
    for c in (InvalidRequest, NotFound, Conflict, TooLarge, MissingBlobs, StoreGone, VersionMismatch, StorageFull)
}


class ServiceUnavailable(CovalentError, ConnectionError):
    """The service cannot be reached or started."""


class StoreError(CovalentError):
    """The store cannot be opened or written."""


class StoreLocked(StoreError):
    """Another process or another host owns the store."""


class StoreTooNew(StoreError):
    """The store was written by a newer version of this package."""


class StoreDamaged(StoreError):
    """The store is damaged in a way that it cannot repair by itself."""


class ExecutorError(CovalentError):
    """An executor cannot be made or reached."""


class EnvironmentMismatch(ExecutorError):
    """Python or cloudpickle differ between two sides, so that nothing may be unpickled."""


class DispatchError(CovalentError):
    """A dispatch did not give what was asked for."""


class DispatchFailed(DispatchError):
    """The dispatch failed. ``electrons`` maps a node's id to its error message."""

    def __init__(self, message: str, electrons: dict[int, str] | None = None) -> None:
        super().__init__(message)
        self.electrons = electrons or {}


class DispatchCancelled(DispatchError):
    """The dispatch was cancelled before it had a result."""


class NotFinished(DispatchError):
    """The dispatch or electron has no value yet."""


class ElectronError(CovalentError):
    """One electron did not give a value."""


class ElectronCrashed(ElectronError):
    """The process of an electron died.

    ``signal`` is the name of the signal (``"SIGSEGV"``) or None; ``exitcode`` the exit code or None.
    """

    def __init__(self, message: str, signal: str | None = None, exitcode: int | None = None) -> None:
        super().__init__(message)
        self.signal = signal
        self.exitcode = exitcode


class ElectronTimeout(ElectronError, TimeoutError):
    """An electron ran longer than its ``timeout``."""


class ElectronInterrupted(ElectronError):
    """An electron with ``on_interrupt="fail"`` was cut off."""


class MemoryLimitExceeded(ElectronError, MemoryError):
    """An electron used more memory than its limit."""
