"""One command, one table: the figures that covalent-jupyter promises, each against raw Dask where that applies."""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass
class Figure:
    """One line of the table. ``value`` is what counts; ``good`` whether it reaches the floor."""

    name: str
    value: str
    floor: str
    good: bool
    details: str = ""


def median_time(function: Callable[[], Any], repeat: int) -> float:
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


class Bench:
    """Both sides, warm: a service with its cluster, and a raw Dask client."""

    def __init__(self, repeat: int) -> None:
        self.repeat = repeat
        self._client: Any = None
        self._cluster: Any = None

    @property
    def client(self) -> Any:
        """The raw Dask client, started when first needed."""
        if self._client is None:
            from dask.distributed import Client, LocalCluster

            self._cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
            self._client = Client(self._cluster)
            self._client.gather(self._client.map(abs, range(10)))
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._cluster.close()

    def paired(self, ours: Callable[[], Any], raw: Callable[[], Any]) -> tuple[float, float, float]:
        """Medians of both in seconds, and the median of the ratios raw / ours, run in turn."""
        mine, theirs = [], []
        for _ in range(self.repeat):
            mine.append(median_time(ours, 1))
            theirs.append(median_time(raw, 1))
        return (
            statistics.median(mine),
            statistics.median(theirs),
            statistics.median(b / a for a, b in zip(mine, theirs, strict=True)),
        )


def increment(x: int) -> int:
    return x + 1


def wide(bench: Bench) -> list[Figure]:
    import covalent_jupyter as ct

    n = 10_000
    electron = ct.electron(increment)

    @ct.lattice
    def many(n: int) -> Any:
        return [electron(i) for i in range(n)]

    def ours() -> None:
        result = ct.dispatch_sync(many)(n)
        assert result.value == list(range(1, n + 1)), result.error

    def raw() -> None:
        client = bench.client
        got = client.gather([client.submit(increment, i, pure=False) for i in range(n)])
        assert got == list(range(1, n + 1))

    ct.dispatch_sync(many)(100)
    a, b, ratio = bench.paired(ours, raw)
    return [
        Figure(
            "10,000 independent electrons", f"{ratio:.1f}x faster", "8x", ratio >= 8, f"{a:.2f} s, raw Dask {b:.2f} s"
        )
    ]


def chain(bench: Bench) -> list[Figure]:
    import covalent_jupyter as ct

    n = 1_000
    electron = ct.electron(increment)

    @ct.lattice
    def line(n: int) -> Any:
        x: Any = 0
        for _ in range(n):
            x = electron(x)
        return x

    def ours() -> None:
        result = ct.dispatch_sync(line)(n)
        assert result.value == n, result.error

    def raw() -> None:
        x: Any = 0
        for _ in range(n):
            x = bench.client.submit(increment, x, pure=False)
        assert x.result() == n

    ct.dispatch_sync(line)(50)
    a, b, ratio = bench.paired(ours, raw)
    return [
        Figure(
            "a chain of 1,000",
            f"{ratio:.1f}x faster",
            "20x",
            ratio >= 20,
            f"{a * 1e3:.0f} ms, raw Dask {b * 1e3:.0f} ms",
        )
    ]


def added(*values: int) -> int:
    return sum(values) + 1


def added_slowly(*values: int) -> int:
    time.sleep(0.02)
    return sum(values) + 1


