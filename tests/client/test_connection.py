"""Finding the service, losing it, and hearing its refusals."""

from __future__ import annotations

import gc
import http.server
import importlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter import config, launch
from covalent_jupyter.client.connection import Connector, Settings, parent_server, server_endpoint, settings
from covalent_jupyter.client.rest import Rest, connect
from covalent_jupyter.client.sent import Sent
from covalent_jupyter.client.sidebar import sidebar_hint
from covalent_jupyter.client.submit import submit
from covalent_jupyter.notebook.panel import SCRIPT, Forms, forms_for
from covalent_jupyter.workflow import build

from . import flows
from .world import world


@contextmanager
def answering(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A stranger's HTTP server; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reply(handler: http.server.BaseHTTPRequestHandler, status: int, body: Any, **headers: str) -> None:
    data = json.dumps(body).encode()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(data)))
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(data)


@contextmanager
def client(url: str, token: str = "secret") -> Iterator[Rest]:
    rest = Rest(Connector(Settings(Path("/nonexistent"), url, token)))
    try:
        yield rest
    finally:
        rest.disconnect()


def test_a_killed_service_is_started_again_and_the_dispatch_goes_on(tmp_path: Path) -> None:
    with world(tmp_path):
        first = ct.dispatch(flows.one)(1)
        assert first.value(60) == 3
        file = launch.find(settings().store_dir)
        assert file is not None
        os.kill(file.pid, signal.SIGKILL)
        second = ct.dispatch(flows.one)(2)  # on a dead kept connection, to a service that is gone
        assert second.value(60) == 4
        assert ct.get_result(first).value == 3
        after = launch.find(settings().store_dir)
        assert after is not None and after.pid != file.pid


def test_a_service_killed_under_a_waiting_client(tmp_path: Path) -> None:
    with world(tmp_path):
        gate = tmp_path / "gate"
        handle = ct.dispatch(flows.gated)(str(gate), 1)
        file = launch.find(settings().store_dir)
        assert file is not None
        timer = threading.Timer(0.3, lambda: (os.kill(file.pid, signal.SIGKILL), gate.touch()))
        timer.start()
        assert handle.value(90) == [1, 2]
        timer.join()


def test_a_store_that_cannot_be_is_said_without_our_frames(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code = "import covalent_jupyter as ct\nct.dispatch(ct.electron(abs))(-1)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "COVALENT_STORE_DIR": str(tmp_path / "file" / "store")},
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "cannot be used" in done.stderr and "Set COVALENT_STORE_DIR" in done.stderr
    assert done.stderr.count("Traceback") == 1 and "launch.py" not in done.stderr


def test_start_stop_and_whether_it_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with world(tmp_path):
        assert not ct.is_covalent_running()
        ct.covalent_start()
        assert ct.is_covalent_running() and "runs: process" in capsys.readouterr().out
        ct.covalent_stop()
        assert not ct.is_covalent_running() and "has stopped" in capsys.readouterr().out
        ct.covalent_stop()
        assert "No service ran" in capsys.readouterr().out
        ct.covalent_start(quiet=True)
        assert connect().health()["ok"] and capsys.readouterr().out == ""


def test_addresses_of_jupyter_servers() -> None:
    assert server_endpoint("http://host:8888/", "t").url == "http://host:8888/covalent/"
    assert server_endpoint("https://hub/user/me", "t").url == "https://hub/user/me/covalent/"
    assert server_endpoint("http://host:8888/base/covalent/", "t").url == "http://host:8888/base/covalent/"
    for wrong in ("host:8888", "ftp://host/", "nonsense", "http://"):
        with pytest.raises(ct.ServiceUnavailable, match="it must look like"):
            server_endpoint(wrong, "")


def test_the_server_that_started_this_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("JPY_PARENT_PID", "4242")
    assert parent_server() is None
    (tmp_path / "jpserver-4242.json").write_text(json.dumps({"url": "http://127.0.0.1:8899/x/", "token": "abc"}))
    found = parent_server()
    assert found is not None and (found.url, found.token) == ("http://127.0.0.1:8899/x/covalent/", "abc")
    (tmp_path / "jpserver-4242.json").write_text("{not json")
    assert parent_server() is None


def test_a_configured_address_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVALENT_JUPYTER_URL", "http://elsewhere:1/")
    monkeypatch.setenv("COVALENT_JUPYTER_TOKEN", "abc")
    config.reload_config()
    found = connect().connector.find()
    assert found is not None and (found.url, found.token, found.direct) == (
        "http://elsewhere:1/covalent/",
        "abc",
        False,
    )
    with pytest.raises(ct.ServiceUnavailable, match="is started by its Jupyter server"):
        ct.covalent_start()
    assert not ct.is_covalent_running()


def test_nothing_answers() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with client(f"http://127.0.0.1:{port}/") as rest, pytest.raises(ct.ServiceUnavailable, match="Nothing answers at"):
        rest.health()


def test_silence_ends_after_the_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with client(f"http://127.0.0.1:{silent.getsockname()[1]}/") as rest:
            with pytest.raises(ct.ServiceUnavailable, match=r"did not answer GET health within 0\.2 s"):
                rest.health(timeout=0.2)


@pytest.mark.parametrize(
    ("status", "headers", "error", "text"),
    [
        (403, {}, ct.ServiceUnavailable, "refused the token"),
        (404, {}, ct.ServiceUnavailable, "does not know covalent-jupyter: install it in the server's"),
        (404, {"X_Covalent_Protocol": "1"}, ct.NotFound, "told so"),
        (409, {"X_Covalent_Protocol": "1"}, ct.ServiceError, "told so"),
        (426, {"X_Covalent_Protocol": "9"}, ct.VersionMismatch, "pip install -U covalent-jupyter"),
        (500, {}, ct.ServiceError, "told so"),
        (418, {}, ct.ServiceError, "told so"),
    ],
)
def test_refusals_are_errors_of_ours(status: int, headers: dict[str, str], error: type[Exception], text: str) -> None:
    body = {"message": "told so", "reason": "x", "details": {"a": 1, "message": "not this", "self": 2}}
    with answering(lambda h: reply(h, status, body, **headers)) as url, client(url) as rest:
        with pytest.raises(error, match=text) as caught:
            rest.health()
        if isinstance(caught.value, ct.NotFound):
            assert caught.value.details == {"a": 1}


@pytest.mark.parametrize("body", ["no json at all", "[1, 2]", '{"message": 3}', ""])
def test_answers_that_make_no_sense(body: str) -> None:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(400)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())

    with answering(answer) as url, client(url) as rest, pytest.raises(ct.ServiceError):
        rest.health()


