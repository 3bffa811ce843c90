"""Whether JupyterLab and Notebook, as they are served from this environment, load our labextension."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_config_path, jupyter_path

NAME = "covalent-jupyter"
#: The header with which the server extension tells kernels, beside the service's health, that it is "off".
PANELS = "X-Covalent-Panels"


def installed() -> Path | None:
    """The ``package.json`` of the labextension that is loaded; None where there is none."""
    places = [Path(p, NAME, "package.json") for p in jupyter_path("labextensions")]
    return next((p for p in places if p.is_file()), None)


def switched_off(plugins: Sequence[str] = ()) -> Path | None:
    """The configuration folder in which it, or one of these plugins of it, is disabled; None where it is not."""
    for name in (NAME, *(f"{NAME}:{plugin}" for plugin in plugins)):
        for folder in map(Path, jupyter_config_path()):  # what comes first counts more
            disabled = read_json(folder / "labconfig" / "page_config.json").get("disabledExtensions", {})
            said = disabled.get(name) if isinstance(disabled, dict) else name in disabled or None
            if said:
                return folder
            if said is not None:
                break
    return None


def draws_panels() -> bool:
    """Whether panels in notebooks are drawn by the labextension."""
    return installed() is not None and switched_off(("output",)) is None


def read_json(file: Path) -> dict[str, Any]:
    """The object in the file; empty where there is none that can be read."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