def tree(call: Callable[..., Any]) -> Any:
    """256 values, added in pairs."""
    row = [call() for _ in range(256)]
    while len(row) > 1:
        row = [call(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def mesh(call: Callable[..., Any]) -> Any:
    """300 values, each of up to three of the 20 before it."""
    draw, values = random.Random(3), []
    for _ in range(300):
        values.append(call(*draw.sample(values[-20:], min(len(values), draw.choice((0, 1, 2, 3))))))
    return values


def mixed(bench: Bench) -> list[Figure]:
    """Graphs that are neither wide nor a chain."""
    import covalent_jupyter as ct

    found = []
    for function, words in ((added, "that do nothing"), (added_slowly, "of 20 ms")):
        for shape, name in ((tree, "a tree of 511 electrons"), (mesh, "a mesh of 300 electrons")):
            electron = ct.electron(function)
            lattice = ct.lattice(lambda electron=electron, shape=shape: shape(electron))

            def ours(lattice: Any = lattice) -> None:
                result = ct.dispatch_sync(lattice)()
                assert str(result.status) == "COMPLETED" and result.value is not None, result.error

            def raw(function: Any = function, shape: Any = shape) -> None:
                values = shape(lambda *needs: bench.client.submit(function, *needs, pure=False))
                bench.client.gather(values)

            ours()
            a, b, ratio = bench.paired(ours, raw)
            details = f"{a * 1e3:.0f} ms, raw Dask {b * 1e3:.0f} ms"
            found.append(Figure(f"{name} {words}", f"{ratio:.2f}x faster", "-", True, details))
    return found


def make_array(i: int) -> Any:
    import numpy as np

    return np.full(1_000_000, float(i))


def hand_on(a: Any) -> Any:
    return a + 1.0


def total(a: Any) -> float:
    return float(a.sum())


def arrays(bench: Bench) -> list[Figure]:
    import covalent_jupyter as ct

    make, hand, add = ct.electron(make_array), ct.electron(hand_on), ct.electron(total)

    @ct.lattice
    def pipeline(seed: float) -> Any:
        last = []
        for i in range(4):
            a = make(seed + i)
            for _ in range(4):
                a = hand(a)
            last.append(add(a))
        return last

    turn = iter(range(1, 1_000_000))

    def ours() -> None:
        seed = float(next(turn))  # other values each time: equal ones would be stored already
        result = ct.dispatch_sync(pipeline)(seed)
        assert result.value[0] == (seed + 4) * 1e6, result.error

    def raw() -> None:
        seed = float(next(turn))
        submit = bench.client.submit
        last = []
        for i in range(4):
            a = submit(make_array, seed + i, pure=False)
            for _ in range(4):
                a = submit(hand_on, a, pure=False)
            last.append(submit(total, a, pure=False))
        assert bench.client.gather(last)[0] == (seed + 4) * 1e6

    ours()
    raw()
    a, b, ratio = bench.paired(ours, raw)
    slower = 1 / ratio
    return [
        Figure(
            "20 electrons hand on 8 MB arrays",
            f"{slower:.2f}x slower",
            "2.5x",
            slower <= 2.5,
            f"{a * 1e3:.0f} ms, raw Dask {b * 1e3:.0f} ms",
        )
    ]


def latency(bench: Bench) -> list[Figure]:
    import covalent_jupyter as ct

    electron = ct.electron(increment)

    @ct.lattice
    def one(x: int) -> Any:
        return electron(x)

    for _ in range(10):
        ct.dispatch_sync(one)(1)
    returns, whole = [], []
    for i in range(30):
        start = time.perf_counter()
        dispatch_id = ct.dispatch(one)(i)
        returns.append(time.perf_counter() - start)
        ct.get_result(dispatch_id, wait=True)
        start = time.perf_counter()
        assert ct.dispatch_sync(one)(i).value == i + 1
        whole.append(time.perf_counter() - start)
    a, b = statistics.median(returns) * 1e3, statistics.median(whole) * 1e3
    return [
        Figure("one electron: dispatch returns", f"{a:.1f} ms", "15 ms", a <= 15),
        Figure("one electron: dispatch_sync returns", f"{b:.1f} ms", "60 ms", b <= 60),
    ]


def scale(bench: Bench) -> list[Figure]:
    import covalent_jupyter as ct

    electron = ct.electron(increment)

    @ct.lattice
    def many(n: int) -> Any:
        for i in range(n):
            last = electron(i)
        return last

    def run(n: int) -> float:
        start = time.perf_counter()
        result = ct.dispatch_sync(many)(n)
        assert result.value == n, result.error
        return (time.perf_counter() - start) / n

    run(1_000)
    small = statistics.median(run(1_000) for _ in range(5))
    large = run(100_000)
    ratio = large / small
    memory = service_memory()
    return [
        Figure(
            "cost per electron, 100,000 against 1,000",
            f"{ratio:.2f}x",
            "1.5x",
            ratio <= 1.5,
            f"{large * 1e6:.0f} and {small * 1e6:.0f} us",
        ),
        Figure("service memory after 100,000", f"{memory / 2**20:.0f} MiB", "1 GiB", memory < 2**30),
    ]


def service_memory() -> int:
    """Resident bytes of the service."""
    import psutil

    from covalent_jupyter import launch, paths

    found = launch.find(paths.default_store_dir())
    assert found is not None
    return int(psutil.Process(found.pid).memory_info().rss)


def store(bench: Bench) -> list[Figure]:
    """Queries over a large store, filled directly: 10,000 dispatches, 1,000,000 electrons."""
    from covalent_jupyter.model import Counts, DispatchRow, ElectronRow, Log, Status
    from covalent_jupyter.store import Batch, Store

    def dispatch(i: int) -> DispatchRow:
        name = f"{i:08x}-0000-4000-8000-000000000000"
        return DispatchRow(
            name, name, None, None, "experiment", "", "experiment", Status.COMPLETED, 0, Counts(100, completed=100), float(i),
            float(i), float(i), {"c": str(i)}, [], "", "k", 0, None, "", {},
        )  # fmt: skip

    def electron(row: DispatchRow, node: int) -> ElectronRow:
        return ElectronRow(
            row.dispatch_id, node, f"step{node % 7}", "electron", Status.COMPLETED, 0, 1, "dask", 1.0, 2.0, node / 100, "w",
            None, None, None, Log(), Log(), None,
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "store") as opened:
        for start in range(0, 10_000, 100):
            rows = [dispatch(i) for i in range(start, start + 100)]
            batch = Batch(
                dispatches=rows, electrons=[electron(r, n) for r in rows for n in range(100)], new_electrons=True
            )
            opened.append(batch).result()
        page = median_time(lambda: opened.dispatches(limit=50), 20) * 1e3
        query = "SELECT name, status, count(*) AS n, avg(duration) AS mean FROM electrons GROUP BY ALL"
        table = opened.sql(query)
        assert sum(row[2] for row in table.rows) == 1_000_000
        grouped = median_time(lambda: opened.sql(query), 10) * 1e3
    return [
        Figure("first page of 10,000 dispatches", f"{page:.0f} ms", "100 ms", page <= 100),
        Figure("one query over 1,000,000 electron rows", f"{grouped:.0f} ms", "100 ms", grouped <= 100),
    ]


PING = """
import http.client, json, sys, threading, time
port, times = int(sys.argv[1]), []

def ask():
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    while True:
        start = time.perf_counter()
        try:
            connection.request("GET", "/api/status", headers={"Authorization": "token bench"})
            connection.getresponse().read()
        except OSError:
            connection.close()
            time.sleep(0.1)
            continue
        times.append(time.perf_counter() - start)
        time.sleep(0.001)

threading.Thread(target=ask, daemon=True).start()
for _ in sys.stdin:
    taken = times[:]
    del times[: len(taken)]
    print(json.dumps(taken), flush=True)
"""


WORK = """
import sys
import covalent_jupyter as ct

@ct.electron
def increment(x):
    return x + 1

@ct.lattice
def many(n):
    return [increment(i) for i in range(n)]

for line in sys.stdin:
    ct.dispatch_sync(many)(int(line))
    print(flush=True)
"""


class Work:
    """Dispatches in a process of its own, as a notebook's kernel does: who measures must not share its interpreter lock."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, electrons: int) -> Callable[[], bool]:
        """Dispatch as many; the function says whether their results are there."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{electrons}\n")
        self._process.stdin.flush()
        ended = threading.Event()

        def wait() -> None:
            assert self._process.stdout is not None and self._process.stdout.readline()
            ended.set()

        threading.Thread(target=wait).start()
        return ended.is_set

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Pinger:
    """Asks a Jupyter server again and again, in a process of its own: the dispatching one is busy."""

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PING, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        while not self.times():
            time.sleep(0.1)

    def times(self) -> list[float]:
        """Seconds that each answer took since the last call."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: list[float] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


#: What any program costs that has both processors work, at the niceness of electrons.
COUNT = """
import os
from covalent_jupyter import config, processes
os.nice(config.load().nice)
processes.step_back_in_session()
while True:
    pass
"""


@contextmanager
def counting() -> Iterator[None]:
    """Beside two processes that only count."""
    found = [subprocess.Popen([sys.executable, "-c", COUNT], start_new_session=True) for _ in range(2)]
    try:
        yield
    finally:
        for process in found:
            process.kill()
            process.wait()


def lag(bench: Bench) -> list[Figure]:
    """How long a Jupyter server and a kernel take to answer while 10,000 electrons run, against idle (p99); and, to tell what
    of it is the machine's scheduler, beside two processes that only count."""
    import socket

    from jupyter_client.manager import start_new_kernel

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "server", f"--port={port}", "--ServerApp.token=bench", "--no-browser", "--allow-root"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    manager, kernel = start_new_kernel()

    pinger = Pinger(port)
    dispatcher = Work()

    def echo() -> None:
        kernel.execute_interactive("1", timeout=10, output_hook=lambda message: None)

    def echoes(until: Callable[[], bool]) -> list[float]:
        times = []
        while not until():
            times.append(median_time(echo, 1))
        return times

    def pings(until: Callable[[], bool]) -> list[float]:
        pinger.times()
        while not until():
            time.sleep(0.01)
        return pinger.times()

    try:
        warm = dispatcher.start(100)
        while not warm():
            time.sleep(0.01)
        figures = []
        for name, sample in (("Jupyter server", pings), ("kernel echo", echoes)):
            idle_times: list[float] = []
            busy_times: list[float] = []
            counting_times: list[float] = []
            for _ in range(bench.repeat):  # in turn, since the machine is not equally busy all the time
                end = time.monotonic() + 4
                idle_times += sample(lambda end=end: time.monotonic() > end)  # type: ignore[misc]
                busy_times += sample(dispatcher.start(10_000))
                with counting():
                    end = time.monotonic() + 4
                    counting_times += sample(lambda end=end: time.monotonic() > end)  # type: ignore[misc]
            idle, busy = p99(idle_times), p99(busy_times)
            text = f"{busy * 1e3:.1f} ms, idle {idle * 1e3:.1f} ms, beside 2 loops {p99(counting_times) * 1e3:.1f} ms"
            figures.append(Figure(f"{name}, p99 while 10,000 run", f"{busy / idle:.1f}x", "2x", busy <= 2 * idle, text))
        return figures
    finally:
        pinger.close()
        dispatcher.close()
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)
        server.terminate()
        server.wait(20)


