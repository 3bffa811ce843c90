"""The figure: whatever users call things is shown as it is, and it is quick."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import covalent_jupyter as ct
from covalent_jupyter.errors import InvalidRequest, NotFound
from covalent_jupyter.model import Status
from covalent_jupyter.notebook.graph import Subject, graph_figure
from covalent_jupyter.notebook.graph.figure import SVG
from covalent_jupyter.notebook.graph.text import safe

from .graphs import fan, manifest, row

OURS = re.compile(r'</?b>|<br>|<span style="(?:color:#[0-9a-f]{6}|font-size:[\d.]+px)">|</span>')


def texts(figure: Any) -> list[str]:
    """Everything in a figure that plotly may read as markup."""
    found: list[str] = []

    def walk(value: Any, key: str = "") -> None:
        if isinstance(value, dict):
            for k, v in value.items():
                walk(v, k)
        elif isinstance(value, list):
            for v in value:
                walk(v, key)
        elif isinstance(value, str) and key in ("text", "hovertext", "name", "label"):
            found.append(value)

    walk(json.loads(figure.to_json()))
    return found


def legend(figure: Any) -> list[str]:
    return [trace.name for trace in figure.data if trace.showlegend]


class TestText:
    @given(st.text())
    @settings(max_examples=300, deadline=None)
    def test_no_tag_entity_or_formula_of_the_users(self, text: str) -> None:
        shown = safe(text)
        assert not re.search(r"[<>$\"'\n]", shown)
        assert not re.search(r"&(?!(?:amp|lt|gt|quot|#x27|#36);)", shown)

    @pytest.mark.parametrize(
        "name",
        ["<img src=x onerror=alert(1)>", "$\\href{javascript:alert(1)}{x}$", "<a href='javascript:1'>x</a>", "%{x}"],
    )
    def test_names_of_users_are_no_markup(self, name: str) -> None:
        found = manifest([name] * 3, [[], [0], [1]])
        found.name = name
        rows = {i: row(i, Status.FAILED, name) for i in range(3)}
        rows[1].error.message = name  # type: ignore[union-attr]
        figure = graph_figure(Subject(found, rows), title=name)
        assert texts(figure)
        for text in texts(figure):
            rest = OURS.sub("", text)
            assert "<" not in rest and "$" not in rest
        assert all(
            trace.hovertemplate is None and getattr(trace, "texttemplate", None) is None for trace in figure.data
        )


class TestFigure:
    def test_states_have_signs_words_and_counts_in_the_legend(self) -> None:
        states = [Status.COMPLETED, Status.RUNNING, Status.FAILED, Status.SKIPPED]
        figure = graph_figure(
            Subject(manifest(list("abcd"), [[], [0], [0], [2]]), {i: row(i, s) for i, s in enumerate(states)})
        )
        assert legend(figure) == ["✕ failed (1)", "◐ running (1)", "⤼ skipped (1)", "✓ completed (1)"]

    def test_it_reads_on_any_page(self) -> None:
        layout = graph_figure(Subject(manifest(*fan(3)))).layout
        assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"

    def test_found_electrons_are_in_the_middle_and_marked(self) -> None:
        subject = Subject(manifest(*fan(300)))
        figure = graph_figure(subject, find="score[x=450]", collapse=False)
        (mark,) = (t for t in figure.data if t.line.color == "#d97706")
        left, right = figure.layout.xaxis.range
        bottom, top = figure.layout.yaxis.range
        assert left < min(mark.x[:-1]) and max(mark.x[:-1]) < right
        assert top < min(mark.y[:-1]) and max(mark.y[:-1]) < bottom
        assert figure.layout.updatemenus[0].buttons[0].label == "Found"

    def test_found_in_a_stack_it_steps_out(self) -> None:
        figure = graph_figure(Subject(manifest(*fan(300))), find="score[x=450]")
        assert any("score × 299" in text for text in texts(figure))

    def test_the_menu_zooms_to_what_failed(self) -> None:
        rows = {i: row(i, Status.FAILED if i == 250 else Status.COMPLETED) for i in range(602)}
        figure = graph_figure(Subject(manifest(*fan(300)), rows), collapse=False)
        labels = [button.label for button in figure.layout.updatemenus[0].buttons]
        assert labels[:2] == ["Whole graph", "✕ failed"] and "train" in labels
        data, ranges, traces = figure.layout.updatemenus[0].buttons[1].args
        assert ranges["xaxis.range"][0] < ranges["xaxis.range"][1]
        assert all(figure.data[t].mode == "text" for t in traces) and data["visible"] == [True] * len(traces)

    def test_a_long_chain_begins_in_natural_size(self) -> None:
        names, parents = [f"step{i}" for i in range(300)], [[i - 1] if i else [] for i in range(300)]
        figure = graph_figure(Subject(manifest(names, parents)))
        assert figure.layout.updatemenus[0].buttons[0].label == "Beginning"
        assert figure.layout.xaxis.range[1] - figure.layout.xaxis.range[0] == pytest.approx(920)

    def test_large_graphs_have_few_traces(self) -> None:
        figure = graph_figure(Subject(manifest(*fan(2000))), collapse=False)
        assert len(figure.data) <= 6 and not figure.layout.shapes and not figure.layout.annotations
        assert figure.data[0].type == "scattergl" and 4002 > SVG

    def test_an_empty_graph(self) -> None:
        assert graph_figure(Subject(manifest([], []))).layout.width > 0

    @pytest.mark.parametrize(("width", "seconds"), [(500, 1.0), (5000, 8.0)])
    def test_it_is_quick(self, width: int, seconds: float) -> None:
        """Processor time, with room for a busy machine; the figures to reach are in ``benchmarks``."""
        subject = Subject(manifest(*fan(width)), {i: row(i, Status.COMPLETED) for i in range(2 * width + 2)})
        graph_figure(Subject(manifest(*fan(2))))  # plotly is loaded
        began = time.process_time()
        graph_figure(subject, collapse=False)
        assert time.process_time() - began < seconds


@ct.electron
def load(n: int) -> int:
    return n


@ct.electron
def train(data: int, find: int = 0) -> int:
    return data + find


@ct.lattice
def search(n: int, count: int = 3) -> list[int]:
    data = load(n)
    return [train(data, i) for i in range(count)]


@ct.lattice
def finder(find: int) -> int:
    return train(load(find), find)


class TestLatticeDraw:
    def test_before_a_dispatch(self) -> None:
        figure = search.draw(1, count=2)
        assert legend(figure) == []
        assert sum("<b>train</b>" in text for text in texts(figure)) >= 2
        assert any("find = 1" in text for text in texts(figure))

    def test_options_of_the_figure(self) -> None:
        figure = search.draw(1, count=30, find="train[find=3]", direction="down", collapse=False)
        assert figure.layout.updatemenus[0].buttons[0].label == "Found"
        assert len(search.draw(1, count=30, collapse=False).to_json()) > len(search.draw(1, count=30).to_json())

    def test_a_parameter_of_the_lattice_goes_before_an_option(self) -> None:
        assert any("find = 3" in text for text in texts(finder.draw(find=3)))

    def test_mistakes(self) -> None:
        with pytest.raises(InvalidRequest, match='"right" or "down", not \'up\''):
            search.draw(1, direction="up")
        with pytest.raises(NotFound, match="no electron is called 'tran'; did you mean 'train'"):
            search.draw(1, find="tran")
        with pytest.raises(ct.BuildError, match=r"has no parameter 'counts'.*signature"):
            search.draw(1, counts=3)
