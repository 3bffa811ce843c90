"""What people see of a value without unpickling it: type, short repr, shape, a small picture or table.

Everything here may run code of the value's own, and so is bounded in time and size; nothing of it fails an electron.
"""

from __future__ import annotations

import base64
import dataclasses
import importlib
import io
import reprlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..model.wire import sendable
from ..model.work import Preview

_REPR = 2000  # bytes
_LARGE = 1 << 20  # bytes: the repr of an unknown object that is larger is not asked for
_SECONDS = 1.0  # for the text
_PICTURE_SECONDS = 10.0  # for a picture or table: ordinary ones take 0.3 s, and many times that on a busy machine
_IMPORT_SECONDS = 60.0
_PNG = 400_000  # bytes
_LONGEST = {"text/html": 60_000, "image/png": _PNG * 4 // 3}  # characters
_PIXELS = 640  # longest side of a figure
_ROWS = _COLUMNS = 20
_SCALAR_TEXT = 200
_SCALARS = 50
_SIMPLE: dict[type, str] = {int: "int", float: "float", bool: "bool", str: "str", type(None): "NoneType"}


_SLOW = "takes too long"


class _TooSlow(BaseException):
    """The value's own code took too long."""


def preview_of(value: Any, size: int) -> Preview:
    """What to show of a value whose blob has ``size`` bytes. Never raises."""
    name = _SIMPLE.get(type(value))
    if name is not None:
        return _simple(value, name, size)
    preview = Preview(type_name(type(value)), "", size)
    why = _attempt(_SECONDS, lambda: _describe(preview, value, size))
    if why and not preview.repr:
        preview.repr = _cut(f"<{preview.type}: its repr {why}>")
    if why != _SLOW:
        if preview.type.startswith("matplotlib."):  # the first figure of a process: no part of the time of drawing it
            _attempt(_IMPORT_SECONDS, lambda: importlib.import_module("matplotlib.backends.backend_agg"))
        why = _attempt(_PICTURE_SECONDS, lambda: _illustrate(preview, value))
        if why:
            preview.warnings += (f"it is shown without picture or table: making them {why}",)
    return preview


def _attempt(seconds: float, step: Callable[[], Any]) -> str:
    """Do a step; what went wrong with it, if anything did."""
    try:
        with _limited(seconds):
            step()
    except _TooSlow:
        return _SLOW
    except BaseException as error:  # border: the value's own methods
        return f"raised {type(error).__name__}"
    return ""


def _describe(preview: Preview, value: Any, size: int) -> None:
    preview.repr = _cut(_show(value, size))
    preview.shape = _shape(value)[:100]
    preview.scalar = _scalar(value)
    preview.scalars = _scalars(value)
    preview.warnings = _warnings(value)


def _illustrate(preview: Preview, value: Any) -> None:
    bundle = _mime(value)
    preview.mime = {kind: text for kind, text in bundle.items() if len(text) <= _LONGEST[kind]}
    large = [f"{kind}, {len(text) / 1e6:.1f} MB" for kind, text in bundle.items() if kind not in preview.mime]
    if large and not preview.mime:
        preview.warnings += (f"it is shown without picture or table: too large ({', '.join(large)})",)


def type_name(kind: type) -> str:
    """``numpy.ndarray``; builtins and ``__main__`` without a module."""
    module = getattr(kind, "__module__", "")
    name = getattr(kind, "__qualname__", "?")
    return str(name) if module in ("builtins", "__main__") else f"{module}.{name}"


def _simple(value: Any, name: str, size: int) -> Preview:
    if name == "int" and not -(2**63) <= value < 2**63:
        return Preview(name, f"<an integer of {value.bit_length()} bits>", size)
    if name == "str":
        shape = f"{len(value)} characters"
        return Preview(name, _cut(repr(value[:_REPR])), size, shape=shape, scalar=_scalar(value))
    return Preview(name, repr(value), size, scalar=value)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise _TooSlow in Python code that runs longer (in the main thread, where signals are to be had)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _cut(text: str) -> str:
    """At most 2 kB of UTF-8."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= _REPR:
        return data.decode()
    return data[: _REPR - 3].decode("utf-8", "ignore") + "..."


class _Short(reprlib.Repr):
    """A repr that touches the beginning of containers only."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 5
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = self.maxarray = 30
        self.maxdict = 20
        self.maxstring = self.maxlong = 300
        self.maxother = 600

    def repr1(self, x: Any, level: int) -> str:
        if type(x).__name__ == "ndarray" and type(x).__module__ == "numpy":
            return _own_repr(x)
        return super().repr1(x, level)

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if x.bit_length() <= 4000 else f"<an integer of {x.bit_length()} bits>"

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x) if len(x) <= 300 else f"{x[:100]!r}... ({len(x)} bytes)"

    repr_bytearray = repr_bytes

    def repr_instance(self, x: Any, level: int) -> str:
        if dataclasses.is_dataclass(x) and "__repr__" in type(x).__dict__ and level > 0:
            names = [field.name for field in dataclasses.fields(x) if field.repr][:30]
            inside = ", ".join(f"{name}={self.repr1(getattr(x, name, None), level - 1)}" for name in names)
            return f"{type(x).__qualname__}({inside})"
        return _own_repr(x)


def _own_repr(value: Any) -> str:
    return repr(value)[: 4 * _REPR]


