"""The same small workloads on covalent-jupyter, Covalent, Parsl, Prefect and raw Dask, in turn, each in an environment of its own.

    python benchmarks/compare.py [--folder DIR] [--rounds N] [--only dask parsl ...]

Environments are made under ``--folder`` (kept: a second run is quick). Each round asks every tool once for every workload, so that a
change of the machine's speed meets all alike; the table gives medians. Workloads: one task (submit to result), a chain of tasks
that each take the one before, and independent tasks. The sizes fit the slowest tool; tools that keep a record keep it on the disk as
they do by default.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
CHAIN, WIDE = 50, 200
WORKS = ("one", "chain", "wide")

#: tool -> what pip installs; Covalent needs an old FastAPI to work at all, and starts with no newer setuptools
TOOLS: dict[str, list[str]] = {
    "covalent-jupyter": [str(HERE)],
    "dask": ["dask[distributed]"],
    "parsl": ["parsl"],
    "prefect": ["prefect"],
    "covalent": ["covalent==0.240", "fastapi==0.115.12", "setuptools<80"],
}
RECORDS = {"covalent-jupyter": "all", "dask": "nothing", "parsl": "nothing", "prefect": "states", "covalent": "all"}

SERVE = f"""
import json, sys, time
CHAIN, WIDE = {CHAIN}, {WIDE}

def serve(one, chain, wide):
    assert one(0) == 1 and chain(2) == 2 and wide(2) == [1, 2]
    print(json.dumps("ready"), flush=True)
    works = {{"one": lambda: one(0), "chain": lambda: chain(CHAIN), "wide": lambda: wide(WIDE)}}
    wants = {{"one": 1, "chain": CHAIN, "wide": list(range(1, WIDE + 1))}}
    for line in sys.stdin:
        start = time.perf_counter()
        got = works[line.strip()]()
        took = time.perf_counter() - start
        assert got == wants[line.strip()], got
        print(json.dumps(took), flush=True)

def increment(x):
    return x + 1
"""

PROGRAMS = {
    "covalent-jupyter": """
import covalent_jupyter as ct
ct.set_config(n_workers=2, persist=False)
task = ct.electron(increment)
@ct.lattice
def chained(n):
    x = 0
    for _ in range(n): x = task(x)
    return x
@ct.lattice
def spread(n): return [task(i) for i in range(n)]
try:
    serve(lambda x: ct.dispatch_sync(task)(x).value,
          lambda n: ct.dispatch_sync(chained)(n).value, lambda n: ct.dispatch_sync(spread)(n).value)
finally:
    ct.covalent_stop()
""",
    "dask": """
