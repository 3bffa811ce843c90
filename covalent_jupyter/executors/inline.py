"""Packs for workers that cannot see the store: values go inside the pack, and come back inside the outcomes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from .. import blobs
from ..model import INLINE, Composite, Fact, Hole, Outcome, Output, Pack, Produced
from ..model.graph import digests_in, keys_of
from ..snapshot import folder_of

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def with_values(pack: Pack) -> Pack:
    """The pack with every value inside that its tasks name, and no folders. FileNotFoundError names a missing blob."""
    values = dict(pack.values)
    root = pack.blob_root

    def load(digest: str) -> bytes:
        if digest not in values:
            values[digest] = blobs.read_blob(root, digest)
        return values[digest]

    values.update(_modules(pack))
    for digest in set(_named(pack)):
        load(digest)
    for digest in {task.function for task in pack.tasks} | set(_calls(pack)):
        for found in _DIGEST.findall(load(digest)):  # captured values: a function's pickle names them by digest
            name = found.decode()
            if name not in values and blobs.has_blob(root, name):
                load(name)
    return msgspec.structs.replace(pack, values=values, blob_root="", log_root="", work_root="")


def _modules(pack: Pack) -> dict[str, bytes]:
    """Sources of local modules that do not come with the pack because they are laid out where this host sees them."""
    modules = {path: digest for path, digest in pack.environment.modules.items() if digest not in pack.values}
    folder = folder_of(pack.environment.modules, pack.work_root)
    return {d: folder.joinpath(path).read_bytes() for path, d in modules.items()} if folder.is_dir() else {}


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
        for path in task.selected:
            yield from keys_of(path)
        for value in (*task.args, *task.kwargs.values()):
            yield from digests_in(value)
    for produced in pack.outputs.values():
        yield from _of_produced(produced)
    yield from _calls(pack)
    yield from pack.environment.modules.values()


def _calls(pack: Pack) -> Iterator[str]:
    for options in pack.options:
        for call in (*options.deps.before, *options.deps.after):
            yield call.digest


def _of_produced(produced: Produced) -> Iterator[str]:
    if isinstance(produced, Output):
        yield produced.digest
    elif isinstance(produced, Composite):
        if produced.template is not None:
            yield produced.template.digest
        for part in produced.parts:
            yield from _of_produced(part.value)
            yield from keys_of(part.path)
    else:
        assert isinstance(produced, Hole)
