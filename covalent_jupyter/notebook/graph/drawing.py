"""``lattice.draw(...)``: the graph of a lattice before its dispatch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import InvalidRequest
from ...model import Manifest
from .figure import graph_figure
from .subject import Subject

#: what ``draw`` takes besides the lattice's own arguments
OPTIONS = ("find", "collapse", "direction")


def draw_lattice(lattice: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The figure of the graph that ``lattice`` gives with these arguments.

    A keyword of ``OPTIONS`` is the figure's, unless the lattice has a parameter of that name.
    """
    own = lattice.binder.by_keyword
    options = {name: kwargs.pop(name) for name in OPTIONS if name in kwargs and name not in own}
    return draw_manifest(lattice.build_graph(*args, **kwargs), **options)


def draw_manifest(
    manifest: Manifest, *, find: int | str | None = None, collapse: bool | int = True, direction: str = "right"
) -> Any:
    """The figure of a graph that was not dispatched."""
    return graph_figure(Subject(manifest), title=manifest.name, find=find, collapse=collapse, down=is_down(direction))


def is_down(direction: str) -> bool:
    """Whether the graph runs from top to bottom; InvalidRequest for an unknown direction."""
    if direction not in ("right", "down"):
        raise InvalidRequest(f'direction is "right" or "down", not {direction!r}')
    return direction == "down"
