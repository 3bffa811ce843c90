"""What a cell that runs outside prints and displays, shown below it in order: while the cell waits, or later, from
a thread of its own, while the kernel does something else."""

from __future__ import annotations

import html
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ..client.display import COLOURS, duration_text, html_status, plain, sign_of, took
from ..client.failures import electron_text, failed_electrons
from ..client.handle import DispatchId
from ..client.rest import Rest
from ..client.result import Result
from ..client.waiting import wait_for
from ..errors import CovalentError
from ..front import has_reader
from ..model import DispatchRow, Status
from .advance import Advance, advance_html, advance_text
from .below import CellSender, Output
from .fetching import Leftover, leftover
from .panel import in_notebook

#: seconds that one question waits for news
WAIT = 20.0
_REDRAWN = re.compile(r"\r(?!\n)")


class Moved(NamedTuple):
    """How far the electron is."""

    advance: Advance


def outputs(rest: Rest, dispatch_id: str, *, redraw: bool = True) -> Iterator[Output | DispatchRow | Moved]:
    """Outputs of the one electron of a dispatch as they come, the row of the dispatch whenever it changed, and how far the
    electron is; of bars that it prints itself nothing is said a second time.

    Lines that were drawn over (progress bars) are recorded in their last state: with ``redraw`` a ``clear_output`` and
    everything again follows, if that differs from what was given.
    """
    row = rest.dispatch(dispatch_id)
    after, place = row.seq, ""
    given: list[Output] = []
    advance: Advance = {}
    told: Advance = {}
    drawn = False
    yield row
    while True:
        page = rest.outputs(dispatch_id, 0, after=place)
        if page["ended"]:
            break
        given += page["outputs"]
        drawn = drawn or any(_REDRAWN.search(o.get("text", "")) for o in page["outputs"])
        place = page["next"]
        yield from page["outputs"]
        if page["more"]:
            continue
        if (seen := _seen(advance, drawn)) != told:  # now that it is known whether it is printed as well
            told = seen
            yield Moved(told)
        asked = time.monotonic()
        answer = rest.events(after, wait=WAIT, dispatch=dispatch_id)
        after = answer.next if answer.next is not None else max(answer.seq, after)
        advance = next((log.get("progress") or {} for log in answer.logs if log["dispatch_id"] == dispatch_id), advance)
        changed = [r for r in answer.dispatches if r.dispatch_id == dispatch_id]
        if changed or answer.reset:
            row = changed[-1] if changed else rest.dispatch(dispatch_id)
            yield row
        elif time.monotonic() - asked < 0.02:
            time.sleep(0.05)
    # what was recorded at the end may be shorter than what was printed, so that places in it are others
    recorded, electron = list(_recorded(rest, dispatch_id)), rest.electron(dispatch_id, 0)
    yield from _rest_of(given, recorded, redraw)
    drawn = drawn or (not told and _drawn_over(electron, recorded))
    last = _seen(electron.get("progress") or {}, drawn)
    if last and last != told:
        yield Moved(last)
    if not row.status.ended:
        row = wait_for(rest, dispatch_id)
    yield row


def _seen(advance: Advance, drawn: bool) -> Advance:
    """What is not printed anyway."""
    return {key: advance[key] for key in ("report",) if key in advance} if drawn else advance


def _drawn_over(electron: dict[str, Any], recorded: list[Output]) -> bool:
    """Whether less was recorded than was printed: of a cell that ended soon nobody has seen how it drew its bars."""
    for name in ("stdout", "stderr"):
        _, size, _, dropped, *_ = electron[name]
        kept = sum(len(o["text"].encode("utf-8", "replace")) for o in recorded if o.get("name") == name)
        if kept < size - dropped:
            return True
    return False


def _recorded(rest: Rest, dispatch_id: str) -> Iterator[Output]:
    place = ""
    while True:
        page = rest.outputs(dispatch_id, 0, after=place)
        place = page["next"]
        yield from page["outputs"]
        if not page["more"]:
            return


def _rest_of(given: list[Output], recorded: list[Output], redraw: bool) -> Iterator[Output]:
    """What of ``recorded`` was not given yet; or everything again, where it differs."""
    mine, whole = _merged(given), _merged(recorded)
    if not mine:
        yield from whole
        return
    if len(mine) <= len(whole):
        last, same = mine[-1], whole[len(mine) - 1]
        begins = mine[:-1] == whole[: len(mine) - 1] and same.get("name") == last.get("name")
        if begins and same.get("text", "").startswith(last.get("text", "")):
            left = same.get("text", "")[len(last.get("text", "")) :]
            if left:
                yield {**same, "text": left}
            yield from whole[len(mine) :]
            return
    if redraw:
        yield {"output_type": "clear_output"}
    yield from whole if redraw else whole[len(mine) :]


