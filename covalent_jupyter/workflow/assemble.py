"""The lattice function runs once, and what it did becomes a manifest with its blobs."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import random
import re
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from hashlib import sha256
from types import CodeType, TracebackType
from typing import Any, Literal, NamedTuple

from .. import codec
from ..errors import BuildError, ConfigError, CovalentError, EncodeError, RefError
from ..model.graph import Digest, Environment, FunctionDef, Input, Lit, Manifest, Tpl, refs_of
from ..model.graph import Ref as RefTo
from . import ops
from .capture import signature_of, source_of
from .environment import Taken
from .graph import BUILDING, Graph
from .outline import outline_of
from .refs import Ref
from .values import LARGE, Chunks

Reuse = Literal["none", "changed", "failed"]
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_random = random.SystemRandom()
#: what other libraries say of a reference that they cannot take
_NAMES_REF = re.compile(r"\bRef\b|not run yet>")
_REF_HINT = (
    ". A Ref stands for what an electron gives, which has no value while the lattice is built: do it inside an electron, or move "
    "this part into a sublattice: ct.electron(ct.lattice(f))"
)


class Built(NamedTuple):
    """A lattice ready to be sent: blobs by digest, and the values of environment variables."""

    manifest: Manifest
    blobs: dict[Digest, Chunks]
    variables: dict[str, str]


def assemble(
    lattice: Any,
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
    """:func:`.build.build`, with electrons in ``replace``."""
    args, kwargs = tuple(args), dict(kwargs or {})
    defaults = {"executor": executor, **lattice.given}
    graph = Graph(lattice.name, lattice.code, defaults, replace)
    try:
        return _assembled(
            graph, lattice, args, kwargs, dispatch_id=dispatch_id, environment=environment, parent=parent, root=root,
            seed=seed, label=label, tags=tags, redispatch_of=redispatch_of, reuse=reuse,
        )  # fmt: skip
    finally:
        graph.close()


def _assembled(
    graph: Graph, lattice: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, environment: Environment | None,
    parent: tuple[str, int] | None, dispatch_id: str | None, seed: int | None, label: str | None, tags: Sequence[str],
    **recorded: Any,
) -> Built:  # fmt: skip
    bound = _bind(lattice, args, kwargs)
    graph.resolver.check(lattice.workflow_executor, f"workflow_executor of lattice {lattice.name}")
    inputs = {
        name: graph.encoder.input(value, f"argument {name!r} of {lattice.name}")[0] for name, value in bound.items()
    }
    call = _encode_call(graph, lattice, args, kwargs)
    definition = _describe(graph, lattice)
    graph.encoder.forget_copied()
    result = _run(graph, lattice, args, kwargs)
    output, output_key = _output(graph, lattice, result)
    graph.check_acyclic()
    graph.check_replaced()
    graph.encoder.check_unchanged()
    taken = None if parent is not None or environment is not None else _take(graph)
    manifest = Manifest(
        dispatch_id=dispatch_id or str(uuid.uuid4()),
        name=lattice.name,
        nodes=graph.nodes,
        output=output,
        lattice=definition,
        environment=taken.environment if taken is not None else environment,
        functions=graph.functions,
        options=graph.options,
        executors=graph.executors,
        blobs=graph.encoder.sizes,
        inputs=inputs,
        call=call,
        key=_key(graph, output_key),
        seed=_random.getrandbits(32) if seed is None else seed,
        tags=tuple(tags),
        label=label or "",
        names=_names(result, output),
        outline=None if isinstance(output, RefTo) else outline_of(result, refs_of(output)),
        parent=parent,
        warnings=(*graph.capture.warnings, *graph.resolver.warnings, *(taken.warnings if taken is not None else ())),
        created=time.time(),
        **recorded,
    )
    return Built(manifest, graph.encoder.blobs, taken.variables if taken is not None else {})


def recorded_call(manifest: Manifest, load: Callable[[Digest], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that a manifest was built with; ``load`` gives the blob of a digest."""
    if manifest.call is None:
        raise BuildError(f"dispatch {manifest.dispatch_id} records no arguments")
    args, kwargs = codec.decode_function(load(manifest.call), load)
    return args, kwargs


