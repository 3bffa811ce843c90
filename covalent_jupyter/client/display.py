"""How dispatches and electrons look as text and as static HTML: one state, one sign, one word, one colour.

Text of users (names, reprs, messages) is escaped in HTML and has its control characters shown in text.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Any

from ..model import SIGNS, Counts, DispatchRow, ElectronRow, Status

#: state -> class of colour, shared by terminal and HTML
TONES: dict[Status, str] = {
    Status.NEW_OBJECT: "mute",
    Status.PENDING_REUSE: "mute",
    Status.DISPATCHING: "mute",
    Status.RUNNING: "run",
    Status.COMPLETED: "ok",
    Status.FAILED: "err",
    Status.CANCELLED: "mute",
    Status.SKIPPED: "mute",
}
REUSED = ("↺", "reused")
#: how the lattice of a sweep is called before the name of the one that it runs
SWEEP = "sweep of "

#: tone -> colour on a page: the theme's where there is one. VS Code's comes first: where it has shown a widget, JupyterLab's
#: colours are there as well, and always the light ones
COLOURS = {
    "ok": "var(--vscode-charts-green, var(--jp-success-color0, #2e7d32))",
    "run": "var(--vscode-charts-blue, var(--jp-brand-color1, #1976d2))",
    "err": "var(--vscode-charts-red, var(--jp-error-color0, #c62828))",
    "mute": "var(--vscode-descriptionForeground, var(--jp-ui-font-color2, #757575))",
}
#: of text, of the ground, of lines and frames, of what of a bar is empty
INK = "var(--vscode-foreground, var(--jp-ui-font-color1, #212121))"
GROUND = "var(--vscode-editor-background, var(--jp-layout-color1, #fff))"
LINE = "var(--vscode-editorWidget-border, var(--jp-border-color2, #cfcfcf))"
EMPTY = "var(--vscode-editorWidget-border, var(--jp-layout-color3, #e0e0e0))"
_ANSI = {"ok": "32", "run": "34", "err": "31", "mute": "90", "bold": "1"}
#: characters that change what a reader sees without being seen: bidirectional controls and joiners
_TRICKY = frozenset("\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")


def plain(text: object, *, lines: bool = False) -> str:
    """User text for a terminal: control characters become visible escapes; new lines stay if ``lines``."""
    found = str(text)
    if found.isascii() and found.isprintable():
        return found
    return "".join(c if (lines and c in "\n\t") or _harmless(c) else _visible(c) for c in found)


def _harmless(char: str) -> bool:
    return char.isprintable() and char not in _TRICKY or char == "\u200d"


def _visible(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def sign_of(status: Status, reused: bool = False) -> tuple[str, str]:
    """Sign and word."""
    return REUSED if reused and status is Status.COMPLETED else SIGNS[status]


def duration_text(seconds: float | None) -> str:
    """``<0.1 ms``, ``0.4 ms``, ``1.2 s``, ``3 min 05 s``, ``2 h 10 min``; ``""`` for None."""
    if seconds is None:
        return ""
    if seconds < 0.00005:
        return "<0.1 ms"
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def took(started: float | None, ended: float | None, now: float | None = None) -> float | None:
    """Seconds between them, up to now while it runs."""
    if started is None:
        return None
    return (ended if ended is not None else (time.time() if now is None else now)) - started


def ago_text(moment: float | None, now: float | None = None) -> str:
    """``12 s ago``, ``3 h ago``; a date after two days."""
    if moment is None:
        return ""
    seconds = (time.time() if now is None else now) - moment
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{max(int(seconds // unit), 0)} {name} ago"
    return datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M")


def size_text(size: float) -> str:
    """``812 B``, ``1.4 MB``; powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def counted(number: int, one: str, many: str = "") -> str:
    """``1 electron``, ``3 electrons``; ``many`` where it is not ``one`` and an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def counts_text(counts: Counts) -> str:
    """``12 of 20 · 1 failed · 3 running``."""
    parts = [f"{counts.completed} of {counts.total}"]
    for name in ("failed", "running", "queued", "cancelled", "skipped", "reused"):
        number = getattr(counts, name)
        if number:
            parts.append(f"{number} {name}")
    return " · ".join(parts)


def width_of(text: str) -> int:
    """Columns of a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def shorten(text: str, width: int) -> str:
    """At most ``width`` columns, with an ellipsis where something is missing."""
    if width_of(text) <= width:
        return text
    kept = ""
    for char in text:
        if width_of(kept + char) >= width:
            break
        kept += char
    return kept + "…"


