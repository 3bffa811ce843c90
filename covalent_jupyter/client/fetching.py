"""Results of dispatches: by id, by the shortest unique prefix of one, or the latest of a lattice."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidRequest, NotFound
from ..model import Status
from ..workflow.options import suggest
from .brief import brief
from .handle import DispatchId
from .inline import InlineDispatch
from .rest import Rest, connect
from .result import Result
from .waiting import require_ended, wait_for

#: dispatches that ``latest`` looks at
LOOKED_AT = 1000


def check_id(dispatch_id: object) -> str:
    """The id (or prefix) as text, that of a Result, too; an error that says what is expected otherwise."""
    if isinstance(dispatch_id, Result):
        return dispatch_id.dispatch_id
    if not isinstance(dispatch_id, str) or not dispatch_id.strip():
        raise InvalidRequest(
            "a dispatch id (or the start of one) is expected, not "
            f"{'an empty text' if isinstance(dispatch_id, str) else type(dispatch_id).__name__}: "
            "it is what ct.dispatch(...)(...) returned"
        )
    if isinstance(dispatch_id, DispatchId):
        _ = dispatch_id.rest  # says so where it was not sent
    return dispatch_id.strip()


@brief
def get_result(
    dispatch_id: str,
    wait: bool = False,
    timeout: float | None = None,
    status_only: bool = False,
    workflow_output: bool = True,
    intermediate_outputs: bool = True,
    sublattice_results: bool = True,
) -> Any:
    """The :class:`Result` of a dispatch, as it is now or (``wait``) once it has ended.

    Values are fetched when touched. ``status_only`` gives ``{"id", "status"}`` instead. ``workflow_output``,
    ``intermediate_outputs`` and ``sublattice_results`` False leave these out of the Result. Raises NotFound for an
    unknown id, Conflict for a prefix of several, NotFinished if it has not ended ``timeout`` seconds after a
    ``wait`` began.
    """
    if isinstance(dispatch_id, InlineDispatch):  # it ran here, and only this handle knows of it
        found = dispatch_id.result()
        return {"id": found.dispatch_id, "status": found.status} if status_only else found
    rest = connect()
    known = check_id(dispatch_id)
    if wait:
        row = require_ended(rest, wait_for(rest, known, timeout), timeout)
    else:
        row = rest.dispatch(known)
    if status_only:
        return {"id": row.dispatch_id, "status": row.status}
    return Result(rest, row, workflow_output=workflow_output, intermediate_outputs=intermediate_outputs,
                  sublattice_results=sublattice_results)  # fmt: skip


class ResultManager:
    """Covalent's result manager: ``result_object`` is the Result; nothing needs saving."""

    def __init__(self, rest: Rest, dispatch_id: str) -> None:
        self._rest = rest
        self.dispatch_id = dispatch_id

    @property
    def result_object(self) -> Result:
        return Result(self._rest, self._rest.dispatch(self.dispatch_id))

    def __repr__(self) -> str:
        return f"<result manager of {self.dispatch_id}; .result_object is its Result>"

    def save(self) -> None:
        """Everything is recorded when it happens."""


@brief
def get_result_manager(dispatch_id: str, results_dir: str | None = None, wait: bool = False) -> ResultManager:
    """For code written for Covalent; ``results_dir`` is not used."""
    rest = connect()
    row = wait_for(rest, check_id(dispatch_id)) if wait else rest.dispatch(check_id(dispatch_id))
    return ResultManager(rest, row.dispatch_id)


@brief
def latest(name: str, *, status: str | Status = Status.COMPLETED, **inputs: Any) -> Result:
    """The newest dispatch of the lattice ``name`` that completed (or has another ``status``), with these inputs."""
    rest = connect()
    before: Any = None
    looked_at = 0
    while looked_at < LOOKED_AT:
        page = rest.dispatches(lattice=name, status=str(Status(status)), before=before, limit=100)
        for row in page.dispatches:
            if all(row.inputs.get(k) in (repr(v), str(v)) for k, v in inputs.items()):
                return Result(rest, row)
        looked_at += len(page.dispatches)
        before = page.next
        if before is None or not page.dispatches:
            break
    wanted = ", ".join(f"{k}={v!r}" for k, v in inputs.items())
    if not looked_at:
        others = {row.lattice for row in rest.dispatches(limit=LOOKED_AT, parent="none").dispatches} - {name}
        raise NotFound(f"no dispatch of a lattice called {name!r} is {Status(status)}{suggest(name, others)}")
    raise NotFound(f"no {Status(status)} dispatch of {name}({wanted}) among the {looked_at} newest ones of that name")
