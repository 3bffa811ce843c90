"""Text of users inside plotly: shown as it is, whatever it looks like."""

from __future__ import annotations

from html import escape

from ...client.display import plain, shorten


def safe(text: object, width: int = 0) -> str:
    """``text`` on one line, for plotly's labels and hovers: no tag, no entity, no formula of it is taken as such.

    plotly reads a few tags and entities, MathJax what stands between two dollars.
    """
    flat = plain(" ".join(str(text).split()))
    return escape(shorten(flat, width) if width else flat, quote=True).replace("$", "&#36;")
