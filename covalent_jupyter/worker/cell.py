"""What a notebook's cell needs where it runs as an electron: its last value is shown, its names are gathered, and
``get_ipython`` answers."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from .. import codec
from ..errors import CovalentError
from .displays import display, show_figures

#: what every namespace has, and what notebooks keep in theirs
_NOISE = frozenset({"_", "__", "___", "In", "Out", "exit", "quit", "get_ipython"})


class Names(dict[str, Any]):
    """What a cell assigned, by name. ``left`` says of a name that could not come along why."""

    def __init__(self, values: dict[str, Any] | None = None, left: dict[str, str] | None = None) -> None:
        super().__init__(values or {})
        self.left = left or {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Names, (dict(self), self.left)

    def __repr__(self) -> str:
        text = ", ".join(self) or "no names"
        return f"{text} ({', '.join(f'{n} stayed: {why}' for n, why in self.left.items())})" if self.left else text


def show(value: Any) -> None:
    """The value of a cell's last line, displayed as notebooks do."""
    if value is not None:
        display(value)


def gather(scope: dict[str, Any], names: Sequence[str], had: Sequence[str]) -> Names:
    """The values of what the cell assigned: of ``names``, and of what is new in ``scope``, which held ``had`` before.

    Figures that were drawn and not shown are shown first, as at the end of a notebook's cell.
    """
    show_figures()
    new = [n for n in scope if n not in had and not n.startswith("_")]
    found = {n: scope[n] for n in dict.fromkeys([*names, *new]) if n in scope and n not in _NOISE}
    left: dict[str, str] = {}
    if not _can_go(found):
        for name in list(found):
            problem = _problem(found[name], name)
            if problem:
                left[name] = problem
                del found[name]
    return Names(found, left)


def _can_go(value: Any) -> bool:
    try:
        codec.encode(value)
    except CovalentError:
        return False
    return True


def _problem(value: Any, name: str) -> str:
    try:
        codec.encode(value, name=name)
    except CovalentError as error:
        return str(error)
    return ""


def star(scope: dict[str, Any], module: str) -> None:
    """``from module import *``"""
    found = importlib.import_module(module)
    public = getattr(found, "__all__", None) or [n for n in vars(found) if not n.startswith("_")]
    scope.update({name: getattr(found, name) for name in public})


# IPython's own syntax: ``!ls``, ``%time f()``


class ElectronShell:
    """Stands for the notebook's shell: ``!commands`` and the line magics that make sense outside of a kernel."""

    #: magics that only set up a notebook
    IDLE = frozenset({"matplotlib", "config", "load_ext", "reload_ext", "autoreload", "precision", "pylab", "gui"})

    def __init__(self, scope: dict[str, Any]) -> None:
        self.user_ns = scope

    def run_line_magic(self, name: str, line: str, *_: Any, **__: Any) -> Any:
        if name in self.IDLE:
            return None
        if name in ("pip", "conda", "mamba"):
            raise RuntimeError(
                f"%{name} inside an electron would change the environment of all others: use deps_pip of the electron, "
                "--deps-pip in the line of the magic, or install in a cell of its own"
            )
        return self._among(sys._getframe(1).f_locals, lambda shell: shell.run_line_magic(name, line))

    def run_cell_magic(self, name: str, line: str, cell: str) -> Any:
        return self._among(sys._getframe(1).f_locals, lambda shell: shell.run_cell_magic(name, line, cell))

    def system(self, command: str) -> None:
        self._among(sys._getframe(1).f_locals, lambda shell: shell.system(command))

    def getoutput(self, command: str, *args: Any, **kwargs: Any) -> Any:
        return self._among(sys._getframe(1).f_locals, lambda shell: shell.getoutput(command, *args, **kwargs))

    def _among(self, local: dict[str, Any], call: Callable[[Any], Any]) -> Any:
        """Call with the variables of the caller; what is assigned becomes a global."""
        shell = self._real()
        names = {**self.user_ns, **local}
        shell.user_ns = names
        shell.get_local_scope = lambda depth: names
        try:
            return call(shell)
        finally:
            shell.user_ns = self.user_ns
            mine = ((k, v) for k, v in names.items() if k not in local and not k.startswith("_"))
            self.user_ns.update({k: v for k, v in mine if self.user_ns.get(k, self) is not v})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._real(), name)

    def _real(self) -> Any:
        """IPython's shell, in this process; made when it is first needed."""
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        if InteractiveShell.initialized():
            shell = InteractiveShell.instance()
        else:
            main, excepthook, displayhook = sys.modules["__main__"], sys.excepthook, sys.displayhook
            config = Config({"HistoryManager": {"enabled": False}, "InteractiveShell": {"colors": "nocolor"}})
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                shell = InteractiveShell.instance(config=config, user_module=ModuleType("__main__"))
            sys.modules["__main__"], sys.excepthook, sys.displayhook = main, excepthook, displayhook
        shell.user_ns = self.user_ns
        return shell


def get_ipython() -> ElectronShell:
    """The shell of a cell that runs as an electron; its names are those of the caller."""
    return ElectronShell(sys._getframe(1).f_globals)
