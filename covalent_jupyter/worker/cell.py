"""What a notebook's cell needs where it runs as an electron: its last value is shown, its names are gathered, and
``get_ipython`` answers."""

from __future__ import annotations

import importlib
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType, TracebackType
from typing import Any, Literal

from .. import codec
from ..errors import CovalentError
from .context import get_context
from .displays import display, show_figures
from .page import SOMETHING, STORING

#: what every namespace has, and what notebooks keep in theirs
_NOISE = frozenset({"_", "__", "___", "In", "Out", "exit", "quit", "get_ipython"})

_COMPARED = 512 << 20  # bytes of an object of which it is looked whether the cell changed it


class Names(dict[str, Any]):
    """What a cell assigned, by name. ``left`` says of a name that could not come along why; ``gone`` are names that it
    deleted."""

    def __init__(
        self, values: dict[str, Any] | None = None, left: dict[str, str] | None = None, gone: Sequence[str] = ()
    ) -> None:
        super().__init__(values or {})
        self.left = left or {}
        self.gone = tuple(gone)

    def __reduce__(self) -> tuple[Any, ...]:
        return Names, (dict(self), self.left, self.gone)

    def __repr__(self) -> str:
        text = ", ".join(self) or "no names"
        return f"{text} ({', '.join(f'{n} stayed: {why}' for n, why in self.left.items())})" if self.left else text


def show(value: Any) -> None:
    """The value of a cell's last line, displayed as notebooks do."""
    if value is not None:
        display(value)


class Running:
    """``with Running(globals(), back) as run:`` around the statements of a cell. ``run.names`` holds afterwards what it
    assigned: the names ``back``, and those that were bound otherwise (``exec``, ``global`` in a function).

    ``deleted``: names that it deletes; those in ``unread`` were not captured, for it reads them nowhere. ``watched``: names
    of objects that it may change; those that it has changed are among ``names``, too. True: one that is too large to be
    compared is told of. ``timed``: the time that it took is printed, as ``%%time`` does.
    """

    def __init__(
        self,
        scope: dict[str, Any],
        back: Sequence[str],
        deleted: Sequence[str] = (),
        unread: Sequence[str] = (),
        watched: Mapping[str, bool] | None = None,
        timed: bool = False,
    ) -> None:
        self.names = Names()
        self._scope = scope
        self._back = back
        self._deleted = deleted
        self._unread = unread
        self._watched = watched or {}
        self._before: dict[str, str] = {}
        self._timed = timed
        self._began = (0.0, os.times())
        self._held: dict[str, int] = {}  # ids: an old value that the cell replaces is freed

    def __enter__(self) -> Running:
        self._scope.setdefault("get_ipython", get_ipython)  # for functions of the notebook
        for name in self._unread:
            self._scope.setdefault(name, None)
        self._held = {name: id(value) for name, value in self._scope.items()}
        self._before = {name: _state_of(self._scope[name]) for name in self._watched if name in self._scope}
        self._began = (time.perf_counter(), os.times())
        _tell_pool(SOMETHING)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> Literal[False]:
        _tell_pool(STORING)
        if self._timed:
            self._print_times()
        electron = get_context()
        if error is None:
            self.names = electron.left = self._gathered()
        elif electron.dispatch_id:
            try:
                found = self._gathered()
                electron.left = found if found or found.left or found.gone or _is_told_to_stop(error) else None
            except Exception as problem:  # border: drawing and pickling run the user's code, whose own error matters
                print(f"The names of this cell are lost: {type(problem).__name__}: {problem}", file=sys.stderr)
        return False

    def _gathered(self) -> Names:
        """Figures that were drawn and not shown are shown first, as at the end of a notebook's cell."""
        show_figures()
        scope = self._scope
        new = [n for n, value in scope.items() if not n.startswith("_") and self._held.get(n) != id(value)]
        left: dict[str, str] = {}
        changed = [n for n in self._before if n in scope and self._has_changed(n, left)]
        found = {n: scope[n] for n in dict.fromkeys([*self._back, *changed, *new]) if n in scope and n not in _NOISE}
        if not _can_go(found):
            for name in list(found):
                problem = _problem(found[name], name)
                if problem:
                    left[name] = problem
                    del found[name]
        return Names(found, left, [name for name in self._deleted if name not in scope])

    def _print_times(self) -> None:
        (began, before), now = self._began, os.times()
        user, system = now.user - before.user, now.system - before.system
        print(f"CPU times: user {_seconds(user)}, sys: {_seconds(system)}, total: {_seconds(user + system)}")
        print(f"Wall time: {_seconds(time.perf_counter() - began)}")

    def _has_changed(self, name: str, left: dict[str, str]) -> bool:
        before = self._before[name]
        if not before:
            if self._watched[name]:
                left[name] = (
                    f"it is too large to see whether the cell changed it; `{name} = {name}` in the cell brings it back"
                )
            return False
        return _state_of(self._scope[name]) != before


