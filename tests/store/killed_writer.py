"""A process that writes until it is killed: prints each number once it is acknowledged.

``python -m tests.store.killed_writer FOLDER [EVERY]``: of every so many batches, one goes into the tables at once.
"""

from __future__ import annotations

import os
import sys

from covalent_jupyter.model import Status
from covalent_jupyter.store import Batch, Store

from .records import digest, dispatch, electron


def main(folder: str, every: int) -> None:
    store = Store.open(folder)
    start = store.last_seq
    for round_ in range(10**9):
        futures = []
        for part in range(8):
            k = start + round_ * 8 + part
            row = electron("a", k % 100, status=Status.COMPLETED, attempt=k)
            futures.append(
                store.append(
                    Batch(
                        events=[("a", "finished", b"%d" % k)],
                        dispatches=[dispatch("a")],
                        electrons=[row],
                        values=[(digest(k), os.urandom(2000))],
                        references=[("a", digest(k))],
                    ),
                    unread=k % every > 0,
                )
            )
        for future in futures:
            os.write(1, b"%d\n" % future.result())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
