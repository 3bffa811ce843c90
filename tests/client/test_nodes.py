"""One way to address electrons, for results, logs, debug, magics and the command line."""

from __future__ import annotations

import pytest

import covalent_jupyter as ct
from covalent_jupyter.client.nodes import address_of, addresses, find_node, find_nodes
from covalent_jupyter.errors import InvalidRequest
from covalent_jupyter.model import Manifest


@ct.electron
def load() -> list[int]:
    return [1, 2]


@ct.electron
def train(data: list[int], C: float, kernel: str = "rbf") -> float:
    return C


@ct.electron
def best(scores: list[float]) -> float:
    return max(scores)


@ct.lattice
def search() -> float:
    data = load()
    return best([train(data, 0.1), train(data, 1.0), train(data, 1.0, kernel="poly"), train(data, [1])])


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return search.build_graph()


@pytest.mark.parametrize(
    ("address", "nodes"),
    [
        (0, [0]), ("0", [0]), (-1, [5]), ("load", [0]), ("train", [1, 2, 3, 4]), ("train[0]", [1]), ("train[3]", [4]),
        ("train[C=0.1]", [1]), ("train[C=1]", [2, 3]), ("train[C=1.0, kernel=poly]", [3]), ("train[kernel='poly']", [3]),
        (" train[ C = 0.1 ] ", [1]), ("train[C=[1]]", [4]),
    ],
)  # fmt: skip
def test_what_is_meant(manifest: Manifest, address: str | int, nodes: list[int]) -> None:
    assert find_nodes(manifest, address) == nodes


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tran", "did you mean 'train'"),
        ("train[c=1]", "train has no input 'c' \\(did you mean 'C'\\?\\)"),
        ("train[C=5]", r"no train has C=5; there are train\[C=0.1\]"),
        ("train[9]", r"4 electrons called 'train': train\[0\] to train\[3\]"),
        (17, "no electron 17: this dispatch has 6, from 0 to 5"),
    ],
)
def test_what_cannot_be_meant(manifest: Manifest, address: str | int, message: str) -> None:
    with pytest.raises(ct.NotFound, match=message):
        find_nodes(manifest, address)


def test_the_shortest_address_leads_back(manifest: Manifest) -> None:
    for node in range(len(manifest.nodes)):
        assert find_nodes(manifest, address_of(manifest, node)) == [node]
    assert address_of(manifest, 1) == "train[C=0.1]" and address_of(manifest, 0) == "load"
    assert set(addresses(manifest, 100)) >= {"load", "best", "train", "train[C=0.1]"}
    assert addresses(manifest, 3) == ["load", "train", "best"]


def test_one_is_asked_for_and_several_are_meant(manifest: Manifest) -> None:
    assert find_node(manifest, "train[C=0.1]") == 1
    with pytest.raises(InvalidRequest, match=r"4 electrons are meant by 'train'; say which: train\[C=0.1\] \(1\)"):
        find_node(manifest, "train")
    with pytest.raises(InvalidRequest, match=r"write train\[parameter=value\], for example train\[C=0.1\]"):
        find_node(manifest, "train[0.1]")


def test_results_take_addresses() -> None:
    result = ct.dispatch_sync(search)()
    found = result.electrons["train[C=0.1]"]
    assert not isinstance(found, list) and found.value == 0.1 and len(result.electrons["train"]) == 4
