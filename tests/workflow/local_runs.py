"""Runs a built graph in this process, from its bytes alone: what a service with workers would give."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from covalent_jupyter import codec
from covalent_jupyter.model.graph import Input, Lit, Manifest, Ref, Val, dependencies
from covalent_jupyter.workflow import Built, build
from covalent_jupyter.workflow.ops import select


def run(lattice: Any, *args: Any, **kwargs: Any) -> Any:
    """What a dispatch of ``lattice`` would return; sublattices are built and run too."""
    return evaluate(build(lattice, args, kwargs))


def evaluate(built: Built) -> Any:
    return _Run(built).output()


def graph_of(lattice: Any, *args: Any, **kwargs: Any) -> Manifest:
    return build(lattice, args, kwargs).manifest


class _Run:
    def __init__(self, built: Built) -> None:
        self.manifest = built.manifest
        self.blobs = {digest: b"".join(bytes(chunk) for chunk in chunks) for digest, chunks in built.blobs.items()}
        check_manifest(built)
        self.values: dict[int, Any] = {}

    def output(self) -> Any:
        waiting = dict(enumerate(map(dependencies, self.manifest.nodes)))
        while waiting:
            ready = [node for node, needs in waiting.items() if needs <= self.values.keys()]
            assert ready, "the graph has a cycle"
            for node in ready:
                self.values[node] = self.call(node)
                del waiting[node]
        return self.resolve(self.manifest.output)

    def call(self, number: int) -> Any:
        node = self.manifest.nodes[number]
        function = codec.decode_function(
            self.blobs[self.manifest.functions[node.function].digest], self.blobs.__getitem__
        )
        args = [self.resolve(value) for value in node.args]
        kwargs = {name: self.resolve(value) for name, value in node.kwargs.items()}
        deps = self.manifest.options[node.options].deps
        for before in deps.before:
            called, its_args, its_kwargs = codec.decode(self.blobs[before.digest])
            result = called(*its_args, **its_kwargs)
            if before.retval_keyword:
                kwargs[before.retval_keyword] = result
        if node.kind == "sublattice":
            parent = (self.manifest.dispatch_id, number)
            result = evaluate(build(function, args, kwargs, parent=parent, root=self.manifest.dispatch_id))
        else:
            result = function(*args, **kwargs)
            result = asyncio.run(result) if inspect.iscoroutine(result) else result
        return codec.decode(b"".join(bytes(chunk) for chunk in codec.encode(result)))

    def resolve(self, value: Input) -> Any:
        if isinstance(value, Lit):
            return value.value
        if isinstance(value, Val):
            return codec.decode(self.blobs[value.digest])
        if isinstance(value, Ref):
            return select(self.values[value.node], value.path, lambda digest: codec.decode(self.blobs[digest]))
        return codec.decode(self.blobs[value.digest], slots=[self.resolve(ref) for ref in value.refs])


def check_manifest(built: Built) -> None:
    """Every index and digest points at something, every blob has its size, and every key is there."""
    manifest = built.manifest
    assert manifest.blobs == {d: sum(memoryview(c).nbytes for c in chunks) for d, chunks in built.blobs.items()}
    for digest, chunks in built.blobs.items():
        assert codec.digest_of(chunks) == digest
    assert not isinstance(manifest.output, Lit)
    named = {manifest.lattice.digest, manifest.call}
    named |= {function.digest for function in manifest.functions}
    for node in manifest.nodes:
        assert 0 <= node.function < len(manifest.functions)
        assert 0 <= node.options < len(manifest.options)
        assert len(node.key) == 64
        for value in (*node.args, *node.kwargs.values()):
            if not isinstance(value, (Lit, Ref)):
                named.add(value.digest)
    for options in manifest.options:
        assert 0 <= options.executor < len(manifest.executors)
        named |= {call.digest for call in (*options.deps.before, *options.deps.after)}
    assert named <= manifest.blobs.keys()
    if manifest.environment is not None:
        assert set(manifest.environment.modules.values()) <= manifest.blobs.keys()
