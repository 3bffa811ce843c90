"""Which values may go: those of electrons with ``keep="until_done"`` or ``"never"``. And, the other way round, which
electrons of an earlier dispatch need not run again although their values are gone. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..engine import DispatchRun
from ..model import ElectronRow, Manifest, Status, dependencies, refs_of
from ..rows import digests_of


def may_go(run: DispatchRun, ended: Iterable[int]) -> list[str]:
    """Digests that nobody needs any more, after these nodes have ended; all of the run's that may go once it has ended
    itself. What a kept node, the lattice's output or an input also is stays."""
    if all(options.keep == "always" for options in run.manifest.options):
        return []
    if run.ended is not None:
        nodes = [n for n in range(len(run.nodes)) if run.options(n).keep != "always"]
    else:
        parents = {p for n in ended for p in (*run.topology.parents[n], n)}
        nodes = [p for p in parents if run.options(p).keep == "never" and _is_used_up(run, p)]
    wanted = {d for n in nodes if run.nodes[n].status is Status.COMPLETED for d in digests_of(run.nodes[n].output)}
    if not wanted:
        return []
    in_output = {ref.node for ref in refs_of(run.manifest.output)}
    for node_id, state in enumerate(run.nodes):
        if node_id in in_output or run.options(node_id).keep == "always":
            wanted.difference_update(digests_of(state.output))
    return sorted(wanted.difference(run.manifest.blobs))


def _is_used_up(run: DispatchRun, node_id: int) -> bool:
    children = run.topology.children[node_id]
    return run.nodes[node_id].status.ended and bool(children) and all(run.nodes[c].status.ended for c in children)


def to_run(manifest: Manifest, matched: dict[int, ElectronRow], gone: set[str]) -> set[int]:
    """Nodes that must run, if ``matched`` nodes have values of an earlier dispatch of which the blobs ``gone`` are lost.

    A matched node whose value is lost runs again only if somebody needs that value.
    """
    found: set[int] = set()
    needed = [ref.node for ref in refs_of(manifest.output)]
    for node_id, node in enumerate(manifest.nodes):
        if node_id not in matched:
            found.add(node_id)
            needed += dependencies(node)
    while needed:
        node_id = needed.pop()
        if node_id not in found and gone.intersection(digests_of(matched[node_id].output)):
            found.add(node_id)
            needed += dependencies(manifest.nodes[node_id])
    return found
