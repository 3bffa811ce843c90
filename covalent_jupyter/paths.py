"""Where things lie. Nothing here creates a folder, but for the one on a local disk."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from .place import is_network, local_folder


def default_store_dir() -> Path:
    """The user's store: ``$COVALENT_STORE_DIR``, else ``covalent`` in Jupyter's data directory; where that is on a network file system,
    and holds no store yet, a folder of this machine on a local disk."""
    given = os.environ.get("COVALENT_STORE_DIR")
    if given:
        return Path(given).expanduser().absolute()
    from jupyter_core.paths import jupyter_data_dir

    shared = Path(jupyter_data_dir()) / "covalent"
    if is_network(shared) and not (shared / "store.duckdb").exists():
        return local_folder() or shared
    return shared


def runtime_dir() -> Path:
    """Jupyter's runtime directory (private to the user)."""
    from jupyter_core.paths import jupyter_runtime_dir

    return Path(jupyter_runtime_dir())


def connection_file(store_dir: Path) -> Path:
    """The connection file of the service that owns ``store_dir``."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(store_dir))).hexdigest()[:12]
    return runtime_dir() / f"covalent-{name}.json"


def variables_folder(store_dir: Path) -> Path:
    """Values of the environment variables of unfinished dispatches, a file each: in the runtime directory, not the store."""
    return connection_file(store_dir).with_suffix("")
