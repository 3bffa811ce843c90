"""Dask cluster classes as somebody else would write them."""

from __future__ import annotations

import signal
from typing import Any

from distributed import Nanny, Scheduler, SpecCluster

signal.signal(signal.SIGUSR2, signal.SIG_DFL)  # as importing dask_jobqueue does: it works in the main thread alone


class Counted(SpecCluster):  # type: ignore[misc]
    """Workers of this machine, as batch jobs would start them: it begins with none, and has no security of ours."""

    def __init__(self, threads_per_worker: int = 1, **kwargs: Any) -> None:
        scheduler = {"cls": Scheduler, "options": {"dashboard": False, "host": "127.0.0.1", "port": 0}}
        worker = {"cls": Nanny, "options": {"nthreads": threads_per_worker, "host": "127.0.0.1", "dashboard": False}}
        super().__init__(scheduler=scheduler, worker=worker, workers={}, **kwargs)
