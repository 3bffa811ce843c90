"""Building: from a lattice and its arguments to what is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..model.graph import Environment
from .assemble import Built as Built
from .assemble import Reuse, assemble
from .assemble import recorded_call as recorded_call
from .electron import Electron
from .lattice import Lattice


def build(
    lattice: Lattice,
    args: Sequence[Any] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    dispatch_id: str | None = None,
    environment: Environment | None = None,
    parent: tuple[str, int] | None = None,
    root: str | None = None,
    seed: int | None = None,
    label: str | None = None,
    tags: Sequence[str] = (),
    replace: dict[str, Any] | None = None,
    redispatch_of: str | None = None,
    reuse: Reuse = "none",
    executor: str = "dask",
) -> Built:
    """Run the function of ``lattice`` on these arguments and record what it calls.

    ``environment`` None takes the one of this process, unless ``parent`` says that this is a sublattice, which has its
    root's. ``replace`` maps names of electrons to electrons or functions that are called instead. ``executor`` is the
    short name of what runs the electrons that name none.

    Raises BuildError (RefError where a value is used that does not exist yet), EncodeError or ConfigError; all name the
    lattice and its line, and have the user's exception as their cause.
    """
    replacing = {
        name: value if isinstance(value, Electron) else Electron(value) for name, value in (replace or {}).items()
    }
    return assemble(
        lattice, args, kwargs, dispatch_id=dispatch_id, environment=environment, parent=parent, root=root, seed=seed,
        label=label, tags=tags, replace=replacing, redispatch_of=redispatch_of, reuse=reuse, executor=executor,
    )  # fmt: skip
