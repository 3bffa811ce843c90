"""The points of a sweep: ``grid``, ``zip``, lists of dicts, DataFrames."""

from __future__ import annotations

import builtins
import contextlib
import io
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import config
from ..errors import BuildError, CovalentError
from ..workflow import Electron, Lattice, build
from .display import plain

#: points from which on one of them is built first, to see how many nodes all of them will be
MANY = 100


class Points(list[dict[str, Any]]):
    """Inputs of the runs of a sweep, one dict each; ``shape`` says how they came about."""

    def __init__(self, points: Iterable[Mapping[str, Any]], shape: str = "") -> None:
        super().__init__(dict(point) for point in points)
        self.shape = shape

    def __repr__(self) -> str:
        return said(self)


def said(points: Sequence[Mapping[str, Any]]) -> str:
    """``12 points (C × 4, gamma × 3)``."""
    shape = points.shape if isinstance(points, Points) else ""
    number = "1 point" if len(points) == 1 else f"{len(points)} points"
    return f"{number} ({shape})" if shape else number


def grid(**columns: Iterable[Any]) -> Points:
    """Every combination: ``ct.grid(C=[0.1, 1], gamma=[0.5, 0.7])`` are four points, the last name varying first."""
    values = _columns(columns, "ct.grid")
    points = (dict(builtins.zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values()))
    return Points(points, ", ".join(f"{name} × {len(found)}" for name, found in values.items()))


def zip(*iterables: Any, **columns: Any) -> Any:
    """Values that belong together: ``ct.zip(C=[0.1, 1], gamma=[0.5, 0.7])`` are two points. All are of one length.

    With positional arguments it is Python's own ``zip``, so that ``from covalent_jupyter import *`` takes nothing away.
    """
    if iterables or not columns:
        return builtins.zip(*iterables, **columns)  # noqa: B905 - as the caller wants it
    values = _columns(columns, "ct.zip")
    lengths = {name: len(found) for name, found in values.items()}
    if len(set(lengths.values())) > 1:
        raise BuildError(
            "ct.zip takes columns of one length; these have "
            + ", ".join(f"{name} {length}" for name, length in lengths.items())
            + ". ct.grid makes all combinations"
        )
    return Points(
        (dict(builtins.zip(values, row, strict=True)) for row in builtins.zip(*values.values(), strict=True)),
        ", ".join(values),
    )


def _columns(columns: Mapping[str, Any], what: str) -> dict[str, list[Any]]:
    if not columns:
        raise BuildError(f"{what} needs columns, as in {what}(C=[0.1, 1], gamma=[0.5, 0.7])")
    found: dict[str, list[Any]] = {}
    for name, values in columns.items():
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise BuildError(
                f"{what}: {name} is {values!r}, and a list of values is expected; what is the same in all runs goes into "
                f"fixed={{{name!r}: ...}}"
            )
        found[name] = [plain_value(value) for value in values]
    return found


def plain_value(value: Any) -> Any:
    """A NumPy scalar as Python's own; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def as_points(points: Any) -> Points:
    """Points from all that a sweep takes. BuildError that says what is expected."""
    if isinstance(points, Points):
        return points
    if hasattr(points, "to_dict") and hasattr(points, "columns"):
        rows = points.to_dict("records")
        return Points(
            ({str(k): plain_value(v) for k, v in row.items()} for row in rows), ", ".join(map(str, points.columns))
        )
    if isinstance(points, Mapping):
        raise BuildError(
            "points is one dict: a sweep takes a list of dicts, ct.grid(**points) for all combinations of lists, or "
            "ct.zip(**points) for lists that belong together"
        )
    if not isinstance(points, Iterable) or isinstance(points, (str, bytes)):
        raise BuildError(f"points is a list of dicts, ct.grid(...), ct.zip(...) or a DataFrame, not {points!r}")
    found = list(points)
    for number, point in enumerate(found):
        if not isinstance(point, Mapping) or not all(isinstance(name, str) for name in point):
            raise BuildError(f"point {number} of the sweep is no dict of parameters: {point!r}")
    return Points(found)


def check_points(target: Lattice, points: Sequence[Mapping[str, Any]], fixed: Mapping[str, Any]) -> None:
    """BuildError for an unknown or missing parameter, with the signature of the lattice."""
    if not points:
        raise BuildError("a sweep needs at least one point")
    seen: set[frozenset[str]] = set()
    for number, point in enumerate(points):
        both = sorted(set(point) & set(fixed))
        if both:
            raise BuildError(f"{', '.join(both)} is fixed, and in point {number} as well: take it out of one of them")
        names = frozenset(point)
        if names not in seen:
            seen.add(names)
            target.binder.check(target.name, (), {**fixed, **point})


def check_size(target: Lattice, points: Sequence[Mapping[str, Any]], fixed: Mapping[str, Any]) -> None:
    """BuildError where so many points are more nodes than a dispatch may have."""
    limit = config.load().max_nodes
    each = 1 + (_nodes_of(target, {**fixed, **points[0]}) if MANY <= len(points) <= limit else 0)
    if len(points) * each <= limit:
        return
    nodes = f"{len(points):,} points" + (f" of {each:,} nodes each" if each > 1 else "")
    fit = limit // each
    ways = (
        [f"begin with ct.sweep({plain(target.name)}, points[:{fit}]), and .add(points[...]) the others"] if fit else []
    )
    raise BuildError(
        f"{nodes} are {len(points) * each:,} nodes under one dispatch; the limit is {limit:,} (max_nodes). Nothing was sent. "
        + " Or ".join([*ways, f"ct.set_config(max_nodes={len(points) * each}) and restart the service"])
    )


def _nodes_of(target: Lattice, arguments: Mapping[str, Any]) -> int:
    """Nodes of the lattice, called so; 0 for an electron, whose run is the node itself, and where it cannot be built."""
    if isinstance(target.function, Electron):
        return 0
    with contextlib.suppress(CovalentError), contextlib.redirect_stdout(io.StringIO()):
        return len(build(target, (), dict(arguments)).manifest.nodes)
    return 0


def varying(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """Parameters that are not the same in all points, in order; all of them if there is one point only."""
    names = list(dict.fromkeys(name for point in points for name in point))
    return [n for n in names if len(points) == 1 or not all(_same(point.get(n), points[0].get(n)) for point in points)]


def _same(one: Any, two: Any) -> bool:
    if one is two:
        return True
    if isinstance(one, float) and isinstance(two, float) and math.isnan(one) and math.isnan(two):
        return True
    try:
        return type(one) is type(two) and bool(one == two)
    except Exception:  # border: a comparison is the user's code, and of arrays it has no truth
        return False
