"""What an electron displays: objects given to ``display``, figures that matplotlib and plotly show.

Each is a line of JSON in a live file beside the printed ones: a mime bundle, and how many bytes stood in stdout and
stderr before it, so that a reader puts prints and displays back in order.
"""

from __future__ import annotations

import base64
import bisect
import io
import json
import os
import re
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ..model.wire import encode_json
from .room import FULL

CAP = 10 << 20  # bytes of all displays of one attempt
MOST = 1000  # displays of one attempt
_ONE = 4 << 20  # bytes of one display
_HTML_BESIDE = 1 << 20  # characters of a figure of plotly that is kept in two forms
_DPI = 100.0
_WIDGET = "application/vnd.jupyter.widget-view+json"
_PLOTLY = "application/vnd.plotly.v1+json"
_MIMES = {
    "_repr_html_": "text/html", "_repr_markdown_": "text/markdown", "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png", "_repr_jpeg_": "image/jpeg", "_repr_latex_": "text/latex",
    "_repr_json_": "application/json", "_repr_javascript_": "application/javascript",
}  # fmt: skip


class Shown(msgspec.Struct, omit_defaults=True):
    """One display. ``out`` and ``err`` are the bytes that were printed before it."""

    out: int
    err: int
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    id: str = ""  # a name by which it is updated
    update: bool = False  # takes the place of the one of this name
    clear: bool = False  # everything before it goes away


_PLACES = re.compile(rb'\{"out":(\d+),"err":(\d+)')
_DIGITS = 32  # room for both places in a line: it stays as long as it is when they become others


class Recorder:
    """The displays of the electron that runs, written to ``path`` as they come."""

    def __init__(self) -> None:
        self.path = ""
        self.before: Callable[[], tuple[int, int]] = lambda: (0, 0)  # flushes; bytes printed so far
        self.count = 0
        self.lost = 0  # displays that the disk had no room for
        self.told_of_widgets = False
        self._size = 0

    def add(self, data: dict[str, Any], metadata: dict[str, Any] | None = None, **how: Any) -> None:
        out, err = self.before()
        record = Shown(out, err, data, metadata or {}, **how)
        line = _line(record)
        if len(line) > _ONE:
            kind = max(data, key=lambda k: len(str(data[k])))
            record.data = {"text/plain": f"({kind} of {len(line) / 1e6:.1f} MB: too large to be kept)"}
            line = _line(record)
        if self._size + len(line) > CAP or self.count >= MOST:
            if self._size <= CAP:
                self._size = CAP + 1
                self._write(
                    _line(Shown(out, err, {"text/plain": "(what was displayed after this was too much to be kept)"}))
                )
            return
        self._write(line)

    def _write(self, line: bytes) -> None:
        if not self.path:
            return
        try:
            if not _append(self.path, line):
                self.lost += 1
                return
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.lost += 1
            return
        self.count += 1
        self._size += len(line)

    def reset(self) -> None:
        self.count = self.lost = self._size = 0
        self.told_of_widgets = False


