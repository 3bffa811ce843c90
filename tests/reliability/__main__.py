"""``python -m tests.reliability [NAME...] [--long] [--seed N] [--times N]``: run harnesses and print their tables."""

from __future__ import annotations

import argparse
import random
import signal
import sys
from collections.abc import Callable

from ..bytecode import compile_the_package
from . import answers, cluster, crashes, damage, disk, ends, graphs, kills, soak, upgrade
from .report import Report

#: name -> (harness, times in the long run, times without)
HARNESSES: dict[str, tuple[Callable[[int, int], Report], int, int]] = {
    "crashes-store": (crashes.run_store, 40, 3),
    "crashes-local": (lambda seed, times: crashes.run(seed, times, "local"), 40, 3),
    "crashes-dask": (lambda seed, times: crashes.run(seed, times, "dask", crashes.WORKER_POINTS), 40, 1),
    "damage": (damage.run, 1200, 100),
    "disk": (disk.run, 60, 12),
    "ends": (ends.run, 20, 1),
    "upgrade": (upgrade.run, 1, 1),
    "graphs": (graphs.run, 2000, 300),
    "cancel": (ends.run_cancels, 300, 30),
    "cluster": (cluster.run, 8, 1),
    "answers": (answers.run, 300, 60),  # seconds
    "soak": (soak.run, 1200, 120),  # seconds
    "kills": (kills.run, 500, 30),
    "ready": (kills.run_ready, 100, 5),
}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(HARNESSES)} (default: all)")
    parser.add_argument("--long", action="store_true", help="as often as the long run")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--times", type=int, default=None, help="how often each fault")
    options = parser.parse_args(argv)
    unknown = set(options.names) - set(HARNESSES)
    if unknown:
        parser.error(f"there is no harness {sorted(unknown)[0]!r}; there are {', '.join(HARNESSES)}")
    seed = random.SystemRandom().randrange(1 << 30) if options.seed is None else options.seed
    failed = 0
    compile_the_package()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what a harness has started ends with it
    for name in options.names or HARNESSES:
        run, long, short = HARNESSES[name]
        times = options.times or (long if options.long else short)
        try:
            run(seed, times).check()
        except AssertionError as error:
            failed += 1
            print(f"FAILED {name}: {(str(error) or repr(error)).splitlines()[0]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