def _tell_pool(stage: int) -> None:
    leave = get_context().leave
    if leave is not None:
        leave(stage)


def _seconds(spent: float) -> str:
    if spent < 1:
        return f"{spent * 1000:.3g} ms"
    minutes, seconds = divmod(spent, 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes)
    return " ".join([*parts, f"{seconds:.3g} s"])


def _state_of(value: Any) -> str:
    """A digest of what is in an object; "" where it is too large for that, or cannot be pickled any more."""
    if getattr(value, "nbytes", 0) > _COMPARED:
        return ""
    try:
        chunks = codec.encode(value)
    except CovalentError:
        return ""
    return codec.digest_of(chunks) if sum(memoryview(chunk).nbytes for chunk in chunks) <= _COMPARED else ""


def _is_told_to_stop(error: BaseException | None) -> bool:
    """Whether the electron is stopped from outside; ``sys.exit()`` is an error like others."""
    return isinstance(error, SystemExit) and type(error) is not SystemExit


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
        if name in ("reset", "reset_selective"):
            raise RuntimeError(
                f"%{name} empties the kernel, and this cell runs outside of it: run it in a cell of its own"
            )
        return self._among(sys._getframe(1).f_locals, lambda shell: shell.run_line_magic(name, line))

    def run_cell_magic(self, name: str, line: str, cell: str) -> Any:
        return self._among(sys._getframe(1).f_locals, lambda shell: shell.run_cell_magic(name, line, cell))

    def system(self, command: str) -> None:
        local = sys._getframe(1).f_locals
        self._check(command, local)
        self._among(local, lambda shell: shell.system(command))

    def getoutput(self, command: str, *args: Any, **kwargs: Any) -> Any:
        local = sys._getframe(1).f_locals
        self._check(command, local)
        return self._among(local, lambda shell: shell.getoutput(command, *args, **kwargs))

    def _check(self, command: str, local: dict[str, Any]) -> None:
        """Where IPython cannot put values into a command it leaves all of it to the shell, to which ``$name`` is an empty
        text. NameError if that would happen to a variable; a word about a name that nobody knows."""
        from IPython.utils.text import DollarFormatter

        formatter, scope = DollarFormatter(), {**self.user_ns, **local}
        try:
            formatter.vformat(command, (), scope)
            return
        except Exception as error:  # border: the user's expressions
            reason = f"{type(error).__name__}: {error}"
        try:
            fields = [field or "" for _, field, _, _ in formatter.parse(command)]
        except ValueError:  # braces of the shell's own
            fields = []
        roots = {field.partition(".")[0] for field in fields if f"${field}" in command or f"${{{field}}}" in command}
        for name in sorted(n for n in roots if n.isidentifier() and n not in os.environ):
            if name in scope:
                raise NameError(
                    f"!{command}: IPython puts no values into this command ({reason}), and the shell would take ${name} for an "
                    "empty text; put the whole of it together in Python, and write !{command}"
                )
            if not re.search(rf"(?<![$\w{{]){name}\b", command) and not name.isupper():
                print(
                    f"!{command}: ${name} is no variable of the cell, the notebook or the environment; to the shell it is an "
                    "empty text",
                    file=sys.stderr,
                )

    def _among(self, local: dict[str, Any], call: Callable[[Any], Any]) -> Any:
        """Call with the variables of the caller; what is assigned becomes a global."""
        shell = self._real()
        names = {"_dh": [os.getcwd()], **self.user_ns, **local}
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
