"""Packs for workers that cannot see the store: values go inside the pack, and come back inside the outcomes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from .. import blobs
from ..model import INLINE, Composite, Fact, Hole, Outcome, Output, Pack, Produced, Ref, Tpl, Val
from ..model.graph import Input

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def with_values(pack: Pack) -> Pack:
    """The pack with every value inside that its tasks name, and no folders. FileNotFoundError names a missing blob."""
    values = dict(pack.values)
    root = pack.blob_root

    def load(digest: str) -> bytes:
        if digest not in values:
            values[digest] = blobs.read_blob(root, digest)
        return values[digest]

    for digest in set(_named(pack)):
        load(digest)
    for digest in {task.function for task in pack.tasks} | set(_calls(pack)):
        for found in _DIGEST.findall(load(digest)):  # captured values: a function's pickle names them by digest
            name = found.decode()
            if name not in values and blobs.has_blob(root, name):
                load(name)
    return msgspec.structs.replace(pack, values=values, blob_root="", log_root="", work_root="")


def keep_big_values(facts: list[Fact], root: str) -> list[Fact]:
    """Writes values that are too large for messages to blobs, and takes their bytes out of the outcomes."""
    for fact in facts:
        if not isinstance(fact, Outcome):
            continue
        if fact.output is not None:
            fact.output = _kept(fact.output, root)
        if fact.error is not None and fact.error.exception is not None:
            fact.error.exception = _kept(fact.error.exception, root)
    return facts


def _kept(output: Output, root: str) -> Output:
    if output.data is None or len(output.data) <= INLINE:
        return output
    blobs.write_blob(root, [output.data], digest=output.digest)
    return Output(output.digest, output.size)


def _named(pack: Pack) -> Iterator[str]:
    for task in pack.tasks:
        yield task.function
        for value in (*task.args, *task.kwargs.values()):
            yield from _of_input(value)
    for produced in pack.outputs.values():
        yield from _of_produced(produced)
    yield from _calls(pack)
    yield from pack.environment.modules.values()


def _calls(pack: Pack) -> Iterator[str]:
    for options in pack.options:
        for call in (*options.deps.before, *options.deps.after):
            yield call.digest


def _of_input(value: Input) -> Iterator[str]:
    if isinstance(value, (Val, Tpl)):
        yield value.digest
    refs = value.refs if isinstance(value, Tpl) else (value,) if isinstance(value, Ref) else ()
    for ref in refs:
        for kind, key in ref.path:
            if kind == "pick":
                yield str(key)


def _of_produced(produced: Produced) -> Iterator[str]:
    if isinstance(produced, Output):
        yield produced.digest
    elif isinstance(produced, Composite):
        if produced.template is not None:
            yield produced.template.digest
        for part in produced.parts:
            yield from _of_produced(part.value)
            for kind, key in part.path:
                if kind == "pick":
                    yield str(key)
    else:
        assert isinstance(produced, Hole)
