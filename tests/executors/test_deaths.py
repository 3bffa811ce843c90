"""Hosts, Dask workers and schedulers that are killed: what is lost, what is adopted, and that nothing lives on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from covalent_jupyter import processes
from covalent_jupyter.model import ExecutorSpec, Outcome

from .conftest import Cluster
from .service import Service, Work, environment
from .test_contract import add, wait_for

LOCAL, DASK = ExecutorSpec("local"), ExecutorSpec("dask")


def pid_of(folder: str) -> int:
    import os
    import pathlib
    import subprocess

    grandchild = subprocess.Popen(["sleep", "100"])
    pathlib.Path(folder, "grandchild").write_text(str(grandchild.pid))
    return os.getpid()


def below(pid: int) -> list[int]:
    return [p for p in processes.descendants(pid) if processes.start_time(p) is not None]


async def gone(service: Service, pids: list[int]) -> None:
    await service.listener.until(lambda: all(processes.start_time(p) is None for p in pids), 60.0)


@pytest.mark.parametrize("spec", [LOCAL, DASK], ids=["local", "dask"])
async def test_a_killed_host_leaves_nothing_running_and_nothing_unread(
    service: Service, tmp_path: Path, spec: ExecutorSpec
) -> None:
    work, flag = Work(service.store_dir, spec), tmp_path / "flag"
    await service.host()
    quick = work.pack(add, (1, 2))
    service.run(quick)
    await service.done(quick)
    slow = work.pack(wait_for, (str(flag),))
    service.run(slow)
    await service.listener.until(Path(f"{flag}.began").exists)
    pid = service.pid()
    everything = [pid, *below(pid)]
    assert len(everything) > 3
    sockets = [
        link.readlink() for link in (service.store_dir / "hosts" / f"{service.host_id}.scratch").glob("socket-*")
    ]
    assert len(sockets) == (spec is DASK)
    os.kill(pid, signal.SIGKILL)
    await service.listener.until(lambda: service.listener.lost)
    assert "SIGKILL" in service.listener.lost[0][2]
    await service.listener.until(lambda: not [p for p in everything if processes.start_time(p) is not None])
    recovered = {(f.node, f.status) for f in service.listener.recovered if isinstance(f, Outcome)}
    assert recovered == {(0, "completed")} and not [folder for folder in sockets if folder.exists()]
    await service.host()
    again = work.pack(add, (2, 2))
    service.run(again)
    assert work.value((await service.done(again))[2]) == 4


async def test_a_host_that_died_while_the_service_was_away_is_adopted(service: Service) -> None:
    work = Work(service.store_dir)
    await service.host()
    pack = work.pack(add, (20, 22))
    service.run(pack)
    await service.done(pack)
    pid, host_id = service.pid(), service.host_id
    processes_below = below(pid)
    await service.stop(stop_hosts=False)
    os.kill(pid, signal.SIGKILL)
    await service.start()
    await service.listener.until(lambda: service.listener.lost)
    assert service.listener.lost[0][0] == host_id
    (outcome,) = [f for f in service.listener.recovered if isinstance(f, Outcome)]
    assert work.value(outcome) == 42
    assert [p for p in processes_below if processes.start_time(p) is not None] == []
    assert service.hosts.ensure(environment()) == host_id


async def test_spools_of_unknown_hosts_are_read(service: Service) -> None:
    work = Work(service.store_dir)
    await service.host()
    pack = work.pack(add, (20, 22))
    service.run(pack)
    await service.done(pack)
    pid = service.pid()
    await service.stop(stop_hosts=False)
    os.kill(pid, signal.SIGKILL)
    for record in (service.store_dir / "hosts").glob("*.json"):
        record.unlink()
    await service.start()
    assert [f.status for f in service.listener.recovered if isinstance(f, Outcome)] == ["completed"]
    await service.stop(stop_hosts=False)
    await service.start()  # nobody has said that they are recorded: they are read again
    assert [f.status for f in service.listener.recovered if isinstance(f, Outcome)] == ["completed"]
    (recorded,), (spool,) = service.listener.recorded, (service.store_dir / "spool").iterdir()
    recorded()
    await service.listener.until(lambda: not spool.exists())
    await service.stop(stop_hosts=False)
    await service.start()
    assert service.listener.recovered == []


@pytest.mark.parametrize("spec", [LOCAL, DASK], ids=["local", "dask"])
async def test_closing_ends_everything(service: Service, tmp_path: Path, spec: ExecutorSpec) -> None:
    work, flag = Work(service.store_dir, spec), tmp_path / "flag"
    await service.host()
    pack = work.pack(wait_for, (str(flag),))
    service.run(pack)
    await service.listener.until(Path(f"{flag}.began").exists)
    everything = [service.pid(), *below(service.pid())]
    os.kill(service.pid(), signal.SIGTERM)
    await service.listener.until(lambda: service.listener.lost)
    await gone(service, everything)
    assert "exit status 0" in service.listener.lost[0][2]
    assert list((service.store_dir / "hosts").glob("*.scratch")) == []


async def test_a_killed_dask_worker_interrupts_what_it_ran(service: Service, tmp_path: Path) -> None:
    work, flag = Work(service.store_dir, DASK), tmp_path / "flag"
    await service.host()
    quick, slow = work.pack(add, (1, 2)), work.pack(wait_for, (str(flag),))
    service.run(quick, slow)
    await service.done(quick)
    await service.listener.until(Path(f"{flag}.began").exists)
    waiting = [work.pack(wait_for, (str(flag),)) for _ in range(6)]
    service.run(*waiting)
    (worker,) = [p for p in below(service.pid()) if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]
    runners = below(worker)
    os.kill(worker, signal.SIGKILL)
    outcomes = await service.done(slow)
    await gone(service, [worker, *runners])
    flag.touch()
    outcomes.update(await service.done(*waiting))
    assert outcomes[1].status == "interrupted" and outcomes[1].error is not None
    assert "its Dask worker died" in outcomes[1].error.message
    for pack in waiting:
        (node,) = {t.node for t in pack.tasks}
        assert node in service.listener.returned(pack) or outcomes[node].status in ("interrupted", "completed")
    again = work.pack(add, (3, 4))  # a new worker comes by itself
    service.run(again)
    assert work.value((await service.done(again, timeout=150.0))[again.tasks[0].node]) == 7


async def test_a_killed_scheduler_elsewhere(cluster: Cluster, service: Service, tmp_path: Path) -> None:
    work, flag = Work(service.store_dir), tmp_path / "flag"
    work.spec = ExecutorSpec("dask", {"address": cluster.start()})
    await service.host()
    slow = work.pack(wait_for, (str(flag),))
    service.run(slow)
    await service.listener.until(Path(f"{flag}.began").exists)
    await service.listener.until(lambda: service.listener.facts and _began(service))
    cluster.started[0].kill()
    outcomes = await service.done(slow, timeout=150.0)
    assert outcomes[0].status == "interrupted"
    later = work.pack(add, (1, 1))
    service.run(later)
    outcome = (await service.done(later, timeout=150.0))[1]
    assert outcome.status == "failed" and outcome.error is not None and "cannot be reached" in outcome.error.message


async def test_a_killed_worker_elsewhere(cluster: Cluster, service: Service, tmp_path: Path) -> None:
    work, flag = Work(service.store_dir), tmp_path / "flag"
    work.spec = ExecutorSpec("dask", {"address": cluster.start()})
    await service.host()
    slow = work.pack(wait_for, (str(flag),))
    service.run(slow)
    await service.listener.until(lambda: _began(service))
    cluster.worker()
    processes.kill_tree(cluster.started[1].pid)
    outcomes = await service.done(slow, timeout=150.0)
    assert outcomes[0].status == "interrupted"
    later = work.pack(add, (1, 1))
    service.run(later)
    assert work.value((await service.done(later, timeout=150.0))[1]) == 2


def marked(path: str) -> str:
    import os
    import pathlib
    import time as clock

    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")
    end = clock.monotonic() + 90.0
    while clock.monotonic() < end and not pathlib.Path(path + ".go").exists():
        clock.sleep(0.01)
    return "seen"


async def test_a_worker_elsewhere_is_not_given_what_a_dead_one_had(
    cluster: Cluster, service: Service, tmp_path: Path
) -> None:
    """The scheduler of a cluster that is not ours gives the task to the other worker at once; nothing of it runs there."""
    work, marks = Work(service.store_dir), tmp_path / "marks"
    work.spec = ExecutorSpec("dask", {"address": cluster.start()})
    cluster.worker()
    await service.host()
    pack = work.pack(marked, (str(marks),))
    service.run(pack)
    await service.listener.until(lambda: marks.exists() and marks.read_text().endswith("\n"))
    running = int(marks.read_text())
    victim = next(w.pid for w in cluster.started[1:] if running in processes.descendants(w.pid))
    processes.kill_tree(victim)
    outcomes = await service.done(pack, timeout=150.0)
    assert outcomes[0].status == "interrupted"
    Path(f"{marks}.go").touch()
    later = work.pack(add, (1, 1))  # the other worker is free, and nothing of the pack was begun in it
    service.run(later)
    assert work.value((await service.done(later, timeout=150.0))[1]) == 2
    assert marks.read_text() == f"{running}\n"


def _began(service: Service) -> bool:
    return any(type(f).__name__ == "Began" for f in service.listener.facts)


async def test_our_own_cluster_listens_on_loopback_only_and_serves_no_pages(service: Service) -> None:
    work = Work(service.store_dir, DASK)
    await service.host()
    pack = work.pack(add, (1, 2))
    service.run(pack)
    await service.done(pack)
    pids = {service.pid(), *below(service.pid())}
    listening = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.pid in pids]
    assert listening and {c.laddr.ip for c in listening} <= {"127.0.0.1", "::1"}
    for connection in listening:
        reader, writer = await asyncio.open_connection("127.0.0.1", connection.laddr.port)
        writer.write(b"GET /json/identity.json HTTP/1.0\r\n\r\n")
        try:
            answer = await asyncio.wait_for(reader.read(200), 2.0)
        except (TimeoutError, ConnectionError):
            answer = b""
        writer.close()
        assert b"200 OK" not in answer


async def test_electrons_are_told_where_dask_is(service: Service) -> None:
    def where() -> str:
        from covalent_jupyter.worker.context import get_context

        return str(get_context().dask_address)

    work = Work(service.store_dir, DASK)
    await service.host()
    pack = work.pack(where)
    service.run(pack)
    assert work.value((await service.done(pack))[0]).startswith("tls://127.0.0.1:")


def give_up_the_worker_of(pack_id: str) -> int:
    """Has the scheduler take the worker for dead that runs a pack; how many there were."""
    import os

    import distributed

    async def remove(dask_scheduler: distributed.Scheduler) -> int:
        found = [w for w in dask_scheduler.workers.values() if any(pack_id in str(task.key) for task in w.processing)]
        for worker in found:
            await dask_scheduler.remove_worker(worker.address, stimulus_id="test", close=False)
        return len(found)

    with distributed.Client(os.environ["COVALENT_DASK_ADDRESS"], set_as_default=False) as client:
        return int(client.run_on_scheduler(remove))


async def test_a_worker_that_its_scheduler_has_given_up_is_gone_before_its_electrons_run_elsewhere(
    service: Service, tmp_path: Path
) -> None:
    work, path = (
        Work(service.store_dir, ExecutorSpec("dask", {"n_workers": 2, "threads_per_worker": 1})),
        tmp_path / "m",
    )
    await service.host()
    slow = work.pack(marked, (str(path),))
    service.run(slow)
    await service.listener.until(path.exists)
    runner = psutil.Process(int(path.read_text()))
    workers = [p.pid for p in runner.parents() if p.ppid() == service.pid()]
    assert len(workers) == 1
    removing = work.pack(give_up_the_worker_of, (slow.pack_id,))
    service.run(removing)
    assert work.value((await service.done(removing))[1]) == 1
    outcomes = await service.done(slow)
    assert outcomes[0].status == "interrupted"
    assert processes.start_time(workers[0]) is None and processes.start_time(runner.pid) is None
    again = work.pack(add, (3, 4))
    service.run(again)
    assert work.value((await service.done(again))[again.tasks[0].node]) == 7


def test_a_child_is_ended_and_nobody_elses() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 100 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        processes.end_child(grandchild)
        assert processes.start_time(grandchild) is not None
        processes.end_child(child.pid)
        assert processes.start_time(child.pid) is None
        assert processes.start_time(grandchild) is None, "it was started by that child"
        processes.end_child(child.pid)  # there is none any more
    assert child.returncode == -signal.SIGKILL
