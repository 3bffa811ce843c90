"""Somebody is told of the end: by a command, by an address; its failures are visible, and a crash repeats it once."""

from __future__ import annotations

import http.server
import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter import launch
from covalent_jupyter.errors import InvalidRequest

from ..waiting import wait_for

pytestmark = pytest.mark.timeout(300)


@ct.electron
def half(x: int) -> float:
    return x / 2


@ct.electron
def broken(x: int) -> None:
    raise ValueError("no <img src=x onerror=alert(1)> today")


@ct.electron
def patient(folder: str) -> None:
    while not (Path(folder) / "go").exists():
        time.sleep(0.02)


@ct.lattice(executor="local")
def fine(x: int) -> Any:
    return half(x)


@ct.lattice(executor="local")
def bad(x: int) -> Any:
    return half(x), broken(x)


@ct.lattice(executor="local")
def slowly_bad(folder: str) -> Any:
    return broken(1), patient(folder)


def command(code: str, *args: object) -> str:
    """A command line that runs Python code."""
    return shlex.join([sys.executable, "-c", code, *map(str, args)])


KEEP = "import os, sys, uuid; open(os.path.join(sys.argv[1], uuid.uuid4().hex + '.json'), 'w').write(sys.stdin.read())"


def told(folder: Path) -> list[dict[str, Any]]:
    """What the command was told, as far as it is written."""
    texts = [path.read_text() for path in sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime)]
    return [json.loads(text) for text in texts if text.endswith("}")]


def notices(place: Path, dispatch_id: str) -> list[str]:
    status, row = launch.call(launch.ensure_running(place), "GET", f"dispatches/{dispatch_id}", timeout=30)
    assert status == 200
    return list(row["notices"])


@pytest.fixture
def on_finish(place: Path) -> Iterator[Callable[[str], None]]:
    """Sets the service's ``on_finish``, until the end of the test."""
    connection = launch.ensure_running(place)

    def put(target: str) -> None:
        status, answer = launch.call(connection, "PATCH", "config", {"on_finish": target}, timeout=30)
        assert status == 200, answer

    yield put
    launch.call(launch.ensure_running(place), "PATCH", "config", {"on_finish": None}, timeout=30)


def test_a_command_is_told_of_the_end(place: Path, tmp_path: Path, on_finish: Callable[[str], None]) -> None:
    on_finish(command(KEEP, tmp_path))
    dispatch_id = ct.dispatch(fine, name="report", tags=["t"])(3)
    assert dispatch_id.wait(90) == "COMPLETED"
    (message,) = wait_for(lambda: told(tmp_path))
    assert (message["event"], message["status"], message["dispatch_id"]) == ("finished", "COMPLETED", str(dispatch_id))
    assert (message["name"], message["lattice"], message["tags"]) == ("report", "fine", ["t"])
    assert message["inputs"] == {"x": "3"} and message["results"] == {"result": 1.5}
    assert message["electrons"]["completed"] == 1 and message["text"].startswith("✓ report completed after")
    assert notices(place, dispatch_id) == []


def test_a_dispatch_may_say_no_or_only_failures_or_another_command(
    place: Path, tmp_path: Path, on_finish: Callable[[str], None]
) -> None:
    on_finish(command(KEEP, tmp_path))
    other = tmp_path / "other"
    other.mkdir()
    ct.dispatch(fine, notify=False)(1).wait(90)
    ct.dispatch(fine, notify="failure")(2).wait(90)
    ct.dispatch(bad, notify="failure")(3).wait(90)
    ct.dispatch(fine, notify=command(KEEP, other))(4).wait(90)
    last = ct.dispatch(fine)(5)
    last.wait(90)
    wait_for(
        lambda: {"3", "5"} <= {m["inputs"]["x"] for m in told(tmp_path)} and told(other)
    )  # each by its own process
    assert sorted((m["inputs"]["x"], m["event"]) for m in told(tmp_path)) == [("3", "failure"), ("5", "finished")]
    assert "ValueError" in next(m for m in told(tmp_path) if m["event"] == "failure")["text"]
    assert [m["inputs"]["x"] for m in told(other)] == ["4"]


