"""Where things lie. Nothing here creates a folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def default_store_dir() -> Path:
    """The user's store: ``$COVALENT_STORE_DIR``, else ``covalent`` in Jupyter's data directory."""
    given = os.environ.get("COVALENT_STORE_DIR")
    if given:
        return Path(given).expanduser().absolute()
    from jupyter_core.paths import jupyter_data_dir

    return Path(jupyter_data_dir()) / "covalent"


def runtime_dir() -> Path:
    """Jupyter's runtime directory (private to the user)."""
    from jupyter_core.paths import jupyter_runtime_dir

    return Path(jupyter_runtime_dir())


def connection_file(store_dir: Path) -> Path:
    """The connection file of the service that owns ``store_dir``."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(store_dir))).hexdigest()[:12]
    return runtime_dir() / f"covalent-{name}.json"


def variables_file(store_dir: Path, dispatch_id: str) -> Path:
    """Values of a dispatch's environment variables, kept until it ends: in the runtime directory, not the store."""
    return connection_file(store_dir).with_suffix("") / f"{dispatch_id}.env"
