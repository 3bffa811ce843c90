"""Whether a manifest is sound: everything that the engine relies on, checked once at the border."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterable
from typing import NamedTuple

from ..errors import InvalidRequest
from ..model import Input, Lit, Manifest, Ref, Tpl, Val, dependencies, refs_of
from ..model.notify import FAILURE, Notify, is_address, problem_with, words_of


class Limits(NamedTuple):
    """How deep sublattices may nest, and how many nodes a root dispatch may hold in all."""

    depth: int = 100
    nodes: int = 1_000_000


#: Characters of a name, a label, a tag.
MAX_TEXT = 10_000

_INT64 = 1 << 63
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


def check_manifest(
    manifest: Manifest,
    *,
    depth: int = 0,
    total: int | None = None,
    limits: Limits = Limits(),  # noqa: B008
) -> None:
    """Raises InvalidRequest that says what is wrong with the manifest."""
    if not _ID.match(manifest.dispatch_id):
        raise InvalidRequest(f"dispatch_id must be a lower-case UUID, not {manifest.dispatch_id[:60]!r}")
    if depth > limits.depth:
        raise InvalidRequest(
            f"sublattices nest deeper than {limits.depth} (max_depth): does {manifest.name[:80]!r} call itself without end?"
        )
    count = len(manifest.nodes) if total is None else total
    if count > limits.nodes:
        raise InvalidRequest(
            f"{count} nodes under one dispatch; the limit is {limits.nodes} (max_nodes), reached at {manifest.name[:80]!r}"
        )
    if not -_INT64 <= manifest.seed < _INT64:
        raise InvalidRequest("seed does not fit into 64 bits")
    if not math.isfinite(manifest.created) or not 0 <= manifest.created < 1e11:
        raise InvalidRequest(f"created is not a time in seconds since 1970: {manifest.created!r}")
    if manifest.max_running is not None and manifest.max_running < 1:
        raise InvalidRequest(f"max_running is at least 1, not {manifest.max_running}")
    if manifest.group and not _ID.match(manifest.group):
        raise InvalidRequest(f"group must be a lower-case UUID, not {manifest.group[:60]!r}")
    problem = problem_with(manifest.notify) or _missing_program(manifest.notify)
    if problem:
        raise InvalidRequest(problem)
    for what, text in (("name", manifest.name), ("label", manifest.label), *(("a tag", t) for t in manifest.tags)):
        if len(text) > MAX_TEXT:
            raise InvalidRequest(f"{what} has more than {MAX_TEXT} characters")
    for digest, size in manifest.blobs.items():
        if not _DIGEST.match(digest) or not 0 <= size < _INT64:
            raise InvalidRequest(f"blobs: {digest[:80]!r} is no sha256 in hex, or its size is negative")
    if isinstance(manifest.output, Lit):
        raise InvalidRequest("output must be a value, a reference or a template")
    _check_tables(manifest)
    _check_nodes(manifest)
    _check_inputs(manifest, "output", [manifest.output])


def _check_tables(manifest: Manifest) -> None:
    for function in manifest.functions:
        _need(manifest, function.digest, f"function {function.name!r}")
        for digest in function.globals.values():
            _need(manifest, digest, f"a captured global of {function.name!r}")
    for options in manifest.options:
        if not 0 <= options.executor < len(manifest.executors):
            raise InvalidRequest(f"options name executor {options.executor} of {len(manifest.executors)}")
        if options.retries < 0 or options.retry_delay < 0 or (options.timeout is not None and options.timeout <= 0):
            raise InvalidRequest("retries and retry_delay must not be negative, timeout must be positive")
        for dep in (*options.deps.before, *options.deps.after):
            _need(manifest, dep.digest, f"dep {dep.name!r}")
    for spec in manifest.executors:
        if spec.instance is not None:
            _need(manifest, spec.instance, f"executor {spec.name!r}")
    if manifest.nodes and not manifest.executors:
        raise InvalidRequest("nodes without an executor")


def _check_nodes(manifest: Manifest) -> None:
    count = len(manifest.nodes)
    waiting = [0] * count
    children: list[list[int]] = [[] for _ in range(count)]
    for node_id, node in enumerate(manifest.nodes):
        where = f"node {node_id} ({node.name[:80]!r})"
        if not 0 <= node.function < len(manifest.functions):
            raise InvalidRequest(f"{where} names function {node.function} of {len(manifest.functions)}")
        if not 0 <= node.options < len(manifest.options):
            raise InvalidRequest(f"{where} names options {node.options} of {len(manifest.options)}")
        _check_inputs(manifest, where, node.args)
        _check_inputs(manifest, where, node.kwargs.values())
        parents = dependencies(node)
        for parent in parents:
            if not 0 <= parent < count:
                raise InvalidRequest(f"{where} depends on node {parent} of {count}")
            children[parent].append(node_id)
        waiting[node_id] = len(parents)
    queue = [i for i, n in enumerate(waiting) if n == 0]
    seen = 0
    while queue:
        seen += 1
        for child in children[queue.pop()]:
            waiting[child] -= 1
            if waiting[child] == 0:
                queue.append(child)
    if seen < count:
        stuck = next(i for i, n in enumerate(waiting) if n)
        raise InvalidRequest(f"the graph has a cycle through node {stuck} ({manifest.nodes[stuck].name[:80]!r})")


def _check_inputs(manifest: Manifest, where: str, values: Iterable[Input]) -> None:
    for value in values:
        if isinstance(value, (Val, Tpl)):
            _need(manifest, value.digest, where)
        for ref in refs_of(value):
            _check_ref(manifest, where, ref)


def _check_ref(manifest: Manifest, where: str, ref: Ref) -> None:
    if not 0 <= ref.node < len(manifest.nodes):
        raise InvalidRequest(f"{where} refers to node {ref.node} of {len(manifest.nodes)}")
    for kind, key in ref.path:
        if kind not in ("item", "attr", "pick"):
            raise InvalidRequest(f"{where} has a selector of kind {kind[:40]!r}")
        if kind == "pick":
            _need(manifest, str(key), where)


def _need(manifest: Manifest, digest: str, where: str) -> None:
    if digest not in manifest.blobs:
        raise InvalidRequest(f"{where} names blob {digest[:12]!r}, which is not in the manifest's list of blobs")


def _missing_program(notify: Notify) -> str:
    """What to say when the command that is to be told is none."""
    if not isinstance(notify, str) or notify == FAILURE or is_address(notify):
        return ""
    program = words_of(notify)[0]
    if shutil.which(program) is not None:
        return ""
    return (
        f'notify: there is no program {program[:200]!r} where the service runs. notify is True, False, "failure", a '
        "command, or an address (https://...)"
    )
