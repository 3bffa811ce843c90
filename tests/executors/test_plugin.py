"""Executors of users' own in their plug-in host: what they are given, and that a bad one harms only itself."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from covalent_jupyter.executors.objects import BaseExecutor
from covalent_jupyter.model import Began, CancelAttempts, ExecutorSpec, Fact, Options, Outcome

from .own import Patient, Plain, Remote, Stubborn, Waiting
from .service import Service, Work, environment
from .test_contract import add, vanish, wait_for


async def begin(service: Service, instance: Any, **changes: Any) -> Work:
    work = Work(service.store_dir)
    work.spec = instance.to_spec(work.put)
    await service.host(plugin=work.spec, **changes)
    return work


def defined_in_a_cell() -> type[BaseExecutor]:
    """A class that no module has, as one from a notebook."""

    class Doubling(BaseExecutor):
        def run(self, function: Any, args: list[Any], kwargs: dict[str, Any], task_metadata: dict[str, Any]) -> Any:
            print("node", task_metadata["node_id"])
            return 2 * function(*args, **kwargs)

    return Doubling


async def test_a_class_from_a_notebook(service: Service) -> None:
    work = await begin(service, defined_in_a_cell()())
    pack = work.pack(add, (1, 2))
    service.run(pack)
    outcome = (await service.done(pack))[0]
    assert work.value(outcome) == 6
    assert outcome.stdout.text == "node 0\nadding 1 2\n"


async def test_the_dispatch_brings_its_world(service: Service, tmp_path: Path) -> None:
    def look() -> tuple[str, str, bool]:
        import os
        import sys

        return os.getcwd(), os.environ["MINE"], "/my/path" in sys.path

    work = await begin(service, Plain())
    pack = work.pack(look)
    pack.environment = environment(cwd=str(tmp_path), sys_path=("/my/path",))
    pack.variables = {"MINE": "yes", "PATH": os.environ["PATH"]}
    service.run(pack)
    assert tuple(work.value((await service.done(pack))[0])) == (str(tmp_path), "yes", True)


async def test_an_executor_that_gives_way_has_cancelled_whatever_it_returns(service: Service, tmp_path: Path) -> None:
    class Polite(BaseExecutor):
        def run(self, function: Any, args: list[Any], kwargs: dict[str, Any], task_metadata: dict[str, Any]) -> Any:
            (tmp_path / "running").touch()
            while not self.get_cancel_requested():
                time.sleep(0.01)

    work = await begin(service, Polite())
    pack = work.pack(add, (1, 2))
    service.run(pack)
    await service.listener.until(lambda: (tmp_path / "running").exists())
    service.hosts.send(service.host_id, CancelAttempts([(pack.dispatch_id, 0, 1)], 20.0))
    outcome = (await service.done(pack))[0]
    assert (outcome.status, outcome.output) == ("cancelled", None)


async def test_a_job_elsewhere_is_cancelled_by_its_handle(service: Service, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    work = await begin(service, Remote(str(notes)))
    pack = work.pack(add, (1, 2))
    service.run(pack)
    await service.listener.until(lambda: notes.exists() and "run" in notes.read_text())
    service.hosts.send(service.host_id, CancelAttempts([(pack.dispatch_id, 0, 1)], 5.0))
    assert (await service.done(pack))[0].status == "cancelled"
    await service.listener.until(lambda: "cancel" in notes.read_text())  # beside the end of run
    assert sorted(notes.read_text().split("\n")) == sorted(["setup", "run", "cancel job 7", "teardown", ""])


async def test_one_that_does_not_give_way_is_left_alone(service: Service) -> None:
    work = await begin(service, Stubborn())
    pack = work.pack(add, (1, 2))
    service.run(pack)
    await service.listener.until(lambda: any(type(f).__name__ == "Began" for f in service.listener.facts))
    pid = service.pid()
    service.hosts.send(service.host_id, CancelAttempts([(pack.dispatch_id, 0, 1)], 0.2))
    assert (await service.done(pack, timeout=50.0))[0].status == "cancelled"  # it waits for 60 s
    assert service.pid() == pid


async def test_code_that_runs_in_the_host_is_stopped_with_it(service: Service, tmp_path: Path) -> None:
    for instance in (Plain(), Waiting()):
        flag = tmp_path / type(instance).__name__
        work = await begin(service, instance)
        pack = work.pack(wait_for, (str(flag),))
        service.run(pack)
        await service.listener.until(Path(f"{flag}.began").exists)
        service.listener.lost.clear()
        service.hosts.send(service.host_id, CancelAttempts([(pack.dispatch_id, 0, 1)], 0.2))
        await service.listener.until(lambda: service.listener.lost, 60.0)
        assert not service.listener.ended(pack)  # the service says what became of it


async def test_a_timeout_of_a_job_elsewhere(service: Service) -> None:
    work = await begin(service, Stubborn())
    pack = work.pack(add, (1, 2), options=Options(timeout=0.2))
    service.run(pack)
    outcome = (await service.done(pack, timeout=50.0))[0]
    assert outcome.error is not None and outcome.error.cause == "timeout" and "0.2 s" in outcome.error.message


async def test_a_timeout_of_code_that_runs_in_the_host(service: Service, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    work = await begin(service, Plain())
    late = work.pack(wait_for, (str(flag),), options=Options(timeout=0.3))
    service.run(late)
    await service.listener.until(lambda: service.listener.lost, 60.0)
    (outcome,) = [f for f in service.listener.recovered if isinstance(f, Outcome)]
    assert (outcome.node, outcome.status) == (0, "failed") and outcome.error is not None
    assert outcome.error.cause == "timeout" and "longer than its timeout of 0.3 s" in outcome.error.message
    assert outcome.finished > outcome.started > 0


async def test_what_runs_in_the_host_is_written_down_before_it_runs(service: Service) -> None:
    def look(folder: str) -> list[bytes]:
        from pathlib import Path

        from covalent_jupyter.spool import read_spool

        (spool,) = Path(folder).rglob("plugin-*.spool")
        return read_spool(spool)

    work = await begin(service, Plain())
    for node in (0, 1):
        pack = work.pack(look, (str(service.store_dir),))
        service.run(pack)
        (record,) = work.value((await service.done(pack))[node])  # the one before is cleared away
        began = msgspec.msgpack.decode(record, type=Fact)
        assert isinstance(began, Began) and (began.dispatch_id, began.node) == (pack.dispatch_id, node)


async def test_a_crash_is_the_loss_of_this_host_alone(service: Service) -> None:
    other = Work(service.store_dir)
    other_host = await service.host()
    work = await begin(service, Plain())
    pack = work.pack(vanish)
    service.run(pack)
    await service.listener.until(lambda: service.listener.lost)
    assert service.listener.lost[0][0] == service.host_id and "SIGKILL" in service.listener.lost[0][2]
    service.host_id = other_host
    again = other.pack(add, (1, 2))
    service.run(again)
    assert other.value((await service.done(again))[0]) == 3


async def test_an_instance_that_cannot_be_loaded(service: Service) -> None:
    work = await begin(service, Plain())
    work.values[str(work.spec.instance)] = b"nothing that can be loaded"
    pack = work.pack(add, (1, 2))
    service.run(pack)
    outcome = (await service.done(pack))[0]
    assert outcome.status == "failed" and outcome.error is not None
    assert outcome.error.cause == "executor" and "could not be used" in outcome.error.message


async def test_the_user_s_errors_are_shown(service: Service) -> None:
    class Broken(BaseExecutor):
        def setup(self, task_metadata: dict[str, Any]) -> None:
            sys.exit("no licence")

        def run(self, function: Any, args: list[Any], kwargs: dict[str, Any], task_metadata: dict[str, Any]) -> Any:
            return None

    work = await begin(service, Broken())
    pack = work.pack(add, (1, 2))
    service.run(pack)
    outcome = (await service.done(pack))[0]
    assert outcome.status == "failed" and outcome.error is not None and "no licence" in outcome.error.message


async def test_an_executor_that_goes_elsewhere_gets_a_portable_function(service: Service) -> None:
    work = await begin(service, Patient())
    packs = [work.pack(add, (n, 1)) for n in range(8)]
    service.run(*packs)
    outcomes = await service.done(*packs)
    assert sorted(work.value(o) for o in outcomes.values()) == list(range(1, 9))


async def test_one_host_per_root_and_its_files_go_with_it(service: Service) -> None:
    work = await begin(service, Plain())
    first = service.host_id
    assert service.hosts.ensure(environment(), plugin=work.spec, root_id="another") != first
    assert service.hosts.ensure(environment()) != first
    service.hosts.drop(first)
    await service.listener.until(lambda: service.listener.lost)
    assert first not in {s["host"] for s in service.hosts.states()}
    assert not (service.store_dir / "hosts" / f"{first}.json").exists()


def test_specs_of_instances_are_bytes() -> None:
    spec = Plain().to_spec(lambda obj: "d" * 64)
    assert msgspec.json.decode(msgspec.json.encode(spec), type=ExecutorSpec) == spec