if __name__ == "__main__":
    from dask.distributed import Client, LocalCluster
    client = Client(LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"))
    def chained(n):
        x = 0
        for _ in range(n): x = client.submit(increment, x, pure=False)
        return x.result()
    serve(lambda x: client.submit(increment, x, pure=False).result(), chained,
          lambda n: client.gather([client.submit(increment, i, pure=False) for i in range(n)]))
    client.shutdown()
""",
    "parsl": """
import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider
parsl.load(Config(executors=[HighThroughputExecutor(max_workers_per_node=2, cores_per_worker=1, address="127.0.0.1",
    provider=LocalProvider(init_blocks=1, max_blocks=1))], run_dir="runinfo", usage_tracking=0))
@parsl.python_app
def task(x): return x + 1
def chained(n):
    x = 0
    for _ in range(n): x = task(x)
    return x.result()
serve(lambda x: task(x).result(), chained, lambda n: [f.result() for f in [task(i) for i in range(n)]])
parsl.dfk().cleanup()
""",
    "prefect": """
import logging
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner
step = task(increment)
@flow(task_runner=ThreadPoolTaskRunner(max_workers=2), log_prints=False)
def single(x): return step.submit(x).result()
@flow(task_runner=ThreadPoolTaskRunner(max_workers=2), log_prints=False)
def chained(n):
    x = 0
    for _ in range(n): x = step.submit(x)
    return x.result()
@flow(task_runner=ThreadPoolTaskRunner(max_workers=2), log_prints=False)
def spread(n): return [f.result() for f in [step.submit(i) for i in range(n)]]
serve(single, chained, spread)
""",
    "covalent": """
import covalent as ct
task = ct.electron(increment)
@ct.lattice
def single(x): return task(x)
@ct.lattice
def chained(n):
    x = 0
    for _ in range(n): x = task(x)
    return x
@ct.lattice
def spread(n): return [task(i) for i in range(n)]
def value(lattice, n): return ct.get_result(ct.dispatch(lattice)(n), wait=True).result
serve(lambda x: value(single, x), lambda n: value(chained, n), lambda n: value(spread, n))
""",
}


def environment_of(tool: str, folder: Path) -> Path:
    """The interpreter of the tool's own environment, made if it is not there yet."""
    python = folder / tool / "bin" / "python"
    mark = folder / tool / "installed"
    if not mark.exists():
        print(f"  installing {tool}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder / tool)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *TOOLS[tool]], check=True)
        mark.touch()
    return python


class Tool:
    """One tool's program, warm, that measures itself when asked."""

    def __init__(self, tool: str, python: Path, home: Path) -> None:
        home.mkdir()
        script = home / "program.py"
        script.write_text(SERVE + PROGRAMS[tool])
        self.home, self.python = home, python
        self.env = {
            **os.environ, "HOME": str(home), "PATH": f"{python.parent}:{os.environ['PATH']}", "XDG_CONFIG_HOME": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"), "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "JUPYTER_CONFIG_DIR": str(home / "jupyter"), "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_LOGGING_LEVEL": "ERROR", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        }  # fmt: skip
        self.log = open(home / "log", "wb")
        self.is_covalent = tool == "covalent"
        if self.is_covalent:
            self._covalent("db", "migrate")
            self._covalent("start")
        self.process = subprocess.Popen(
            [str(python), str(script)], cwd=home, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.log, text=True,
        )  # fmt: skip
        try:
            self._answer()
        except RuntimeError:
            self.close()
            raise

    def _covalent(self, *arguments: str) -> None:
        command = [str(self.python.parent / "covalent"), *arguments]
        subprocess.run(command, cwd=self.home, env=self.env, stdout=self.log, stderr=self.log, check=True, timeout=120)

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                return json.loads(line)
            except ValueError:
                continue  # what the tool itself prints
        self.log.flush()
        raise RuntimeError((self.home / "log").read_text()[-2000:])

    def time(self, work: str) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(work + "\n")
        self.process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        if self.is_covalent:
            self._covalent("stop")
        self.log.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "covalent-compare")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=sorted(TOOLS))
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    tools: dict[str, Tool] = {}
    times: dict[str, dict[str, list[float]]] = {}
    broken: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as homes:
        try:
            for name in args.only or TOOLS:
                try:
                    tools[name] = Tool(name, environment_of(name, args.folder), Path(homes) / name)
                except (RuntimeError, subprocess.SubprocessError) as error:
                    print(f"  {name} does not work here: {error}", file=sys.stderr)
            for round_ in range(args.rounds):
                for work in WORKS:
                    for name, tool in tools.items():
                        taken = times.setdefault(name, {}).setdefault(work, [])
                        try:
                            taken.append(tool.time(work))
                        except (RuntimeError, OSError) as error:  # it ended: what it did before counts
                            if work not in broken.setdefault(name, {}):
                                print(f"  {name} failed: {error}", file=sys.stderr, flush=True)
                            broken[name][work] = broken[name].get(work, 0) + 1
                print(f"  round {round_ + 1} of {args.rounds} done", file=sys.stderr, flush=True)
        finally:
            for tool in tools.values():
                tool.close()
    print(f"{'':<17} {'records':>8} {'one task':>10} {f'chain of {CHAIN}':>13} {f'{WIDE} independent':>16}")
    for name, found in times.items():
        cells = [f"{statistics.median(found[work]) * 1e3:.0f} ms" if found[work] else "failed" for work in WORKS]
        print(f"{name:<17} {RECORDS[name]:>8} {cells[0]:>10} {cells[1]:>13} {cells[2]:>16}")
    for name, works in broken.items():
        print(f"{name} failed: {', '.join(f'{work} {n} times' for work, n in works.items())}; medians are of the rest")
    return 0


if __name__ == "__main__":
    sys.exit(main())
