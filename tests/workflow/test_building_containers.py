"""Containers with electrons inside come back as the types they were."""

from __future__ import annotations

import dataclasses
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from typing import Any, NamedTuple

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covalent_jupyter.errors import BuildError
from covalent_jupyter.model.graph import Ref, Tpl, Val
from covalent_jupyter.workflow import electron, lattice
from covalent_jupyter.workflow.containers import find_refs

from .local_runs import graph_of, run


@electron
def give(value: Any) -> Any:
    return value


class Point(NamedTuple):
    x: Any
    y: Any = 0


Pair = namedtuple("Pair", "a b")


@dataclasses.dataclass
class Box:
    inside: Any
    label: str = "box"


@dataclasses.dataclass(frozen=True)
class Frozen:
    inside: Any


@dataclasses.dataclass(slots=True)
class Slotted:
    inside: Any
    other: Any = None


@attrs.define
class Attrs:
    inside: Any


@attrs.frozen(slots=False)
class AttrsDict:
    inside: Any


class Names(list):
    note: Any = None


class Table(dict):
    pass


WRAPPERS = {
    "list": lambda *v: list(v),
    "tuple": lambda *v: v,
    "dict": lambda *v: dict(enumerate(v)),
    "deque": lambda *v: deque(v, maxlen=7),
    "OrderedDict": lambda *v: OrderedDict((str(i), x) for i, x in enumerate(v)),
    "defaultdict": lambda *v: defaultdict(list, {"k": list(v)}),
    "namedtuple": lambda *v: Pair(v, v[:1]),
    "NamedTuple": lambda *v: Point(v),
    "dataclass": lambda *v: Box(v),
    "frozen": lambda *v: Frozen(v),
    "slotted": lambda *v: Slotted(v[0], v[1:]),
    "attrs": lambda *v: Attrs(v),
    "attrs dict": lambda *v: AttrsDict(v),
    "list subclass": lambda *v: Names(v),
    "dict subclass": lambda *v: Table(k=v),
    "slice": lambda *v: slice(v[0], None, v[-1]),
}


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple, deque)):
        return len(a) == len(b) and all(map(_same, a, b))
    if dataclasses.is_dataclass(a):
        return all(_same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return bool(a == b)


@pytest.mark.parametrize("kind", WRAPPERS)
def test_every_container_keeps_its_type(kind: str) -> None:
    wrap = WRAPPERS[kind]
    flow = lattice(lambda: (give(wrap(give(1), "two")), wrap(give(3), 4)))
    argument, returned = run(flow)
    assert _same(argument, wrap(1, "two")) and _same(returned, wrap(3, 4))
    value = graph_of(flow).nodes[1].args[0]
    assert isinstance(value, Tpl) and value.refs == (Ref(0),)


def test_containers_without_electrons_are_one_value() -> None:
    for wrap in WRAPPERS.values():
        graph = graph_of(lattice(lambda wrap=wrap: give(wrap(1, "two"))))
        assert isinstance(graph.nodes[0].args[0], Val) and len(graph.nodes) == 1


@pytest.mark.parametrize(
    "value", [{1, 2}, frozenset({3}), Counter("aab"), {(1, 2): {3}}, range(3), b"x", bytearray(b"y")]
)
def test_plain_values_keep_their_type(value: Any) -> None:
    back, beside = run(lattice(lambda: (give(value), give([value, give(1)]))))
    assert _same(back, value) and _same(beside, [value, 1])


def test_attributes_of_subclasses_are_looked_into() -> None:
    def flow() -> Any:
        names = Names([1])
        names.note = {"k": give(2)}
        return give(names)

    back = run(lattice(flow))
    assert back == [1] and back.note == {"k": 2}


def test_shared_and_cyclic_containers() -> None:
    def shared() -> Any:
        inner = [give(1)]
        return give([inner, inner, {"k": inner}])

    def cyclic() -> Any:
        ring: list[Any] = [give(1)]
        ring.append(ring)
        return give(ring)

    one, two, three = run(lattice(shared))
    assert one is two and three["k"] is one and one == [1]
    back = run(lattice(cyclic))
    assert back[0] == 1 and back[1] is back


def test_one_reference_often_is_one_slot() -> None:
    def flow() -> Any:
        e = give((1, 2))
        return give([e, e, e[0], e[0], e[1]])

    graph = graph_of(lattice(flow))
    value = graph.nodes[1].args[0]
    assert isinstance(value, Tpl) and len(value.refs) == 3
    assert run(lattice(flow)) == [(1, 2), (1, 2), 1, 1, 2]


def test_deep_nesting() -> None:
    def flow() -> Any:
        value: Any = give(1)
        for _ in range(150):
            value = [value]
        return give(value)

    back = run(lattice(flow))
    for _ in range(150):
        (back,) = back
    assert back == 1


def test_a_set_cannot_hold_a_reference() -> None:
    with pytest.raises(TypeError, match="hashed.*value of a dict"):
        graph_of(lattice(lambda: give({give(1)})))
    with pytest.raises(BuildError, match="hashed"):
        graph_of(lattice(lambda: give({give(1): 2})))


class Strange(list):
    def __reduce_ex__(self, protocol: Any) -> Any:
        return Strange, (), {"hidden": Box(list(self) * 2)}


def test_a_container_that_pickles_more_than_it_shows_is_refused() -> None:
    with pytest.raises(BuildError, match="argument 'value' of give: .*inside an object"):
        graph_of(lattice(lambda: give(Strange([give(1)]))))


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5), st.binary(max_size=3)
)