def graphs(bench: Bench) -> list[Figure]:
    """The figure of a lattice, every electron a box: picture, layout and plotly, once the graph is built."""
    import covalent_jupyter as ct
    from covalent_jupyter.notebook.graph import Subject, graph_figure

    step = ct.electron(increment)

    @ct.lattice
    def layers(width: int, depth: int) -> Any:
        values = [step(i) for i in range(width)]
        for _ in range(depth - 1):
            values = [step(values[i] + values[(i * 7 + 1) % width]) for i in range(width)]
        return values

    found = []
    graph_figure(Subject(layers.build_graph(2, 2)))  # plotly is loaded
    for width, depth, floor in ((53, 10, 0.5), (527, 10, 5.0)):  # a step and an addition for each
        subject = Subject(layers.build_graph(width, depth))
        count = len(subject.manifest.nodes)
        seconds = median_time(lambda s=subject: graph_figure(s, collapse=False), bench.repeat)  # type: ignore[misc]
        stacked = median_time(lambda s=subject: graph_figure(s), bench.repeat)  # type: ignore[misc]
        figure = graph_figure(subject, collapse=False)
        found.append(
            Figure(
                f"figure of a graph of {count:,} nodes",
                f"{seconds:.2f} s",
                f"{floor} s",
                seconds <= floor,
                f"stacked {stacked:.2f} s, {len(figure.to_json()) / 1e6:.1f} MB of JSON",
            )
        )
    return found


