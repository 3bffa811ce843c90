"""``python -m covalent_jupyter.service``"""

from __future__ import annotations

import os

from .process import main

if __name__ == "__main__":
    # the store is closed and the log flushed by now; waiting for threads (somebody's slow SQL) would gain nothing
    os._exit(main())
