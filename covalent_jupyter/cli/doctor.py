"""``jupyter covalent doctor``: what is installed and switched on, whether a dispatch works, and what to do if not."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jupyter_core.paths import jupyter_config_path, jupyter_path, jupyter_runtime_dir

from .. import lab
from .._version import __version__
from ..client.connection import settings
from ..client.dispatching import dispatch
from ..client.display import duration_text, plain, size_text
from ..client.finding import DOCTOR
from ..client.waiting import wait_for
from ..demo import probe
from ..errors import CovalentError
from ..lab import read_json
from ..model import Status
from .output import Out
from .service import state_of_service

PACKAGES = (
    "covalent-jupyter", "jupyter-server", "jupyterlab", "notebook", "ipykernel", "ipython", "ipywidgets",
    "jupyterlab-widgets", "anywidget", "dask", "distributed", "duckdb", "cloudpickle", "msgspec", "tornado", "plotly",
    "numpy", "pandas", "scikit-learn",
)  # fmt: skip
NEEDED = (
    "jupyter-server",
    "ipywidgets",
    "dask",
    "distributed",
    "duckdb",
    "cloudpickle",
    "msgspec",
    "tornado",
    "plotly",
)
#: seconds that the test dispatch may take: the first one on a cold machine starts everything
PATIENCE = 90.0


class Check(NamedTuple):
    """``state`` is "ok", "note" (worth knowing) or "bad" (does not work); ``advice`` is what to do."""

    name: str
    state: str
    text: str
    advice: str = ""


def doctor(options: argparse.Namespace, out: Out) -> int:
    """Exit code 1 if something does not work."""
    environments = environment()
    versions = {name: _version(name) for name in PACKAGES}
    out.say("environment", "bold")
    out.facts(environments.items())
    out.say()
    out.say("packages", "bold")
    out.facts((name, version or "-") for name, version in versions.items())
    out.say()
    checks: list[Check] = []
    for check in _checks(versions, options.no_dispatch):
        checks.append(check)
        sign, tone = {"ok": ("✓", "ok"), "note": ("○", "mute"), "bad": ("✕", "err")}[check.state]
        out.say(f"{sign} {check.name}: {plain(check.text, lines=True)}", tone if check.state == "bad" else "")
        if check.advice and check.state != "ok":
            out.say(f"    → {plain(check.advice, lines=True)}")
    bad = [c for c in checks if c.state == "bad"]
    out.data(
        {"ok": not bad, "environment": environments, "packages": versions, "checks": [c._asdict() for c in checks]}
    )
    out.say()
    out.say(
        "Everything works." if not bad else f"{len(bad)} things do not work; what to do stands beside them.",
        "ok" if not bad else "err",
    )
    return 1 if bad else 0


def environment() -> dict[str, str]:
    return {
        "python": f"{platform.python_version()} {sys.executable}",
        "prefix": sys.prefix,
        "platform": platform.platform(),
        "user": str(os.getuid()),
        "runtime folder": jupyter_runtime_dir(),
        "store": str(settings().store_dir),
        "service": settings().url or "on this machine",
    }


def _version(package: str) -> str:
    if package == "covalent-jupyter":
        return __version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _checks(versions: dict[str, str], no_dispatch: bool) -> Iterator[Check]:
    yield _python()
    yield _packages(versions)
    yield _server_extension()
    yield _lab_extension(versions)
    yield _widgets(versions)
    yield _store()
    yield _service()
    if not no_dispatch:
        yield _dispatch()


def _python() -> Check:
    if sys.platform == "win32":
        return Check(
            "python", "bad", "Windows is not supported", "use WSL: https://learn.microsoft.com/windows/wsl/install"
        )
    return Check("python", "ok", platform.python_version())


def _packages(versions: dict[str, str]) -> Check:
    missing = [name for name in NEEDED if not versions[name]]
    if missing:
        return Check("packages", "bad", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    return Check("packages", "ok", "all that is needed is installed")


def _server_extension() -> Check:
    """Enabled by a file that the wheel installs; disabled by the user's configuration."""
    found: bool | None = None
    where = ""
    for folder in reversed(jupyter_config_path()):
        files = [
            *sorted(Path(folder, "jupyter_server_config.d").glob("*.json")),
            Path(folder, "jupyter_server_config.json"),
        ]
        for file in files:
            state = read_json(file).get("ServerApp", {}).get("jpserver_extensions", {}).get("covalent_jupyter")
            if state is not None:
                found, where = bool(state), str(file)
    if found is None:
        return Check("server extension", "note", "not enabled in this environment",
                     "jupyter server extension enable covalent_jupyter (in the environment that Jupyter is started "
                     "from); without it there is no sidebar, everything else works")  # fmt: skip
    if not found:
        return Check(
            "server extension", "note", f"switched off in {where}", "jupyter server extension enable covalent_jupyter"
        )
    return Check("server extension", "ok", f"enabled ({where})")


