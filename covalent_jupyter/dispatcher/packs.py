"""From planned nodes to a pack that a worker can run: tasks, the values they need, and where things lie."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from ..engine import DispatchRun, task_seed
from ..model import INLINE, Environment, ExecutorSpec, Options, Pack, Produced, Task
from ..model.graph import digests_in, keys_of
from ..rows import bare, digests_of


class ValueCache:
    """Small values by digest, the most recently used ones, bounded in bytes."""

    def __init__(self, limit: int = 64 << 20) -> None:
        self._data: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._limit = limit

    def put(self, digest: str, data: bytes) -> None:
        if digest in self._data:
            self._data.move_to_end(digest)
            return
        self._data[digest] = data
        self._size += len(data)
        while self._size > self._limit:
            self._size -= len(self._data.popitem(last=False)[1])

    def get(self, digest: str) -> bytes | None:
        data = self._data.get(digest)
        if data is not None:
            self._data.move_to_end(digest)
        return data


def make_pack(
    run: DispatchRun, pack_id: str, tasks: list[tuple[int, int]], spec: ExecutorSpec, environment: Environment,
    variables: dict[str, str], folders: tuple[str, str, str],
) -> Pack:  # fmt: skip
    """The pack without its small values (see :func:`small_digests`); ``folders`` are blobs, logs, work."""
    manifest = run.manifest
    members = {node_id for node_id, _ in tasks}
    used: dict[int, int] = {}
    options: list[Options] = []
    outputs: dict[int, Produced] = {}
    items = []
    for node_id, attempt in tasks:
        node = manifest.nodes[node_id]
        index = used.get(node.options)
        if index is None:
            index = used[node.options] = len(options)
            options.append(run.options(node_id))
        for parent in run.topology.parents[node_id]:
            if parent not in members and parent not in outputs:
                produced = run.nodes[parent].output
                if produced is not None:
                    outputs[parent] = bare(produced) or produced
        items.append(
            Task(
                node_id, attempt, node.name, node.kind, manifest.functions[node.function].digest, node.args, node.kwargs,
                index, task_seed(manifest.seed, node_id), node.line, run.selected.get(node_id, ()),
            )
        )  # fmt: skip
    return Pack(
        pack_id, run.dispatch_id, run.root, manifest.name, spec, environment, variables, items, options, outputs, {},
        blob_root=folders[0], log_root=folders[1], work_root=folders[2],
    )  # fmt: skip


def small_digests(run: DispatchRun, pack: Pack, *, modules: bool = True) -> set[str]:
    """Digests of the values that are small enough to ride inside the pack; ``modules``: those of local modules, too."""
    found: set[str] = set()
    sizes = run.manifest.blobs
    functions = {f.digest: f for f in run.manifest.functions}
    for task in pack.tasks:
        found.add(task.function)
        function = functions.get(task.function)
        if function is not None:
            found.update(function.globals.values())
        for path in task.selected:
            found.update(keys_of(path))
        for value in task.args:
            found.update(digests_in(value))
        for value in task.kwargs.values():
            found.update(digests_in(value))
    for options in pack.options:
        for dep in (*options.deps.before, *options.deps.after):
            found.add(dep.digest)
    if modules:
        found.update(pack.environment.modules.values())
    if pack.executor.instance:
        found.add(pack.executor.instance)
    small = {d for d in found if sizes.get(d, 0) <= INLINE}
    for produced in pack.outputs.values():
        small.update(_small_outputs(produced))
    return small


def _small_outputs(produced: Produced) -> Iterable[str]:
    from_digests = set(digests_of(produced))
    large = set(_large(produced))
    return from_digests - large


def _large(produced: Produced) -> Iterable[str]:
    size = getattr(produced, "size", None)
    if size is not None:
        if size > INLINE:
            yield produced.digest  # type: ignore[union-attr]
        return
    template = getattr(produced, "template", None)
    if template is not None and template.size > INLINE:
        yield template.digest
    for part in getattr(produced, "parts", ()):
        yield from _large(part.value)
