"""What ``ct.dispatch`` gives: the dispatch id, a string that knows its dispatch."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from ..errors import NotFound
from ..model import Status
from ..notebook.panel import Panel, in_notebook
from .annotating import annotated
from .electrons import Electrons
from .nodes import chosen_nodes
from .rest import Rest, connect
from .result import Result
from .waiting import ended, require_ended, wait_for


class DispatchId(str):
    """A dispatch id. ``await`` on it gives the :class:`Result` once the dispatch has ended."""

    _rest: Rest | None
    attached: bool
    sent: bool

    def __new__(cls, text: str, rest: Rest | None = None, *, attached: bool = False, sent: bool = True) -> DispatchId:
        self = super().__new__(cls, text)
        self._rest = rest
        self.attached = attached  # whether ``once=True`` found it, instead of starting it
        self.sent = sent  # False: ``disable_run=True`` built it, and that was all
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return DispatchId, (str(self),)

    def __str__(self) -> str:
        return str.__str__(self)

    @property
    def rest(self) -> Rest:
        """The service that knows the dispatch; NotFound where it was never sent to one."""
        if not self.sent:
            raise NotFound(
                f"dispatch {self[:8]} was built and checked with disable_run=True, and was not sent: dispatch it "
                "without disable_run"
            )
        return self._rest if self._rest is not None else connect()

    @property
    def status(self) -> Status:
        """The present status."""
        return self.rest.dispatch(self).status

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until it has ended, at most ``timeout`` seconds; the status then. Ctrl-C stops the waiting only."""
        return wait_for(self.rest, self, timeout).status

    def value(self, timeout: float | None = None) -> Any:
        """What the lattice returned, waited for. Raises as :attr:`Result.value` does; NotFinished after ``timeout``
        seconds."""
        return Result(self.rest, require_ended(self.rest, wait_for(self.rest, self, timeout), timeout)).value

    def result(self, timeout: float | None = None) -> Result:
        """The Result, waited for. Raises NotFinished after ``timeout`` seconds."""
        return Result(self.rest, require_ended(self.rest, wait_for(self.rest, self, timeout), timeout))

    def cancel(self, task_ids: Iterable[int | str] | int | str | None = None) -> dict[str, Any]:
        """Stop it, or some of its electrons (numbers, names, ``"train[C=0.1]"``); says what was done to which electron."""
        return self.rest.cancel(self, chosen_nodes(self.rest, self, task_ids))

    def tag(self, *tags: str) -> list[str]:
        """Add tags; all of its tags then."""
        return annotated(self.rest, self, add=tags)

    def untag(self, *tags: str) -> list[str]:
        """Remove tags; those that are left."""
        return annotated(self.rest, self, remove=tags)

    def note(self, text: str) -> None:
        """Write a note on it, in the place of the one before; "" removes it."""
        annotated(self.rest, self, note=text)

    def rename(self, name: str) -> None:
        """Give it another name; "" gives it its lattice's again."""
        annotated(self.rest, self, name=name)

    @property
    def electrons(self) -> Electrons:
        return Result(self.rest, self.rest.dispatch(self)).electrons

    def show(self) -> None:
        """Display the panel (in a notebook); elsewhere print the state and the electrons."""
        if in_notebook():
            Panel(self.rest, self).show(text=repr(self))
            return
        result = Result(self.rest, self.rest.dispatch(self))
        print(f"{result!r}\n{result.electrons!r}")

    def __await__(self) -> Generator[Any, None, Result]:
        return self._result().__await__()

    async def _result(self) -> Result:
        return Result(self.rest, await ended(self.rest, self))

    # IPython asks in this order

    def _ipython_display_(self) -> None:
        if not (in_notebook() and self.sent and Panel(self.rest, self).show(text=repr(self), only_running=True)):
            raise NotImplementedError  # IPython goes on with the next

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any] | None:
        return Panel(self.rest, self).data(repr(self)) if in_notebook() and self.sent else None

    def _repr_html_(self) -> str | None:
        return Panel(self.rest, self).html() if self.sent else None