def _append(path: str, line: bytes) -> bool:
    """Whether the disk had room for the line: the whole of it is in the file, or nothing."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        written = os.write(fd, line)
        if written < len(line):
            os.ftruncate(fd, os.fstat(fd).st_size - written)
        return written == len(line)
    finally:
        os.close(fd)


def _line(record: Shown) -> bytes:
    return _padded(record.out, record.err, encode_json(record))


def _padded(out: int, err: int, text: bytes) -> bytes:
    """The line with blanks behind it, so that its length does not depend on the places that it tells. Who has read a live
    file to the end of some line can go on there in the recorded one."""
    return text + b" " * (_DIGITS - len(f"{out}{err}")) + b"\n"


def live_path(stdout: str) -> str:
    """Beside the live file of stdout."""
    return f"{stdout[:-4]}.dsp" if stdout else ""


def moved(data: bytes, out: Callable[[int], int], err: Callable[[int], int]) -> bytes:
    """The file again, with the places that ``out`` and ``err`` give for the old ones; a line that is not whole is left out."""
    lines = []
    for line in data.split(b"\n")[:-1]:
        found = _PLACES.match(line)
        if found is not None:
            places = out(int(found[1])), err(int(found[2]))
            text = b'{"out":%d,"err":%d' % places + line[found.end() :].rstrip(b" ")
            lines.append(_padded(*places, text))
    return b"".join(lines)


class Places:
    """Where bytes of a live log are in the log that was made of it: lines that were drawn over have become short, the
    middle of a long one is gone."""

    def __init__(self, path: str, fold: Callable[[bytes], bytes], head: int, tail: int, gap: int, cut: bool) -> None:
        self._cut = cut
        try:
            size = os.path.getsize(path)
            with open(path, "rb") as file:
                first = file.read(head if cut else size)
                file.seek(max(size - tail, len(first)))
                last = file.read(tail) if cut else b""
        except OSError:
            size, first, last = 0, b"", b""
        self._first, self._last = _Folded(first, fold), _Folded(last, fold)
        self._start = size - len(last)
        self._after = self._first.length + gap

    def __call__(self, place: int) -> int:
        if not self._cut or place <= self._first.raw:
            return self._first.at(min(place, self._first.raw))
        if place < self._start:
            return self._first.length
        return self._after + self._last.at(place - self._start)


class _Folded:
    """Bytes whose lines were drawn over with ``\\r``, and where they are afterwards."""

    def __init__(self, data: bytes, fold: Callable[[bytes], bytes]) -> None:
        self._data, self._fold = data, fold
        self.raw = len(data)
        self._plain = b"\r" not in data
        self._starts, self._places = [0], [0]
        if self._plain:
            self.length = len(data)
            return
        raw = place = 0
        for line in data.split(b"\n"):
            self._starts.append(raw := raw + len(line) + 1)
            self._places.append(place := place + len(fold(line.removesuffix(b"\r"))) + 1)
        self.length = place - 1

    def at(self, place: int) -> int:
        if self._plain:
            return place
        line = bisect.bisect_right(self._starts, place) - 1
        return min(self._places[line] + len(self._fold(self._data[self._starts[line] : place])), self.length)


# What stands for IPython's display


#: The electron that runs here displays into this one; a process has one at most.
_RECORDERS: list[Recorder] = []


def display(
    *objs: Any, include: Any = None, exclude: Any = None, metadata: dict[str, Any] | None = None,
    transient: Any = None, display_id: Any = None, raw: bool = False, clear: bool = False, **kwargs: Any,
) -> Any:  # fmt: skip
    """Show objects in the electron's output; as IPython's."""
    if clear:
        clear_output(wait=True)
    named = _identity(display_id, transient)
    update = bool(kwargs.pop("update", False))
    for obj in objs:
        found = (dict(obj), {}) if raw else bundle_of(obj)
        if found is not None:
            data, own = found
            publish(_chosen(data, include, exclude), {**own, **(metadata or {})}, id=named, update=update)
    return Handle(named) if named and display_id is not None else None


def _identity(display_id: Any, transient: Any) -> str:
    if display_id is True:
        return uuid.uuid4().hex
    if display_id:
        return str(display_id)
    return str(transient["display_id"]) if isinstance(transient, dict) and transient.get("display_id") else ""


def _chosen(data: dict[str, Any], include: Any, exclude: Any) -> dict[str, Any]:
    return {k: v for k, v in data.items() if (not include or k in include) and (not exclude or k not in exclude)}


class Handle:
    """What ``display(..., display_id=True)`` gives."""

    def __init__(self, display_id: str | None = None) -> None:
        self.display_id = display_id or uuid.uuid4().hex

    def display(self, obj: Any, **kwargs: Any) -> None:
        display(obj, display_id=self.display_id, **kwargs)

    def update(self, obj: Any, **kwargs: Any) -> None:
        update_display(obj, display_id=self.display_id, **kwargs)


def update_display(obj: Any, *, display_id: str, **kwargs: Any) -> None:
    kwargs["update"] = True
    display(obj, display_id=display_id, **kwargs)


def publish_display_data(
    data: dict[str, Any], metadata: dict[str, Any] | None = None, *, transient: Any = None, **kwargs: Any
) -> None:
    publish(dict(data), metadata, id=_identity(None, transient), update=bool(kwargs.get("update")))


def publish(data: dict[str, Any], metadata: dict[str, Any] | None = None, **how: Any) -> None:
    """Record a mime bundle; without an electron that records, its text is printed."""
    plain = _without_widgets({str(kind): _jsonable(kind, value) for kind, value in data.items()})
    if _PLOTLY in plain and "text/html" not in plain:
        plain.update(_plotly_html(plain[_PLOTLY]))
    if _RECORDERS:
        _RECORDERS[-1].add(plain, _metadata(metadata), **how)
    else:
        print(plain.get("text/plain", ", ".join(plain)))


def _without_widgets(data: dict[str, Any]) -> dict[str, Any]:
    """What is left of a widget where its kernel is not: its text."""
    if _WIDGET not in data:
        return data
    if _RECORDERS and not _RECORDERS[-1].told_of_widgets:
        _RECORDERS[-1].told_of_widgets = True
        print(
            "Widgets live in the kernel: of those that are displayed outside of it only the text is shown.",
            file=sys.stderr,
        )
    return {"text/plain": "(a widget)", **{kind: value for kind, value in data.items() if kind != _WIDGET}}


def _plotly_html(figure: Any) -> dict[str, Any]:
    """A figure of plotly for pages that do not know plotly, as the kernel's own renderer adds it."""
    module = sys.modules.get("plotly.io")
    if module is None or len(str(figure)) > _HTML_BESIDE:
        return {}
    made = _ask(lambda: module.to_html(figure, full_html=False, include_plotlyjs="cdn", validate=False))
    return {"text/html": made} if made else {}


