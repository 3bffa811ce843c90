"""The Dask cluster that the executor starts itself."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import dask
import pytest
from dask.utils import parse_timedelta
from distributed import Status

from covalent_jupyter.executors import dask_cluster
from covalent_jupyter.executors.dask_cluster import open_dask


async def until_workers(made: dask_cluster.Dask, n: int) -> list[str]:
    async with asyncio.timeout(60):
        while len(found := list(await made.workers())) != n:
            await asyncio.sleep(0.02)
    return found


def test_what_it_is_configured_with_is_what_dask_knows() -> None:
    unset = object()
    for key in [*dask_cluster._CONFIG, *dask_cluster._LOGS]:
        section = key.rpartition(".")[0] if key.startswith("distributed.nanny.pre-spawn-environ.") else key
        assert dask.config.get(section, unset) is not unset, key


async def test_a_nanny_whose_worker_comes_back_is_never_closed(tmp_path: Path) -> None:
    """Dask closes it where no worker of its name is there some time after one died: a second one may have died just then."""
    made = await open_dask({"n_workers": 1}, tmp_path, [])
    try:
        assert parse_timedelta(dask.config.get("distributed.deploy.lost-worker-timeout")) > 10 * 365 * 86400
        (nanny,) = made.cluster.workers.values()
        for _ in range(2):
            (before,) = await until_workers(made, 1)
            os.kill(nanny.pid, signal.SIGKILL)
            while before in await made.workers():
                await asyncio.sleep(0.01)
        await until_workers(made, 1)
        assert list(made.cluster.workers.values()) == [nanny] and nanny.is_alive()
        assert made.drop_failed() == []
        assert list(made.cluster.workers.values()) == [nanny]
    finally:
        await made.close()


async def test_a_nanny_that_has_given_up_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = await open_dask({"n_workers": 1}, tmp_path, [])
    try:
        (nanny,) = made.cluster.workers.values()
        (before,) = await until_workers(made, 1)
        nanny.status = Status.failed  # as when a worker could not be started
        os.kill(nanny.pid, signal.SIGKILL)
        await until_workers(made, 0)
        assert made.drop_failed() == [nanny]
        made.cluster.scale(made.n_workers)
        (after,) = await until_workers(made, 1)
        assert after != before and nanny not in made.cluster.workers.values()
        assert "has no process" in caplog.text
    finally:
        await nanny.close()
        await made.close()
