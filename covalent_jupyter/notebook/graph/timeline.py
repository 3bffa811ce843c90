"""Who ran what when: a Gantt chart by worker, with what waits above it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...client.display import duration_text
from ...model import SIGNS, Status
from .text import safe
from .theme import GREY, TINTS, axis, hover_label, page, tint

#: pixels of a worker's lane, of the strip above, and of the whole at most
LANE, STRIP, TALLEST = 30, 70, 900
#: attempts whose own wait is drawn, and whose names are
WAITS, NAMED = 150, 1500
#: attempts above which hovers are WebGL
SVG = 3000
#: characters of a label per width of the figure
CHARACTERS = 150
INTERRUPTED = ("↯", "interrupted")


class Attempt(NamedTuple):
    """One attempt of an electron. Times in seconds since the epoch; ``duration`` is the user's function alone."""

    name: str
    node: int
    attempt: int
    status: str  # of an electron, or INTERRUPTED
    queued: float | None
    started: float | None
    ended: float | None
    duration: float | None
    worker: str
    executor: str
    error: str = ""
    within: str = ""  # the sublattice that it is of

    @property
    def look(self) -> tuple[str, str]:
        return INTERRUPTED if self.status == "INTERRUPTED" else SIGNS[Status(self.status)]


def timeline_figure(attempts: Sequence[Attempt], *, title: str = "", began: float, now: float) -> Any:
    """The figure (``plotly.graph_objects.Figure``); ``began`` is second zero, and what has not ended goes on to ``now``."""
    import plotly.graph_objects as go

    chart = _Chart(attempts, began, now)
    return go.Figure({"data": chart.traces(), "layout": chart.layout(title)})