def clear_output(wait: bool = False) -> None:
    """Everything that was shown before goes away."""
    if _RECORDERS:
        _RECORDERS[-1].add({}, clear=True)


def _jsonable(kind: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, str):
        return value
    try:
        return json.loads(json.dumps(value, default=str))
    except (TypeError, ValueError):
        return str(value)


def _metadata(metadata: dict[str, Any] | None) -> dict[str, Any]:
    found = _jsonable("", metadata or {})
    return found if isinstance(found, dict) else {}


def bundle_of(obj: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The mime bundle and metadata of an object; None where it displays itself."""
    kind = type(obj)
    if callable(getattr(kind, "_ipython_display_", None)):
        obj._ipython_display_()
        return None
    figure = obj if _is_figure(obj) else None
    if figure is not None:
        return {"image/png": png_of(figure), "text/plain": repr(obj)}, {}
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    if callable(getattr(kind, "_repr_mimebundle_", None)):
        _take(data, metadata, _ask(lambda: obj._repr_mimebundle_(include=None, exclude=None)))
    for method, mime in _MIMES.items():
        if mime not in data and callable(getattr(kind, method, None)):
            given = _ask(getattr(obj, method))
            if isinstance(given, tuple) and len(given) == 2:
                given, metadata[mime] = given
            if given is not None:
                data[mime] = given
    data.setdefault("text/plain", _text(obj))
    return data, metadata


def _take(data: dict[str, Any], metadata: dict[str, Any], given: Any) -> None:
    if isinstance(given, tuple) and len(given) == 2:
        given, own = given
        metadata.update(own or {})
    if isinstance(given, dict):
        data.update(given)


def _ask(method: Callable[[], Any]) -> Any:
    try:
        return method()
    except NotImplementedError:
        return None
    except Exception as error:  # border: the object's own code; its other forms may work
        print(f"{type(error).__name__} while it was displayed: {error}", file=sys.stderr)
        return None


def _text(obj: Any) -> str:
    try:
        return repr(obj)
    except Exception as error:  # border: the user's __repr__
        return f"<{type(obj).__name__}: its repr raised {type(error).__name__}>"


def _is_figure(obj: Any) -> bool:
    return type(obj).__module__.startswith("matplotlib.") and hasattr(type(obj), "savefig")


def png_of(figure: Any) -> bytes:
    """The figure as notebooks draw it: cut to what is on it."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=_DPI, bbox_inches="tight", facecolor=figure.get_facecolor())
    return target.getvalue()


# What shows figures


def show_figures(*_: Any, close: bool = True, **__: Any) -> None:
    """Display all open figures of pyplot, and close them: what ``plt.show()`` does in a notebook."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        publish({"image/png": png_of(figure), "text/plain": repr(figure)})
    if close:
        pyplot.close("all")


def show_one(figure: Any, *_: Any, **__: Any) -> None:
    publish({"image/png": png_of(figure), "text/plain": repr(figure)})


def record_to(recorder: Recorder) -> None:
    """From now on everything that is displayed goes to ``recorder``."""
    _RECORDERS.append(recorder)


def take_away(path: str) -> bytes:
    """What a live file of displays holds; the file is gone afterwards."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        return b""
    Path(path).unlink(missing_ok=True)
    return data
