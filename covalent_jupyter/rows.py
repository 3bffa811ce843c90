"""The rows of the store, made from the state of a dispatch. Pure: replaying the log gives the same rows."""

from __future__ import annotations

from typing import Any

import msgspec

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
    Preview,
    Produced,
    Ref,
    Status,
    Tpl,
    Val,
)
from .model.graph import keys_of


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
            found += keys_of(part.path)
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


def inputs_of(manifest: Manifest) -> bytes:
    """What its electrons are called with, for SQL: JSON [[node, parameter, kind, text, number], ...]."""
    found: list[tuple[int, str, str, str, float | None]] = []
    add = found.append
    for number, node in enumerate(manifest.nodes):
        params = node.params
        for i, value in enumerate(node.args):
            add((number, params[i] if i < len(params) else f"arg{i}", *_told(value)))
        for name, value in node.kwargs.items():
            add((number, name, *_told(value)))
    return msgspec.json.encode(found)


def _told(value: Input) -> tuple[str, str, float | None]:
    """Kind, text and number of one input."""
    if isinstance(value, Lit):
        plain = value.value
        return "literal", repr(plain)[:200], float(plain) if isinstance(plain, (int, float)) else None
    if isinstance(value, Val):
        return "value", value.hint[:200], None
    if isinstance(value, Ref):
        return "node", f"node {value.node}", None
    return "template", ", ".join(f"node {ref.node}" for ref in value.refs[:20]), None


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


def results_of(run: DispatchRun) -> dict[str, Any]:
    """The plain scalars of what a completed dispatch returned: "result" the whole value, else by key or number."""
    m = run.manifest
    if run.status is not Status.COMPLETED:
        return {}
    if isinstance(m.output, Ref):
        return _scalars_at(run, m.output, "")
    if isinstance(m.output, Tpl) and len(m.names) == len(m.output.refs):
        found: dict[str, Any] = {}
        for name, ref in zip(m.names, m.output.refs, strict=True):
            if name:
                found.update(_scalars_at(run, ref, name))
        return dict(list(found.items())[:_MOST])
    return {}


def _scalars_at(run: DispatchRun, ref: Ref, name: str) -> dict[str, Any]:
    preview = run.nodes[ref.node].preview
    if preview is None:
        return {}
    if not ref.path:
        if preview.scalar is not None:
            return {name or "result": preview.scalar}
        dot = f"{name}." if name else ""
        return {dot + key: value for key, value in preview.scalars.items()}
    key = ref.path[0][1]
    if len(ref.path) == 1 and isinstance(key, str) and key in preview.scalars:
        return {name or key: preview.scalars[key]}
    return {}


def preview_of(run: DispatchRun) -> Preview | None:
    """The preview of what a completed lattice returned: of the electron that gave it, without pictures; of a container
    its named scalars."""
    output = run.manifest.output
    if run.status is not Status.COMPLETED:
        return None
    if isinstance(output, Ref) and not output.path:
        preview = run.nodes[output.node].preview
        return preview if preview is None or not preview.mime else msgspec.structs.replace(preview, mime={})
    scalars = results_of(run)
    if not scalars or isinstance(output, Ref):
        return None
    text = ", ".join(f"{name}={value!r}" for name, value in scalars.items())
    return Preview("", text[:2000], scalars=scalars)


_MOST = 50  # scalars of one result


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
        preview=preview_of(run),
        results=results_of(run),
        notify=_notify_of(m),
        notices=list(run.notices),
    )


def _notify_of(manifest: Manifest) -> str:
    """Who wants to hear of the end, for those who show it."""
    if manifest.notify is None:
        return ""
    if manifest.notify is False:
        return "off"
    return "failure" if manifest.notify == "failure" else "end"


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
        run.executor_name(node_id),
        s.started, s.ended, s.duration, s.worker, bare(s.output), s.preview, s.error, s.stdout, s.stderr, s.child,
        s.reused, node.key, s.rss, s.warnings, s.progress, s.queued, s.ran_on,
    )  # fmt: skip