def imports(bench: Bench) -> list[Figure]:
    def seconds(code: str) -> float:
        return median_time(lambda: subprocess.run([sys.executable, "-c", code], check=True), 7)

    cost = (seconds("import covalent_jupyter") - seconds("pass")) * 1e3
    return [Figure("import covalent_jupyter", f"{cost:.0f} ms", "150 ms", cost <= 150)]


COLD = """
import sys, time
start = time.perf_counter()
import covalent_jupyter as ct
@ct.electron
def f(x): return x + 1
@ct.lattice
def one(x): return f(x)
assert ct.dispatch_sync(one)(1).value == 2
print(time.perf_counter() - start)
ct.covalent_stop()
"""


def cold(bench: Bench) -> list[Figure]:
    times = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            env = {**os.environ, **folders(Path(folder))}
            script = Path(folder) / "cold.py"
            script.write_text(COLD)
            done = subprocess.run([sys.executable, str(script)], env=env, check=True, capture_output=True, text=True)
            times.append(float(done.stdout.split()[0]))
    value = statistics.median(times)
    return [Figure("first dispatch on a cold machine", f"{value:.1f} s", "8 s", value <= 8)]


BENCHES: dict[str, Callable[[Bench], list[Figure]]] = {
    "import": imports, "cold": cold, "latency": latency, "wide": wide, "chain": chain, "mixed": mixed, "arrays": arrays,
    "scale": scale, "store": store, "lag": lag, "graphs": graphs,
}  # fmt: skip


def folders(root: Path) -> dict[str, str]:
    """Environment for a store, runtime and configuration of its own."""
    return {
        "COVALENT_STORE_DIR": str(root / "store"),
        "JUPYTER_DATA_DIR": str(root / "data"),
        "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
        "JUPYTER_CONFIG_DIR": str(root / "config"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(BENCHES), help="these figures alone")
    parser.add_argument("--repeat", type=int, default=3, help="pairs per comparison (default 3)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(folders(Path(folder)))
        import covalent_jupyter as ct

        ct.set_config(n_workers=1, threads_per_worker=2)
        bench = Bench(args.repeat)
        figures: list[Figure] = []
        try:
            for name in args.only or BENCHES:
                figures += BENCHES[name](bench)
                print(f"  {name} done", file=sys.stderr, flush=True)
        finally:
            bench.close()
            ct.covalent_stop()
    width = max(len(f.name) for f in figures)
    print(f"{'figure':<{width}}  {'measured':>14}  {'at least':>8}")
    for f in figures:
        print(f"{f.name:<{width}}  {f.value:>14}  {f.floor:>8}  {'ok' if f.good else 'NOT REACHED'}  {f.details}")
    if args.json:
        args.json.write_text(json.dumps([asdict(f) for f in figures], indent=1))
    return 0 if all(f.good for f in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
