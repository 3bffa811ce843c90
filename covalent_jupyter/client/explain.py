"""Why an electron would be reused by a redispatch, or not."""

from __future__ import annotations

from typing import Any

from ..model import ElectronRow, Input, Manifest, Node, Ref, Status, Tpl, dependencies, wire
from .rest import Rest
from .tables import Table

_GONE = "unchanged, but its value was not kept, and what runs again needs it"
_UNFIT = "unchanged, but its value does not have what the lattice returns of it"


class Explanation(Table):
    """One row per electron: ``node, electron, reused, reason``."""

    WIDEST = 160


def explain_reuse(rest: Rest, old: Manifest, new: Manifest, reuse: str) -> Explanation:
    """What a redispatch of ``old`` as ``new`` would take over, which the service says, and why not the rest."""
    rows = _rows(rest, old)
    verdict = rest.reuse(wire.pack_body(new, ()))
    taken = set(verdict["reused"])
    kept_out = dict.fromkeys(verdict["gone"], _GONE) | dict.fromkeys(verdict["unfit"], _UNFIT)
    by_key: dict[str, list[int]] = {}
    for number, node in enumerate(old.nodes):
        if node.key:
            by_key.setdefault(node.key, []).append(number)
    found: list[dict[str, Any]] = []
    for number, node in enumerate(new.nodes):
        same = [i for i in by_key.get(node.key, ()) if _has_value(rows.get(i))] if node.key else []
        twin = _twin(old, number, node)
        if reuse == "none":
            reason = "reuse_previous_results is False"
        elif number in taken:
            reason = _why_reused(old, node, number, same)
        else:
            reason = kept_out.get(number) or _why_not(old, new, rows, taken, node, twin)
        found.append({"node": number, "electron": node.name, "reused": number in taken, "reason": reason})
    return Explanation(found, ("node", "electron", "reused", "reason"))


def _rows(rest: Rest, old: Manifest) -> dict[int, ElectronRow]:
    rows: dict[int, ElectronRow] = {}
    while len(rows) < len(old.nodes):
        page = rest.electrons(old.dispatch_id, offset=len(rows), limit=500)
        if not page.electrons:
            break
        rows.update((row.node, row) for row in page.electrons)
    return rows


def _twin(old: Manifest, number: int, node: Node) -> int | None:
    """The old node that this one most likely was: the same place and name, else the only one of its name."""
    if number < len(old.nodes) and old.nodes[number].name == node.name:
        return number
    named = [i for i, other in enumerate(old.nodes) if other.name == node.name]
    return named[0] if len(named) == 1 else None


def _why_reused(old: Manifest, node: Node, number: int, same: list[int]) -> str:
    if same:
        return f"same code, inputs and deps as electron {same[0]}"
    return f"completed as electron {number}" + ("" if old.nodes[number].key == node.key else ", by older code")


def _why_not(
    old: Manifest, new: Manifest, rows: dict[int, ElectronRow], taken: set[int], node: Node, twin: int | None
) -> str:
    if twin is None:
        return "new: the earlier dispatch has no electron of this name"
    if not old.nodes[twin].key or old.nodes[twin].key != node.key:
        return _difference(old, new, old.nodes[twin], node, taken)
    before = rows.get(twin)
    return f"unchanged, but it was {before.status if before is not None else 'not recorded'}"


def _has_value(row: ElectronRow | None) -> bool:
    return row is not None and row.status is Status.COMPLETED and row.output is not None


def _difference(old: Manifest, new: Manifest, before: Node, now: Node, taken: set[int]) -> str:
    reasons = []
    if old.functions[before.function].code != new.functions[now.function].code:
        reasons.append(f"the code of {now.name} or of something that it reaches has changed")
    changed = _changed_inputs(before, now)
    if changed:
        reasons.append(f"other input: {', '.join(changed)}")
    again = sorted(d for d in dependencies(now) if d not in taken)
    if again:
        names = ", ".join(f"{new.nodes[d].name} [{d}]" for d in again[:5])
        reasons.append(f"depends on {names}, which {'runs' if len(again) == 1 else 'run'} again")
    if old.options[before.options].deps != new.options[now.options].deps:
        reasons.append("other deps")
    return "; ".join(reasons) or "its key differs: an option or environment that belongs to it has changed"


def _changed_inputs(before: Node, now: Node) -> list[str]:
    """Names of parameters that are given other values; references are told by their electrons."""
    names = [*now.params, *(f"[{i}]" for i in range(len(now.params), len(now.args)))]
    changed = [n for n, a, b in zip(names, before.args, now.args, strict=False) if _differs(a, b)]
    changed += names[len(before.args) : len(now.args)]
    changed += [k for k in now.kwargs if k not in before.kwargs or _differs(before.kwargs[k], now.kwargs[k])]
    return changed + [f"{k} (no longer given)" for k in before.kwargs if k not in now.kwargs]


def _differs(before: Input, now: Input) -> bool:
    if isinstance(before, Ref) and isinstance(now, Ref):
        return before.path != now.path
    if isinstance(before, Tpl) and isinstance(now, Tpl):
        return before.digest != now.digest
    return before != now
