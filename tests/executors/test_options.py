"""Options of executors, those that cannot be, and what the kernel sees of them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from covalent_jupyter.errors import ConfigError
from covalent_jupyter.executors import registry
from covalent_jupyter.executors.objects import BaseExecutor, DaskExecutor, LocalExecutor
from covalent_jupyter.model import ExecutorSpec, ExecutorState
from covalent_jupyter.packages import installed_packages

from .own import Plain
from .service import Service, Work, environment


def add(a: int, b: int) -> int:
    return a + b


async def test_an_impossible_executor_is_an_error_of_its_electrons(service: Service) -> None:
    work = Work(service.store_dir)
    await service.host()
    for spec, words in (
        (ExecutorSpec("dsk"), "there is no executor 'dsk'. Did you mean 'dask'?"),
        (ExecutorSpec("local", {"colour": 1}), "no option 'colour'"),
        (ExecutorSpec("dask", {"address": "tcp://127.0.0.1:1"}), "cannot be reached"),
        (ExecutorSpec("dask", {"cluster_class": "no.Such"}), "cannot be imported"),
        (
            ExecutorSpec("dask", {"lost_after": 0}),
            "`lost_after` of the dask executor is a number of seconds of at least 1",
        ),
        (ExecutorSpec("dask", {"memory_limit": "much"}), "memory_limit of the dask executor: memory must be bytes"),
    ):
        work.spec = spec
        pack = work.pack(add, (1, 2))
        service.run(pack)
        (outcome,) = (await service.done(pack, timeout=60.0)).values()
        assert outcome.status == "failed" and outcome.error is not None and outcome.error.cause == "executor"
        assert words in outcome.error.message


@pytest.mark.parametrize("name", ["local", "dask"])
async def test_versions_that_differ_from_the_kernels_are_a_warning_of_the_electron(service: Service, name: str) -> None:
    work = Work(service.store_dir, ExecutorSpec(name))
    await service.host()
    pack = work.pack(add, (1, 2))
    pack.environment = environment(packages={**installed_packages(), "numpy": "0.9"})
    service.run(pack)
    (outcome,) = (await service.done(pack)).values()
    assert outcome.warnings == (
        f"other versions than in the kernel: numpy {installed_packages()['numpy']} (dispatched from 0.9)",
    )


async def test_memory_of_a_dask_worker_is_limited(service: Service) -> None:
    def grow(megabytes: int) -> int:
        import time

        held = bytearray(megabytes * 1_000_000)
        for at in range(0, len(held), 4096):
            held[at] = 1
        time.sleep(0.5)
        return len(held)

    work = Work(service.store_dir, ExecutorSpec("dask", {"memory_limit": "300MB", "threads_per_worker": 2}))
    await service.host()
    small, large = work.pack(grow, (50,)), work.pack(grow, (400,))
    service.run(small, large)
    outcomes = await service.done(small, large)
    assert outcomes[0].status == "completed"
    error = outcomes[1].error
    assert error is not None and error.cause == "memory" and "of the 300.0 MB that there are" in error.message
    states = [f for f in service.listener.facts if isinstance(f, ExecutorState)]
    assert states[-1].info["memory"] == 300_000_000, "admission goes by it"


async def test_folders_of_electrons(service: Service, tmp_path: Path) -> None:
    def where() -> str:
        import os

        return os.getcwd()

    work = Work(service.store_dir)
    await service.host()
    for name in ("local", "dask"):
        work.spec = ExecutorSpec(name, {"workdir": str(tmp_path / "w")})
        together = work.pack(where, (), ())
        work.spec = ExecutorSpec(name, {"workdir": str(tmp_path / "w"), "create_unique_workdir": True})
        apart = work.pack(where, (), (), budget=5.0)
        service.run(together, apart)
        outcomes = await service.done(together, apart)
        assert work.value(outcomes[together.tasks[0].node]) == str(tmp_path / "w")
        for task in apart.tasks:
            folder = work.value(outcomes[task.node])
            assert folder == os.path.join(tmp_path, "w", apart.dispatch_id, f"node_{task.node}")


def test_nothing_heavy_in_the_kernel() -> None:
    code = (
        "import sys, covalent_jupyter.executors.registry as r; r.names();"
        "print([m for m in ('dask', 'distributed', 'psutil', 'asyncio', 'duckdb') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_objects_are_data() -> None:
    spec = DaskExecutor("tcp://10.0.0.1:8786", n_workers=3).to_spec(str)
    assert spec == ExecutorSpec("dask", {"address": "tcp://10.0.0.1:8786", "n_workers": 3})
    assert LocalExecutor(workdir="/w", create_unique_workdir=True) == LocalExecutor("/w", True)
    assert DaskExecutor().to_spec(str) == ExecutorSpec("dask", {})
    assert Plain(time_limit=5).to_spec(lambda obj: "d" * 64) == ExecutorSpec("Plain", {}, "d" * 64)
    assert LocalExecutor(log_stdout="x").short_name == "local"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense", "'nonsense' is no address"),
        ("tcp://nowhere", "'tcp://nowhere' is no address"),
        ("tcp://host:0", "is no address; that of a Dask scheduler looks like tcp://host:8786"),
        ("a b:8786", "is no address"),
        ("http://127.0.0.1:8787/status", "the address of a web page"),
        (8786, "is a text such as"),
    ],
)
def test_an_address_that_no_scheduler_has_is_refused_where_it_is_written(address: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"^scheduler_address.*{words}"):
        DaskExecutor(address)
    with pytest.raises(ConfigError, match=f"^scheduler_address.*{words}"):
        DaskExecutor().scheduler_address = address


@pytest.mark.parametrize(
    "address", ["host:8786", "tls://10.0.0.1:8786", "tcp://[::1]:8786", "wss://host:8786/", "inproc://10.0.0.1/1/1", "gateway://x/y"]
)  # fmt: skip
def test_addresses_that_dask_takes_are_taken(address: str) -> None:
    assert DaskExecutor(address).scheduler_address == address


def test_options_are_attributes_as_in_covalent() -> None:
    dask = DaskExecutor("tcp://10.0.0.1:8786", workdir="/w")
    assert (dask.scheduler_address, dask.workdir, dask.n_workers) == ("tcp://10.0.0.1:8786", "/w", None)
    dask.scheduler_address, dask.workdir, dask.n_workers = None, Path("/there"), 2
    assert dask.to_spec(str) == ExecutorSpec("dask", {"workdir": "/there", "n_workers": 2})
    assert repr(dask) == "DaskExecutor(workdir='/there', n_workers=2)" and dask == pickle.loads(pickle.dumps(dask))
    with pytest.raises(AttributeError, match="LocalExecutor has no attribute 'scheduler_address'"):
        _ = LocalExecutor().scheduler_address


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="no executor 'locl'. Did you mean 'local'"):
        registry.by_name("locl")
    with pytest.raises(ConfigError, match="give an instance, LocalExecutor"):
        registry.as_executor(LocalExecutor)
    with pytest.raises(ConfigError, match="neither a short name"):
        registry.as_executor(7)
    with pytest.raises(ConfigError, match="DaskExecutor has no option 'wrokers'"):
        DaskExecutor(wrokers=3)
    with pytest.raises(ConfigError, match="time_limit of LocalExecutor is a number of seconds, not '1h'"):
        LocalExecutor(time_limit="1h")
    with pytest.raises(ConfigError, match="does not override run"):
        BaseExecutor().to_spec(str)
    assert {"dask", "local"} <= set(registry.names())


def _of_a_cell(size: int) -> type[BaseExecutor]:
    class Small(Plain):
        short_name = "of-a-cell"  # type: ignore[assignment]
        memory = size

    return Small


def test_classes_of_this_process_go_by_name_and_the_newest_wins() -> None:
    older = _of_a_cell(1)
    newer = _of_a_cell(2)
    made = registry.by_name("of-a-cell")
    assert type(made) is newer and older is not newer
    registry.check_name("of-a-cell")
    assert type(registry.by_name("Plain")) is Plain and "Plain" in registry.names()
    assert type(registry.carried({"executor": "of-a-cell"})["executor"]) is newer
    assert registry.carried({"executor": "dask"}) == {"executor": "dask"}


def test_a_class_that_needs_arguments_says_so() -> None:
    class Needing(Plain):
        def __init__(self, address: str) -> None:
            super().__init__()

    with pytest.raises(ConfigError, match=r"cannot be made without arguments .*executor=Needing\(\.\.\.\)"):
        registry.by_name("Needing")
