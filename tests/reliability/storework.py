"""A process that opens a store and may be killed at any point: ``storework ACTION FOLDER CRASH [MIGRATIONS]``.

``migrate``, ``repair``, ``header`` and ``fold`` open it (the last waits to be killed), ``reopen`` also writes and opens it anew again and again, ``read`` prints what is in it.
Numbers of records are printed once they are acknowledged.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def main(action: str, folder: str, crash: str, migrations: str = "") -> None:
    if action != "read":
        os.environ["COVALENT_CRASHPOINTS"] = crash
    from covalent_jupyter.store import Batch, Store, opening
    from tests.store.records import electron

    if migrations:
        opening.MIGRATIONS = Path(migrations)
    with Store.open(folder) as store:
        if action == "read":
            for _, _, data in store.events("a"):
                print(data.decode())
            rows = {row.node: row.attempt for row in store.electrons("a")[0]}
            assert rows == {int(d) % 7: int(d) for _, _, d in store.events("a") if int(d) < 1000}, rows
            assert store.append(Batch(settings={"read": "1"})).result(20) == store.last_seq
        for i in range(1000, 1020 if action == "reopen" else 1000):
            store.append(Batch(events=[("a", "x", b"%d" % i)], electrons=[electron("b", i)]), unread=i % 3 > 0).result(
                20
            )
            os.write(1, b"%d\n" % i)
            if i > 1005:
                store._database.reset(store._database.generation)
        if action == "fold":
            time.sleep(20)


if __name__ == "__main__":
    main(*sys.argv[1:])
