"""Libraries that show something are turned to :mod:`.displays`, and ``multiprocessing`` to :mod:`.byvalue`, when they are imported."""

from __future__ import annotations

import builtins
import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

from . import byvalue
from .displays import (
    Handle,
    Recorder,
    clear_output,
    display,
    publish_display_data,
    record_to,
    show_figures,
    show_one,
    update_display,
)


def _mend_ipython(module: Any) -> None:
    ours = {f.__name__: f for f in (display, update_display, publish_display_data, clear_output)}
    _replace(module, {**ours, "DisplayHandle": Handle})


def _mend_pyplot(module: Any) -> None:
    _replace(module, {"show": show_figures})


def _replace(module: Any, ours: dict[str, Any]) -> None:
    """Replace functions of a module, also where others that were loaded before have them by ``from ... import``."""
    theirs = {name: vars(module).get(name) for name in ours}
    for other in list(sys.modules.values()):
        names = getattr(other, "__dict__", {})
        for name, function in theirs.items():
            if function is not None and names.get(name) is function:
                names[name] = ours[name]


def _mend_figure(module: Any) -> None:
    module.Figure.show = show_one


def _mend_plotly(module: Any) -> None:
    if os.environ.get("PLOTLY_RENDERER") is None:
        module.renderers.default = "plotly_mimetype"


#: module -> what is done to it when it has been imported
_MENDED: dict[str, Callable[[Any], None]] = {
    "multiprocessing.reduction": byvalue.teach,
    "IPython.core.display_functions": _mend_ipython,
    "matplotlib.pyplot": _mend_pyplot,
    "matplotlib.figure": _mend_figure,
    "plotly.io._renderers": _mend_plotly,
}


class _Finder(importlib.abc.MetaPathFinder):
    """Mends modules when they are imported."""

    def __init__(self) -> None:
        self._looking: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in _MENDED or name in self._looking:
            return None
        self._looking.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking.discard(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, _MENDED[name])
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any, mend: Callable[[Any], None]) -> None:
        self._loader, self._mend = loader, mend

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        self._loader.exec_module(module)
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._mend(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def install(recorder: Recorder) -> None:
    """From now on everything that is displayed in this process goes to ``recorder``."""
    record_to(recorder)
    vars(builtins)["display"] = display
    sys.meta_path.insert(0, _Finder())
    for name, mend in _MENDED.items():
        if name in sys.modules:
            mend(sys.modules[name])
