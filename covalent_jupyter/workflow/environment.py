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
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from .. import codec
from ..model.graph import Digest, Environment
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
        sys_path=path_additions(),
        variables=tuple(sorted(variables)),
        modules=snapshot.files,
        host=socket.gethostname(),
    )
    return Taken(environment, variables, snapshot.blobs, tuple(warnings))


def _cwd(warnings: list[str]) -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        warnings.append("the kernel's working directory was removed: electrons start in a folder of their own")
        return ""


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
        try:
            (name + value).encode()
        except UnicodeEncodeError:
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
