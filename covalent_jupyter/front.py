"""What the front end of this kernel says of itself: which notebook it shows, whether it is VS Code, and
whether anybody sits there.

Standard library only: whatever is not yet loaded says nothing.
"""

from __future__ import annotations

import os
import sys
from typing import Any

#: the variable in which VS Code's Jupyter extension leaves the notebook's path when it starts a kernel
VSCODE = "__vsc_ipynb_file__"


def notebook_path() -> str:
    """The notebook that this kernel runs for; "" where nobody says.

    VS Code names the true one; the name that a Jupyter server knows its session by is then one that VS Code made up.
    """
    return _of_vscode() or os.environ.get("JPY_SESSION_NAME", "")


def in_vscode() -> bool:
    """Whether VS Code (or an editor made from it) started this kernel."""
    return bool(_of_vscode())


def has_reader() -> bool:
    """Whether somebody sits there: programs that run notebooks (nbconvert, papermill) let nothing be asked of a user."""
    return bool(getattr(getattr(_shell(), "kernel", None), "_allow_stdin", True))


def _of_vscode() -> str:
    said = getattr(_shell(), "user_ns", {}).get(VSCODE)
    return said if isinstance(said, str) else ""


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None
