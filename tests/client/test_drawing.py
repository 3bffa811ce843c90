"""``result.draw``: the graph of a dispatch, live and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

import covalent_jupyter as ct
from covalent_jupyter.client import drawing
from covalent_jupyter.errors import NotFound

from .flows import add, failing, gated, inner, outer


def legend(figure: Any) -> list[str]:
    return [trace.name for trace in figure.data if trace.showlegend is not False and trace.name]


def hovers(figure: Any) -> list[str]:
    return [text for trace in figure.data for text in (trace.hovertext if trace.hovertext is not None else ())]


@ct.lattice
def nested(a: int) -> Any:
    return ct.electron(outer)(a), [ct.electron(inner)(add(a, i)) for i in range(3)]


class TestDraw:
    def test_what_failed_and_what_that_did(self) -> None:
        result = ct.dispatch_sync(failing)("<b>")
        figure = result.draw()
        assert isinstance(figure, go.Figure)
        assert legend(figure) == ["✕ failed (1)", "⤼ skipped (1)", "✓ completed (1)"]
        (failed,) = (text for text in hovers(figure) if "✕" in text)
        assert "Unlucky: no luck with &lt;b&gt;" in failed and "kind = &#x27;&lt;b&gt;&#x27;" in failed
        assert any("gave 2" in text for text in hovers(figure))

    def test_it_looks_again_whenever_it_is_asked(self, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        dispatched = ct.dispatch(gated)(str(gate))
        result = ct.get_result(dispatched)
        before = legend(result.draw())
        assert not any("completed (2)" in entry for entry in before)
        gate.touch()
        dispatched.wait(60)
        assert legend(result.draw()) == ["✓ completed (2)"]
        assert result.status == ct.status.COMPLETED

    def test_sublattices_open_in_place(self) -> None:
        result = ct.dispatch_sync(nested)(1)
        assert legend(result.draw()) == ["✓ completed (7)"]
        assert legend(result.draw(open=0)) == ["✓ completed (9)"]
        assert legend(result.draw(open=["inner"])) == ["✓ completed (13)"]
        assert legend(result.draw(open=True)) == ["✓ completed (17)"]

    def test_more_than_can_be_seen_are_not_opened(self, monkeypatch: pytest.MonkeyPatch) -> None:
        result = ct.dispatch_sync(nested)(2)
        monkeypatch.setattr(drawing, "OPENED", 2)
        with pytest.warns(UserWarning, match=r"only the first 2 sublattices .* open=\["):
            result.draw(open=True)

    def test_what_is_not_there_is_named(self) -> None:
        result = ct.dispatch_sync(nested)(3)
        with pytest.raises(NotFound, match="no electron is called 'sub'"):
            result.draw(open=["sub"])


@ct.electron(retries=1)
def lucky_later(value: int) -> int:
    if ct.get_context().attempt == 1:
        raise ValueError("not at first")
    return value


@ct.lattice
def retried(value: int) -> Any:
    return lucky_later(value), ct.electron(inner)(value)


class TestTimeline:
    def test_attempts_and_sublattices_on_their_workers(self) -> None:
        result = ct.dispatch_sync(retried)(1)
        figure = result.timeline()
        entries = legend(figure)
        assert "✓ completed (4)" in entries and "✕ failed (1)" in entries
        texts = hovers(figure)
        assert any("not at first" in text for text in texts) and any("attempt 2" in text for text in texts)
        assert sum("of inner" in text for text in texts) == 2
        workers = {e.worker for e in result.electrons}
        assert workers <= set(figure.layout.yaxis.ticktext)
        assert len(hovers(result.timeline(sublattices=False))) == 3

    def test_while_it_runs(self, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        dispatched = ct.dispatch(gated)(str(gate))
        try:
            wanted = [ct.status.RUNNING, ct.status.COMPLETED]
            while [electron.status for electron in ct.get_result(dispatched).electrons] != wanted:
                dispatched.wait(0.05)
            figure = ct.get_result(dispatched).timeline()
            assert "◐ running (1)" in legend(figure)
            assert any("so far" in text for text in hovers(figure))
        finally:
            gate.touch()
        dispatched.wait(60)
