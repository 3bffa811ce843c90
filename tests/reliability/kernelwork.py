"""A kernel that dispatches until it is killed, and prints what the service has accepted: ``kernelwork FOLDER SEED``."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from .workload import Kernel


def main(folder: str, seed: str) -> None:
    kernel = Kernel(Path(folder), random.Random(int(seed)))
    for _ in range(200):
        sent = kernel.send_sturdy(0.05)
        if sent is not None:
            print(json.dumps({"id": sent.dispatch_id, "folder": str(sent.folder), "value": sent.value}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