def _lab_extension(versions: dict[str, str]) -> Check:
    place = lab.installed()
    if place is None:
        return Check("lab extension", "note", "not installed in this environment",
                     "pip install 'covalent-jupyter[lab]' in the environment that JupyterLab is started from brings "
                     "the sidebar")  # fmt: skip
    off = lab.switched_off()
    if off is not None:
        return Check("lab extension", "note", f"switched off in {off}", "jupyter labextension enable covalent-jupyter")
    version = str(read_json(place).get("version", "?"))
    if version != __version__:
        return Check(
            "lab extension",
            "note",
            f"{version}, but the package is {__version__}",
            "pip install --force-reinstall covalent-jupyter",
        )
    jupyterlab = "" if versions["jupyterlab"] else " (JupyterLab itself is not installed here)"
    return Check("lab extension", "ok", f"{version} in {place.parent}{jupyterlab}")


def _widgets(versions: dict[str, str]) -> Check:
    manager = [Path(p, "@jupyter-widgets", "jupyterlab-manager", "package.json") for p in jupyter_path("labextensions")]
    place = next((p for p in manager if p.is_file()), None)
    if place is None:
        return Check("widget manager", "note", "not installed here",
                     "pip install jupyterlab_widgets where JupyterLab is started from; until then panels are "
                     "still pictures")  # fmt: skip
    return Check(
        "widget manager",
        "ok",
        f"{read_json(place).get('version', '?')}, ipywidgets {versions['ipywidgets'] or 'missing'}",
    )


def _store() -> Check:
    store = settings().store_dir
    if settings().url:
        return Check("store", "ok", f"kept by the service at {settings().url}")
    existing = next((p for p in (store, *store.parents) if p.exists()), Path("/"))
    if not os.access(existing, os.W_OK | os.X_OK):
        return Check("store", "bad", f"{existing} cannot be written", "set COVALENT_STORE_DIR to a folder of your own")
    if not existing.is_dir():
        return Check("store", "bad", f"{existing} is no folder", "set COVALENT_STORE_DIR to a folder of your own")
    found = os.statvfs(existing)
    free = found.f_bavail * found.f_frsize
    if free < 200_000_000:
        return Check(
            "store",
            "bad",
            f"{store}: {size_text(free)} free",
            "free some space, or `jupyter covalent purge --older-than 7d`",
        )
    return Check("store", "ok", f"{store}, {size_text(free)} free" + ("" if store.exists() else " (not made yet)"))


def _service() -> Check:
    try:
        state = state_of_service()
    except CovalentError as error:
        return Check("service", "bad", str(error), "jupyter covalent restart")
    if not state["running"]:
        return Check("service", "ok", "does not run; it is started when it is needed")
    if not state["ok"]:
        return Check("service", "bad", f"process {state['pid']}: {state['problem']}", "jupyter covalent restart")
    if state["version"] != __version__:
        return Check("service", "note", f"is {state['version']}, this is {__version__}", "jupyter covalent restart")
    return Check("service", "ok", f"{state['version']}, process {state['pid']}, {state['dispatches']} runs under way")


def _dispatch() -> Check:
    """A lattice of one electron, through everything. It stays only if it went wrong."""
    began = time.monotonic()
    try:
        handle = dispatch(probe, name="doctor", tags=(DOCTOR,))(41)
        row = wait_for(handle.rest, handle, PATIENCE)
        if not row.status.ended:
            handle.cancel()
            states = [
                f"{e.get('name')}: {e.get('state')} {e.get('message') or ''}".strip()
                for e in handle.rest.get("executors")["executors"]
            ]
            return Check(
                "test dispatch",
                "bad",
                f"no result after {PATIENCE:.0f} s; executors: {'; '.join(states) or 'none'}",
                f"look at {settings().store_dir / 'service.log'} and {settings().store_dir / 'hosts'}",
            )
        value = handle.value()
        handle.rest.delete(handle)  # what was only a test is no past run
    except (CovalentError, OSError) as error:
        return Check(
            "test dispatch",
            "bad",
            str(error) if isinstance(error, CovalentError) else f"{type(error).__name__}: {error}",
            f"look at {settings().store_dir / 'service.log'}",
        )
    if row.status is not Status.COMPLETED or value != 42:
        return Check("test dispatch", "bad", f"gave {value!r}", f"look at {settings().store_dir / 'service.log'}")
    return Check("test dispatch", "ok", f"41 + 1 = {value} after {duration_text(time.monotonic() - began)}")
