"""Progress bars: of ``ct.progress``, and of tqdm, which is recognised when the user's code imports it.

tqdm is never imported from here. Its base class is given a ``refresh`` and a ``close`` that also tell the electron how
far the bar is; that costs something only when tqdm draws, ten times a second or less.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import sys
import time
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ..model.wire import sendable

_NAME = 100  # characters
_MOST = 8  # bars that are told, outermost first


class Bar:
    """How far a loop is."""

    __slots__ = ("done", "name", "started", "total")

    def __init__(self, name: str = "", total: float | None = None) -> None:
        self.name = name
        self.total = total
        self.done: float = 0
        self.started = time.monotonic()

    def told(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "done": self.done, "total": self.total, "elapsed": round(time.monotonic() - self.started, 3)
        }  # fmt: skip
        return {**values, "name": self.name} if self.name else values


class Bars:
    """The bars of one electron: those that are open, outermost first, or the one that was closed last."""

    def __init__(self) -> None:
        self._open: list[Bar] = []
        self._last: dict[str, Any] = {}

    def open(self, bar: Bar) -> None:
        self._open.append(bar)

    def close(self, bar: Bar) -> None:
        """It is told until another one opens, unless others are open."""
        if bar in self._open:
            self._open.remove(bar)
            self._last = bar.told()

    def told(self) -> dict[str, Any]:
        """``done``, ``total``, ``elapsed`` and ``name`` of the outermost; ``bars`` where there are several."""
        bars = [bar.told() for bar in self._open[:_MOST]] or ([self._last] if self._last else [])
        if not bars:
            return {}
        return {**bars[0], "bars": bars} if len(bars) > 1 else dict(bars[0])


#: The bars of the electron that runs here, and what is to be called when they have moved.
Where = Callable[[], "tuple[Bars, Callable[..., None]] | None"]


def recognise_tqdm(where: Where) -> None:
    """From now on bars of tqdm in this process are told to the electron that ``where`` gives."""
    module = sys.modules.get("tqdm.std")
    if module is not None:
        _extend(module, where)
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(where))


class _Finder(MetaPathFinder):
    """Waits for the import of tqdm."""

    def __init__(self, where: Where) -> None:
        self._where = where

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tqdm.std":
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                _extend(module, self._where)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _extend(module: ModuleType, where: Where) -> None:
    """Give tqdm's base class our ``refresh`` and ``close``; a tqdm that has none is left as it is."""
    kind = getattr(module, "tqdm", None)
    refresh, close = getattr(kind, "refresh", None), getattr(kind, "close", None)
    if kind is None or refresh is None or close is None or hasattr(kind, "_covalent"):
        return

    @functools.wraps(refresh)
    def telling_refresh(self: Any, *args: Any, **kwargs: Any) -> Any:
        _tell(self, where, closing=False)
        return refresh(self, *args, **kwargs)

    @functools.wraps(close)
    def telling_close(self: Any, *args: Any, **kwargs: Any) -> Any:
        _tell(self, where, closing=True)
        return close(self, *args, **kwargs)

    kind.refresh, kind.close, kind._covalent = telling_refresh, telling_close, None


def _tell(shown: Any, where: Where, *, closing: bool) -> None:
    """One bar of tqdm has moved, or ends."""
    try:
        found = None if getattr(shown, "disable", True) else where()
        if found is None:
            return
        bars, tell = found
        known = getattr(shown, "_covalent", None)
        if known is None or known[0] is not bars:
            if closing:
                return
            known = shown._covalent = (bars, Bar())
            bars.open(known[1])
        bar = known[1]
        bar.done, bar.total = _number(shown.n) or 0, _number(getattr(shown, "total", None))
        bar.name = sendable(str(getattr(shown, "desc", "") or "").removesuffix(": ")[:_NAME])
        if closing:
            bars.close(bar)
        tell(last=closing)
    except Exception:  # border: another tqdm than we know, or numbers of the user's own; its bar is drawn all the same
        pass


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 2**63 else float(value)
    number = float(value)
    return number if math.isfinite(number) else None
