"""``dispatch``, ``dispatch_sync``, ``redispatch``, ``cancel``, ``as_completed``: what users call."""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from types import MethodType
from typing import Any, Literal

from .. import config
from ..errors import BuildError
from ..model import DispatchRow, Manifest, Status
from ..workflow import Electron, Lattice, build, call_again, recorded_call
from .annotating import annotated
from .brief import brief
from .explain import Explanation, explain_reuse
from .fetching import check_id
from .handle import DispatchId
from .inline import InlineDispatch, run_inline
from .nodes import chosen_nodes
from .progress import shown_progress
from .repeating import send_again
from .rest import Rest, connect
from .result import Result
from .submit import mark, submit
from .tables import Facts
from .values import Values
from .waiting import completion_order, in_thread, runs_on, still_running, wait_for

log = logging.getLogger(__name__)

#: newest dispatches of a lattice among which ``once`` looks for the same graph
ONCE = 200


@brief
def dispatch(
    lattice: Any,
    disable_run: bool = False,
    once: bool = False,
    seed: int | None = None,
    inline: bool = False,
    name: str | None = None,
    tags: Sequence[str] = (),
    notify: Any = None,
) -> Callable[..., DispatchId]:
    """``dispatch(lattice)(*args, **kwargs)`` sends the lattice off and gives its :class:`DispatchId` at once.

    When it returns, the dispatch is recorded durably. An electron is dispatched as a lattice of one.

    ``once`` attaches to the newest running or completed dispatch of the same code and inputs (and of the same ``seed``, if one is
    given), and says so. ``inline`` runs everything here, as plain calls, with breakpoints; nothing is recorded. ``disable_run`` builds
    and checks everything and sends nothing. ``seed`` fixes the electrons' random numbers; ``name`` and ``tags`` are for
    people.
    Raises BuildError, EncodeError or ServiceUnavailable, each with the way out.
    """
    chosen = as_lattice(lattice)

    def dispatched(*args: Any, **kwargs: Any) -> DispatchId:
        if inline:
            return run_inline(lattice, args, kwargs)
        built = build(chosen, args, kwargs, executor=config.load().executor)
        mark(built.manifest, name=name, tags=tags, seed=seed, notify=notify)
        if disable_run:
            return DispatchId(built.manifest.dispatch_id, sent=False)
        rest = connect()
        if once and (found := _same(rest, built.manifest, seed is not None)) is not None:
            return found
        submit(rest, built)
        say_warnings(built.manifest)
        return DispatchId(built.manifest.dispatch_id, rest)

    return dispatched if inline else brief(dispatched)  # inline, the frames are the user's


@brief
def dispatch_sync(
    lattice: Any,
    disable_run: bool = False,
    once: bool = False,
    seed: int | None = None,
    inline: bool = False,
    name: str | None = None,
    tags: Sequence[str] = (),
    notify: Any = None,
) -> Callable[..., Any]:
    """As :func:`dispatch`, but waits and gives the :class:`Result`; a terminal shows one line meanwhile, a notebook a
    panel."""
    start = dispatch(lattice, disable_run, once, seed, inline, name, tags, notify)

    def dispatched(*args: Any, **kwargs: Any) -> Any:
        found = start(*args, **kwargs)
        if isinstance(found, InlineDispatch):
            return found.result()
        if disable_run:
            raise BuildError(
                "disable_run sends nothing, so there is nothing to wait for; use ct.dispatch(..., disable_run=True)"
            )
        shown = None
        try:
            with shown_progress(found.rest, found) as shown:
                row = wait_for(found.rest, found, on_change=shown.on_change, stopped=shown.stopped)
        except KeyboardInterrupt:
            if shown is None:  # before the waiting began, which says it too
                print(f"\n{runs_on('the dispatch', found)}", file=sys.stderr)
            raise
        return Result(found.rest, row)

    return dispatched


def as_lattice(thing: Any) -> Lattice:
    """The lattice itself, or a lattice of this one electron. BuildError for anything else."""
    if isinstance(thing, Lattice):
        return thing
    if isinstance(thing, Electron):
        return Lattice.of_electron(thing)
    if isinstance(thing, functools.partial) and isinstance(thing.func, Electron) and len(thing.args) == 1:
        return Lattice.of_electron(MethodType(thing.func, thing.args[0]))  # an electron that is a method
    kind = "a function" if callable(thing) else f"{type(thing).__name__}"
    called = getattr(thing, "__name__", None)
    shown = f"{called!r} is {kind}" if isinstance(called, str) else f"{kind} was given"
    raise BuildError(
        f"dispatch takes a lattice: {shown}. Decorate the workflow function with @ct.lattice"
        + (
            f", or write ct.dispatch(ct.lattice({called}))(...)."
            if isinstance(called, str)
            else "; what it is called with comes after it: ct.dispatch(lattice)(...)."
        )
    )


