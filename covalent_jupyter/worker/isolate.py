"""Between two electrons of one runner: what the first did to the process is undone before the second begins."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # its getsignal spares the conversion to enums, eleven times per electron
import builtins
import gc
import os
import signal
import sys
import threading
import time
import warnings
from typing import Any, NoReturn

from .capture import NO_INPUT
from .settings import SETTINGS

_SIGNALS = tuple(
    int(getattr(signal, name))
    for name in (
        "SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGPIPE", "SIGQUIT", "SIGVTALRM",
        "SIGPROF",
    )
)  # fmt: skip


#: modules whose threads wait for the next work of a pool that is kept on purpose: scikit-learn with n_jobs=2 leaves one
_REUSED = frozenset({"joblib.externals.loky.process_executor", "loky.process_executor"})


class State:
    """The state of the process as the dispatch set it up, to come back to.

    ``spent`` is True once an electron has done what cannot be undone: no other one may run in this process.
    """

    spent = False

    def __init__(self) -> None:
        self.take()

    def take(self) -> None:
        """Take the present state as the one to come back to."""
        builtins.input = _no_input
        sys.breakpointhook = _no_breakpoint
        self._cwd = os.getcwd()
        self._environ = dict(os.environ)
        self._raw_environ = dict(os.environ._data)  # type: ignore[attr-defined]
        self._path = list(sys.path)
        self._filters = list(warnings.filters)
        self._showwarning = warnings.showwarning
        self._signals = [_signal.getsignal(number) for number in _SIGNALS]
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._recursion = sys.getrecursionlimit()
        self._settings = [setting.read() for setting in SETTINGS]
        self._hooks = (sys.excepthook, sys.displayhook, None, sys.breakpointhook, builtins.input, builtins.print)
        self._threads = set(threading.enumerate())
        self._rc: dict[str, Any] | None = None
        self._take_matplotlib()

    def _take_matplotlib(self) -> None:
        matplotlib = sys.modules.get("matplotlib")
        if matplotlib is not None and hasattr(matplotlib, "rcParams"):
            dict.__setitem__(matplotlib.rcParams, "backend", "agg")
            self._rc = dict(dict.items(matplotlib.rcParams))

    def restore(self) -> tuple[str, ...]:
        """Undo. Gives what cannot be undone, in words (threads that run on)."""
        try:
            cwd = os.getcwd()
        except FileNotFoundError:
            cwd = ""
        if cwd != self._cwd:
            os.chdir(self._cwd)
        if os.environ._data != self._raw_environ:  # type: ignore[attr-defined]
            zone = os.environ.get("TZ")
            os.environ.clear()
            os.environ.update(self._environ)
            if zone != os.environ.get("TZ"):
                time.tzset()
        if sys.path != self._path:
            sys.path[:] = self._path
        if warnings.filters != self._filters:
            warnings.filters[:] = self._filters  # type: ignore[index]
            warnings._filters_mutated()  # type: ignore[attr-defined]
        if warnings.showwarning is not self._showwarning:
            warnings.showwarning = self._showwarning
        os.umask(self._umask)
        if sys.getrecursionlimit() != self._recursion:
            sys.setrecursionlimit(self._recursion)
        if not gc.isenabled():
            gc.enable()
        self._restore_signals()
        self._restore_settings()
        self._restore_hooks()
        self._restore_matplotlib()
        return self._leftovers() if threading.active_count() != len(self._threads) else ()

    def _restore_signals(self) -> None:
        for number, handler in zip(_SIGNALS, self._signals, strict=True):
            if _signal.getsignal(number) != handler and handler is not None:
                signal.signal(number, handler)
        if signal.getitimer(signal.ITIMER_REAL)[0]:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _restore_settings(self) -> None:
        for setting, before in zip(SETTINGS, self._settings, strict=True):
            if setting.read() != before:
                try:
                    setting.write(before)
                except (OSError, ValueError):
                    self.spent = True

    def _restore_hooks(self) -> None:
        hooks = self._hooks
        if builtins.print is not hooks[5]:
            builtins.print = hooks[5]
        if sys.excepthook is not hooks[0]:
            sys.excepthook = hooks[0]
        if sys.displayhook is not hooks[1]:
            sys.displayhook = hooks[1]
        if sys.breakpointhook is not hooks[3]:
            sys.breakpointhook = hooks[3]
        if builtins.input is not hooks[4]:
            builtins.input = hooks[4]
        if sys.gettrace() is not None:
            sys.settrace(None)
        if sys.getprofile() is not None:
            sys.setprofile(None)

    def _restore_matplotlib(self) -> None:
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None and pyplot.get_fignums():
            pyplot.close("all")
        if "matplotlib" not in sys.modules:
            return
        rc = getattr(sys.modules["matplotlib"], "rcParams", None)
        if rc is None:
            return
        if self._rc is None:  # imported by this electron, which may have changed it already: Agg and its defaults
            defaults = sys.modules["matplotlib"].rcParamsDefault
            dict.update(rc, dict.items(getattr(sys.modules["matplotlib"], "rcParamsOrig", defaults)))
            self._take_matplotlib()
        elif not dict.__eq__(rc, self._rc):
            dict.clear(rc)
            dict.update(rc, self._rc)

    def _leftovers(self) -> tuple[str, ...]:
        left = [thread for thread in threading.enumerate() if thread not in self._threads]
        self._threads.update(left)
        self._threads &= set(threading.enumerate())
        names = [thread.name for thread in left if not thread.daemon and type(thread).__module__ not in _REUSED]
        if not names:
            return ()
        threads = "1 thread" if len(names) == 1 else f"{len(names)} threads"
        return (f"it left {threads} running ({', '.join(names[:5])}): join them before returning",)


def _no_input(prompt: object = "", /) -> str:
    raise RuntimeError(NO_INPUT)


def _no_breakpoint(*args: object, **kwargs: object) -> NoReturn:
    raise RuntimeError(f"breakpoint() was called. {NO_INPUT}")
