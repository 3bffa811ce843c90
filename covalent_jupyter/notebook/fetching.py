"""What a cell of ``%%dispatch`` assigned, brought into a namespace: all that it assigned, or what it had assigned when it
failed or was stopped."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from IPython.core.inputtransformer2 import TransformerManager

from ..client.failures import failed_electrons
from ..client.handle import DispatchId
from ..client.rest import Rest, connect
from ..client.result import Result
from ..client.values import Values
from ..errors import InvalidRequest, NotFinished, NotFound
from ..model import DispatchRow, ElectronRow, Status
from ..worker.cell import Names
from .names import names_of
from .plainly import raised

_SHOWN = 20  # names that are listed
_GONE = "its process ended before it could hand out anything"
_KILLED = "it did not stop when it was told to, as in native code or where everything is caught, so that its process was killed"
#: why a cell hands out nothing, by the cause of its error
_WHY = {"crashed": _GONE, "memory": _GONE, "interrupted": _GONE, "timeout": _KILLED}


class Leftover(NamedTuple):
    """What a cell that failed or was cancelled leaves: the electron that hands out what it had assigned by then; or
    which names did not come back, and why ("" where there is nothing to be said)."""

    electron: ElectronRow | None = None
    lost: str = ""


def fetch(result: Result | DispatchId | str, into: dict[str, Any], names: Sequence[str] | None = None) -> Names:
    """Put what a cell assigned into a namespace (``globals()``), all of it or some ``names``, and say so. Of a cell that
    failed or was cancelled it is what it had assigned by then.

    Raises the cell's own exception if it hands out nothing, NotFinished while it runs.
    """
    result = _result_of(result)
    failed, lost = leftover(result)
    if lost:
        print(lost)
    found = assigned_by(result, failed)
    unknown = [n for n in names or () if n not in found]
    if unknown:
        raise NotFound(f"the cell assigned no {', '.join(unknown)}; it assigned {', '.join(found) or 'nothing'}")
    chosen = {n: found[n] for n in names or found}
    gone = put(chosen, found.gone if not names else (), into)
    if failed is not None and failed.error is not None:
        why = (
            f"failed ({failed.error.type}: {failed.error.message})"
            if failed.status is Status.FAILED
            else "was cancelled"
        )
        print(f"The cell {why}.{' It had assigned something before.' if found else ''}")
    tell(chosen, found.left if not names else {}, gone)
    return Names(chosen, found.left, found.gone)


def assigned_by(result: Result, failed: ElectronRow | None) -> Names:
    """The names of a cell that has ended; ``failed`` is its electron if that hands out what it had assigned by then."""
    short = result.dispatch_id[:8]
    if not result.status.ended:
        raise NotFinished(
            f"cell {short} is {result.status}: `%covalent wait {short}` stays until it has ended, then `%covalent fetch "
            f"{short}` brings its names; `%%dispatch --wait` does both by itself"
        )
    if failed is not None and failed.error is not None:
        found = Values(connect()).decode(failed.error.left)
    else:
        found = raised(result).value
    if not isinstance(found, Names):
        raise InvalidRequest(f"dispatch {short} is no cell of %%dispatch; its result is ct.get_result({short!r}).value")
    return found


def leftover(result: Result | DispatchRow) -> Leftover:
    """What is left of a cell that has ended without a result."""
    if result.status not in (Status.FAILED, Status.CANCELLED):
        return Leftover()
    rest = connect()
    if result.status is Status.FAILED:
        ended = list(failed_electrons(rest, result.dispatch_id))
    else:
        ended = rest.electrons(result.dispatch_id, status="CANCELLED").electrons
    for row in ended:
        if row.error is not None and row.error.left:
            return Leftover(row)
    return Leftover(None, _lost(rest, ended[0]) if ended else "")


def _lost(rest: Rest, row: ElectronRow) -> str:
    """Which names of a cell did not come back, and why."""
    if row.started is None:
        return ""
    why = _WHY.get(row.error.cause, "") if row.error is not None else _KILLED
    names = _assigned_in(rest.electron(row.dispatch_id, row.node).get("source") or "") if why else []
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"Did not come back: {', '.join(names[:_SHOWN])}{more} ({why})" if names else ""


def _assigned_in(source: str) -> list[str]:
    """The names that a cell assigns, by the source of its function; those of modules are left out."""
    try:
        function = ast.parse(source.strip()).body[0]
    except (SyntaxError, IndexError):
        return []
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return []
    statements = [s for s in function.body if not isinstance(s, (ast.Import, ast.ImportFrom))]
    found = names_of(statements, TransformerManager().transform_cell)
    return list(dict.fromkeys([*found.assigns, *found.mutates]))


def bring(result: Result | DispatchId | str, into: dict[str, Any]) -> list[str]:
    """Fetch everything, without a word; the names of it that are no modules."""
    result = _result_of(result)
    found = assigned_by(result, leftover(result).electron)
    gone = put(found, found.gone, into)
    return [*(n for n, value in found.items() if not isinstance(value, ModuleType)), *(f"no {name}" for name in gone)]


def put(values: Mapping[str, Any], gone: Sequence[str], into: dict[str, Any]) -> list[str]:
    """Assign here, and delete here; the names that were deleted."""
    into.update({n: _at_home(value, into) for n, value in values.items()})
    return [name for name in gone if into.pop(name, into) is not into]


def tell(chosen: Mapping[str, Any], left: Mapping[str, str], gone: Sequence[str] = ()) -> None:
    """Say what came, what stayed, and what is no more."""
    if chosen:
        values = [name for name, value in chosen.items() if not isinstance(value, ModuleType)] or list(chosen)
        more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
        print(f"Here now: {', '.join(values[:_SHOWN])}{more}")
    elif not left and not gone:
        print("The cell assigned nothing.")
    if gone:
        print(f"Deleted here as well: {', '.join(gone)}")
    for name, why in left.items():
        print(f"Stayed there: {name} ({why})")


def _result_of(result: Result | DispatchId | str) -> Result:
    return result if isinstance(result, Result) else DispatchId(str(result)).result()


def _at_home(value: Any, into: dict[str, Any]) -> Any:
    """A function that the cell defined reads the variables of the notebook from now on."""
    if not isinstance(value, FunctionType) or value.__module__ != "__main__" or value.__closure__:
        return value
    for key, needed in value.__globals__.items():
        into.setdefault(key, needed)
    made = FunctionType(value.__code__, into, value.__name__, value.__defaults__)
    made.__kwdefaults__, made.__doc__, made.__dict__ = value.__kwdefaults__, value.__doc__, dict(value.__dict__)
    made.__annotations__, made.__module__ = value.__annotations__, value.__module__
    return made
