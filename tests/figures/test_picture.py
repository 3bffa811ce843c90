"""What is drawn as one box, and what about it is said."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covalent_jupyter.client.display import sign_of
from covalent_jupyter.model import Status, dependencies
from covalent_jupyter.notebook.graph.canvas import arrange
from covalent_jupyter.notebook.graph.layout import layered
from covalent_jupyter.notebook.graph.picture import picture
from covalent_jupyter.notebook.graph.subject import Subject

from .graphs import fan, manifest, row, subjects


class TestCollapse:
    @given(subjects(), st.sampled_from([True, False, 2, 3]), st.data())
    @settings(max_examples=200, deadline=None)
    def test_every_electron_is_in_one_box_and_every_edge_in_one_arrow(
        self, subject: Subject, collapse: bool | int, data: st.DataObject
    ) -> None:
        nodes = subject.manifest.nodes
        apart = data.draw(st.sets(st.integers(0, len(nodes) - 1), max_size=3))
        seen = picture(subject, collapse=collapse, apart=apart)
        where = {node: at for at, box in enumerate(seen.boxes) for node in box.nodes}
        assert sorted(n for box in seen.boxes for n in box.nodes) == list(range(len(nodes)))
        assert {(a.start, a.end) for a in seen.arrows} == {
            (where[parent], where[i]) for i, node in enumerate(nodes) for parent in dependencies(node)
        }
        assert len({(a.start, a.end) for a in seen.arrows}) == len(seen.arrows)
        layered([(1.0, 1.0)] * len(seen.boxes), [(a.start, a.end) for a in seen.arrows])  # no cycle
        for node in apart:
            assert seen.boxes[where[node]].nodes == (node,)

    @given(subjects(), st.sampled_from([True, 2, 3]))
    @settings(max_examples=200, deadline=None)
    def test_counts_of_states_are_kept(self, subject: Subject, collapse: bool | int) -> None:
        seen = picture(subject, collapse=collapse)
        counted: Counter[tuple[str, str]] = Counter()
        for box in seen.boxes:
            assert sum(box.states.values()) == (len(box.nodes) if subject.dispatched else 0)
            counted.update(box.states)
        assert counted == Counter(sign_of(r.status, r.reused) for r in subject.rows.values())

    @given(subjects())
    @settings(max_examples=100, deadline=None)
    def test_a_stack_is_of_one_name(self, subject: Subject) -> None:
        for box in picture(subject, collapse=2).boxes:
            assert {subject.manifest.nodes[n].name for n in box.nodes} == {box.name}

    def test_repeated_chains_become_stacks(self) -> None:
        seen = picture(Subject(manifest(*fan(200))))
        assert [(box.name, len(box.nodes)) for box in seen.boxes] == [
            ("load", 1), ("train", 200), ("score", 200), ("best", 1)
        ]  # fmt: skip

    def test_failed_ones_step_out_and_the_rest_is_counted(self) -> None:
        states = [Status.COMPLETED] * 42
        for node in (3, 4, 5, 6, 7):
            states[node] = Status.FAILED
        rows = {i: row(i, status) for i, status in enumerate(states)}
        seen = picture(Subject(manifest(*fan(20)), rows))
        trains = [box for box in seen.boxes if box.name == "train"]
        assert [box.nodes for box in trains if len(box.nodes) == 1] == [(3,), (4,), (5,)]
        (stack,) = (box for box in trains if len(box.nodes) > 1)
        assert stack.detail == "✕ 2  ✓ 15" and stack.look == ("✕", "failed")

    def test_few_equal_ones_stay_apart(self) -> None:
        assert len(picture(Subject(manifest(*fan(4)))).boxes) == 10
        assert len(picture(Subject(manifest(*fan(4))), collapse=4).boxes) == 4

    def test_a_stack_that_mostly_completed_looks_completed(self) -> None:
        rows = {i: row(i, Status.SKIPPED if i == 3 else Status.COMPLETED) for i in range(42)}
        stack = next(b for b in picture(Subject(manifest(*fan(20)), rows)).boxes if b.name == "train")
        assert stack.look == ("✓", "completed")


class TestWords:
    def test_an_electron_says_what_tells_it_from_the_others(self) -> None:
        subject = Subject(manifest(*fan(3)))
        details = {box.nodes[0]: box.detail for box in picture(subject).boxes}
        assert details[2] == "x=2"
        assert details[0] == ""

    def test_without_an_input_of_its_own_it_says_that_of_what_it_follows(self) -> None:
        names, parents = fan(3)
        found = manifest(names, parents, values=[0, 1, 2, 3, 9, 9, 9, 9])
        assert Subject(found).telling()[4] == "x=1"

    def test_edges_are_named_where_there_is_more_than_one(self) -> None:
        found = manifest(["a", "b", "c"], [[], [0], [0, 1]])
        labels = {(a.start, a.end): a.label for a in picture(Subject(found)).arrows}
        assert labels == {(0, 1): "", (0, 2): "p0", (1, 2): "p1"}


class TestSublattices:
    def subject(self) -> Subject:
        inner = Subject(manifest(*fan(3)), {i: row(i, Status.COMPLETED) for i in range(8)})
        rows = {i: row(i, Status.COMPLETED, child="c" * 36) for i in range(3)}
        return Subject(manifest(["load", "part", "best"], [[], [0], [1]]), rows, {1: inner})

    def test_closed_by_default(self) -> None:
        assert all(box.inner is None for box in picture(self.subject()).boxes)

    @pytest.mark.parametrize("opened", [[1], None])
    @pytest.mark.parametrize("down", [False, True])
    def test_what_is_open_lies_inside_its_frame(self, opened: list[int] | None, down: bool) -> None:
        canvas = arrange(picture(self.subject(), opened=opened), down=down)
        (frame,) = (r for r in canvas.rectangles if r.box.inner is not None)
        inside = [r for r in canvas.rectangles if r.depth == 1]
        assert len(inside) == 8
        for r in inside:
            assert abs(r.x - frame.x) + r.width / 2 <= frame.width / 2
            assert abs(r.y - frame.y) + r.height / 2 <= frame.height / 2
        outside = [r for r in canvas.rectangles if r.depth == 0 and r is not frame]
        for r in outside:
            apart = (
                abs(r.x - frame.x) >= (r.width + frame.width) / 2 or abs(r.y - frame.y) >= (r.height + frame.height) / 2
            )
            assert apart
