"""What the front end of this kernel says of itself: which notebook it shows here, and whether it is VS Code.

Standard library only: whatever is not yet loaded says nothing.
"""

from __future__ import annotations

import os
import sys

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


def _of_vscode() -> str:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    said = getattr(shell, "user_ns", {}).get(VSCODE)
    return said if isinstance(said, str) else ""
