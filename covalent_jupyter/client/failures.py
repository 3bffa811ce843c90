"""Failed electrons as exceptions and as text that says which, why and what next."""

from __future__ import annotations

import linecache
from collections.abc import Iterator

from ..errors import (
    CovalentError,
    DispatchCancelled,
    DispatchFailed,
    ElectronCrashed,
    ElectronError,
    ElectronInterrupted,
    ElectronTimeout,
    MemoryLimitExceeded,
)
from ..model import DispatchRow, ElectronRow, Error, Frame, Output
from ..workflow.capture import cell_of
from .display import plain
from .rest import Rest
from .values import Values

#: failed electrons that a message shows in full
SHOWN = 5
#: sublattices that are followed down to the electron that failed
DEPTH = 20


def failed_electrons(rest: Rest, dispatch_id: str, depth: int = 0) -> Iterator[ElectronRow]:
    """The electrons that failed, those inside failed sublattices instead of the sublattices themselves."""
    for row in rest.electrons(dispatch_id, status="FAILED", limit=SHOWN * 4).electrons:
        inner = list(failed_electrons(rest, row.child, depth + 1)) if row.child and depth < DEPTH else []
        if inner:
            yield from inner
        else:
            yield row


def frames_text(frames: list[Frame], indent: str = "    ") -> str:
    """The user's own frames, outermost first; all of them where none is marked as the user's."""
    chosen = [f for f in frames if f.user] or frames
    lines = []
    for frame in chosen[-8:]:
        lines.append(f"{indent}{short_place(frame.file, frame.line, frame.place)}, in {frame.function}")
        text = frame.text or linecache.getline(frame.file, frame.line)
        if text:
            lines.append(f"{indent}    {text.strip()}")
    return "\n".join(lines)


def short_place(file: str, line: int, place: str = "") -> str:
    """``model.py, line 3`` with its folder; for a notebook's cell ``Cell In[5], line 3``, where that was recorded as
    ``place`` or the cell is this kernel's."""
    cell = place or cell_of(file)
    if cell:
        return f"{cell}, line {line}"
    if "ipykernel_" in file or file.startswith("<ipython-input"):
        return f"the notebook's cell, line {line}"
    return f"{file}, line {line}"


def electron_text(row: ElectronRow) -> str:
    """One failed electron: name, exception, the user's frames, the advice."""
    error = row.error or Error("Error", "no reason was recorded")
    attempt = f", attempt {row.attempt}" if row.attempt > 1 else ""
    lines = [f"✕ {row.name} [{row.node}]{attempt}: {error.type}: {error.message}".rstrip(": ")]
    lines += [f"    {line}" for line in error.behind]
    frames = frames_text(error.frames)
    if frames:
        lines.append(frames)
    if error.hint:
        lines.append(f"    → {error.hint}")
    return plain("\n".join(lines), lines=True)


def failure_text(row: DispatchRow, failed: list[ElectronRow]) -> str:
    """Everything that a reader needs about a failed dispatch."""
    counts = row.counts
    skipped = f", {counts.skipped} skipped because of them" if counts.skipped else ""
    what = f": {counts.failed} of {counts.total} electrons failed{skipped}" if counts.failed else ""
    lines = [f"dispatch {row.dispatch_id} ({plain(row.name)}) failed{what}"]
    lines += [electron_text(electron) for electron in failed[:SHOWN]]
    if len(failed) > SHOWN:
        lines.append(f"... and {counts.failed - SHOWN if counts.failed > SHOWN else len(failed) - SHOWN} more")
    if not failed and row.error:
        lines.append(plain(row.error, lines=True))
    if failed:
        first = failed[0]
        lines.append(
            f'Look into it: ct.get_result("{first.dispatch_id}").electrons[{first.node}] has .inputs, .stdout '
            "and .call(). "
            f'After mending: ct.redispatch("{row.root_id}", code="current", reuse_previous_results=True)().'
        )
    return "\n".join(lines)


def exception_of(values: Values, row: ElectronRow, text: str) -> BaseException:
    """The electron's own exception, its cause being the whole story; DispatchFailed where it cannot be loaded here, caused by
    an ElectronError that shows what is known of it."""
    error = row.error or Error("Error", "no reason was recorded")
    story = DispatchFailed(text, {row.node: f"{error.type}: {error.message}"})
    found = _own_exception(values, error)
    if found is None:
        found = _by_cause(error)
    if found is None:
        story.__cause__ = ElectronError(plain(f"{error.type}: {error.message}".rstrip(": "), lines=True))
        _add_note(story.__cause__, row, "\n".join(f"    {line}" for line in error.behind))
        return story
    if found.__cause__ is None:
        found.__cause__ = story
    _add_note(found, row)
    return found


def _add_note(exception: BaseException, row: ElectronRow, more: str = "") -> None:
    """Where it was raised, the user's frames, the advice."""
    error = row.error or Error("", "")
    parts = [f"raised in electron {row.name} [{row.node}] of dispatch {row.dispatch_id}", more]
    parts += [frames_text(error.frames), error.hint]
    # add_note is of Python 3.11
    note = plain("\n".join(filter(None, parts)), lines=True)
    vars(exception)["__notes__"] = [*getattr(exception, "__notes__", ()), note]


def _own_exception(values: Values, error: Error) -> BaseException | None:
    if not isinstance(error.exception, Output):
        return None
    try:
        found = values.decode(error.exception.digest, error.exception.data)
    except CovalentError:
        return None
    return found if isinstance(found, BaseException) else None


def _by_cause(error: Error) -> BaseException | None:
    message = error.message or error.type
    if error.cause == "crashed":
        return ElectronCrashed(message, error.signal or None, error.exitcode)
    kinds: dict[str, type[CovalentError]] = {
        "timeout": ElectronTimeout, "memory": MemoryLimitExceeded, "interrupted": ElectronInterrupted,
        "deps": ElectronError, "executor": ElectronError, "encode": ElectronError, "decode": ElectronError,
    }  # fmt: skip
    kind = kinds.get(error.cause)
    return kind(message) if kind is not None else None


def exception_for(rest: Rest, values: Values, row: DispatchRow) -> BaseException:
    """What ``value`` and ``raise_for_status`` raise for a dispatch that ended without a result."""
    if row.status == "CANCELLED":
        done = f"{row.counts.completed} of {row.counts.total} electrons had completed"
        return DispatchCancelled(
            f"dispatch {row.dispatch_id} ({plain(row.name)}) was cancelled; {done}. "
            f'Continue it: ct.redispatch("{row.dispatch_id}", rerun="failed")().'
        )
    failed = list(failed_electrons(rest, row.dispatch_id))
    text = failure_text(row, failed)
    if not failed:
        return DispatchFailed(text)
    found = exception_of(values, failed[0], text)
    if isinstance(found, DispatchFailed):
        found.electrons = {e.node: f"{e.error.type}: {e.error.message}" for e in failed if e.error is not None}
    return found
