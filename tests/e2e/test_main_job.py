"""The main job as a newcomer does it: a notebook in a Jupyter server, the kernel shut down, the service killed in mid-run,
and the result in another kernel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from covalent_jupyter import launch

from ..servers import url_of
from ..waiting import wait_for

CELLS = [
    "import covalent_jupyter as ct",
    """
@ct.electron
def load():
    from sklearn.datasets import load_breast_cancer
    return load_breast_cancer(return_X_y=True)

@ct.electron
def split(data):
    from sklearn.model_selection import train_test_split
    train_x, test_x, train_y, test_y = train_test_split(*data, random_state=0)
    return {"train": (train_x, train_y), "test": (test_x, test_y)}
""",
    """
@ct.electron
def train(data, kind):
    import time
    time.sleep(1)
    from sklearn import linear_model, neighbors, tree
    models = {"tree": tree.DecisionTreeClassifier(random_state=0), "near": neighbors.KNeighborsClassifier(),
              "ridge": linear_model.RidgeClassifier(), "bayes": None}
    if models[kind] is None:
        from sklearn.naive_bayes import GaussianNB
        models[kind] = GaussianNB()
    print("training", kind)
    return models[kind].fit(*data)

@ct.electron
def score(model, data):
    return float(model.score(*data))

@ct.electron
def best(scores):
    winner = max(scores, key=scores.get)
    return winner, scores[winner]

@ct.lattice
def compare(kinds):
    parts = split(load())
    return best({kind: score(train(parts["train"], kind), parts["test"]) for kind in kinds})
""",
    "print(ct.dispatch(compare)(['tree', 'near', 'ridge', 'bayes']))",
]


class Server:
    """A Jupyter server with our extension, and the kernels in it."""

    def __init__(self, url: str, runtime: Path) -> None:
        self.url = url
        self.runtime = runtime

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": "token of-the-test"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            data = answer.read()
        return json.loads(data) if data else None

    def kernel(self) -> tuple[str, BlockingKernelClient]:
        kernel_id = self.ask("POST", "api/kernels", {"name": "python3"})["id"]
        client = BlockingKernelClient()
        client.load_connection_file(str(self.runtime / f"kernel-{kernel_id}.json"))
        client.start_channels()
        end = time.monotonic() + 100
        while True:
            try:
                client.wait_for_ready(timeout=60)
                return kernel_id, client
            except RuntimeError:  # of a client that missed one heartbeat while the machine was busy; the server knows
                assert self.ask("GET", f"api/kernels/{kernel_id}")["execution_state"] != "dead"
                assert time.monotonic() < end


def run(client: BlockingKernelClient, code: str) -> str:
    """What the cell printed; its error if it raised."""
    printed: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=90, output_hook=hear)
    assert reply["content"]["status"] == "ok", "\n".join(reply["content"]["traceback"])
    return "".join(printed)


@pytest.fixture
def server(place: Path) -> Iterator[Server]:
    command = [
        "-m",
        "jupyter",
        "server",
        "--port=0",
        "--IdentityProvider.token=of-the-test",
        "--no-browser",
        "--allow-root",
    ]
    log = place.parent / "jupyter.log"
    with open(log, "wb") as out:
        process = subprocess.Popen([sys.executable, *command], stdout=out, stderr=out, cwd=place.parent)
    runtime = Path(os.environ["JUPYTER_RUNTIME_DIR"])
    try:
        found = Server(url_of(process, runtime, log), runtime)
        wait_for(lambda: found.ask("GET", "api/status"))
        yield found
    finally:
        process.terminate()
        process.wait(90)


def test_the_main_job(server: Server, place: Path) -> None:
    first, client = server.kernel()
    for cell in CELLS[:-1]:
        run(client, cell)
    dispatch_id = run(client, CELLS[-1]).strip().splitlines()[-1]
    client.stop_channels()

    def counts() -> dict[str, int]:
        return dict(server.ask("GET", f"covalent/dispatches/{dispatch_id}")["counts"])

    wait_for(lambda: counts().get("running", 0) and counts().get("completed", 0) >= 2)
    server.ask("DELETE", f"api/kernels/{first}")
    service = launch.read_connection(place)
    assert service is not None
    os.kill(service.pid, signal.SIGKILL)
    wait_for(lambda: not launch.is_alive(service.pid))

    second, client = server.kernel()
    text = run(
        client, f"import covalent_jupyter as ct\nprint(ct.get_result({dispatch_id!r}, wait=True, timeout=80).result)"
    )
    assert "0.9" in text and text.strip().startswith("('")
    row = server.ask("GET", f"covalent/dispatches/{dispatch_id}")
    assert row["status"] == "COMPLETED" and row["counts"]["completed"] == 11
    electrons = server.ask("GET", f"covalent/dispatches/{dispatch_id}/electrons")["electrons"]
    assert {e["executor"] for e in electrons} == {"dask"} and {e["attempt"] for e in electrons} == {1}
    client.stop_channels()
    server.ask("DELETE", f"api/kernels/{second}")