def _same(rest: Rest, manifest: Manifest, same_seed: bool) -> DispatchId | None:
    """The newest dispatch of this very graph that runs or has completed."""
    for row in rest.dispatches(lattice=manifest.lattice.name, limit=ONCE).dispatches:
        if same_seed and row.seed != manifest.seed:
            continue
        if row.key == manifest.key and row.status in (
            Status.COMPLETED,
            Status.RUNNING,
            Status.NEW_OBJECT,
            Status.DISPATCHING,
        ):
            print(
                f"Attached to dispatch {row.dispatch_id} ({row.status}) of the same code and inputs; "
                "without once another one is started."
            )
            return DispatchId(row.dispatch_id, rest, attached=True)
    return None


def say_warnings(manifest: Manifest) -> None:
    """Logs what the building found worth saying."""
    log_warnings(manifest.name, manifest.warnings)


def log_warnings(name: str, warnings: Iterable[str]) -> None:
    """The same, of a lattice of this name."""
    for text in warnings:
        named = text.startswith(f"{name} ")  # an electron dispatched alone has its lattice's name
        log.warning("%s", text if named else f"{name}: {text}")


class Cancelled(Facts):
    """What a cancel did, per electron: ``cancelled``, ``finished_first``, ..."""


@brief
def cancel(dispatch_id: str, task_ids: Iterable[int | str] | int | str | None = None) -> Cancelled:
    """Stop a dispatch, or some of its electrons, and say what was done; running code is stopped for real.

    ``task_ids`` are their numbers, names, or addresses such as ``"train[C=0.1]"``. NotFound for one that there is not.
    """
    rest, known = connect(), check_id(dispatch_id)
    return Cancelled(rest.cancel(known, chosen_nodes(rest, known, task_ids)))


@brief
def redispatch(
    dispatch_id: str,
    replace_electrons: dict[str, Any] | None = None,
    reuse_previous_results: bool = False,
    code: Literal["recorded", "current"] = "recorded",
    rerun: Literal["changed", "failed"] = "changed",
    explain: bool = False,
    seed: int | None = None,
) -> Callable[..., Any]:
    """``redispatch(id)(*args, **kwargs)`` runs a dispatch again and gives the new :class:`DispatchId`.

    Arguments that are not given are the recorded ones. ``replace_electrons`` maps names of electrons to new ones.
    ``reuse_previous_results`` takes over every value whose code, inputs and deps are the same; ``rerun="failed"`` keeps
    every completed electron, even where the code has changed, and so continues a failed or cancelled dispatch.
    ``code="current"`` takes the definitions that this process has now, by name. ``explain`` starts nothing
    and says per electron whether it would be reused, and why not. Folder and environment variables are this process's.
    """
    if code not in ("recorded", "current"):
        raise BuildError(f'code is "recorded" or "current", not {code!r}')
    if rerun not in ("changed", "failed"):
        raise BuildError(f'rerun is "changed" or "failed", not {rerun!r}')
    known = check_id(dispatch_id)
    reuse: Literal["none", "changed", "failed"] = (
        "failed" if rerun == "failed" else "changed" if reuse_previous_results else "none"
    )

    @brief
    def redispatched(*args: Any, **kwargs: Any) -> DispatchId | Explanation:
        rest = connect()
        old = rest.manifest(known)
        if not (args or kwargs or replace_electrons or explain) and code == "recorded":
            new_id, warnings = send_again(rest, old, reuse=reuse, seed=seed)
            log_warnings(old.name, warnings)
            return DispatchId(new_id, rest)
        values = Values(rest)
        again = _definition(old, values, code)
        if old.call is not None:
            before = functools.partial(recorded_call, old, values.blob)
            args, kwargs = call_again(again, before, args, kwargs) if args or kwargs else before()
        built = build(again, args, kwargs, executor=config.load().executor, redispatch_of=old.dispatch_id, reuse=reuse,
                      replace=checked_replacements(old, replace_electrons or {}))  # fmt: skip
        mark(built.manifest, name=old.label or None, tags=old.tags, seed=old.seed if seed is None else seed)
        if explain:
            return explain_reuse(rest, old, built.manifest, reuse)
        submit(rest, built)
        say_warnings(built.manifest)
        return DispatchId(built.manifest.dispatch_id, rest)

    return redispatched


