"""Dask workers of somebody else: what they lack is said before anything is sent to them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from covalent_jupyter.executors.dask_fit import misfit
from covalent_jupyter.model import PROTOCOL, ExecutorSpec, ExecutorState, Outcome

from .conftest import Cluster
from .service import Service, Work
from .test_contract import add, big, wait_for


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of this minor with Dask, and without this package."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    python = folder / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (Path(site) / "shared.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return python


def bare_worker(cluster: Cluster, python: Path, *before: str) -> None:
    """A worker of that interpreter; ``before`` is run in it first."""
    code = "; ".join([*before, "import sys; from distributed.cli.dask_worker import main; sys.exit(main())"])
    cluster.started.append(
        subprocess.Popen(
            [python, "-c", code, cluster.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"],
            cwd=cluster.folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        )
    )  # fmt: skip


def last_state(service: Service) -> ExecutorState:
    return [f for f in service.listener.facts if isinstance(f, ExecutorState)][-1]


async def refused(service: Service, cluster: Cluster) -> str:
    """The error of an electron that is sent to the cluster."""
    work = Work(service.store_dir, ExecutorSpec("dask", {"address": cluster.address}))
    await service.host()
    pack = work.pack(add, (1, 2))
    service.run(pack)
    outcome = (await service.done(pack, timeout=150.0))[0]
    assert outcome.status == "failed" and outcome.error is not None and outcome.error.cause == "executor"
    assert last_state(service).state == "failed"
    return outcome.error.message


async def test_the_missing_package_is_named(service: Service, cluster: Cluster, bare_python: Path) -> None:
    cluster.scheduler()
    bare_worker(cluster, bare_python)
    text = await refused(service, cluster)
    assert "does not have the package covalent_jupyter" in text and "pip install covalent-jupyter" in text


async def test_another_cloudpickle_is_named(service: Service, cluster: Cluster) -> None:
    cluster.scheduler()
    bare_worker(cluster, Path(sys.executable), "import cloudpickle", "cloudpickle.__version__ = '1.6.0'")
    text = await refused(service, cluster)
    assert "has cloudpickle 1.6.0, this environment" in text and "same version on both sides" in text


async def test_workers_that_fit_are_used_and_the_others_are_named(
    service: Service, cluster: Cluster, bare_python: Path, tmp_path: Path
) -> None:
    cluster.start()
    work = Work(service.store_dir, ExecutorSpec("dask", {"address": cluster.address}))
    await service.host()
    first = work.pack(add, (1, 2))
    service.run(first)
    await service.done(first)
    bare_worker(cluster, bare_python)
    state = await service.listener.until(lambda: "not used" in last_state(service).message and last_state(service))
    assert (state.state, state.slots, state.workers) == ("ready", 2, 1)
    assert "1 of its workers are not used: the Dask worker tcp://" in state.message
    packs = [work.pack(add, (n, 1)) for n in range(12)]
    held = work.pack(wait_for, (str(tmp_path / "go"),))
    service.run(held, *packs)
    (tmp_path / "go").touch()
    outcomes = await service.done(held, *packs)
    assert {o.status for o in outcomes.values()} == {"completed"}


async def test_workers_that_do_not_see_the_store_are_told_of(service: Service, cluster: Cluster) -> None:
    work = Work(service.store_dir, ExecutorSpec("dask", {"address": cluster.start(elsewhere=service.store_dir)}))
    await service.host()
    pack = work.pack(big, (3_000_000,))
    service.run(pack)
    assert len(work.value((await service.done(pack))[0])) == 3_000_000
    state = last_state(service)
    assert state.state == "ready" and "its workers do not see" in state.message
    assert "values travel with the electrons" in state.message


async def test_values_go_to_a_blob_root_of_its_own(service: Service, cluster: Cluster, tmp_path: Path) -> None:
    work = Work(service.store_dir, ExecutorSpec("dask", {"address": cluster.start(elsewhere=service.store_dir)}))
    await service.host()
    root = tmp_path / "elsewhere" / "blobs"
    root.mkdir(parents=True)  # as the service does
    pack = work.pack(big, (3_000_000,), blob_root=str(root))
    service.run(pack)
    outcome: Outcome = (await service.done(pack))[0]
    assert outcome.output is not None
    assert (root / outcome.output.digest[:2] / outcome.output.digest).stat().st_size > 3_000_000


def test_what_a_worker_lacks() -> None:
    import platform

    import cloudpickle

    fine: dict[str, Any] = {
        "python": platform.python_version(), "cloudpickle": cloudpickle.__version__, "covalent": "0.1", "protocol": PROTOCOL,
    }  # fmt: skip
    assert misfit("w", fine) == ""
    assert "runs Python 3.8.1, this environment Python" in misfit("w", {**fine, "python": "3.8.1"})
    assert "speaks protocol 99" in misfit("w", {**fine, "protocol": 99})