def _merged(outputs: list[Output]) -> list[Output]:
    """Neighbouring pieces of one stream in one."""
    found: list[Output] = []
    for output in outputs:
        if found and "text" in output and found[-1].get("name") == output["name"]:
            found[-1] = {**found[-1], "text": found[-1]["text"] + output["text"]}
        else:
            found.append(output)
    return [{**o, "text": o["text"].replace("\r\n", "\n")} if "text" in o else o for o in found]


def watch(sent: DispatchId) -> Result:
    """Stay until the cell has ended, showing what it prints and displays.

    Ctrl-C stops the watching and nothing else.
    """
    rest = sent.rest
    row: DispatchRow | None = None
    line = AdvanceLine(sent) if in_notebook() else None
    try:
        for item in outputs(rest, sent, redraw=in_notebook()):
            if isinstance(item, DispatchRow):
                row = item
            elif isinstance(item, Moved):
                if line is not None:
                    line.update(item.advance)
            else:
                _show(item)
                if line is not None and item["output_type"] == "clear_output":
                    line.again()
    except KeyboardInterrupt:
        print(
            f"\nStopped waiting; the cell runs on. Bring its names here with %covalent fetch {sent[:8]}, stop it with "
            f'ct.cancel("{sent}").'
        )
        raise KeyboardInterrupt from None
    assert row is not None
    return Result(rest, row)


def _show(output: Output) -> None:
    kind = output["output_type"]
    if kind == "stream":
        stream = sys.stdout if output["name"] == "stdout" else sys.stderr
        stream.write(output["text"])
        stream.flush()
        return
    from IPython.display import clear_output, publish_display_data

    if kind == "clear_output":
        clear_output(wait=True)
        return
    update = kind == "update_display_data"
    publish_display_data(output["data"], output["metadata"], transient=output.get("transient"), update=update)


class AdvanceLine:
    """How far the cell is, below it while it is waited for: from when it says so for the first time."""

    def __init__(self, sent: DispatchId) -> None:
        self._id = f"covalent-advance-{sent}"
        self._data: dict[str, str] = {}

    def update(self, advance: Advance) -> None:
        first = not self._data
        if first and not advance:
            return
        self._data = {"text/plain": advance_text(advance), "text/html": _small(advance_html(advance))}
        self._publish(not first)

    def again(self) -> None:
        """Everything below the cell was taken away."""
        if self._data:
            self._publish(False)

    def _publish(self, update: bool) -> None:
        output = {
            "output_type": "update_display_data" if update else "display_data",
            "data": self._data,
            "metadata": {},
        }
        _show({**output, "transient": {"display_id": self._id}})


# Later, below a cell that has ended


def follow(shell: Any, sent: DispatchId, fetch: Callable[[], Iterable[str]]) -> None:
    """Show below the present cell what the dispatch prints and displays, from now on until it ends; then a button that
    calls ``fetch``, which gives the names that it brought."""
    if not in_notebook():
        print(
            f"{sent[:8]} runs outside. `%covalent logs {sent[:8]}` shows what it prints, `%covalent fetch` brings back its names."
        )
        return
    sender = CellSender(shell)
    head = Head(sender, sent)
    head.show()
    button = fetch_button(fetch)
    threading.Thread(
        target=_follow, args=(sender, head, sent, button), name=f"covalent-cell-{sent[:8]}", daemon=True
    ).start()


def fetch_button(fetch: Callable[[], Iterable[str]]) -> Any:
    """A widget that calls ``fetch`` when it is clicked, in the kernel; None where there are no widgets, or nobody clicks."""
    if not has_reader():
        return None
    try:
        from ipywidgets import Button, Layout
    except ImportError:
        return None
    button = Button(description="Fetch Its Names", tooltip="Bring what the cell assigned into this kernel",
                    layout=Layout(width="auto", height="24px"))  # fmt: skip

    def clicked(_: Any) -> None:
        button.disabled = True
        try:
            button.description = f"✓ here now: {', '.join(fetch()) or 'nothing was assigned'}"
        except Exception as error:  # border: a callback of a widget has nobody to raise to
            button.disabled = False
            button.description = "Fetch Its Names"
            button.tooltip = f"{type(error).__name__}: {error}"

    button.on_click(clicked)
    return button


