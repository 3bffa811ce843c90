"""What each dispatch of a sweep is: a lattice that calls another one for every point, with a limit and a group."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .. import config
from ..errors import BuildError
from ..model import FunctionDef, Manifest
from ..workflow import Built, Lattice, build
from ..workflow import Electron as ElectronOf
from .dispatching import as_lattice, say_warnings
from .display import SWEEP
from .rest import Rest
from .submit import mark, submit


class Request(NamedTuple):
    """What one dispatch of a sweep is made of; ``numbers`` are the places of its points in the sweep."""

    target: Any
    points: Sequence[Mapping[str, Any]]
    fixed: dict[str, Any]
    numbers: list[int]
    max_running: int | None
    group: str
    name: str | None
    tags: tuple[str, ...]


def limit_of(max_running: Any) -> int | None:
    if max_running is None:
        return None
    if not isinstance(max_running, int) or isinstance(max_running, bool) or max_running < 1:
        raise BuildError(f"max_running is a whole number of at least 1, not {max_running!r}")
    return max_running


def _sweeping(target: Any) -> Callable[..., Any]:
    """The lattice function of a sweep: calls ``target`` for each point."""
    call = target if isinstance(target, ElectronOf) else ElectronOf(as_lattice(target))

    def swept(points: Sequence[Mapping[str, Any]], fixed: Mapping[str, Any], numbers: Sequence[int]) -> list[Any]:
        return [call(**fixed, **point) for point in points]

    swept.__name__ = swept.__qualname__ = f"{SWEEP}{call.name}"
    swept.__module__ = "__main__"  # pickled whole: another version of this package must be able to read it
    return swept


def target_of(lattice: Lattice) -> Any:
    """What a recorded sweep calls."""
    return inspect.getclosurevars(lattice.function).nonlocals["call"]


def tag_of(group: str) -> str:
    return f"sweep:{group[:8]}"


def built_of(request: Request, dispatch_id: str | None = None) -> Built:
    built = build(
        Lattice(_sweeping(request.target)), (list(map(dict, request.points)), request.fixed, request.numbers),
        executor=config.load().executor, dispatch_id=dispatch_id,
    )  # fmt: skip
    manifest = built.manifest
    manifest.max_running, manifest.group = request.max_running, request.group
    known = [tag for tag in request.tags if tag != tag_of(request.group)]
    label = request.name or f"{short_name(manifest)} × {len(request.points)}"
    mark(manifest, name=label, tags=[*known, tag_of(request.group)], seed=None)
    return built


def send(rest: Rest, built: Built) -> Manifest:
    submit(rest, built)
    say_warnings(built.manifest)
    return built.manifest


def swept_code(manifest: Manifest) -> FunctionDef:
    """What the runs of a sweep call, as recorded."""
    return manifest.functions[manifest.nodes[0].function]


def short_name(manifest: Manifest) -> str:
    return manifest.name.removeprefix(SWEEP)
