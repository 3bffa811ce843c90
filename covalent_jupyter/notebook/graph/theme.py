"""What all figures have in common: they read on a light and on a dark page, and send nothing anywhere."""

from __future__ import annotations

from typing import Any

from .text import safe

GREY = "#7d7d7d"
LINE = "rgba(128,128,128,0.28)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
#: word of a state -> colour, and how its border is drawn
TINTS = {
    "waiting": ("#8a8a8a", "solid"),
    "queued": ("#8a8a8a", "solid"),
    "running": ("#3b82f6", "solid"),
    "completed": ("#2e9e5b", "solid"),
    "reused": ("#2e9e5b", "dot"),
    "failed": ("#e5484d", "solid"),
    "cancelled": ("#8a8a8a", "dot"),
    "skipped": ("#8a8a8a", "dash"),
}
#: of series: told apart also by those who see colours differently, on light and on dark
SERIES = ("#3b82f6", "#d97706", "#2e9e5b", "#c026d3", "#0891b2", "#dc2626", "#7c3aed", "#65a30d")


def page(title: str = "") -> dict[str, Any]:
    """The layout that all figures share."""
    return {
        "template": "none", "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "color": GREY, "size": 12},
        "title": {"text": safe(title, 60), "x": 0, "xanchor": "left", "xref": "paper", "y": 1, "yref": "container",
                  "yanchor": "top", "pad": {"t": 6, "l": 6}, "font": {"size": 13, "color": GREY}},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": "#3b82f6", "orientation": "v",
                    "remove": ["select2d", "lasso2d", "autoScale2d", "sendChartToCloud"]},
    }  # fmt: skip


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with faint lines."""
    return {
        "title": {"text": safe(title, 40), "font": {"size": 12, "color": GREY}}, "gridcolor": LINE, "zeroline": False,
        "linecolor": LINE, "tickcolor": LINE, "ticks": "outside", "tickfont": {"size": 11, "color": GREY},
        "automargin": True, **more,
    }  # fmt: skip


def hover_label(colour: str) -> dict[str, Any]:
    return {
        "align": "left", "bgcolor": "#fbfbfb", "bordercolor": colour,
        "font": {"color": "#222", "family": FONT, "size": 12},
    }  # fmt: skip


def tint(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
