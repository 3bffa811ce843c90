"""What is open to others: sockets, files, secrets, pickles."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import covalent_jupyter as ct
from covalent_jupyter import launch

from ..reliability.invariants import check_files
from ..reliability.kills import TOKEN, Jupyter
from ..reliability.place import place
from ..reliability.workload import Kernel
from .conftest import SECRET, World, paths, request

pytestmark = pytest.mark.timeout(300)


def listening(world: World) -> list[tuple[int, str, int, str]]:
    """Sockets that processes of the place listen on: (pid, address, port, command)."""
    found = []
    for process in [*world.here.processes(), psutil.Process(world.jupyter_pid)]:
        try:
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    command = " ".join(process.cmdline())[:80]
                    found.append((process.pid, connection.laddr.ip, connection.laddr.port, command))
        except psutil.NoSuchProcess:
            continue
    return found


def test_everything_listens_on_loopback_only(world: World) -> None:
    found = listening(world)
    assert len(found) >= 4, found  # service, its port for hosts, Dask's scheduler, a worker
    assert not [f for f in found if f[1] not in ("127.0.0.1", "::1")], found


def test_no_file_can_be_read_by_others_whatever_the_umask(world: World) -> None:
    assert os.umask(0) == 0
    assert not check_files(world.here)
    assert world.here.store.stat().st_mode & 0o777 == 0o700


def test_secrets_are_in_no_environment_command_line_log_or_store(world: World) -> None:
    token = world.connection.token
    for process in [*world.here.processes(), psutil.Process(world.jupyter_pid)]:
        try:
            line, environment = " ".join(process.cmdline()), process.environ()
        except psutil.NoSuchProcess:
            continue
        assert token not in line and SECRET not in line, line
        assert token not in json.dumps(environment), line
        if process.pid != world.jupyter_pid and "covalent_jupyter.service" not in line:
            assert SECRET not in environment.values() and TOKEN not in environment.values(), (line, environment)
    for path in paths(world.here.store):
        try:
            data = path.read_bytes() if "duckdb" not in path.name else _read_elsewhere(path)
        except FileNotFoundError:  # a log or a spool of what has just ended
            continue
        assert token.encode() not in data, path
        assert TOKEN.encode() not in data, path
        assert SECRET.encode() not in data, path
    log = (world.here.root / "jupyter.log").read_text()
    assert token not in log and SECRET not in log


def _read_elsewhere(path: Path) -> bytes:
    """By another process: closing a descriptor of the database here drops no lock of the service, but habits count."""
    return subprocess.run(["cat", str(path)], capture_output=True, check=True).stdout


ATTACK = """
import json, socket, sys
found = {}
for port in json.loads(sys.argv[1]):
    said = []
    for text in (b"GET /covalent/dispatches HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n", b"\\0\\0\\0\\4null", bytes(64)):
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                s.settimeout(1.5)
                s.sendall(text)
                try:
                    said.append(s.recv(4096).decode("latin-1"))
                except TimeoutError:
                    said.append("")
        except OSError as error:
            said.append(f"error {error}")
    found[port] = said
print(json.dumps(found))
"""


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("setpriv") is None, reason="another user can be played by root only"
)
def test_another_user_of_the_machine_learns_nothing(world: World) -> None:
    ports = sorted({port for _, _, port, _ in listening(world)})
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/env", "-i"]
    python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
    done = subprocess.run(
        [*command, python, "-c", ATTACK, json.dumps(ports)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == len(ports)
    for port, said in found.items():
        for text in said:
            assert world.running not in text and world.completed not in text and "200 OK" not in text, (port, text)
            assert world.connection.token not in text
    for path in (world.here.store, world.here.root / "runtime"):
        listed = subprocess.run([*command, "/bin/ls", str(path)], capture_output=True, text=True, check=False)
        assert listed.returncode != 0 or path.name == "runtime", listed.stdout
    read = subprocess.run(
        [*command, "/bin/cat", *map(str, (world.here.root / "runtime").glob("covalent-*.json"))],
        capture_output=True,
        check=False,
    )
    assert read.returncode != 0 and not read.stdout


AUDIT = """
import os, sys

def hook(event, arguments):
    if event == "pickle.find_class":
        fd = os.open(os.environ["COVALENT_AUDIT"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(fd, f"{os.getpid()} {' '.join(sys.argv)} {arguments}\\n".encode())
        os.close(fd)

if "executors.host" not in " ".join(sys.orig_argv) and "forkserver" not in " ".join(sys.orig_argv):
    sys.addaudithook(hook)
"""


def test_service_and_jupyter_server_never_unpickle(tmp_path: Path) -> None:
    """Both run under an audit hook while lattices are sent, fail, are cancelled, repeated, looked at and deleted."""
    import random

    (tmp_path / "sitecustomize.py").write_text(AUDIT)
    audit = tmp_path / "audit"
    with place("local", PYTHONPATH=str(tmp_path), COVALENT_AUDIT=str(audit)) as here:
        here.start()
        service = here.service_pid()
        jupyter = Jupyter(here)
        jupyter.start()
        url = jupyter.url()
        kernel = Kernel(here.marks, random.Random(2))
        sent, nap = kernel.send_mixed(), kernel.send_waiting()
        assert sent is not None and nap is not None, kernel.refused
        headers = {"Authorization": f"token {TOKEN}"}
        result = ct.get_result(sent.dispatch_id, wait=True, timeout=240)
        assert result.value == sent.value
        for path in (
            "health",
            "dispatches",
            f"dispatches/{sent.dispatch_id}/electrons",
            f"dispatches/{sent.dispatch_id}/graph",
        ):
            assert request(f"{url}covalent/", "GET", path, None, headers).status == 200
        digest = result.electrons[1].row.output.digest
        assert request(f"{url}covalent/", "GET", f"values/{digest}", None, headers).status == 200
        ct.cancel(nap.dispatch_id)
        ct.redispatch(sent.dispatch_id)()
        here.kill_service()
        here.start()
        jupyter_pid = jupyter._process.pid if jupyter._process else 0
        services = {service, here.service_pid()}
        jupyter.end()
        here.stop()
    lines = audit.read_text().splitlines() if audit.exists() else []
    ours = [line for line in lines if int(line.split()[0]) in {*services, jupyter_pid}]
    assert not ours, ours


def test_the_audit_hook_of_these_tests_hears_pickles(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(AUDIT)
    code = "import pickle, collections; pickle.loads(pickle.dumps(collections.OrderedDict()))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COVALENT_AUDIT": str(tmp_path / "audit")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert "OrderedDict" in (tmp_path / "audit").read_text()


def test_the_port_of_hosts_lets_nobody_in_without_the_token(world: World) -> None:
    for greeting in (b"", bytes(4), b"\0\0\0\1x", os.urandom(4096), b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", world.connection.host_port), 5) as sock:
            sock.settimeout(10)
            sock.sendall(greeting)
            said = b""
            try:
                while chunk := sock.recv(4096):
                    said += chunk
            except (TimeoutError, ConnectionResetError):
                pass
        assert len(said) <= 64 and world.running.encode() not in said
    assert launch.call(world.connection, "GET", "health")[0] == 200
