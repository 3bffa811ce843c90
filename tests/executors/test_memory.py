"""An executor host keeps nothing of packs that have ended."""

from __future__ import annotations

from pathlib import Path

from covalent_jupyter.executors.dask_cluster import open_dask


async def test_connections_keep_no_packs(tmp_path: Path) -> None:
    """For those who debug Dask each end keeps its last messages. A thousand packs of up to a megabyte would fill the host."""
    made = await open_dask({"n_workers": 1}, tmp_path, [])
    try:
        for number in range(30):
            assert await made.client.submit(len, bytes(50_000 + number), pure=False) == 50_000 + number
        stream = made.client.scheduler_comm
        assert 0 < len(stream.recent_message_log) <= 10
    finally:
        await made.close()
