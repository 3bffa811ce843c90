"""The graph of a result's lattice, and names imported with a star, which leave Python's own alone."""

import covalent as ct
from covalent import *  # noqa: F403


@ct.electron
def add(a, b):
    return a + b


@ct.lattice
def workflow(pairs):
    return [add(a, b) for a, b in zip(pairs, pairs[1:], strict=False)]


result = ct.get_result(ct.dispatch(workflow)([1, 2, 3]), wait=True)
assert result.result == [3, 5]
assert [node.name for node in result.lattice.transport_graph.nodes] == ["add", "add"]
