"""Both ends of the connection: proof, reconnection, garbage, hosts that do not start."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from pathlib import Path

import pytest

from covalent_jupyter import processes
from covalent_jupyter.frames import NONCE, BadPeer, frame, proof, prove_host, read_frame
from covalent_jupyter.model import PROTOCOL, Close, Facts, Hello, PackEnded, Run, wire

from .service import Service, Work, environment
from .test_contract import add, wait_for


async def connect(service: Service, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    await prove_host(reader, writer, token)
    return reader, writer


async def ends(reader: asyncio.StreamReader, timeout: float) -> None:
    """The other side closes."""
    try:
        while await asyncio.wait_for(reader.read(4096), timeout):
            pass
    except ConnectionError:
        pass


async def test_one_without_the_token_learns_nothing(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    theirs = await reader.readexactly(NONCE)
    ours = secrets.token_bytes(NONCE)
    writer.write(ours + proof("wrong", b"host", theirs, ours) + frame(Hello(PROTOCOL, "host-x", "i", "e", 1, "3", "0")))
    assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()
    assert service.listener.hellos == []


async def test_a_reflected_answer_is_no_proof(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    theirs = await reader.readexactly(NONCE)
    other, other_writer = await asyncio.open_connection("127.0.0.1", service.port)
    await other.readexactly(NONCE)
    other_writer.write(theirs + bytes(32))  # ask the service to answer its own nonce
    assert await asyncio.wait_for(other.read(), 60) == b""
    writer.close()
    other_writer.close()


async def test_a_silent_peer_is_dropped(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    await ends(reader, 60.0)
    writer.close()


async def test_a_host_does_not_speak_to_a_stranger() -> None:
    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(NONCE))
        await reader.readexactly(NONCE + 32)
        writer.write(bytes(32))
        writer.close()

    server = await asyncio.start_server(stranger, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    with pytest.raises(BadPeer):
        await prove_host(reader, writer, "token")
    writer.close()
    server.close()


@pytest.mark.parametrize("garbage", [b"\xff" * 64, b"\0\0\0\4abcd", frame(Close("x")), frame(Facts(1, []))])
async def test_garbage_after_the_proof_closes_the_connection(service: Service, garbage: bytes) -> None:
    reader, writer = await connect(service, service.token)
    writer.write(garbage)
    await ends(reader, 60.0)
    writer.close()
    assert service.listener.hellos == []
    await service.host()


async def test_a_stranger_with_the_token_does_not_take_the_place_of_a_host(service: Service) -> None:
    host_id = await service.host()
    reader, writer = await connect(service, service.token)
    writer.write(frame(Hello(PROTOCOL, host_id, "another", "e", os.getpid(), "3", "0")))
    body = await read_frame(reader)
    assert body is not None
    answer = wire.decode_from_service(body)
    assert isinstance(answer, Close) and "took its place" in answer.reason
    writer.close()
    assert service.state() == "ready"


async def test_another_protocol_is_refused_by_name(service: Service) -> None:
    reader, writer = await connect(service, service.token)
    writer.write(frame(Hello(99, "host-y", "i", "e", os.getpid(), "3", "0")))
    body = await read_frame(reader)
    assert body is not None
    answer = wire.decode_from_service(body)
    assert isinstance(answer, Close) and "protocol 99" in answer.reason
    writer.close()


async def test_work_goes_on_while_the_service_is_away(service: Service, tmp_path: Path) -> None:
    work, flag = Work(service.store_dir), tmp_path / "flag"
    await service.host()
    pid = service.pid()
    pack, quick = work.pack(wait_for, (str(flag),)), work.pack(add, (1, 2))
    service.listener.acks = False
    service.run(pack, quick)
    await service.done(quick)
    await service.listener.until(Path(f"{flag}.began").exists)
    host_id = service.host_id
    await service.stop(stop_hosts=False)
    flag.touch()

    await service.start()  # another port, another token
    service.host_id = host_id
    assert service.hosts.ensure(environment()) == host_id
    outcomes = await service.done(pack, quick)
    assert work.value(outcomes[0]) == "seen" and work.value(outcomes[1]) == 3
    assert service.pid() == pid
    hello = service.listener.hellos[0]
    assert {tuple(a) for a in hello.held} == {(work.dispatch_id, 0, 1), (work.dispatch_id, 1, 1)}
    assert set(hello.packs) == {pack.pack_id, quick.pack_id}
    assert service.listener.lost == []


async def test_superseded_attempts_are_stopped_and_kept_silent(service: Service, tmp_path: Path) -> None:
    work, flag = Work(service.store_dir), tmp_path / "flag"
    await service.host()
    pack = work.pack(wait_for, (str(flag),))
    service.run(pack)
    await service.listener.until(Path(f"{flag}.began").exists)
    await service.stop(stop_hosts=False)

    attempt = (pack.dispatch_id, 0, 1)
    await service.start()
    service.listener.drop = [attempt]
    await service.listener.until(lambda: service.listener.ended(pack), 60.0)
    assert service.listener.outcomes(pack) == {}


async def test_facts_are_numbered_without_gaps_and_told_again(service: Service) -> None:
    work = Work(service.store_dir)
    await service.host()
    service.listener.acks = False
    packs = [work.pack(add, (n, 1)) for n in range(5)]
    service.run(*packs)
    await service.done(*packs)
    first = [f for f in service.listener.facts if isinstance(f, PackEnded)]
    await service.stop(stop_hosts=False)
    await service.start()
    await service.done(*packs)
    assert [f for f in service.listener.facts if isinstance(f, PackEnded)] == first


async def test_a_missing_interpreter_is_a_readable_loss(service: Service) -> None:
    service.host_id = service.hosts.ensure(environment(interpreter="/no/such/python", digest="f" * 64))
    await service.listener.until(lambda: len(service.listener.lost) == 3)
    reason = service.listener.lost[0][2]
    assert "/no/such/python" in reason and "cannot be started" in reason and "kernel" in reason
    assert service.state() == "failed"
    await asyncio.sleep(0.5)
    assert len(service.listener.lost) == 3  # and no more tries


async def test_a_host_that_dies_at_once_says_why(service: Service, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no module named covalent_jupyter here' >&2\nexit 4\n")
    python.chmod(0o700)
    service.hosts.ensure(environment(interpreter=str(python), digest="f" * 64))
    await service.listener.until(lambda: len(service.listener.lost) == 3)
    reason = service.listener.lost[0][2]
    assert "exit status 4" in reason and "no module named covalent_jupyter here" in reason
    (log,) = (service.store_dir / "hosts").glob("*.log")
    assert log.stat().st_mode & 0o777 == 0o600


async def test_a_failed_host_is_tried_again_when_it_is_asked_for(service: Service) -> None:
    broken = environment(interpreter="/no/such/python", digest="f" * 64)
    service.host_id = service.hosts.ensure(broken)
    await service.listener.until(lambda: len(service.listener.lost) == 3)
    await service.host(digest="f" * 64)
    assert service.state() == "ready"


async def test_hosts_of_other_environments_are_other_processes(service: Service) -> None:
    first = await service.host()
    pid = service.pid()
    assert await service.host() == first and service.pid() == pid
    assert await service.host(digest="a" * 64) != first and service.pid() != pid


async def test_variables_of_the_service_do_not_leak(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", "secret")
    monkeypatch.setenv("MY_OWN", "secret")
    await service.host()
    variables = Path(f"/proc/{service.pid()}/environ").read_bytes()
    assert b"secret" not in variables and f"COVALENT_STORE_DIR={service.store_dir}".encode() in variables


async def test_a_send_to_nobody_is_false(service: Service) -> None:
    assert not service.hosts.send("host-nobody", Run(Work(service.store_dir).pack(add, (1, 2))))


async def test_the_port_is_on_loopback(service: Service) -> None:
    with socket.socket() as probe:
        probe.settimeout(1)
        assert probe.connect_ex(("127.0.0.1", service.port)) == 0
    assert all(s.getsockname()[0] == "127.0.0.1" for s in service.hosts._server.sockets)  # type: ignore[union-attr]


async def test_a_closed_host_is_gone(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await service.host()
    pid = service.pid()
    service.hosts.drop(service.host_id)
    await service.listener.until(lambda: service.listener.lost)
    assert processes.start_time(pid) is None
    assert "exit status 0" in service.listener.lost[0][2]
    await service.host()
    assert service.pid() != pid
