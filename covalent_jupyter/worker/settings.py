"""What code may set in its process, beside what :mod:`.isolate` sees to by itself: how it is read, and set again."""

from __future__ import annotations

import _locale
import asyncio
import gc
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

_LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)


class Setting(NamedTuple):
    """``write`` raises OSError or ValueError where what was set cannot be undone."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


def _set_argv(arguments: list[str]) -> None:
    sys.argv = list(arguments)


def _set_hooks(hooks: tuple[Any, Any]) -> None:
    sys.unraisablehook, threading.excepthook = hooks


def _set_traceback_limit(limit: int | None) -> None:
    if limit is None:
        del sys.tracebacklimit
    else:
        sys.tracebacklimit = limit


def _loop() -> tuple[Any, Any, bool]:
    """The policy of event loops, the main thread's loop, and whether one was set: after that, none is made by itself."""
    policy = vars(asyncio.events).get("_event_loop_policy")
    local = getattr(policy, "_local", None)
    return policy, getattr(local, "_loop", None), getattr(local, "_set_called", False)


def _set_loop(loop: tuple[Any, Any, bool]) -> None:
    policy = loop[0]
    vars(asyncio.events)["_event_loop_policy"] = policy
    if policy is not None and hasattr(policy, "_Local"):
        policy._local = policy._Local()
        policy._local._loop, policy._local._set_called = loop[1:]


def _start_method() -> Any:
    module = sys.modules.get("multiprocessing.context")
    return None if module is None else getattr(module._default_context, "_actual_context", None)


def _set_start_method(method: Any) -> None:
    sys.modules["multiprocessing.context"]._default_context._actual_context = method


def _limits() -> list[tuple[int, int]]:
    return [resource.getrlimit(kind) for kind in _LIMITS]


def _set_limits(limits: list[tuple[int, int]]) -> None:
    for kind, limit in zip(_LIMITS, limits, strict=True):
        if resource.getrlimit(kind) != limit:
            resource.setrlimit(kind, limit)


def _users() -> tuple[int, ...]:
    return os.getuid(), os.geteuid(), os.getgid(), os.getegid()


def _set_users(users: tuple[int, ...]) -> None:
    raise OSError("a process that has become another user's stays that")


SETTINGS: list[Setting] = [
    Setting(lambda: list(sys.argv), _set_argv),
    Setting(lambda: _locale.setlocale(_locale.LC_ALL, None), lambda name: _locale.setlocale(_locale.LC_ALL, name)),
    Setting(lambda: (time.tzname, time.timezone), lambda _: time.tzset()),
    Setting(socket.getdefaulttimeout, socket.setdefaulttimeout),
    Setting(sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    Setting(sys.getswitchinterval, sys.setswitchinterval),
    Setting(threading.stack_size, threading.stack_size),
    Setting(gc.get_threshold, lambda threshold: gc.set_threshold(*threshold)),
    Setting(lambda: (sys.unraisablehook, threading.excepthook), _set_hooks),
    Setting(lambda: getattr(sys, "tracebacklimit", None), _set_traceback_limit),
    Setting(_loop, _set_loop),
    Setting(_start_method, _set_start_method),
    Setting(_limits, _set_limits),
    Setting(_users, _set_users),
]  # fmt: skip
if hasattr(os, "sched_getaffinity"):
    SETTINGS.append(Setting(lambda: os.sched_getaffinity(0), lambda cpus: os.sched_setaffinity(0, cpus)))