def test_a_notebook_hears_what_the_sidebar_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_PARENT_PID", "4243")
    file = Path(os.environ["JUPYTER_RUNTIME_DIR"], "jpserver-4243.json")
    assert sidebar_hint() == ""
    try:
        with answering(lambda h: reply(h, 404, {"message": "Not Found"})) as url:
            file.write_text(json.dumps({"url": url, "token": "abc"}))
            assert "pip install covalent-jupyter in the environment that JupyterLab" in sidebar_hint()
            handle = ct.dispatch(flows.one)(1)
            assert "For the sidebar: pip install" in (handle._repr_html_() or "")
        with answering(lambda h: reply(h, 200, {"ok": True}, X_Covalent_Protocol="1")) as url:
            file.write_text(json.dumps({"url": url, "token": "abc"}))
            assert sidebar_hint() == ""
    finally:
        file.unlink(missing_ok=True)


def test_where_the_labextension_is_off_the_panel_is_a_widget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widgets = importlib.util.find_spec("anywidget") is not None and SCRIPT.exists()
    with world(tmp_path):
        monkeypatch.setenv("JPY_PARENT_PID", "4244")
        file = Path(os.environ["JUPYTER_RUNTIME_DIR"], "jpserver-4244.json")
        service = connect()
        health = service.health()

        def forms(**headers: str) -> Forms:
            with answering(lambda h: reply(h, 200, health, X_Covalent_Protocol="1", **headers)) as url:
                file.write_text(json.dumps({"url": url, "token": "abc"}))
                return forms_for(service)

        assert forms() == Forms(page=True, widget=False)
        assert forms(X_Covalent_Panels="off") == Forms(page=not widgets, widget=widgets)
        monkeypatch.undo()


def test_blobs_that_went_meanwhile_are_sent_again() -> None:
    class Stale(Rest):
        """Was told before that nothing is missing."""

        def missing(self, digests: list[str]) -> list[str]:
            return []

    rest = Stale(connect().connector)
    built = build(flows.one, (os.urandom(400_000), b"y"), executor="local")
    assert submit(rest, built) is True
    assert submit(rest, built) is False  # the id and the graph are known
    assert len(ct.DispatchId(built.manifest.dispatch_id).value(60)) == 400_001
    built.manifest.key = "another graph"
    with pytest.raises(ct.ServiceError):
        submit(rest, built)
    rest.disconnect()


class _Weighing(Rest):
    """Notes the bytes of each submitted body, and the values that were put or asked for one by one."""

    def __init__(self) -> None:
        super().__init__(connect().connector)
        self.bodies: list[int] = []
        self.others: list[str] = []

    def submit(self, body: bytes) -> dict[str, Any]:
        self.bodies.append(len(body))
        return super().submit(body)

    def missing(self, digests: list[str]) -> list[str]:
        self.others.extend(digests)
        return super().missing(digests)

    def put_value(self, digest: str, chunks: Sequence[Any]) -> None:
        self.others.append(digest)
        super().put_value(digest, chunks)