def checked_replacements(old: Manifest, replace: dict[str, Any]) -> dict[str, Any]:
    """``replace``, if every name in it is one of an electron; BuildError listing the known ones otherwise."""
    if not isinstance(replace, Mapping):
        raise BuildError(
            f"replace_electrons is a dict, from the name of an electron to the one that takes its place, not {replace!r}"
        )
    known = {node.name for node in old.nodes} | {old.functions[node.function].name for node in old.nodes}
    unknown = [name for name in replace if name not in known]
    if unknown:
        raise BuildError(
            f"replace_electrons names {', '.join(map(repr, unknown))}, but dispatch {old.dispatch_id[:8]} has no such "
            f"electron; it has {', '.join(sorted(known)) or 'none'}"
        )
    return replace


def _definition(old: Manifest, values: Values, code: str) -> Lattice:
    """The lattice that ``old`` was built from: as recorded, or as this process defines it now."""
    if code == "recorded":
        return _recorded(old, values)
    found = find_definition(old.lattice.name, old.lattice.file)
    if found is None:
        raise BuildError(
            f'there is no lattice called {old.lattice.name!r} in this process, which code="current" needs: run the '
            'cell that defines it (or import its module), or use code="recorded"'
        )
    return found


def _recorded(old: Manifest, values: Values) -> Lattice:
    found = values.function(old.lattice.digest)
    return found if isinstance(found, Lattice) else as_lattice(found)


def find_definition(name: str, file: str) -> Lattice | None:
    """The lattice of this name in ``__main__``, or in the module loaded from ``file``."""
    modules = [sys.modules.get("__main__")]
    modules += [m for m in list(sys.modules.values()) if file and getattr(m, "__file__", None) == file]
    for module in modules:
        found = getattr(module, "__dict__", {}).get(name)
        if isinstance(found, (Lattice, Electron)):
            return as_lattice(found)
    return None


class AsCompleted(Iterator[DispatchId]):
    """Ids of dispatches in the order in which these end; ``for`` and ``async for``."""

    def __init__(self, rest: Rest, dispatch_ids: Sequence[str], timeout: float | None) -> None:
        self._rest = rest
        self._ids = dispatch_ids
        self._timeout = timeout
        self._rows = completion_order(rest, dispatch_ids, timeout)

    def __next__(self) -> DispatchId:
        return DispatchId(next(self._rows).dispatch_id, self._rest)

    async def __aiter__(self) -> AsyncIterator[DispatchId]:
        left = dict.fromkeys(self._ids)
        try:
            async for row in in_thread(self._in_thread, "covalent-as-completed"):
                left.pop(row.dispatch_id, None)
                yield DispatchId(row.dispatch_id, self._rest)
        except asyncio.CancelledError:
            if "ipykernel" in sys.modules and left:  # Ctrl-C in a cell
                print(still_running(left), file=sys.stderr)
            raise

    def _in_thread(self, stop: threading.Event) -> Iterator[DispatchRow]:
        try:
            yield from completion_order(self._rest, self._ids, self._timeout, stop)
        finally:
            self._rest.disconnect()


@brief
def annotate(
    dispatch_id: str,
    *,
    name: str | None = None,
    note: str | None = None,
    tags: Iterable[str] | None = None,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
) -> list[str]:
    """Change the name, the note or the tags of a dispatch (an id or the start of one); what is not given stays.

    ``tags`` replaces all tags, ``add`` and ``remove`` change some. Gives the tags afterwards.
    """
    return annotated(connect(), check_id(dispatch_id), name=name, note=note, tags=tags, add=add, remove=remove)


def as_completed(dispatch_ids: Iterable[str], timeout: float | None = None) -> AsCompleted:
    """The ids in the order in which their dispatches end, with ``for`` or, while other tasks go on, ``async for``.

    NotFinished names those left after ``timeout`` seconds.
    """
    return AsCompleted(connect(), [check_id(i) for i in dispatch_ids], timeout)