def paint(text: str, tone: str, colour: bool) -> str:
    return f"\x1b[{_ANSI[tone]}m{text}\x1b[0m" if colour and tone in _ANSI else text


Cell = Any  # str, or (str, tone)


def text_table(header: Sequence[str], rows: Iterable[Sequence[Cell]], *, colour: bool = False, limit: int = 48) -> str:
    """An aligned table; a cell is text or ``(text, tone)``; numbers stand to the right."""
    cells = [[_cell(c, limit) for c in row] for row in rows]
    widths = [max([width_of(h), *(width_of(row[i][0]) for row in cells)]) for i, h in enumerate(header)]
    right = [bool(cells) and all(row[i][2] for row in cells) for i in range(len(header))]
    lines = [paint("  ".join(_pad(h, widths[i], right[i]) for i, h in enumerate(header)).rstrip(), "mute", colour)]
    for row in cells:
        parts = [
            paint(_pad(text, widths[i], right[i]), tone, colour) if tone else _pad(text, widths[i], right[i])
            for i, (text, tone, _) in enumerate(row)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def _cell(value: Cell, limit: int) -> tuple[str, str, bool]:
    text, tone = value if isinstance(value, tuple) else (value, "")
    number = isinstance(text, (int, float)) and not isinstance(text, bool)
    return shorten(plain("" if text is None else text), limit), tone, number


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * (width - width_of(text))
    return space + text if right else text + space


# HTML


def html_text(value: object) -> str:
    return escape(plain(value), quote=True)


def html_table(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A plain table; cells as in :func:`text_table`, everything escaped."""
    head = "".join(f'<th style="text-align:left;font-weight:500">{html_text(h)}</th>' for h in header)
    body = "".join(f"<tr>{''.join(_html_cell(c) for c in row)}</tr>" for row in rows)
    return (
        '<table style="border-collapse:collapse;font-size:12px;font-variant-numeric:tabular-nums">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _html_cell(value: Cell) -> str:
    text, tone = value if isinstance(value, tuple) else (value, "")
    style = "text-align:left;max-width:40em;overflow:hidden;text-overflow:ellipsis"
    if tone in COLOURS:
        style += f";color:{COLOURS[tone]}"
    return f'<td style="{style}">{html_text("" if text is None else shorten(str(text), 200))}</td>'


def html_bar(counts: Counts) -> str:
    """The one bar: completed, running, failed, the rest empty."""
    total = max(counts.total, 1)
    segments = "".join(
        f'<span style="display:inline-block;height:6px;width:{100 * number / total:.2f}%;'
        f'background:{COLOURS[tone]}"></span>'
        for number, tone in ((counts.completed, "ok"), (counts.running, "run"), (counts.failed, "err"))
        if number
    )
    return (
        '<div style="height:6px;line-height:0;border-radius:3px;overflow:hidden;margin:6px 0;'
        f'background:{EMPTY}">{segments}</div>'
    )


def html_status(status: Status, reused: bool = False) -> str:
    sign, word = sign_of(status, reused)
    return f'<span style="color:{COLOURS[TONES[status]]};white-space:nowrap"><b>{sign}</b> {word}</span>'


def dispatch_html(
    row: DispatchRow, electrons: Sequence[ElectronRow] = (), now: float | None = None, hint: str = "", *,
    as_of: float | None = None, graph: str = "", result: str = "",
) -> str:  # fmt: skip
    """A still panel: state, name, counts, the error first, then result, graph and electrons, and ``hint`` below.

    ``graph`` and ``result`` are HTML that was made safe before.
    """
    parts = [
        f'<div style="border:1px solid {LINE};border-radius:3px;padding:8px 12px;max-width:60em">',
        _headline(row, now),
        html_bar(row.counts),
    ]
    if row.error:
        parts.append(
            f'<pre style="color:{COLOURS["err"]};white-space:pre-wrap;margin:4px 0">'
            f"{escape(plain(row.error[:4000], lines=True))}</pre>"
        )
    parts += [result, graph]
    if electrons:
        parts.append(html_table(ELECTRON_HEADER, [electron_cells(e, now) for e in electrons]))
        if row.counts.total > len(electrons):
            parts.append(
                f'<div style="color:{COLOURS["mute"]}">and {row.counts.total - len(electrons)} more electrons</div>'
            )
    notes = [*remarks(electrons, row.notices), *([hint] if hint else [])]
    if as_of is not None and not row.status.ended:
        notes.insert(0, f"as of {datetime.fromtimestamp(as_of).strftime('%Y-%m-%d %H:%M:%S')}")
    parts += [
        f'<div style="color:{COLOURS["mute"]};font-size:11px;margin-top:4px">{html_text(note)}</div>' for note in notes
    ]
    return "".join([*parts, "</div>"])


def _headline(row: DispatchRow, now: float | None) -> str:
    facts = [counts_text(row.counts), duration_text(took(row.started or row.created, row.ended, now))]
    inputs = ", ".join(f"{k}={v}" for k, v in row.inputs.items())
    if inputs and not row.lattice.startswith(SWEEP):  # whose inputs are lists of points and their numbers
        facts.insert(0, f"({shorten(inputs, 120)})")
    return (
        f"<div>{html_status(row.status)} &nbsp;<b>{html_text(row.label or row.name)}</b> "
        f'<span style="color:{COLOURS["mute"]}">{html_text(" · ".join(facts))}'
        f' · <code title="{html_text(row.dispatch_id)}">{html_text(row.dispatch_id[:4])}</code></span></div>'
    )


ELECTRON_HEADER = ("", "node", "electron", "state", "time", "what it gave")


def electron_cells(row: ElectronRow, now: float | None = None) -> list[Cell]:
    sign, word = sign_of(row.status, row.reused)
    tone = TONES[row.status]
    if row.attempt > 1:
        word += f" (attempt {row.attempt})"
    own = row.duration if row.child is None else None  # the function of a sublattice only builds it
    spent = own if own is not None else took(row.started, row.ended, now)
    return [(sign, tone), row.node, row.name, (word, tone), duration_text(spent), outcome_text(row)]


def outcome_text(row: ElectronRow) -> str:
    """The error, or the value's shape or repr, on one line."""
    if row.error is not None:
        return f"{row.error.type}: {row.error.message}".strip().split("\n")[0]
    if row.preview is not None:
        return row.preview.shape or " ".join(row.preview.repr[:1000].split())
    return ""


#: warnings that are shown below a table of electrons
REMARKS = 5


def remarks(electrons: Iterable[ElectronRow], notices: Iterable[str] = ()) -> list[str]:
    """What people should be told of a dispatch and its electrons, each text once, with how many electrons it is about."""
    found: dict[str, list[ElectronRow]] = {}
    for electron in electrons:
        for text in electron.warnings:
            found.setdefault(text, []).append(electron)
    lines = [*notices]
    for text, about in found.items():
        more = f" and {len(about) - 1} more" if len(about) > 1 else ""
        lines.append(f"{about[0].name} [{about[0].node}]{more}: {text}")
    left = len(lines) - REMARKS
    return [*(f"⚠ {line}" for line in lines[:REMARKS]), *([f"and {left} more warnings"] if left > 0 else [])]


DISPATCH_HEADER = ("", "id", "name", "state", "electrons", "time", "started", "error")


def dispatch_cells(row: DispatchRow, now: float | None = None) -> list[Cell]:
    sign, word = sign_of(row.status)
    tone = TONES[row.status]
    error = row.error.strip().split("\n")[0] if row.error else ""
    return [
        (sign, tone), (row.dispatch_id[:8], "mute"), row.name, (word, tone), counts_text(row.counts),
        duration_text(took(row.started, row.ended, now)), ago_text(row.created, now), (error, "err"),
    ]  # fmt: skip


def remaining(row: DispatchRow, now: float | None = None) -> float | None:
    """Seconds that the rest will take if it goes on like this; None while too little is known to say."""
    counts = row.counts
    done = counts.completed + counts.failed + counts.cancelled + counts.skipped - counts.reused
    rest = counts.total - counts.reused - done
    spent = took(row.started, row.ended, now)
    if row.status.ended or spent is None or spent < 3 or done < 3 or rest <= 0:
        return None
    return spent * rest / done


def left_text(row: DispatchRow, now: float | None = None) -> str:
    """``about 0:30 left``, or ``""``; in steps of five seconds, so that it does not flicker."""
    seconds = remaining(row, now)
    if seconds is None:
        return ""
    minutes, rest = divmod(max(5, round(seconds / 5) * 5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"about {hours}:{minutes:02d}:{rest:02d} left" if hours else f"about {minutes}:{rest:02d} left"


def progress_line(row: DispatchRow, now: float | None = None) -> str:
    """One line for a terminal while the dispatch runs."""
    sign, word = sign_of(row.status)
    spent = duration_text(took(row.started or row.created, row.ended, now))
    return f"{sign} {plain(row.label or row.name)}  {word}  {counts_text(row.counts)}  {spent}"
