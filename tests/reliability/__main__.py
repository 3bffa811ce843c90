"""``python -m tests.reliability [NAME...] [--long] [--jobs N] [--seed N] [--times N]``: run harnesses and print their tables."""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ..bytecode import compile_the_package
from . import answers, cluster, crashes, damage, disk, ends, graphs, kills, others, soak, upgrade
from .report import Report

#: name -> (harness, times in the long run, times without); those that take longest first, so that none is alone at the end
HARNESSES: dict[str, tuple[Callable[[int, int], Report], int, int]] = {
    "crashes-local": (lambda seed, times: crashes.run(seed, times, "local"), 40, 3),
    "soak": (soak.run, 1200, 120),  # seconds
    "cluster": (cluster.run, 8, 1),
    "kills": (kills.run, 300, 30),
    "ends": (ends.run, 20, 1),
    "fuzz": (others.run_fuzz, 100_000, 5100),  # requests
    "answers": (answers.run, 300, 60),  # seconds
    "crashes-dask": (lambda seed, times: crashes.run(seed, times, "dask", crashes.WORKER_POINTS), 10, 1),
    "kills-local": (lambda seed, times: kills.run(seed, times, "local"), 200, 15),
    "crashes-store": (crashes.run_store, 40, 3),
    "graphs": (graphs.run, 2000, 300),
    "cancel": (ends.run_cancels, 300, 30),
    "uploads": (others.run_uploads, 5, 1),
    "ready": (kills.run_ready, 100, 5),
    "damage": (damage.run, 1200, 100),
    "disk": (disk.run, 60, 12),
    "upgrade": (upgrade.run, 1, 1),
}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(HARNESSES)} (default: all)")
    parser.add_argument("--long", action="store_true", help="as often as the long run")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--times", type=int, default=None, help="how often each fault")
    parser.add_argument("--jobs", type=int, default=1, help="so many harnesses at once, each a process")
    options = parser.parse_args(argv)
    unknown = set(options.names) - set(HARNESSES)
    if unknown:
        parser.error(f"there is no harness {sorted(unknown)[0]!r}; there are {', '.join(HARNESSES)}")
    seed = random.SystemRandom().randrange(1 << 30) if options.seed is None else options.seed
    compile_the_package()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what a harness has started ends with it
    names = options.names or list(HARNESSES)
    if options.jobs > 1 and len(names) > 1:
        counts = ["--long"] * options.long + (["--times", str(options.times)] if options.times else [])
        return beside(names, options.jobs, ["--seed", str(seed), *counts])
    failed = 0
    for name in names:
        run, long, short = HARNESSES[name]
        times = options.times or (long if options.long else short)
        try:
            run(seed, times).check()
        except AssertionError as error:
            failed += 1
            print(f"FAILED {name}: {(str(error) or repr(error)).splitlines()[0]}", flush=True)
    return 1 if failed else 0


def beside(names: list[str], jobs: int, arguments: list[str]) -> int:
    """Each harness in a process of its own, ``jobs`` at once; what each has printed comes when it has ended."""
    running: list[subprocess.Popen[str]] = []

    def run(name: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability", name, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )  # fmt: skip
        running.append(process)
        out, _ = process.communicate()
        print(out, end="", flush=True)
        return process.returncode

    with ThreadPoolExecutor(jobs) as pool:
        try:
            return 1 if any(list(pool.map(run, names))) else 0
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in running:
                process.terminate()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
