"""A runner looks like the kernel, but for what belongs to the batch job or machine that it runs in."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from covalent_jupyter.worker.pool import RunnerPool

from .packs import ENVIRONMENT, PackMaker, run

KERNEL = {
    "PATH": os.environ["PATH"], "MINE": "yes", "CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "9",
    "TMPDIR": "/of/the/kernel",
}  # fmt: skip


def look(*names: str) -> dict[str, Any]:
    import os

    return {name: os.environ.get(name) for name in names}


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[RunnerPool]:
    """In a process with these variables."""
    for name in KERNEL.keys() - {"PATH"}:
        monkeypatch.delenv(name, raising=False)
    for name, value in request.param.items():
        monkeypatch.setenv(name, value)
    made = RunnerPool(slots=1, spool_dir=str(tmp_path / "spool"), scratch=str(tmp_path / "scratch"))
    yield made
    made.close()


def seen(pool: RunnerPool, host: str) -> dict[str, Any]:
    maker = PackMaker(variables=KERNEL, environment=msgspec.structs.replace(ENVIRONMENT, host=host))
    maker.add(look, "MINE", "CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "SLURM_CPUS_PER_TASK", "TMPDIR", "SECRET")
    return dict(run(pool, maker).value(0))


@pytest.mark.parametrize(
    "pool", [{"SLURM_JOB_ID": "77", "CUDA_VISIBLE_DEVICES": "3", "SECRET": "of the worker"}], indirect=True
)
def test_a_batch_job_s_own_variables_stay(pool: RunnerPool) -> None:
    assert seen(pool, socket.gethostname()) == {
        "MINE": "yes", "CUDA_VISIBLE_DEVICES": "3", "SLURM_JOB_ID": "77", "SLURM_CPUS_PER_TASK": None, "TMPDIR": None, "SECRET": None,
    }  # fmt: skip


@pytest.mark.parametrize("pool", [{"CUDA_VISIBLE_DEVICES": "5", "TMPDIR": "/tmp"}], indirect=True)
def test_another_machine_has_its_own_devices(pool: RunnerPool) -> None:
    found = seen(pool, "another")
    assert (found["MINE"], found["CUDA_VISIBLE_DEVICES"], found["SLURM_JOB_ID"], found["TMPDIR"]) == (
        "yes",
        "5",
        None,
        "/tmp",
    )


@pytest.mark.parametrize("pool", [{"CUDA_VISIBLE_DEVICES": "5"}], indirect=True)
def test_on_the_kernel_s_machine_the_kernel_s_count(pool: RunnerPool) -> None:
    found = seen(pool, socket.gethostname())
    assert (found["CUDA_VISIBLE_DEVICES"], found["SLURM_JOB_ID"], found["TMPDIR"]) == ("0", "1", "/of/the/kernel")
