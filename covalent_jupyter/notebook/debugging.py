"""``ct.debug``: a failed electron in this kernel, stopped at the line that failed."""

from __future__ import annotations

import asyncio
import os
import pdb
import sys
import threading
import traceback
from collections.abc import MutableMapping
from types import CoroutineType, TracebackType
from typing import Any

from ..client.dispatching import redispatch
from ..client.electrons import Electron
from ..client.failures import failed_electrons
from ..client.fetching import check_id
from ..client.finding import find_dispatch
from ..client.nodes import address_of, find_node
from ..client.rest import Rest, connect
from ..client.result import Result
from ..codec.source import add_lines
from ..engine import task_seed
from ..errors import NotFound
from ..worker.failure import users_part
from ..worker.seeds import Seeds

#: names that ``debug`` binds
FUNCTION, INPUTS, ERROR, FRAME = "debug_function", "debug_inputs", "debug_error", "debug_locals"


class Debugged:
    """A failed electron, run again here.

    ``function`` and ``inputs`` (by parameter) are as they were recorded; ``error`` is what the function raised here, None
    if it did not; ``locals`` are the variables at the line that failed; ``value`` is what it returned.
    """

    def __init__(self, electron: Electron, address: str, root: str, seed: int) -> None:
        self.electron = electron
        self.seed = seed
        self.address = address
        self.function = electron.func
        self.inputs = electron.inputs
        self.error: BaseException | None = None
        self.value: Any = None
        self.locals: dict[str, Any] = {}
        self.traceback: TracebackType | None = None
        self._root = root

    def run(self) -> None:
        """Call the function here, with the random numbers that it had there."""
        args, kwargs = self.electron.arguments()
        Seeds().plant(self.seed)
        try:
            self.value = self.function(*args, **kwargs)
            if isinstance(self.value, CoroutineType):
                self.value = _awaited(self.value)
        except Exception as error:
            self.error = error
            self.traceback = users_part(error.__traceback__) or error.__traceback__
            self.locals = _innermost(self.traceback)

    def call(self, **changes: Any) -> Any:
        """Call it again, some inputs changed: ``debugged.call(C=1.0)``."""
        return self.function(**{**self.inputs, **changes})

    def resume(self) -> Any:
        """Continue the dispatch with the present definitions; only what has not completed runs. Gives the new id."""
        return redispatch(self._root, code="current", rerun="failed")()

    @property
    def hint(self) -> str:
        """How to go on."""
        return f'ct.redispatch("{self._root}", code="current", rerun="failed")()'

    def __repr__(self) -> str:
        place = f"{self.address} of {self.electron.dispatch_id[:8]}"
        if self.error is None:
            return f"{place} ran here without an error and gave {self.value!r}"
        lines = [f"{place}: {type(self.error).__name__}: {self.error}"]
        for frame in traceback.extract_tb(self.traceback):
            lines.append(f"    line {frame.lineno} of {frame.name}: {frame.line or ''}".rstrip(": "))
        lines.append(f"Mend the function, run its cell, then continue with: {self.hint}")
        return "\n".join(lines)


def debug(
    dispatch_id: str,
    node: int | str | None = None,
    *,
    prompt: bool | None = None,
    namespace: MutableMapping[str, Any] | None = None,
) -> Debugged:
    """Bring a failed electron into this process: its function and inputs, stopped at the line that failed.

    ``node`` is its number or address (``"train[C=0]"``); without, the first that failed. A debugger's prompt opens there
    (``prompt`` None: where somebody can type). ``debug_function``, ``debug_inputs``, ``debug_error`` and ``debug_locals``
    (the variables at that line) are bound in ``namespace``, the notebook's by default.
    """
    rest = connect()
    row = find_dispatch(rest, check_id(dispatch_id))
    electron = _electron(rest, Result(rest, row), node)
    manifest = rest.manifest(electron.dispatch_id)
    _show_source(electron)
    address = address_of(manifest, electron.node_id)
    found = Debugged(electron, address, row.root_id, task_seed(manifest.seed, electron.node_id))
    found.run()
    shell = _shell()
    names = namespace if namespace is not None else (shell.user_ns if shell is not None else None)
    if names is not None:
        names.update(
            {FUNCTION: found.function, INPUTS: found.inputs, ERROR: found.error, FRAME: found.locals}
        )  # fmt: skip
    if found.error is not None and (prompt if prompt is not None else _can_type(shell)):
        print(f"{address} of {electron.dispatch_id[:8]}: {type(found.error).__name__}: {found.error}")
        print("`q` leaves the debugger. Mend the function, run its cell, then continue with")
        print(f"    {found.hint}")
        _post_mortem(shell, found)
    return found


def _electron(rest: Rest, result: Result, node: int | str | None) -> Electron:
    if node is None:
        failed = next(failed_electrons(rest, result.dispatch_id), None)
        if failed is None:
            raise NotFound(
                f"nothing of {result.name} {result.dispatch_id[:8]} has failed (it is {result.status}); name an electron to run "
                f"it here all the same: ct.debug({result.dispatch_id[:8]!r}, 0)"
            )
        if failed.dispatch_id != result.dispatch_id:  # in a sublattice
            result = Result(rest, rest.dispatch(failed.dispatch_id))
        number = failed.node
    else:
        number = find_node(rest.manifest(result.dispatch_id), node)
    electron = result.electrons[number]
    if electron.row.child:
        inner = next(failed_electrons(rest, electron.row.child), None)
        if inner is not None:
            result = Result(rest, rest.dispatch(inner.dispatch_id))
            electron = result.electrons[inner.node]
    if electron.row.kind == "operator":
        raise NotFound(
            f"{electron.name} [{electron.node_id}] is an operator; there is no function of yours to step into"
        )
    return electron


def _show_source(electron: Electron) -> None:
    """Let tracebacks and the debugger show the function as it was dispatched, where its file or cell is not here."""
    definition = electron.definition
    file, text = definition.file, definition.source
    if file and text and not os.path.exists(file):
        add_lines(file, max(definition.line, 1), text)


def _innermost(tb: TracebackType | None) -> dict[str, Any]:
    """The variables of the user's own innermost frame."""
    found: dict[str, Any] = {}
    while tb is not None:
        if users_part(tb) is tb:
            found = dict(tb.tb_frame.f_locals)
        tb = tb.tb_next
    return found


def _awaited(coroutine: Any) -> Any:
    """The value of a coroutine; in a notebook a loop runs in this thread already."""
    found: dict[str, Any] = {}

    def run() -> None:
        try:
            found["value"] = asyncio.run(coroutine)
        except BaseException as error:  # border of the thread
            found["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if "error" in found:
        raise found["error"]
    return found["value"]


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def _can_type(shell: Any) -> bool:
    kernel = getattr(shell, "kernel", None)
    if kernel is not None:
        return bool(getattr(kernel, "_allow_stdin", False))
    return sys.stdin is not None and sys.stdin.isatty()


def _post_mortem(shell: Any, found: Debugged) -> None:
    assert found.error is not None
    error = found.error.with_traceback(found.traceback)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, found.traceback
    if shell is not None:
        shell.showtraceback((type(error), error, found.traceback))
        shell.debugger(force=True)
    else:
        traceback.print_exception(error)
        pdb.post_mortem(found.traceback)
