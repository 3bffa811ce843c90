"""The timeline: nothing is lost, bars of a lane are where they were, and it is quick."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from covalent_jupyter.notebook.graph import Attempt, timeline_figure

MOMENT = st.floats(0, 100)


@st.composite
def attempts(draw: st.DrawFn) -> list[Attempt]:
    found = []
    for number in range(draw(st.integers(0, 25))):
        queued, started, ended = sorted(draw(st.tuples(MOMENT, MOMENT, MOMENT)))
        begun, over = draw(st.booleans()), draw(st.booleans())
        status = draw(st.sampled_from(["COMPLETED", "FAILED", "INTERRUPTED", "CANCELLED"])) if over else "RUNNING"
        found.append(
            Attempt(
                draw(st.text(max_size=8)), number, draw(st.integers(1, 3)), status if begun else "DISPATCHING", 1e9 + queued,
                1e9 + started if begun else None, 1e9 + ended if begun and over else None,
                draw(st.none() | st.floats(0, 100)) if over else None, draw(st.sampled_from(["a:1", "a:2", "b:1"])), "dask",
            )
        )  # fmt: skip
    return found


def bars(figure: Any) -> int:
    found = [t for t in figure.data if t.fill == "toself" and t.name]
    return sum(list(t.x).count(None) for t in found)


@given(attempts())
@settings(max_examples=150, deadline=None)
def test_every_attempt_that_began_is_a_bar_and_has_its_words(found: list[Attempt]) -> None:
    figure = timeline_figure(found, began=1e9, now=1e9 + 200)
    begun = [a for a in found if a.started is not None]
    assert bars(figure) == len(begun)
    assert sum(len(t.hovertext) for t in figure.data if t.hovertext is not None) == len(begun)
    left, right = figure.layout.xaxis.range
    for trace in figure.data:
        assert all(left <= x <= right for x in trace.x if x is not None)
    for name in ("waiting for a place", "under way"):
        for trace in figure.data:
            if trace.name == name:
                assert min(trace.y) >= 0 and trace.y[-1] == 0


def test_the_function_and_the_rest_are_apart() -> None:
    one = Attempt("f", 0, 1, "COMPLETED", 10.0, 11.0, 15.0, 3.0, "a:1", "dask")
    figure = timeline_figure([one], began=10.0, now=99.0)
    first, rest = (t for t in figure.data if t.fill == "toself")
    assert (min(first.x[:5]), max(first.x[:5])) == (1, 4) and (min(rest.x[:5]), max(rest.x[:5])) == (4, 5)
    (text,) = next(t.hovertext for t in figure.data if t.hovertext is not None)
    assert "waited 1.0 s on dask" in text and "ran 3.0 s" in text and "values in and out: 1.0 s" in text


def test_ten_thousand_attempts() -> None:
    found = [
        Attempt("f", i, 1, "COMPLETED", 1.0, 1.0 + i / 4, 1.0 + i / 4 + 0.2, 0.2, f"a:{i % 8}", "dask")
        for i in range(10_000)
    ]
    began = time.process_time()
    figure = timeline_figure(found, began=1.0, now=2.0)
    assert time.process_time() - began < 5
    assert len(figure.data) <= 6 and figure.layout.height < 500
