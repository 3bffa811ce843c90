"""The kernel's world, as a dispatch takes it along: interpreter, packages, folder, paths, variables."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import site
import socket
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from .. import codec
from ..covalent_names import is_covalent
from ..model.graph import Digest, Environment
from ..model.wire import sendable
from ..packages import installed_packages, outdated
from .localmodules import LocalModules, Snapshot

_PACKAGE_FOLDER = str(Path(__file__).resolve().parents[2])
#: Credentials of Jupyter, JupyterHub and ours, by name; and ``JPY_*``, by which kernels find their server.
_CREDENTIALS = re.compile(
    r"""JPY_.*
    | JUPYTER_TOKEN | JUPYTER_PASSWORD
    | JUPYTER\w*_(TOKEN|PASSWORD|PWD|SECRET|CRYPT_KEY|CREDENTIALS)
    | JUPYTERHUB_(API_TOKEN|CRYPT_KEY|COOKIE_SECRET|OAUTH_\w*)
    | CONFIGPROXY_AUTH_TOKEN
    | COVALENT_(\w*_)?(TOKEN|PASSWORD|SECRET)
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Taken(NamedTuple):
    """``variables`` have their values, and travel apart from the manifest that holds the rest."""

    environment: Environment
    variables: dict[str, str]
    blobs: dict[Digest, bytes]
    warnings: tuple[str, ...]


def take_environment(modules: LocalModules | Snapshot | None = None) -> Taken:
    """The kernel's world as it is now; ``modules`` are the local modules that the dispatch reaches."""
    snapshot = modules.snapshot() if isinstance(modules, LocalModules) else modules or Snapshot({}, {}, ())
    warnings = list(snapshot.warnings)
    variables = _variables(os.environ, warnings)
    packages = installed_packages()
    warnings += outdated(packages)
    environment = Environment(
        interpreter=sys.executable,
        prefix=sys.prefix,
        python=platform.python_version(),
        cloudpickle=codec.cloudpickle_version(),
        packages=packages,
        digest=_digest_of(sys.executable, sys.prefix, packages),
        package_path=_PACKAGE_FOLDER,
        cwd=_cwd(warnings),
        umask=_umask(),
        sys_path=_sys_path(warnings),
        variables=tuple(sorted(variables)),
        modules=snapshot.files,
        host=socket.gethostname(),
        as_covalent=is_covalent(),
    )
    return Taken(environment, variables, snapshot.blobs, tuple(warnings))


def renewed(recorded: Environment, additions: Sequence[str] | None = None) -> Taken:
    """The world of a recorded dispatch that this process sends again: folder, variables and additions to ``sys.path`` are
    this process's, interpreter, packages and local modules those that the recorded code needs.

    ``additions`` to ``sys.path`` (None: all of this process) come before the recorded ones, if the interpreter is the same.
    """
    now = take_environment()
    environment = msgspec.structs.replace(
        recorded, cwd=now.environment.cwd, umask=now.environment.umask, variables=now.environment.variables,
        host=now.environment.host, as_covalent=recorded.as_covalent or now.environment.as_covalent,
    )  # fmt: skip
    if (recorded.interpreter, recorded.prefix) != (now.environment.interpreter, now.environment.prefix):
        return Taken(environment, now.variables, {}, now.warnings)
    paths = now.environment.sys_path if additions is None else additions
    environment = msgspec.structs.replace(
        environment, python=now.environment.python, packages=now.environment.packages, digest=now.environment.digest,
        package_path=now.environment.package_path, sys_path=tuple(dict.fromkeys((*paths, *recorded.sys_path))),
    )  # fmt: skip
    return Taken(environment, now.variables, {}, now.warnings)


def _cwd(warnings: list[str]) -> str:
    try:
        folder = os.getcwd()
        if not _is_text(folder):
            warnings.append(f"the name of the folder {folder!a} is no UTF-8: electrons start in a folder of their own")
            return ""
        return folder
    except FileNotFoundError:
        warnings.append("the kernel's working directory was removed: electrons start in a folder of their own")
        return ""


def _sys_path(warnings: list[str]) -> tuple[str, ...]:
    added = path_additions()
    for folder in added:
        if not _is_text(folder):
            warnings.append(
                f"the name of the folder {folder!a} is no UTF-8: it is not on the sys.path of the electrons"
            )
    return tuple(folder for folder in added if _is_text(folder))


def _is_text(name: str) -> bool:
    """Whether it can be sent; names of files and variables that are no UTF-8 cannot."""
    return name == sendable(name)


def _umask() -> int:
    """Read without setting it where that can be done: other threads may be creating files."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass  # no Linux
    found = os.umask(0o077)
    os.umask(found)
    return found


def is_credential(name: str) -> bool:
    """Whether a variable is a credential of Jupyter, JupyterHub or ours, which electrons must not get."""
    return _CREDENTIALS.fullmatch(name) is not None


def _variables(environ: Mapping[str, str], warnings: list[str]) -> dict[str, str]:
    kept = {}
    for name, value in environ.items():
        if is_credential(name):
            continue
        if not _is_text(name + value):
            warnings.append(f"the environment variable {name!a} is not text, and is not set for the electrons")
            continue
        kept[name] = value
    return kept


def _digest_of(interpreter: str, prefix: str, packages: Mapping[str, str]) -> str:
    text = json.dumps([interpreter, prefix, sorted(packages.items())])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def path_additions() -> tuple[str, ...]:
    """Entries of ``sys.path`` that a fresh interpreter would not have, absolute and in order."""
    standard = _standard_paths()
    added = {os.path.abspath(entry): None for entry in sys.path if os.path.realpath(entry or ".") not in standard}
    return tuple(added)


def _standard_paths() -> frozenset[str]:
    folders = [*site.getsitepackages(), site.getusersitepackages()]
    stamps = []
    for folder in folders:
        try:
            stamps.append((folder, os.stat(folder).st_mtime_ns))
        except OSError:
            continue
    return _standard(tuple(stamps))


@lru_cache(maxsize=8)
def _standard(folders: tuple[tuple[str, int], ...]) -> frozenset[str]:
    version = f"{sys.version_info.major}{sys.version_info.minor}"
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {os.path.join(path, "lib-dynload") for path in list(paths)}
    paths |= {os.path.join(base, "lib", f"python{version}.zip") for base in (sys.base_prefix, sys.base_exec_prefix)}
    for folder, _ in folders:
        paths.add(folder)
        for entry in Path(folder).glob("*.pth"):
            paths.update(_pth_lines(folder, entry))
    return frozenset(os.path.realpath(path) for path in paths if path)


def _pth_lines(folder: str, file: Path) -> list[str]:
    try:
        lines = file.read_text("utf-8-sig", "replace").splitlines()
    except OSError:
        return []
    return [
        os.path.join(folder, line.strip()) for line in lines if line.strip() and not line.startswith(("#", "import"))
    ]