@pytest.fixture
def lengths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A lattice in a module that brings no other: the sum of the lengths of its arguments."""
    (tmp_path / "lengths_of.py").write_text(
        "import covalent_jupyter as ct\n\n"
        "@ct.electron\ndef add(*parts):\n    return sum(len(part) for part in parts)\n\n"
        "@ct.lattice\ndef lengths(*parts):\n    return add(*parts)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("lengths_of").lengths
    del sys.modules["lengths_of"]


def test_what_the_service_has_is_not_sent_again_unless_it_is_gone(lengths: Any) -> None:
    rest = _Weighing()
    parts = [os.urandom(20_000) for _ in range(5)]

    def send() -> None:
        built = build(lengths, parts, executor="local")
        assert submit(rest, built)
        assert ct.DispatchId(built.manifest.dispatch_id).value(60) == 100_000

    send()
    assert rest.bodies.pop() > 150_000
    send()
    assert rest.bodies.pop() < 20_000 and not rest.bodies
    parts = [os.urandom(20_000) for _ in range(5)]
    rest.sent.add(build(lengths, parts, executor="local").blobs)  # as if it had another store by now
    send()
    refused, again = rest.bodies
    assert refused < 20_000 and again > 150_000
    assert rest.others == []  # all of it is small
    rest.disconnect()


def test_a_few_bytes_are_sent_again_without_asking(lengths: Any) -> None:
    rest = _Weighing()
    part = os.urandom(20_000)
    for _ in range(2):
        built = build(lengths, (part,), executor="local")
        assert submit(rest, built)
        assert ct.DispatchId(built.manifest.dispatch_id).value(60) == 20_000
    assert min(rest.bodies) > 20_000 and len(rest.bodies) == 2 and rest.others == []
    rest.disconnect()


def test_digests_are_remembered_up_to_a_number() -> None:
    sent = Sent(most=3)
    sent.add(["a", "b", "c"])
    sent.add(["a", "d"])
    assert sent.among(["a", "b", "c", "d", "e"]) == {"a", "c", "d"}
    sent.forget(["c", "e"])
    assert sent.among(["c", "d"]) == {"d"}


def test_a_service_that_goes_is_asked_again(tmp_path: Path) -> None:
    seen: list[str] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        seen.append(handler.path)
        if len(seen) < 3:
            reply(handler, 503, {"message": "stopping", "reason": "", "details": {}})
        else:
            reply(handler, 200, {"ok": True})

    with answering(answer) as url, client(url) as rest:
        assert rest.health() == {"ok": True} and len(seen) == 3


def test_what_must_not_be_repeated_is_not() -> None:
    seen: list[str] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        seen.append(handler.path)
        handler.rfile.read(int(handler.headers["Content-Length"]))
        handler.close_connection = True  # without an answer

    with answering(answer) as url, client(url) as rest:
        with pytest.raises(ct.ServiceUnavailable, match="broke during POST dispatches/abcd/redispatch"):
            rest.request("POST", "dispatches/abcd/redispatch", body={"reuse": "none"}, repeat=False)
        assert len(seen) == 1


def test_a_thread_that_ends_closes_its_connection() -> None:
    def keep(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"{}")

    with answering(keep) as url, client(url) as rest:
        thread = threading.Thread(target=rest.health)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            thread.start()
            thread.join()
            gc.collect()
    assert [str(w.message) for w in said if issubclass(w.category, ResourceWarning)] == []


def test_ids_cannot_leave_their_place_in_the_path() -> None:
    seen: list[str] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        seen.append(handler.path)
        reply(handler, 404, {"message": "no", "reason": "", "details": {}}, X_Covalent_Protocol="1")

    with answering(answer) as url, client(url) as rest:
        for text in ("../shutdown", "a/b?c=d#e", "a\r\nX: y"):
            with pytest.raises(ct.NotFound):
                rest.dispatch(text)
    assert all(path.count("/") == 3 and "?" not in path for path in seen)


def test_through_a_jupyter_server(
    tmp_path: Path, jupyter_server: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, token = jupyter_server
    monkeypatch.setenv("COVALENT_JUPYTER_URL", url)
    monkeypatch.setenv("COVALENT_JUPYTER_TOKEN", token)
    config.reload_config()
    assert connect().connector.endpoint().direct is False
    data = b"x" * 500_000
    handle = ct.dispatch(flows.one)(data, b"y")
    assert handle.value(90) == data + b"y"
    assert ct.is_covalent_running()
    connect().disconnect()
    monkeypatch.setenv("COVALENT_JUPYTER_TOKEN", "wrong")
    with pytest.raises(ct.ServiceUnavailable, match="refused the token"):
        ct.get_result(handle)
    connect().disconnect()
