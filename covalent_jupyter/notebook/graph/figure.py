"""The transport graph as a plotly figure that reads on a light and on a dark page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ...client.display import duration_text, sign_of
from ...client.nodes import find_nodes
from ...model import ElectronRow
from .canvas import Canvas, Line, Rectangle, arrange, curve, detail_of, title_of
from .picture import ATTENTION, Box, Look, picture
from .subject import Subject
from .text import safe
from .theme import GREY, TINTS, hover_label, page, tint

#: before the dispatch
PLAIN: Look = ("", "not dispatched")
#: pixels of the widest and the tallest figure; what is larger is scaled down or shown in part
WIDEST, TALLEST = 920.0, 700.0
MARGIN = 14.0
TOP = 44.0
SIDE = 32.0  # for plotly's buttons
#: smallest scale at which labels are shown
READABLE = 0.72
#: boxes with round corners and curved edges, with labels, and with hovers drawn as SVG
ROUND, LABELLED, SVG = 800, 1500, 2000
RADIUS = 7.0
#: names of parameters; of more the hovers tell
NAMED = 40
#: entries of the menu
ENTRIES = 40
#: inputs and characters of an error that a hover shows
INPUTS, MESSAGE = 12, 300


class View(NamedTuple):
    """What part of the canvas is seen."""

    left: float
    right: float
    top: float
    bottom: float
    scale: float  # 1: natural size

    @property
    def labels(self) -> bool:
        return self.scale >= READABLE

    def ranges(self) -> dict[str, Any]:
        return {"xaxis.range": [self.left, self.right], "yaxis.range": [self.bottom, self.top]}


def graph_figure(
    subject: Subject,
    *,
    title: str = "",
    find: int | str | None = None,
    opened: Sequence[int] | None = (),
    collapse: bool | int = True,
    down: bool = False,
) -> Any:
    """The figure (``plotly.graph_objects.Figure``) of a graph.

    ``find`` names electrons to zoom to; the other arguments are those of :func:`.picture.picture`.
    """
    wanted = set(find_nodes(subject.manifest, find)) if find is not None else set()
    seen = picture(subject, collapse=collapse, apart=_few(wanted), opened=opened)
    return _Figure(subject, arrange(seen, down=down), wanted, title).made()


def _few(wanted: set[int]) -> set[int]:
    """Electrons that step out of their stack to be seen: not a whole stack."""
    return wanted if len(wanted) <= 3 else set()


class _Figure:
    def __init__(self, subject: Subject, canvas: Canvas, wanted: set[int], title: str) -> None:
        self.subject = subject
        self.canvas = canvas
        self.title = title
        self.wanted = [r for r in canvas.rectangles if r.depth == 0 and wanted.intersection(r.box.nodes)]
        self.frames = {r.path: r.box for r in canvas.rectangles if r.box.inner is not None}
        self.count = len(canvas.rectangles)
        self.traces: list[dict[str, Any]] = []
        self.label_traces: list[int] = []

    def made(self) -> Any:
        import plotly.graph_objects as go

        view = self._first_view()
        self._draw_lines(view)
        self._draw_frames()
        self._draw_boxes(view)
        self._draw_wanted()
        layout = self._layout(view)
        return go.Figure({"data": self.traces, "layout": layout}, skip_invalid=False)

    # views

    def _whole(self) -> View:
        width, height = self._pixels()
        scale = min(width / self._width(), height / self._height(), 1.0)
        across, along = width / scale, height / scale
        x, y = self.canvas.width / 2, self.canvas.height / 2
        return View(x - across / 2, x + across / 2, y - along / 2, y + along / 2, scale)

    def _at(self, rectangles: Sequence[Rectangle]) -> View:
        """These boxes in the middle, in natural size where that shows all of them."""
        width, height = self._pixels()
        left = min(r.x - r.width / 2 for r in rectangles) - 40
        right = max(r.x + r.width / 2 for r in rectangles) + 40
        top = min(r.y - r.height / 2 for r in rectangles) - 40
        bottom = max(r.y + r.height / 2 for r in rectangles) + 40
        scale = min(width / (right - left), height / (bottom - top), 1.0)
        x, y = (left + right) / 2, (top + bottom) / 2
        across, along = width / scale, height / scale
        return View(x - across / 2, x + across / 2, y - along / 2, y + along / 2, scale)

    def _first_view(self) -> View:
        whole = self._whole()
        if self.wanted and not whole.labels:
            return self._at(self.wanted)
        width, height = self._pixels()
        scale = min(width / self._width(), height / self._height(), 1.0)
        if scale >= 0.35 or min(self.canvas.height * scale, self.canvas.width * scale) >= 200:
            return whole
        return self._beginning()

    def _beginning(self) -> View:
        """Of a graph that is far too long: its first part in natural size."""
        width, height = self._pixels()
        if self.canvas.down:
            x = self.canvas.width / 2
            return View(x - width / 2, x + width / 2, -MARGIN, height - MARGIN, 1.0)
        y = self.canvas.height / 2
        return View(-MARGIN, width - MARGIN, y - height / 2, y + height / 2, 1.0)

    def _width(self) -> float:
        return self.canvas.width + 2 * MARGIN

    def _height(self) -> float:
        return self.canvas.height + 2 * MARGIN

    def _pixels(self) -> tuple[float, float]:
        """Width and height of the plot."""
        return min(max(self._width(), 560.0), WIDEST), min(max(self._height(), 120.0), TALLEST)

    # drawing

    def _draw_lines(self, view: View) -> None:
        if not self.canvas.lines:
            return
        fine = self.count <= ROUND
        xs: list[float | None] = []
        ys: list[float | None] = []
        for line in self.canvas.lines:
            for x, y in curve(line.points, self.canvas.down, 10 if fine else 1):
                xs.append(round(x, 1))
                ys.append(round(y, 1))
            xs.append(None)
            ys.append(None)
        self.traces.append({
            "type": "scatter" if self.count <= SVG else "scattergl", "mode": "lines", "x": xs, "y": ys,
            "line": {"color": f"rgba(128,128,128,{_faintness(len(self.canvas.lines))})", "width": 1.2 if fine else 0.7},
            "hoverinfo": "skip", "showlegend": False,
        })  # fmt: skip
        if self.count <= LABELLED:
            self._draw_heads()
        labelled = [line for line in self.canvas.lines if line.label]
        if 0 < len(labelled) <= NAMED:
            self._draw_parameters(labelled, view)

    def _draw_heads(self) -> None:
        ends = [line.points[-1] for line in self.canvas.lines]
        down = self.canvas.down
        self.traces.append({
            "type": "scatter", "mode": "markers",
            "x": [x if down else x - 3 for x, _ in ends], "y": [y - 3 if down else y for _, y in ends],
            "marker": {"symbol": "triangle-down" if down else "triangle-right", "size": 7 if self.count <= 300 else 4,
                       "color": "rgba(128,128,128,0.9)"},
            "hoverinfo": "skip", "showlegend": False,
        })  # fmt: skip

    def _draw_parameters(self, lines: Sequence[Line], view: View) -> None:
        """Names of parameters, beside the end of their edge."""
        down = self.canvas.down
        self.label_traces.append(len(self.traces))
        self.traces.append({
            "type": "scatter", "mode": "text",
            "x": [line.points[-1][0] + (4 if down else -9) for line in lines],
            "y": [line.points[-1][1] - 14 if down else line.points[-1][1] + 1 for line in lines],
            "text": [safe(line.label, 14) for line in lines],
            "textposition": "middle right" if down else "top left",
            "textfont": {"size": 9.5, "color": GREY}, "hoverinfo": "skip", "showlegend": False, "visible": view.labels,
        })  # fmt: skip

    def _draw_frames(self) -> None:
        frames = [r for r in self.canvas.rectangles if r.box.inner is not None]
        if frames:
            self._draw_outlines(frames, GREY, "solid", 0.05, {"hoverinfo": "skip", "showlegend": False})

    def _draw_boxes(self, view: View) -> None:
        by_look: dict[Look, list[Rectangle]] = {}
        for rectangle in self.canvas.rectangles:
            by_look.setdefault(rectangle.box.look or PLAIN, []).append(rectangle)
        order = [*ATTENTION, PLAIN[1]]
        for look in sorted(by_look, key=lambda found: order.index(found[1])):
            self._draw_state(look, by_look[look], view)
        for look in dict.fromkeys(look for r in self.canvas.rectangles for look in r.box.states if look not in by_look):
            self._draw_key(look)  # of some in stacks only

    def _draw_state(self, look: Look, rectangles: list[Rectangle], view: View) -> None:
        word = look[1]
        colour, dash = TINTS.get(word, (GREY, "solid"))
        boxes = [r for r in rectangles if r.box.inner is None]
        legend = {"name": self._entry(look), "legendgroup": word, "showlegend": look != PLAIN, "hoverinfo": "skip"}
        self._draw_stacks([r for r in boxes if len(r.box.nodes) > 1], colour, legend)
        if boxes:
            self._draw_outlines(boxes, colour, dash, 0.16, legend)
        elif look != PLAIN:
            self._draw_key(look)  # of open sublattices alone
        self._draw_hovers(rectangles, look, colour)
        if self.count <= LABELLED:
            self._draw_labels(rectangles, look, colour, view)

    def _entry(self, look: Look) -> str:
        """Of the legend."""
        number = sum(n for r in self.canvas.rectangles for found, n in r.box.states.items() if found == look)
        return f"{look[0]} {look[1]} ({number})"

    def _draw_key(self, look: Look) -> None:
        colour, dash = TINTS.get(look[1], (GREY, "solid"))
        self.traces.append({
            "type": "scatter", "mode": "lines", "x": [None], "y": [None], "fill": "toself", "name": self._entry(look),
            "fillcolor": tint(colour, 0.16), "line": {"color": colour, "width": 1.3, "dash": dash}, "showlegend": True,
        })  # fmt: skip

    def _draw_outlines(
        self, rectangles: Sequence[Rectangle], colour: str, dash: str, opacity: float, extra: dict[str, Any]
    ) -> None:
        xs: list[float | None] = []
        ys: list[float | None] = []
        for rectangle in rectangles:
            for x, y in _outline(rectangle, RADIUS if self.count <= ROUND else 0.0):
                xs.append(round(x, 1))
                ys.append(round(y, 1))
            xs.append(None)
            ys.append(None)
        self.traces.append({
            "type": "scatter", "mode": "lines", "x": xs, "y": ys, "fill": "toself", "fillcolor": tint(colour, opacity),
            "line": {"color": colour, "width": 1.3 if self.count <= ROUND else 0.8, "dash": dash}, **extra,
        })  # fmt: skip

    def _draw_stacks(self, rectangles: Sequence[Rectangle], colour: str, legend: dict[str, Any]) -> None:
        """The rims of two more sheets below each."""
        xs: list[float | None] = []
        ys: list[float | None] = []
        for r in rectangles:
            left, right, top, bottom = _sides(r)
            for off in (4, 8):
                xs += [left + off, left + off, right + off, right + off, right + off - 4, None]
                ys += [bottom + off - 4, bottom + off, bottom + off, top + off, top + off, None]
        if rectangles:
            self.traces.append({
                "type": "scatter", "mode": "lines", "x": xs, "y": ys, "line": {"color": colour, "width": 1.0},
                **legend, "showlegend": False,
            })  # fmt: skip

    def _draw_hovers(self, rectangles: Sequence[Rectangle], look: Look, colour: str) -> None:
        brief = self.count > LABELLED
        self.traces.append({
            "type": "scatter" if self.count <= SVG else "scattergl", "mode": "markers",
            "x": [round(r.x, 1) if r.box.inner is None else round(r.x - r.width / 2 + 40, 1) for r in rectangles],
            "y": [round(r.y, 1) if r.box.inner is None else round(_header(r), 1) for r in rectangles],
            "marker": {"size": 26 if self.count <= LABELLED else 8, "color": colour, "opacity": 0},
            "hovertext": [self._hover(r, brief) for r in rectangles], "hoverinfo": "text",
            "hoverlabel": hover_label(colour),
            "legendgroup": look[1], "showlegend": False,
        })  # fmt: skip

    def _draw_labels(self, rectangles: Sequence[Rectangle], look: Look, colour: str, view: View) -> None:
        sign = f"{look[0]} " if look[0] else ""
        size = view.scale if view.labels else 1.0
        texts = []
        for rectangle in rectangles:
            box = rectangle.box
            detail = safe(detail_of(box)) if box.inner is None else ""
            name = f'<span style="color:{colour}"><b>{sign}</b></span><b>{safe(title_of(box))}</b>'
            texts.append(f'{name}<br><span style="font-size:{10 * size:.3g}px">{detail}</span>' if detail else name)
        self.label_traces.append(len(self.traces))
        self.traces.append({
            "type": "scatter", "mode": "text",
            "x": [round(r.x, 1) for r in rectangles],
            "y": [round(r.y if r.box.inner is None else _header(r), 1) for r in rectangles],
            "text": texts, "textfont": {"size": round(12 * size, 1), "color": GREY}, "hoverinfo": "skip",
            "legendgroup": look[1], "showlegend": False, "visible": view.labels,
        })  # fmt: skip

    def _draw_wanted(self) -> None:
        """A thick border round what was looked for."""
        if self.wanted:
            wider = [r._replace(width=r.width + 8, height=r.height + 8) for r in self.wanted]
            self._draw_outlines(wider, "#d97706", "solid", 0.0, {"hoverinfo": "skip", "showlegend": False})
            self.traces[-1]["line"]["width"] = 2.5

    # words

    def _hover(self, rectangle: Rectangle, brief: bool) -> str:
        box, subject = rectangle.box, self._subject_of(rectangle)
        if len(box.nodes) > 1:
            counts = ", ".join(f"{n} {word}" for (_, word), n in box.states.items())
            lines = [f"<b>{safe(box.name, 80)}</b> × {len(box.nodes)}", safe(counts)]
            return "<br>".join(line for line in [*lines, self._samples(subject, box)] if line)
        node = subject.manifest.nodes[box.nodes[0]]
        row = subject.rows.get(box.nodes[0])
        lines = [f"<b>{safe(box.name, 80)}</b> [{box.nodes[0]}]"]
        if row is not None:
            lines += _facts(row)
        elif box.kind == "sublattice":
            lines.append("a sublattice: built when its inputs are there")
        if brief:
            return "<br>".join([*lines, safe(box.detail, 80)])
        inputs = subject.inputs(node)
        lines += [f"{safe(name, 40)} = {safe(text, 60)}" for name, text in list(inputs.items())[:INPUTS]]
        if len(inputs) > INPUTS:
            lines.append(f"and {len(inputs) - INPUTS} more inputs")
        executor = subject.manifest.options[node.options].executor if subject.manifest.options else 0
        lines.append(f"on {safe(subject.manifest.executors[executor].name, 40)}")
        return "<br>".join(lines)

    def _samples(self, subject: Subject, box: Box) -> str:
        """The first few of a stack."""
        shown = [f"[{n}] {text}" for n in box.nodes[:5] if (text := _inputs_text(subject, n))]
        return "<br>".join(safe(text, 80) for text in shown) + ("<br>…" if shown and len(box.nodes) > 5 else "")

    def _subject_of(self, rectangle: Rectangle) -> Subject:
        subject = self.subject
        for end in range(1, len(rectangle.path)):
            subject = subject.inner[self.frames[rectangle.path[:end]].nodes[0]]
        return subject

    # layout

    def _layout(self, view: View) -> dict[str, Any]:
        width, height = self._pixels()
        axis = {"visible": False, "showgrid": False, "zeroline": False, "fixedrange": False}
        menu = self._menu(view)
        above = TOP + 20 if menu and self.title else TOP
        layout: dict[str, Any] = {
            **page(self.title),
            "width": round(width + SIDE + 1), "height": round(height + above + 2), "autosize": False,
            "margin": {"l": 1, "r": SIDE, "t": above, "b": 1, "pad": 0},
            "xaxis": {**axis, "range": [view.left, view.right]},
            "yaxis": {**axis, "range": [view.bottom, view.top], "scaleanchor": "x", "scaleratio": 1},
            "hovermode": "closest", "hoverdistance": 45, "dragmode": "pan",
            "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom",
                       "bgcolor": "rgba(0,0,0,0)", "font": {"color": GREY, "size": 11}, "itemwidth": 30,
                       "itemdoubleclick": "toggleothers"},
        }  # fmt: skip
        if menu:
            layout["updatemenus"] = [menu]
        return layout

    def _menu(self, view: View) -> dict[str, Any] | None:
        """Zoom to the whole, to what failed, runs, or was looked for, and to each name."""
        entries: list[tuple[str, View]] = []
        if self.wanted:
            entries.append(("Found", self._at(self.wanted)))
        elif view != self._whole():
            entries.append(("Beginning", view))
        entries.append(("Whole graph", self._whole()))
        for word in ("failed", "running"):
            found = [r for r in self.canvas.rectangles if r.box.look is not None and r.box.look[1] == word]
            if found:
                entries.append((f"{sign_text(found[0])} {word}", self._at(found[:12])))
        names: dict[str, list[Rectangle]] = {}
        for rectangle in self.canvas.rectangles:
            names.setdefault(rectangle.box.name, []).append(rectangle)
        for name, rectangles in list(names.items())[: ENTRIES - len(entries)]:
            entries.append((name, self._at(rectangles[:12])))
        if self.count < 12 and self._whole().labels:
            return None  # all of it is seen
        return {
            "type": "dropdown", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "pad": {"l": 6, "b": 2, "t": 0},
            "font": {"size": 11, "color": GREY}, "bgcolor": "rgba(128,128,128,0.12)",
            "bordercolor": "rgba(128,128,128,0.4)", "active": next((at for at, (_, seen) in enumerate(entries) if seen == view), 0),
            "buttons": [self._button(label, target) for label, target in entries],
        }  # fmt: skip

    def _button(self, label: str, target: View) -> dict[str, Any]:
        args: list[Any] = [{"visible": [target.labels] * len(self.label_traces)}, target.ranges()]
        return {"label": safe(label, 30), "method": "update", "args": [*args, list(self.label_traces)]}


def sign_text(rectangle: Rectangle) -> str:
    return rectangle.box.look[0] if rectangle.box.look is not None else ""


def _facts(row: ElectronRow) -> Iterable[str]:
    sign, word = sign_of(row.status, row.reused)
    spent = duration_text(row.duration)
    yield f"{sign} {word}" + (f" · {spent}" if spent else "") + (f" · attempt {row.attempt}" if row.attempt > 1 else "")
    if row.error is not None:
        yield safe(f"{row.error.type}: {row.error.message}", MESSAGE)
    elif row.preview is not None:
        yield f"gave {safe(row.preview.shape or row.preview.repr[:200], 80)}"


def _inputs_text(subject: Subject, node: int) -> str:
    inputs = subject.inputs(subject.manifest.nodes[node])
    return ", ".join(f"{name}={text}" for name, text in list(inputs.items())[:3])


def _header(rectangle: Rectangle) -> float:
    return rectangle.y - rectangle.height / 2 + 15


def _sides(r: Rectangle) -> tuple[float, float, float, float]:
    return r.x - r.width / 2, r.x + r.width / 2, r.y - r.height / 2, r.y + r.height / 2


def _faintness(lines: int) -> float:
    """Opacity of edges: the more there are, the fainter."""
    return round(min(0.6, max(0.05, 3 / math.sqrt(lines + 1))), 2)


def _outline(r: Rectangle, radius: float) -> Iterator[tuple[float, float]]:
    left, right, top, bottom = _sides(r)
    if not radius:
        yield from ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))
        return
    near = radius * 0.29  # the middle of a quarter of a circle, seen from its corner
    yield from (
        (left, top + radius), (left + near, top + near), (left + radius, top),
        (right - radius, top), (right - near, top + near), (right, top + radius),
        (right, bottom - radius), (right - near, bottom - near), (right - radius, bottom),
        (left + radius, bottom), (left + near, bottom - near), (left, bottom - radius), (left, top + radius),
    )  # fmt: skip