class _Chart:
    def __init__(self, attempts: Sequence[Attempt], began: float, now: float) -> None:
        self.began = began
        self.now = now
        self.all = attempts
        self.begun = [a for a in attempts if a.started is not None]
        lanes = sorted({a.worker: None for a in sorted(self.begun, key=_start)}, key=_lane_order(self.begun))
        self.lanes = {worker: at for at, worker in enumerate(lanes)}
        moments = [t for a in attempts for t in (a.queued, a.started, a.ended) if t is not None]
        running = any(a.ended is None for a in self.begun)
        self.first = min([began, *moments])
        self.last = max([*moments, *([now] if running else []), self.first + 1e-3])

    def at(self, moment: float) -> float:
        """Seconds on the axis, to the microsecond."""
        return round(moment - self.began, 6)

    def traces(self) -> list[dict[str, Any]]:
        found = self._strip()
        if len(self.all) <= WAITS:
            found += self._waits()
        by_look: dict[tuple[str, str], list[Attempt]] = {}
        for attempt in self.begun:
            by_look.setdefault(attempt.look, []).append(attempt)
        for look, attempts in sorted(by_look.items(), key=lambda item: item[0][1]):
            found += self._bars(look, attempts)
        if self.begun:
            found.append(self._names())
        return found

    # the strip: how many wait, how many run

    def _strip(self) -> list[dict[str, Any]]:
        waiting, running = [], []
        for a in self.all:
            if a.queued is not None:
                waiting += [(a.queued, 1), (a.started or a.ended or self.last, -1)]
            if a.started is not None:
                running += [(a.started, 1), (a.ended or self.last, -1)]
        return [
            self._steps(steps, name, TINTS[word][0])
            for steps, name, word in ((waiting, "waiting for a place", "queued"), (running, "under way", "running"))
            if steps
        ]

    def _steps(self, steps: list[tuple[float, int]], name: str, colour: str) -> dict[str, Any]:
        level = 0
        xs: list[float] = []
        ys: list[int] = []
        for moment, change in sorted(steps):
            level += change
            if xs and xs[-1] == self.at(moment):
                ys[-1] = level
            else:
                xs.append(self.at(moment))
                ys.append(level)
        return {
            "type": "scatter", "mode": "lines", "x": xs, "y": ys, "name": name, "yaxis": "y2", "fill": "tozeroy",
            "fillcolor": tint(colour, 0.12), "line": {"shape": "hv", "color": colour, "width": 1.2},
            "hoverlabel": hover_label(colour), "hovertemplate": "%{y} " + name + "<extra></extra>",
        }  # fmt: skip

    # the lanes

    def _waits(self) -> list[dict[str, Any]]:
        """A thin line from when the executor got it to its start."""
        xs: list[float | None] = []
        ys: list[float | None] = []
        for a in self.begun:
            if a.queued is not None and a.started is not None and a.started > a.queued:
                y = self.lanes[a.worker] + 0.42
                xs += [self.at(a.queued), self.at(a.started), None]
                ys += [y, y, None]
        if not xs:
            return []
        return [{
            "type": "scatter", "mode": "lines", "x": xs, "y": ys, "hoverinfo": "skip", "showlegend": False,
            "line": {"color": "rgba(128,128,128,0.5)", "width": 1.5},
        }]  # fmt: skip

    def _bars(self, look: tuple[str, str], attempts: list[Attempt]) -> list[dict[str, Any]]:
        sign, word = look
        colour, dash = TINTS.get(word, ("#8a8a8a", "dot"))
        boxes, rests = _Boxes(), _Boxes()
        for a in attempts:
            lane, (start, middle, end) = self.lanes[a.worker], self._spans(a)
            boxes.add(start, middle, lane - 0.34, lane + 0.34)
            if end > middle:
                rests.add(middle, end, lane - 0.2, lane + 0.2)
        group = {"legendgroup": word, "hoverinfo": "skip"}
        found = [
            boxes.trace(colour, 0.3, dash, {**group, "name": f"{sign} {word} ({len(attempts)})"}),
            rests.trace(colour, 0.08, "solid", {**group, "showlegend": False}),
            self._hovers(attempts, colour, word),
        ]
        return [trace for trace in found if trace["x"]]

    def _spans(self, a: Attempt) -> tuple[float, float, float]:
        """Start, end of the user's function, end."""
        assert a.started is not None
        start, end = self.at(a.started), self.at(a.ended if a.ended is not None else self.last)
        middle = end if a.duration is None else min(start + a.duration, end)
        return start, middle, end

    def _hovers(self, attempts: list[Attempt], colour: str, word: str) -> dict[str, Any]:
        spans = [self._spans(a) for a in attempts]
        return {
            "type": "scatter" if len(self.begun) <= SVG else "scattergl", "mode": "markers",
            "x": [round((start + end) / 2, 6) for start, _, end in spans], "y": [self.lanes[a.worker] for a in attempts],
            "marker": {"size": 14, "opacity": 0, "color": colour}, "hoverinfo": "text",
            "hovertext": [self._hover(a, *span) for a, span in zip(attempts, spans, strict=True)],
            "hoverlabel": hover_label(colour), "legendgroup": word, "showlegend": False,
        }  # fmt: skip

    def _hover(self, a: Attempt, start: float, middle: float, end: float) -> str:
        sign, word = a.look
        lines = [f"<b>{safe(a.name, 60)}</b> [{a.node}]" + (f" of {safe(a.within, 40)}" if a.within else "")]
        lines.append(f"{sign} {word}" + (f" · attempt {a.attempt}" if a.attempt > 1 else ""))
        if a.error:
            lines.append(safe(a.error, 200))
        if a.queued is not None and a.started is not None:
            lines.append(f"waited {duration_text(a.started - a.queued)} on {safe(a.executor, 30)}")
        lines.append(f"ran {duration_text(middle - start)}" + ("" if a.ended is not None else " so far"))
        if end > middle:
            lines.append(f"imports, values in and out: {duration_text(end - middle)}")
        return "<br>".join(lines)

    def _names(self) -> dict[str, Any]:
        """Names on the bars that have room for them; the number of an attempt after the first on all."""
        room = (self.last - self.first) / CHARACTERS
        texts: list[tuple[float, float, str]] = []
        for a in self.begun if len(self.begun) <= NAMED else ():
            start, _, end = self._spans(a)
            label = f"{a.name} ({a.attempt})" if a.attempt > 1 else a.name
            if end - start < room * len(label):
                label = f"({a.attempt})" if a.attempt > 1 else ""
            if label:
                texts.append((round((start + end) / 2, 6), self.lanes[a.worker], safe(label, 40)))
        return {
            "type": "scatter", "mode": "text", "x": [x for x, _, _ in texts], "y": [y for _, y, _ in texts],
            "text": [text for _, _, text in texts], "textfont": {"size": 11, "color": GREY}, "hoverinfo": "skip",
            "showlegend": False,
        }  # fmt: skip

    # around

    def layout(self, title: str) -> dict[str, Any]:
        count = max(len(self.lanes), 1)
        height = min(count * LANE + 16, TALLEST)
        whole = height + STRIP + 130
        share = (STRIP + 10) / (height + STRIP + 20)
        pad = (self.last - self.first) * 0.02
        step = max(1, round(count * 14 / height))
        return {
            **page(title), "height": whole, "margin": {"l": 120, "r": 40, "t": 72, "b": 48}, "hovermode": "closest",
            "hoverdistance": 60, "dragmode": "zoom",
            "xaxis": axis("seconds since it was dispatched", range=[self.at(self.first) - pad, self.at(self.last) + pad],
                          anchor="y"),
            "yaxis": axis("", range=[count - 0.4, -0.6], domain=[0, 1 - share], showgrid=False, fixedrange=True,
                          tickvals=list(self.lanes.values())[::step],
                          ticktext=[safe(worker, 24) or "?" for worker in self.lanes][::step]),
            "yaxis2": axis("", domain=[1 - share + 0.02, 1], rangemode="tozero", fixedrange=True, nticks=3,
                           anchor="x"),
            "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.01, "yanchor": "bottom",
                       "bgcolor": "rgba(0,0,0,0)", "font": {"size": 11}},
            "showlegend": True,
        }  # fmt: skip


class _Boxes:
    """Rectangles that are one trace."""

    def __init__(self) -> None:
        self.xs: list[float | None] = []
        self.ys: list[float | None] = []

    def add(self, left: float, right: float, top: float, bottom: float) -> None:
        self.xs += [left, right, right, left, left, None]
        self.ys += [top, top, bottom, bottom, top, None]

    def trace(self, colour: str, opacity: float, dash: str, extra: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "scatter", "mode": "lines", "x": self.xs, "y": self.ys, "fill": "toself",
            "fillcolor": tint(colour, opacity), "line": {"color": colour, "width": 1, "dash": dash}, **extra,
        }  # fmt: skip


def _start(attempt: Attempt) -> float:
    return attempt.started or 0.0


def _lane_order(attempts: Sequence[Attempt]) -> Any:
    """Lanes by machine, then by their first start."""
    first: dict[str, float] = {}
    for a in attempts:
        first[a.worker] = min(first.get(a.worker, _start(a)), _start(a))
    return lambda worker: (worker.rpartition(":")[0], first[worker])
