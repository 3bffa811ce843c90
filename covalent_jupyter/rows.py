"""The rows of the store, made from the state of a dispatch. Pure: replaying the log gives the same rows."""

from __future__ import annotations

from .engine import DispatchRun
from .model import (
    Composite,
    Counts,
    DispatchRow,
    ElectronRow,
    Input,
    Lit,
    Manifest,
    Output,
    Produced,
    Ref,
    Status,
    Val,
)


def bare(produced: Produced | None) -> Produced | None:
    """Without the bytes of small values, which lie in the value table."""
    if isinstance(produced, Output):
        return Output(produced.digest, produced.size) if produced.data is not None else produced
    return produced


def digests_of(produced: Produced | None) -> list[str]:
    """Every blob that a value is made of."""
    if isinstance(produced, Output):
        return [produced.digest]
    if isinstance(produced, Composite):
        found = [] if produced.template is None else [produced.template.digest]
        for part in produced.parts:
            found += digests_of(part.value)
            found += [str(key) for kind, key in part.path if kind == "pick"]
        return found
    return []


def text_of(value: Input) -> str:
    """A short text for one input of a lattice."""
    if isinstance(value, Lit):
        return repr(value.value)[:200]
    if isinstance(value, Val):
        return value.hint[:200]
    if isinstance(value, Ref):
        return f"node {value.node}"
    return "…"


def counts_of(run: DispatchRun) -> Counts:
    c = run.counts
    return Counts(
        total=len(run.nodes),
        waiting=c[Status.NEW_OBJECT] + c[Status.PENDING_REUSE],
        queued=c[Status.DISPATCHING],
        running=c[Status.RUNNING],
        completed=c[Status.COMPLETED],
        failed=c[Status.FAILED],
        cancelled=c[Status.CANCELLED],
        skipped=c[Status.SKIPPED],
        reused=run.reused,
    )


def dispatch_row(run: DispatchRun) -> DispatchRow:
    """The dispatch's row; its ``seq`` is given by the store."""
    m = run.manifest
    parent = m.parent
    return DispatchRow(
        dispatch_id=run.dispatch_id,
        root_id=run.root,
        parent_id=parent[0] if parent else None,
        parent_node=parent[1] if parent else None,
        name=m.label or m.name,
        label=m.label,
        lattice=m.lattice.name or m.name,
        status=run.status,
        seq=0,
        counts=counts_of(run),
        created=run.created,
        started=run.started,
        ended=run.ended,
        inputs={k: text_of(v) for k, v in m.inputs.items()},
        tags=list(m.tags),
        notebook=m.notebook,
        key=m.key,
        seed=m.seed,
        redispatch_of=m.redispatch_of,
        error=run.error,
        environment=_environment(m),
        output=bare(run.output),
        note=run.note,
    )


def _environment(manifest: Manifest) -> dict[str, str]:
    env = manifest.environment
    if env is None:
        return {}
    return {"python": env.python, "prefix": env.prefix, "host": env.host, "digest": env.digest, "cwd": env.cwd}


def electron_row(run: DispatchRun, node_id: int) -> ElectronRow:
    """One node's row; its ``seq`` is given by the store."""
    node, s = run.manifest.nodes[node_id], run.nodes[node_id]
    return ElectronRow(
        run.dispatch_id, node_id, node.name, node.kind, s.status, 0, s.attempt,
        run.manifest.executors[run.options(node_id).executor].name if run.manifest.executors else "",
        s.started, s.ended, s.duration, s.worker, bare(s.output), s.preview, s.error, s.stdout, s.stderr, s.child,
        s.reused, node.key, s.rss, s.warnings, s.progress,
    )  # fmt: skip
