"""What holds for all tests."""

from __future__ import annotations

import os

# Electrons step back behind everything else of the machine, so by how much decides how long tests wait for them where it is busy.
os.environ.setdefault("COVALENT_NICE", "1")