def _follow(sender: CellSender, head: Head, sent: DispatchId, button: Any) -> None:
    rest = sent.rest
    row: DispatchRow | None = None
    left = Leftover()
    try:
        for item in outputs(rest, sent):
            if isinstance(item, DispatchRow):
                row, left = item, leftover(item)
                head.update(row, left)
            elif isinstance(item, Moved):
                head.moved(item.advance)
            else:
                sender.output(item)
                if item["output_type"] == "clear_output":  # it took the first line away as well
                    head.show(row)
        names = row is not None and (row.status is Status.COMPLETED or left.electron is not None)
        if row is not None and row.status is Status.FAILED:
            for electron in failed_electrons(rest, sent):
                error = electron.error
                text = electron_text(electron)
                sender.send("error", {
                    "ename": error.type if error is not None else "Error",
                    "evalue": error.message if error is not None else "",
                    "traceback": [f"\x1b[31m{text}\x1b[0m"],
                })  # fmt: skip
        if names and button is not None and row is not None:
            view = {"version_major": 2, "version_minor": 0, "model_id": button.model_id}
            data = {"application/vnd.jupyter.widget-view+json": view, "text/plain": head_text(sent, row, left)}
            sender.send("display_data", {"data": data, "metadata": {}, "transient": {}})
    except CovalentError as error:
        sender.send("stream", {"name": "stderr", "text": f"{error}\n"})
    finally:
        rest.disconnect()


class Head:
    """The lines above the outputs: state, time, and what to do next; how far the cell is."""

    def __init__(self, sender: CellSender, sent: DispatchId) -> None:
        self._sender = sender
        self._sent = sent
        self._shown = ""
        self._row: DispatchRow | None = None
        self._left = Leftover()
        self._advance: Advance = {}

    def show(self, row: DispatchRow | None = None) -> None:
        self._send("display_data", row)

    def update(self, row: DispatchRow, left: Leftover) -> None:
        self._row, self._left = row, left
        self._send("update_display_data", row)

    def moved(self, advance: Advance) -> None:
        self._advance = advance
        self._send("update_display_data", self._row)

    def _send(self, kind: str, row: DispatchRow | None) -> None:
        text, markup = head_text(self._sent, row, self._left), html_text_of(self._sent, row, self._left)
        if self._advance:
            text += f"\n{advance_text(self._advance)}"
            markup += _small(advance_html(self._advance))
        if markup == self._shown and kind == "update_display_data":
            return
        self._shown = markup
        data = {"text/plain": text, "text/html": markup}
        transient = {"display_id": f"covalent-cell-{self._sent}"}
        self._sender.send(kind, {"data": data, "metadata": {}, "transient": transient})


def _small(markup: str) -> str:
    return f'<div style="font-size:12px;color:{COLOURS["mute"]}">{markup}</div>'


def head_text(sent: DispatchId, row: DispatchRow | None, left: Leftover) -> str:
    """The line as text."""
    if row is None:
        return f"{sent[:8]} runs outside the kernel"
    sign, word = sign_of(row.status)
    spent = duration_text(took(row.started or row.created, row.ended))
    return f"{sign} {word} {spent} · {sent[:8]} · {_next(sent, row, left)}"


def html_text_of(sent: DispatchId, row: DispatchRow | None, left: Leftover) -> str:
    if row is None:
        return _small(html.escape(head_text(sent, None, left)))
    mute = f"color:{COLOURS['mute']}"
    spent = duration_text(took(row.started or row.created, row.ended)) if row.status.ended else ""
    parts = [p for p in (spent, f"<code>{html.escape(sent[:8])}</code>", html.escape(_next(sent, row, left))) if p]
    return (
        f'<div style="font-size:12px">{html_status(row.status)} <span style="{mute}">{" · ".join(parts)}</span></div>'
    )


def _next(sent: DispatchId, row: DispatchRow, left: Leftover) -> str:
    short = plain(sent[:8])
    if row.status is Status.COMPLETED:
        return f"%covalent fetch {short} brings its names here"
    before = f"%covalent fetch {short} brings what was assigned before" if left.electron is not None else left.lost
    if row.status is Status.FAILED:
        if left.lost:
            return left.lost
        return ", ".join(filter(None, [f"%covalent debug {short} stops at the line that failed", before]))
    if row.status is Status.CANCELLED:
        return before or "cancelled"
    return f"outside the kernel, which is free; %covalent cancel {short} stops it"
