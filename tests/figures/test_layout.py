"""Properties of the layout, whatever the graph."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covalent_jupyter.notebook.graph.layout import GAP, Layout, layered, spread

Sizes = list[tuple[float, float]]
Edges = list[tuple[int, int]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Sizes, Edges]:
    count = draw(st.integers(1, 90))
    side = st.floats(10, 400)
    sizes = draw(st.lists(st.tuples(side, side), min_size=count, max_size=count))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda p: p[0] != p[1])
    edges = draw(st.lists(pairs, max_size=150))
    return sizes, [(min(p), max(p)) for p in edges]


def overlaps(layout: Layout) -> list[tuple[int, int]]:
    found = []
    order = sorted(range(len(layout.places)), key=lambda i: layout.places[i].x - layout.places[i].width / 2)
    for at, i in enumerate(order):
        a = layout.places[i]
        for j in order[at + 1 :]:
            b = layout.places[j]
            if b.x - b.width / 2 >= a.x + a.width / 2:
                continue
            if abs(a.y - b.y) < (a.height + b.height) / 2 - 1e-6:
                found.append((i, j))
    return found


class TestAnyGraph:
    @given(graphs(), st.booleans())
    @settings(max_examples=150, deadline=None)
    def test_every_box_is_placed_inside_the_sheet_at_its_size_and_none_overlap(
        self, graph: tuple[Sizes, Edges], down: bool
    ) -> None:
        sizes, edges = graph
        layout = layered(sizes, edges, down=down)
        assert [(p.width, p.height) for p in layout.places] == sizes
        for place in layout.places:
            assert -1e-6 <= place.x - place.width / 2 and place.x + place.width / 2 <= layout.width + 1e-6
            assert -1e-6 <= place.y - place.height / 2 and place.y + place.height / 2 <= layout.height + 1e-6
        assert not overlaps(layout)

    @given(graphs(), st.booleans())
    @settings(max_examples=150, deadline=None)
    def test_edges_go_forward(self, graph: tuple[Sizes, Edges], down: bool) -> None:
        sizes, edges = graph
        layout = layered(sizes, edges, down=down)
        assert len(layout.bends) == len(edges)
        for (start, end), bends in zip(edges, layout.bends, strict=True):
            a, b = layout.places[start], layout.places[end]
            begin, finish = (a.y + a.height / 2, b.y - b.height / 2) if down else (a.x + a.width / 2, b.x - b.width / 2)
            along = [begin, *(y if down else x for x, y in bends), finish]
            assert all(one < two for one, two in zip(along, along[1:], strict=False)), along

    @given(graphs())
    @settings(max_examples=50, deadline=None)
    def test_the_same_graph_is_drawn_the_same(self, graph: tuple[Sizes, Edges]) -> None:
        assert layered(*graph) == layered(*graph)

    @given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=40), st.data())
    @settings(max_examples=200, deadline=None)
    def test_spread_keeps_order_and_gaps(self, wishes: list[float], data: st.DataObject) -> None:
        gaps = data.draw(st.lists(st.floats(0, 100), min_size=len(wishes) - 1, max_size=len(wishes) - 1))
        found = spread(wishes, gaps)
        for one, two, gap in zip(found, found[1:], gaps, strict=False):
            assert two - one >= gap - 1e-6
        if all(two - one >= gap for one, two, gap in zip(wishes, wishes[1:], gaps, strict=False)):
            assert found == pytest.approx(wishes, abs=1e-6), "nothing moves that need not"


class TestPictures:
    def test_a_chain_is_a_straight_line(self) -> None:
        layout = layered([(100, 40)] * 5, [(i, i + 1) for i in range(4)])
        assert len({round(p.y, 6) for p in layout.places}) == 1
        assert [p.x for p in layout.places] == sorted(p.x for p in layout.places)

    def test_a_fan_is_centred_on_its_root(self) -> None:
        layout = layered([(100, 40)] * 6, [(0, i) for i in range(1, 6)])
        assert layout.places[0].y == pytest.approx(layout.height / 2)

    def test_no_crossings_in_a_ladder_given_in_a_bad_order(self) -> None:
        pairs = [(i, 19 - i) for i in range(10)]
        layout = layered([(50, 20)] * 20, pairs)
        starts = sorted(pairs, key=lambda p: layout.places[p[0]].y)
        ends = [layout.places[end].y for _, end in starts]
        assert ends == sorted(ends)

    def test_an_input_that_is_used_late_stands_beside_its_user(self) -> None:
        layout = layered([(50, 20)] * 5, [(0, 1), (1, 2), (2, 3), (4, 3)])
        assert layout.places[4].x == layout.places[2].x

    def test_a_wide_layer_is_folded(self) -> None:
        layout = layered([(100, 40)] * 1001, [(0, i) for i in range(1, 1001)])
        assert layout.height < 60 * (40 + GAP)

    def test_a_cycle_is_named(self) -> None:
        with pytest.raises(ValueError, match="cycle through node 1"):
            layered([(1, 1)] * 3, [(0, 1), (1, 2), (2, 1)])

    def test_nothing(self) -> None:
        assert layered([], []).places == []


@pytest.mark.parametrize(("count", "seconds"), [(1000, 0.4), (10_000, 4.0)])
def test_it_is_quick(count: int, seconds: float) -> None:
    """The slowest of the shapes that people draw; loose, as the machine may be busy."""
    edges = [(i, i + step) for i in range(count) for step in (1, 7, 100) if i + step < count and i % 10 < 6]
    began = time.process_time()
    layered([(120.0, 40.0)] * count, edges)
    assert time.process_time() - began < seconds