def _show(value: Any, size: int) -> str:
    kind = type(value)
    if kind in (list, tuple, dict, set, frozenset, bytes, bytearray) or dataclasses.is_dataclass(kind):
        return _Short().repr(value)
    module = kind.__module__.partition(".")[0]
    if size > _LARGE and module not in (
        "numpy",
        "pandas",
        "polars",
        "pyarrow",
        "torch",
        "xarray",
        "sklearn",
        "matplotlib",
    ):
        return f"<{type_name(kind)} object>"
    return _own_repr(value)


def _shape(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and all(isinstance(side, int) for side in shape):
        if hasattr(value, "columns") and len(shape) == 2:
            return f"{_count(shape[0], 'row')} × {_count(shape[1], 'column')}"
        return " ".join(part for part in ("×".join(map(str, shape)), str(getattr(value, "dtype", ""))) if part)
    if isinstance(value, (bytes, bytearray)):
        return _count(len(value), "byte")
    if isinstance(value, (list, tuple, dict, set, frozenset)):
        return _count(len(value), "item")
    return ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _scalar(value: Any) -> bool | int | float | str | None:
    """A plain scalar of a NumPy scalar, and of subclasses of plain ones (an IntEnum)."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else None
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return sendable(str.__str__(value)) if len(value) <= _SCALAR_TEXT else None
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        item = value.item()
        return _scalar(item) if type(item) in _SIMPLE else None
    return None


def _scalars(value: Any) -> dict[str, bool | int | float | str | None]:
    """The plain scalars of a dict with names for keys, a named tuple or a dataclass: columns of a table of runs."""
    kind = type(value)
    if isinstance(value, dict):
        items = list(value.items())[: 10 * _SCALARS]
    elif isinstance(value, tuple) and hasattr(kind, "_fields"):
        items = list(zip(kind._fields, value, strict=False))
    elif dataclasses.is_dataclass(kind):
        items = [(f.name, getattr(value, f.name, None)) for f in dataclasses.fields(kind)]
    else:
        return {}
    found: dict[str, bool | int | float | str | None] = {}
    for name, item in items:
        if isinstance(name, str) and 0 < len(name) <= _SCALAR_TEXT and len(found) < _SCALARS:
            scalar = _scalar(item)
            if scalar is not None:
                found[sendable(str.__str__(name))] = scalar
    return found


def _warnings(value: Any) -> tuple[str, ...]:
    found = []
    if type(value).__module__.startswith("xarray."):
        sources = _files_behind(value)
        if sources:
            found.append(
                f"it still points to {', '.join(sources)}: call .load() before returning it to record the data"
            )
    if (
        "dask" in sys.modules
        and callable(getattr(type(value), "__dask_graph__", None))
        and value.__dask_graph__() is not None
    ):
        found.append(
            "it is a Dask collection: the recipe was recorded, not the data; return value.compute() to record that"
        )
    return tuple(found)


def _files_behind(value: Any) -> list[str]:
    """Files that variables of an xarray object have not been read from yet, as far as it names them."""
    variables = getattr(value, "variables", None)  # of a Dataset
    if variables is None:
        variables = {"": getattr(value, "variable", value), **getattr(value, "coords", {})}
    own = getattr(value, "encoding", {}).get("source")
    found = dict[str, None]()
    for variable in variables.values():
        variable = getattr(variable, "variable", variable)
        if not getattr(variable, "_in_memory", True):
            source = getattr(variable, "encoding", {}).get("source") or own
            found[str(source or "a file")] = None
    return list(found)[:5]


def _mime(value: Any) -> dict[str, str]:
    kind = type(value)
    name = type_name(kind)
    if name.startswith("matplotlib."):
        figure = value if hasattr(kind, "savefig") else getattr(value, "figure", None)
        return {} if figure is None or not hasattr(figure, "savefig") else _png(_figure(figure))
    if name.startswith("pandas.") and name.endswith((".DataFrame", ".Series")):
        frame = value.to_frame() if name.endswith(".Series") else value
        return _html(
            frame.iloc[:1000].to_html(max_rows=_ROWS, max_cols=_COLUMNS, border=0, escape=True, notebook=False)
        )
    bundle: dict[str, str] = {}
    problems: list[Exception] = []
    if callable(getattr(kind, "_repr_png_", None)) and _pixels(value) <= 4_000_000:
        bundle.update(_png(_ask(value._repr_png_, problems)))
    if callable(getattr(kind, "_repr_html_", None)):
        bundle.update(_html(_ask(value._repr_html_, problems)))
    if problems and not bundle:
        raise problems[0]
    return bundle


def _ask(method: Callable[[], Any], problems: list[Exception]) -> Any:
    try:
        return method()
    except NotImplementedError:  # how libraries say that there is none
        return None
    except Exception as error:  # border: the value's own code; another form of it may work
        problems.append(error)
        return None


def _pixels(value: Any) -> int:
    size = getattr(value, "size", None)
    return size[0] * size[1] if isinstance(size, tuple) and len(size) == 2 else 0


def _figure(figure: Any) -> bytes:
    width, height = figure.get_size_inches()
    sharp = max(10.0, min(100.0, _PIXELS / max(width, height, 0.1)))
    picture = b""
    for dpi in (sharp, sharp / 2):  # noise has large pictures
        target = io.BytesIO()
        figure.savefig(target, format="png", dpi=dpi)
        picture = target.getvalue()
        if len(picture) <= _PNG:
            break
    return picture


def _png(data: Any) -> dict[str, str]:
    if isinstance(data, str):  # some give base64
        return {"image/png": data}
    if not isinstance(data, bytes) or not data.startswith(b"\x89PNG"):
        return {}
    return {"image/png": base64.b64encode(data).decode()}


def _html(text: Any) -> dict[str, str]:
    return {"text/html": text} if isinstance(text, str) and text else {}