def test_the_first_failure_is_told_while_the_rest_goes_on(place: Path, tmp_path: Path) -> None:
    dispatch_id = ct.dispatch(slowly_bad, notify=command(KEEP, tmp_path))(str(tmp_path))
    (first,) = wait_for(lambda: told(tmp_path))
    assert (first["event"], first["status"], first["electrons"]["failed"]) == ("failure", "RUNNING", 1)
    (tmp_path / "go").touch()
    assert dispatch_id.wait(90) == "FAILED"
    wait_for(lambda: len(told(tmp_path)) == 2)
    assert [m["event"] for m in told(tmp_path)] == ["failure", "finished"]


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(json.loads(body))  # type: ignore[attr-defined]
        self.send_response(500 if "refuse" in self.path else 200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def test_an_address_is_told_and_a_refusal_is_visible(place: Path) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.bodies = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        good, refused = ct.dispatch(fine, notify=f"{address}/hook")(1), ct.dispatch(fine, notify=f"{address}/refuse")(2)
        assert good.wait(90) == refused.wait(90) == "COMPLETED"
        (notice,) = wait_for(lambda: notices(place, refused))
        assert notice == "the address that is told of the end failed: it answered 500"
        bodies = server.bodies  # type: ignore[attr-defined]
        wait_for(lambda: len(bodies) == 2)
        assert {body["dispatch_id"] for body in bodies} == {good, refused} and notices(place, good) == []
    finally:
        server.shutdown()
        server.server_close()
    gone = ct.dispatch(fine, notify=address)(3)
    assert gone.wait(90) == "COMPLETED"
    (notice,) = wait_for(lambda: notices(place, gone))
    assert "refused" in notice.lower()


def test_a_command_that_fails_or_hangs_is_visible_and_blocks_nothing(place: Path) -> None:
    connection = launch.ensure_running(place)
    fails = ct.dispatch(fine, notify=command("import sys; sys.exit('no mail today')"))(1)
    assert wait_for(lambda: notices(place, fails)) == [
        "the command that is told of the end failed: exit status 1: no mail today"
    ]
    launch.call(connection, "PATCH", "config", {"notify_timeout": 0.5}, timeout=30)
    try:
        hangs = ct.dispatch(fine, notify=command("import time; time.sleep(600)"))(2)
        assert hangs.wait(90) == "COMPLETED"
        assert "took more than 0.5 s" in wait_for(lambda: notices(place, hangs))[0]
    finally:
        launch.call(connection, "PATCH", "config", {"notify_timeout": None}, timeout=30)


@pytest.mark.parametrize(
    ("notify", "reason"),
    [
        (3, "cannot be int"),
        ("", "is empty"),
        ("failed", "no program 'failed'"),
        ("'open quote", "no command"),
        ("ftp://host/x", "only http"),
        ("http://", "names no host"),
        ("http://h:99999/", "no address"),
        ("x" * 5000, "5000 characters"),
    ],
)
def test_what_cannot_be_told_is_said_at_the_dispatch(place: Path, notify: Any, reason: str) -> None:
    with pytest.raises((ct.BuildError, InvalidRequest), match=reason):
        ct.dispatch(fine, notify=notify)(1)


def test_on_finish_is_checked_when_it_is_set(place: Path) -> None:
    status, answer = launch.call(
        launch.ensure_running(place), "PATCH", "config", {"on_finish": "mailto://me"}, timeout=30
    )
    assert status == 400 and "only http" in answer["message"]


def test_a_crash_repeats_it_once_and_no_more(place: Path, tmp_path: Path) -> None:
    """The command is running when the service is killed, three times."""
    code = "import os, sys, time, uuid; open(os.path.join(sys.argv[1], uuid.uuid4().hex), 'w').close(); time.sleep(20)"
    dispatch_id = ct.dispatch(fine, notify=command(code, tmp_path))(1)
    dispatch_id.wait(90)
    for expected in (1, 2):
        wait_for(lambda n=expected: len(list(tmp_path.iterdir())) == n)
        os.kill(launch.ensure_running(place).pid, signal.SIGKILL)
        wait_for(lambda: launch.ensure_running(place))
    log = place / "service.log"
    wait_for(lambda: f"the notification of dispatch {dispatch_id[:8]} was tried 2 times; no more" in log.read_text())
    assert len(list(tmp_path.iterdir())) == 2
    os.kill(launch.ensure_running(place).pid, signal.SIGKILL)
    assert notices(place, dispatch_id) == [] and len(list(tmp_path.iterdir())) == 2
