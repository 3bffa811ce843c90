"""How the service comes, is found, is replaced, and goes."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest

from covalent_jupyter import launch
from covalent_jupyter.errors import ServiceUnavailable
from covalent_jupyter.model import ConnectionFile
from covalent_jupyter.paths import connection_file
from covalent_jupyter.service.lifecycle import write_connection

from .conftest import Client, blob, make_manifest, submit


def wait_until_dead(pid: int, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while launch.is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def test_start_find_stop(store_dir: Path) -> None:
    assert launch.find(store_dir) is None
    connection = launch.ensure_running(store_dir)
    file = connection_file(store_dir)
    assert oct(file.stat().st_mode)[-3:] == "600"
    assert launch.find(store_dir) == connection == launch.ensure_running(store_dir)
    for path in store_dir.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert connection.token not in (store_dir / "service.log").read_text()
    arguments = Path(f"/proc/{connection.pid}/cmdline").read_bytes()
    assert connection.token.encode() not in arguments
    assert launch.stop(store_dir, 60)
    assert not file.exists()
    assert launch.find(store_dir) is None
    assert not launch.stop(store_dir, 60)


def test_many_starters_give_one_service(store_dir: Path) -> None:
    code = f"from covalent_jupyter import launch; print(launch.ensure_running({str(store_dir)!r}, 90).pid)"
    starters = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(8)]
    pids = {starter.communicate(timeout=120)[0].strip() for starter in starters}
    assert len(pids) == 1
    assert (store_dir / "service.log").read_text().count(" serves ") == 1


def test_a_second_service_on_the_store_leaves_quietly(store_dir: Path) -> None:
    connection = launch.ensure_running(store_dir)
    done = subprocess.run(
        [sys.executable, "-m", "covalent_jupyter.service", "--store-dir", str(store_dir)],
        capture_output=True,
        timeout=90,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (launch.ALREADY_RUNNING, "", "")
    assert f"already running: process {connection.pid}" in (store_dir / "service.log").read_text()
    assert launch.find(store_dir) == connection


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_unfinished_runs_survive(store_dir: Path, idle_interpreter: str, number: signal.Signals) -> None:
    connection = launch.ensure_running(store_dir)
    ask = Client(connection)
    manifest, blobs = make_manifest(idle_interpreter)
    assert submit(ask, manifest, blobs).status == 201
    os.kill(connection.pid, number)
    wait_until_dead(connection.pid)
    assert connection_file(store_dir).exists() == (number == signal.SIGKILL)
    assert launch.find(store_dir) is None
    assert (store_dir / "unfinished").exists()
    ask = Client(launch.ensure_running(store_dir))
    assert ask.connection.token != connection.token
    assert ask.connection.store_id == connection.store_id
    assert ask("GET", "health").json()["running"] == 1
    assert ask("GET", f"dispatches/{manifest.dispatch_id}").json()["status"] not in ("FAILED", "CANCELLED")
    assert ask("POST", "shutdown", {"if_idle": True}).status == 409
    ask("POST", "shutdown", {"stop_hosts": True})
    wait_until_dead(ask.connection.pid)


def cancel_in_vain(ask: Client, dispatch_id: str) -> None:
    """The answer would come after the commit."""
    with suppress(OSError, HTTPException):
        ask("POST", f"dispatches/{dispatch_id}/cancel")


@pytest.mark.parametrize("written", [True, False], ids=["all written", "something to write"])
def test_a_service_whose_store_was_removed_leaves(store_dir: Path, idle_interpreter: str, written: bool) -> None:
    connection = launch.ensure_running(store_dir)
    ask = Client(connection)
    manifest, blobs = make_manifest(idle_interpreter)
    assert submit(ask, manifest, blobs).status == 201
    shutil.rmtree(store_dir)
    if not written:
        threading.Thread(target=cancel_in_vain, args=(ask, manifest.dispatch_id), daemon=True).start()
        while b"covalent_store_writable 0" not in ask("GET", "metrics").data:
            time.sleep(0.02)
    os.kill(connection.pid, signal.SIGTERM)
    wait_until_dead(connection.pid)
    assert launch.find(store_dir) is None
    assert launch.ensure_running(store_dir).store_id != connection.store_id


def test_idle_exit(store_dir: Path) -> None:
    connection = launch.ensure_running(store_dir, options=("--idle-exit", "2"))
    began = time.monotonic()
    assert Client(connection)("GET", "events?after=0&wait=3.5").status == 200
    assert time.monotonic() - began >= 3.5  # whoever waits is somebody: one that goes answers sooner
    wait_until_dead(connection.pid)
    assert not connection_file(store_dir).exists()
    assert "idle for 2 s" in (store_dir / "service.log").read_text()


def test_health_and_metrics_do_not_keep_it(store_dir: Path) -> None:
    connection = launch.ensure_running(store_dir, options=("--idle-exit", "0.6"))
    ask = Client(connection)
    deadline = time.monotonic() + 60
    while launch.is_alive(connection.pid):
        assert time.monotonic() < deadline
        with suppress(OSError, HTTPException):  # it goes just now
            ask("GET", "metrics")


def test_a_stale_connection_file_is_nobody(store_dir: Path) -> None:
    connection = launch.ensure_running(store_dir)
    os.kill(connection.pid, signal.SIGKILL)
    wait_until_dead(connection.pid)
    assert launch.find(store_dir) is None
    write_connection(store_dir, msgspec.structs.replace(connection, pid=os.getpid()))  # the number was given to another
    assert launch.find(store_dir) is None
    connection_file(store_dir).write_text("{")
    assert launch.find(store_dir) is None
    assert launch.ensure_running(store_dir).pid != connection.pid


class Relay(BaseHTTPRequestHandler):
    """Poses as the service by asking the real one."""

    seen: list[str] = []
    real: ConnectionFile

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization", ""))
        query = self.path.rpartition("/")[2]
        status, answer = launch.call(self.real, "GET", query, token=False)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_whoever_poses_as_the_service_never_sees_the_token(store_dir: Path) -> None:
    connection = launch.ensure_running(store_dir)
    Relay.real, Relay.seen = connection, []
    server = HTTPServer(("127.0.0.1", 0), Relay)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        fake = msgspec.structs.replace(connection, url=f"http://127.0.0.1:{server.server_port}/covalent/")
        assert not launch.answers(fake)
        assert Relay.seen == [""]
        assert launch.answers(connection)
    finally:
        server.shutdown()
        server.server_close()


def test_from_another_machine_the_answer_names_the_first(store_dir: Path) -> None:
    connection = launch.ensure_running(store_dir)
    write_connection(store_dir, msgspec.structs.replace(connection, host="elsewhere", boot_id="another"))
    with pytest.raises(ServiceUnavailable, match="runs on elsewhere"):
        launch.find(store_dir)
    with pytest.raises(ServiceUnavailable, match="COVALENT_STORE_DIR"):
        launch.ensure_running(store_dir)
    assert connection.token not in (store_dir / "service.log").read_text()
    write_connection(store_dir, connection)
    launch.stop(store_dir, 60)
    write_connection(store_dir, msgspec.structs.replace(connection, host="elsewhere", boot_id="another"))
    assert launch.find(store_dir) is None  # nobody holds the store any more
    connection_file(store_dir).unlink()


def test_a_store_that_cannot_be_used_is_named(tmp_path: Path, jupyter_dirs: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ServiceUnavailable, match="COVALENT_STORE_DIR"):
        launch.ensure_running(blocked / "store")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "store.duckdb").write_bytes(b"this is no database" * 1000)
    with pytest.raises(ServiceUnavailable, match="exit status 1") as caught:
        launch.ensure_running(broken)
    assert "store.duckdb" in str(caught.value)


def test_an_older_idle_service_is_replaced(store_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = launch.ensure_running(store_dir)
    monkeypatch.setattr(launch, "__version__", "99.0")
    assert launch.ensure_running(store_dir).pid != connection.pid
    assert "replaced by version 99.0" in (store_dir / "service.log").read_text()


def test_the_service_does_not_inherit_what_is_private(store_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret-of-the-hub")
    monkeypatch.setenv("JUPYTER_TOKEN", "secret-of-jupyter")
    connection = launch.ensure_running(store_dir)
    environment = Path(f"/proc/{connection.pid}/environ").read_bytes()
    assert b"secret-of" not in environment
    listening = [
        line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"
    ]
    port = f"{int(connection.url.split(':')[2].split('/')[0]):04X}"
    assert [address for address in listening if address.endswith(port)] == [f"0100007F:{port}"]
    assert socket.gethostname() == connection.host


def test_a_notebooks_folder_cannot_shadow_modules(
    store_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "json.py").write_text("raise RuntimeError('shadowed')")
    (folder / "tornado.py").write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(folder)
    assert launch.ensure_running(store_dir).pid


def test_a_removed_store_is_told_and_the_next_service_makes_a_new_one(store_dir: Path, idle_interpreter: str) -> None:
    connection = launch.ensure_running(store_dir)
    shutil.rmtree(store_dir)
    manifest, blobs = make_manifest(idle_interpreter)
    refused = submit(Client(connection), manifest, blobs)
    assert refused.status == 424 and f"the store {store_dir} was removed" in refused.json()["message"]
    assert "the next dispatch starts another one" in refused.json()["message"]
    wait_until_dead(connection.pid)
    another = launch.ensure_running(store_dir)
    assert submit(Client(another), manifest, blobs).status == 201
    Client(another)("POST", "shutdown", {"stop_hosts": True})
    wait_until_dead(another.pid)


def test_a_service_whose_store_was_moved_waits_for_it_while_something_runs(
    store_dir: Path, idle_interpreter: str
) -> None:
    connection = launch.ensure_running(store_dir)
    ask = Client(connection)
    manifest, blobs = make_manifest(idle_interpreter)
    assert submit(ask, manifest, blobs).status == 201
    store_dir.rename(store_dir.with_name("moved"))
    later, blobs = make_manifest(idle_interpreter)
    refused = submit(ask, later, blobs)
    assert refused.status == 424 and "move it back" in refused.json()["message"]
    large, data = blob("x" * 100_000)
    assert ask("PUT", f"values/{large}", data).status == 424
    assert not store_dir.exists()
    store_dir.with_name("moved").rename(store_dir)
    assert submit(ask, later, blobs).status == 201
    ask("POST", "shutdown", {"stop_hosts": True})
    wait_until_dead(connection.pid)


def test_an_idle_service_whose_store_was_removed_ends(store_dir: Path) -> None:
    connection = launch.ensure_running(store_dir, options=["--idle-exit", "20"])
    shutil.rmtree(store_dir)
    wait_until_dead(connection.pid)


def test_while_the_store_cannot_write_submissions_get_507_at_once(store_dir: Path, idle_interpreter: str) -> None:
    connection = launch.ensure_running(store_dir)
    ask = Client(connection)
    manifest, blobs = make_manifest(idle_interpreter)
    assert submit(ask, manifest, blobs).status == 201
    limits = resource.prlimit(connection.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(connection.pid, resource.RLIMIT_FSIZE, (0, limits[1]))  # as if the disk were full
    try:
        later, blobs = make_manifest(idle_interpreter)
        for _ in range(2):
            began = time.monotonic()
            refused = submit(ask, later, blobs)
            assert refused.status == 507 and time.monotonic() - began < 20  # not when there is room again
        assert ask("GET", f"dispatches/{manifest.dispatch_id}").status == 200
        health = ask("GET", "health").json()
        assert not health["ok"]
        assert health["problem"]
        large, data = blob("x" * 100_000)
        assert ask("PUT", f"values/{large}", data).status == 507
    finally:
        resource.prlimit(connection.pid, resource.RLIMIT_FSIZE, limits)
    deadline = time.monotonic() + 60
    while not ask("GET", "health").json()["ok"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert submit(ask, later, blobs).status in (200, 201)
    ask("POST", "shutdown", {"stop_hosts": True})
    wait_until_dead(connection.pid)
