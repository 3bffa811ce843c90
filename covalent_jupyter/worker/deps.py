"""What is prepared for an electron: shell commands, pip packages, calls before and after."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from .. import codec
from ..errors import ElectronError
from ..folders import make_folder
from ..model.graph import CallDep, Deps

Buffer = bytes | memoryview
_TAIL = 4000  # characters of a failed command's output


class DepsError(ElectronError):
    """Something that an electron depends on could not be prepared. ``printed``: a command did it, whose output says more."""

    def __init__(self, message: str, printed: bool = False) -> None:
        super().__init__(message)
        self.printed = printed


class Prepared:
    """Shell commands and packages are there; the calls follow."""

    def __init__(self, deps: Deps, load: Callable[[str], Buffer]) -> None:
        self._deps = deps
        self._load = load

    def call_before(self, kwargs: dict[str, Any]) -> None:
        """Run ``call_before`` and put what it returns under its ``retval_keyword``; a repeated one makes a list."""
        injected: dict[str, list[Any]] = {}
        for call in self._deps.before:
            value = self._run(call, "call_before")
            if call.retval_keyword:
                injected.setdefault(call.retval_keyword, []).append(value)
        for keyword, values in injected.items():
            kwargs[keyword] = values[0] if len(values) == 1 else values

    def call_after(self) -> None:
        for call in self._deps.after:
            self._run(call, "call_after")

    def _run(self, call: CallDep, kind: str) -> Any:
        function, args, kwargs = codec.decode(self._load(call.digest))
        try:
            return function(*args, **kwargs)
        except Exception as error:  # border: the user's function
            name = call.name or getattr(function, "__name__", "a function")
            failed = DepsError(f"{kind} {name} failed: {type(error).__name__}: {error}")
            raise failed.with_traceback(error.__traceback__) from error


def prepare(deps: Deps, load: Callable[[str], Buffer], work_root: str) -> Prepared:
    """Run the shell commands, install the packages. DepsError with the command's output."""
    for command in deps.bash:
        run_shell(command)
    if deps.pip and not all(map(is_here, deps.pip)):
        folder = install(deps.pip, work_root)
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
            importlib.invalidate_caches()
    return Prepared(deps, load)


def run_shell(command: str) -> None:
    """Run with bash (sh where there is none), output to the electron's log."""
    shell = shutil.which("bash") or "/bin/sh"
    done = subprocess.run(
        [shell, "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    text = done.stdout.decode("utf-8", "replace")
    print(text, end="")
    if done.returncode:
        raise DepsError(
            f"the command {command!r} {_ending(done.returncode)}:\n{text[-_TAIL:].strip() or '(no output)'}",
            printed=bool(text),
        )


def _ending(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"


def is_here(requirement: str) -> bool:
    """Whether this environment has the package already, as pip would find. Extras, addresses and options are left to pip."""
    try:
        wanted = Requirement(requirement)
        if wanted.url or wanted.extras:
            return False
        if wanted.marker is not None and not wanted.marker.evaluate():
            return True
        return wanted.specifier.contains(version(wanted.name), prereleases=True)
    except (PackageNotFoundError, ValueError):  # which malformed requirements and versions are
        return False


def install(requirements: tuple[str, ...], work_root: str) -> Path:
    """A folder with these packages, installed once per set of requirements; the user's environment stays as it is."""
    name = hashlib.sha256("\n".join([sys.version, *sorted(requirements)]).encode()).hexdigest()[:32]
    folder = Path(work_root) / "pip" / name
    if folder.is_dir():
        return folder
    building = folder.with_name(f".{name}.{uuid.uuid4().hex}")
    make_folder(building, 3)
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--target",
        str(building),
    ]
    done = subprocess.run(
        [*command, *requirements], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        shutil.rmtree(building, ignore_errors=True)
        text = done.stdout.decode("utf-8", "replace")
        raise DepsError(f"pip install {' '.join(requirements)} {_ending(done.returncode)}:\n{text[-_TAIL:].strip()}")
    try:
        os.rename(building, folder)
    except OSError:  # another runner was faster
        shutil.rmtree(building, ignore_errors=True)
        if not folder.is_dir():
            raise
    return folder