def call_again(
    lattice: Any,
    recorded: Callable[[], tuple[tuple[Any, ...], dict[str, Any]]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call in which what is not given anew is as ``recorded``, which is asked only if anything is not.

    ``*args`` of the lattice are taken as a whole: from the new call if it gives anything by position. Parameters that
    ``lattice`` no longer has are left out; what does not fit is given back as it came, for the build to refuse.
    """
    signature = lattice.binder.signature
    if signature is None:
        old_args, old_kwargs = recorded()
        return args or old_args, {**old_kwargs, **kwargs}
    try:
        new = signature.bind_partial(*args, **kwargs).arguments
        if all(name in new for name in signature.parameters):
            return args, kwargs
        old_args, old_kwargs = recorded()
        others = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())
        old_kwargs = {name: value for name, value in old_kwargs.items() if others or name in signature.parameters}
        old = signature.bind_partial(*old_args, **old_kwargs).arguments
    except TypeError:
        return args, kwargs
    merged = {**old, **new}
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL and args:
            merged[name] = new.get(name, ())
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            merged[name] = {**old.get(name, {}), **new.get(name, {})}
    bound = signature.bind_partial()
    bound.arguments.update((name, merged[name]) for name in signature.parameters if name in merged)
    return bound.args, bound.kwargs


def _bind(lattice: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by parameter, defaults included; BuildError with the signature if they do not fit."""
    lattice.binder.check(lattice.name, args, kwargs)
    if lattice.binder.signature is None:
        return {**{f"args[{i}]": value for i, value in enumerate(args)}, **kwargs}
    bound = lattice.binder.signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def _encode_call(graph: Graph, lattice: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Digest:
    """The blob of ``(args, kwargs)``; large arguments are in it by the digests of their own blobs."""
    own = {}
    for value in (*args, *kwargs.values()):
        found, _ = (
            graph.encoder.input(value, f"an argument of {lattice.name}") if not _is_small(value) else (Lit(None), "")
        )
        if isinstance(found, Lit) or not hasattr(found, "digest") or graph.encoder.sizes[found.digest] <= LARGE:
            continue
        own[id(value)] = found.digest
    external = (lambda obj: own.get(id(obj))) if own else None
    return graph.encoder.add(
        codec.encode_function((args, kwargs), external=external, name=f"arguments of {lattice.name}")
    )


def _is_small(value: Any) -> bool:
    return isinstance(value, (int, float, bool, type(None)))


def _describe(graph: Graph, lattice: Any) -> FunctionDef:
    """The lattice itself, from which it is built again with other arguments."""
    try:
        definition, blobs = graph.capture.describe_function(lattice, name=lattice.function_name, place=lattice.place)
    except EncodeError as error:
        return _undescribed(graph, lattice, str(error))
    except CovalentError as error:
        raise _located(error, f"lattice {lattice.name}") from error
    graph.encoder.add_all(blobs.items())
    return definition


def _undescribed(graph: Graph, lattice: Any, problem: str) -> FunctionDef:
    """A definition of a lattice that cannot be pickled: it runs all the same, for it is already built."""
    graph.capture.warnings.append(
        f'lattice {lattice.name} cannot be recorded ({problem}): a redispatch with other arguments needs code="current"'
    )
    digest = graph.encoder.add(codec.encode_function(functools.partial(ops.not_recorded, lattice.name, problem)))
    source, file, line = source_of(lattice)
    return FunctionDef(digest, digest, lattice.function_name, source, file, line, lattice.place, signature_of(lattice))


def _run(graph: Graph, lattice: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    token = BUILDING.set(graph)
    try:
        return lattice.function(*args, **kwargs)
    except CovalentError as error:
        raise _located(error, _place(lattice, error), _library_hint(error)) from _shortened(error)
    except Exception as error:  # border: the lattice is the user's code
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if hint := _hint(error):
            text = f"{text.removesuffix('.')}{hint}"
        raise BuildError(f"{_place(lattice, error)}: {text}") from _shortened(error)
    finally:
        BUILDING.reset(token)


def _hint(error: Exception) -> str:
    """What a reference is, where the error comes from one."""
    named = isinstance(error, TypeError) and _NAMES_REF.search(str(error))
    return _REF_HINT if named or isinstance(error.__cause__ or error.__context__, RefError) else ""


def _library_hint(error: Exception) -> str:
    """The library that was given a reference, and asked of it what it cannot tell."""
    frames = [tb.tb_frame for tb in _others(error)] if isinstance(error, RefError) else []
    inside = next((f for f in frames if "-packages" in f.f_code.co_filename), None)
    if inside is None:
        return ""
    library = str(inside.f_globals.get("__name__", "")).partition(".")[0]
    return f". It was {library} that asked, which was given a Ref: what an electron gives has no value yet"


def _shortened(error: Exception) -> Exception:
    """The exception without this package's frames, and without a cause that has no others."""
    kept = _others(error)
    for tb, following in zip(kept, [*kept[1:], None], strict=False):
        tb.tb_next = following
    if isinstance(error, CovalentError) and error.__cause__ is not None and not _others(error.__cause__):
        error.__cause__ = None  # its message says why
        error.__suppress_context__ = True
    return error.with_traceback(kept[0]) if kept else error


def _others(error: BaseException) -> list[TracebackType]:
    """The links of its traceback that are not in this package."""
    links = []
    tb = error.__traceback__
    while tb is not None:
        links.append(tb)
        tb = tb.tb_next
    return [tb for tb in links if not tb.tb_frame.f_code.co_filename.startswith(_OURS)]


def _located(error: CovalentError, place: str, hint: str = "") -> CovalentError:
    """The error as one of building, with its place before its message."""
    kind = type(error) if isinstance(error, (BuildError, EncodeError, ConfigError)) else BuildError
    return kind(f"{place}: {error}{hint}")


def _place(lattice: Any, error: BaseException) -> str:
    code: CodeType | None = lattice.code
    line = 0
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code is code:
            line = number
    file = code.co_filename if code is not None else ""
    return f"lattice {lattice.name}, line {line} of {_short_file(file)}" if line else f"lattice {lattice.name}"


def _short_file(file: str) -> str:
    if "ipykernel_" in file or file.startswith("<ipython-input"):
        return "its cell"
    return file.replace("\\", "/").rpartition("/")[2] or file


def _output(graph: Graph, lattice: Any, result: Any) -> tuple[Input, str]:
    where = f"the return value of lattice {lattice.name}"
    if inspect.iscoroutine(result) or inspect.isgenerator(result) or inspect.isasyncgen(result):
        close = getattr(result, "close", None)
        if close is not None:
            close()
        raise BuildError(
            f"lattice {lattice.name} is a coroutine or generator function: a lattice only builds the graph, "
            "so write it with a plain def and return; electrons may be async"
        )
    if type(result) is Ref:
        return graph.input(result, where)
    found, part = graph.encoder.input(result, where)
    return graph.encoder.value(result, where) if isinstance(found, Lit) else (found, part)


#: Parts of a returned container that get names, for the columns of tables of runs.
_NAMED = 50


def _names(result: Any, output: Input) -> tuple[str, ...]:
    """The keys or numbers under which the parts of a template lie in what the lattice returned."""
    if not isinstance(output, Tpl) or len(output.refs) > _NAMED:
        return ()
    if isinstance(result, dict):
        items = [(str(key), item) for key, item in result.items() if type(key) in (str, int)]
    elif isinstance(result, tuple) and (fields := getattr(type(result), "_fields", None)):
        items = list(zip(fields, result, strict=False))
    elif isinstance(result, (list, tuple)):
        items = [(f"[{i}]", item) for i, item in enumerate(result)]
    elif dataclasses.is_dataclass(result):
        items = [(f.name, getattr(result, f.name, None)) for f in dataclasses.fields(result)]
    else:
        return ()
    known = {item._cj_ref: name for name, item in items if type(item) is Ref}
    return tuple(known.get(ref, "") for ref in output.refs) if known else ()


def _take(graph: Graph) -> Taken:
    graph.capture.reach(graph.encoder.modules)
    taken = graph.capture.take_environment()
    graph.encoder.add_all(taken.blobs.items())
    return taken


def _key(graph: Graph, output_key: str) -> str:
    state = sha256(output_key.encode())
    for node, key in zip(graph.nodes, graph.keys, strict=True):
        state.update(key.encode())
        if node.after:
            state.update(repr(node.after).encode())
    return state.hexdigest()