class Marked:
    """In the place of an electron's value."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.one_of(st.text(max_size=3), st.integers(), st.tuples(st.integers()))
    return st.one_of(
        st.lists(children, max_size=4),
        st.lists(children, max_size=3).map(tuple),
        st.dictionaries(keys, children, max_size=3),
        st.dictionaries(keys, children, max_size=3).map(OrderedDict),
        st.dictionaries(keys, children, max_size=3).map(Table),
        st.lists(children, max_size=3).map(deque),
        st.lists(children, max_size=3).map(Names),
        st.tuples(children, children).map(lambda v: Point(*v)),
        children.map(Box),
        children.map(Frozen),
        st.tuples(children, children).map(lambda v: Slotted(*v)),
    )


def _fill(value: Any, put: Any) -> Any:
    """A copy with ``put(value)`` in the places of marks."""
    if isinstance(value, Marked):
        return put(value.value)
    if isinstance(value, dict):
        return type(value)((k, _fill(v, put)) for k, v in value.items())
    if isinstance(value, Point):
        return Point(*(_fill(v, put) for v in value))
    if isinstance(value, (list, tuple, deque)):
        return type(value)(_fill(v, put) for v in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{f.name: _fill(getattr(value, f.name), put) for f in dataclasses.fields(value)})
    return value


@given(st.recursive(st.one_of(LEAVES, LEAVES.map(Marked)), _containers, max_leaves=12))
@settings(max_examples=150, deadline=None)
def test_random_containers_come_back_as_they_were(value: Any) -> None:
    expected = _fill(value, lambda v: v)

    @lattice
    def flow() -> Any:
        filled = _fill(value, give)
        return give(filled), filled

    argument, returned = run(flow)
    assert _same(argument, expected) and _same(returned, expected)


def test_looking_for_references_in_a_million_numbers_is_quick() -> None:
    assert find_refs([[0.0] * 1_000_000, list(range(1_000_000))]) == []


@pytest.mark.parametrize(
    ("returned", "pieces"),
    [
        (lambda x: {"a": give(1), "b": [give(2)], "c": 5}, ("{'a': ", 0, ", 'b': [", 1, "], 'c': 5}")),
        (lambda x: Point(give(1), 2), ("Point(x=", 0, ", y=2)")),
        (lambda x: x, ("3",)),
        (lambda x: {"answer": x * 2, "text": "\0" + "0\0"}, ("{'answer': 6, 'text': '\\x000\\x00'}",)),
        (lambda x: list(range(40)), (f"[{', '.join(map(str, range(30)))}, ...]",)),
    ],
)
def test_what_a_lattice_returns_can_be_read_without_unpickling(returned: Any, pieces: tuple[str | int, ...]) -> None:
    outline = graph_of(lattice(returned), 3).outline
    assert outline is not None and outline.pieces == pieces


def test_the_outline_of_a_returned_value_asks_none_of_its_code_and_is_short() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise ValueError

    def flow() -> Any:
        return {i: ["x" * 300] * 30 for i in range(30)} | {"odd": Odd(), "e": give(1)}

    outline = graph_of(lattice(flow)).outline
    assert outline is not None and sum(len(str(piece)) for piece in outline.pieces) <= 4001
    assert graph_of(lattice(lambda: give(1))).outline is None
