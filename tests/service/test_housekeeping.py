"""Values that nothing refers to go, on a schedule; so do the events of what ended long ago."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from covalent_jupyter import blobs
from covalent_jupyter.model import Environment, FunctionDef, Manifest, Outcome, Output, Ref, Status
from covalent_jupyter.model.wire import encode, encode_manifest
from covalent_jupyter.place import surroundings
from covalent_jupyter.service.disk import budget_warning
from covalent_jupyter.service.housekeeping import Housekeeping, Swept
from covalent_jupyter.snapshot import folder_of
from covalent_jupyter.spool import SpoolWriter
from covalent_jupyter.store import Batch, Store
from covalent_jupyter.store.rows import SEARCHED
from tests.store.records import dispatch

from .conftest import Client


def old_blob(store: Store, data: bytes) -> str:
    digest, _ = blobs.write_blob(store.blob_root, [data])
    os.utime(blobs.blob_path(store.blob_root, digest), (1, 1))
    return digest


def there(store: Store, *digests: str) -> list[bool]:
    return [blobs.has_blob(store.blob_root, digest) for digest in digests]


def test_what_nothing_refers_to_goes_and_what_a_spool_names_stays(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        referred, spooled, free = old_blob(store, b"referred"), old_blob(store, b"spooled"), old_blob(store, b"free")
        young, _ = blobs.write_blob(store.blob_root, [b"young"])
        store.append(Batch(references=[("a", referred)])).result(20)
        (tmp_path / "spool" / "host.1").mkdir(parents=True)
        spool = SpoolWriter(tmp_path / "spool" / "host.1" / "r.spool")
        spool.append(encode(Outcome("d", 0, 1, "completed", output=Output(spooled, 7))))
        spool.close()
        swept = Housekeeping(store, lambda: 0.0).sweep()
        assert swept == Swept(1, len(b"free"), 0)
        assert there(store, referred, spooled, free, young) == [True, True, False, True]


def test_sources_that_no_unfinished_dispatch_needs_go(tmp_path: Path) -> None:
    def environment(name: str) -> Environment:
        return Environment("python", "/", "3", "3", modules={f"{name}.py": "0" * 64})

    with Store.open(tmp_path) as store:
        for name, ended in (("running", None), ("ended", 2.0)):
            manifest = Manifest(name, name, [], Ref(0), FunctionDef("", "", name), environment(name))
            row = dispatch(name, status=Status.COMPLETED if ended else Status.RUNNING, ended=ended)
            store.append(Batch(manifests=[(name, encode_manifest(manifest))], dispatches=[row])).result(20)
        folders = [folder_of(environment(name).modules, str(tmp_path / "work")) for name in ("running", "ended")]
        for folder in folders:
            folder.mkdir(parents=True)
            os.utime(folder, (1, 1))
        Housekeeping(store, lambda: 0.0).sweep()
        assert [folder.is_dir() for folder in folders] == [True, False]


def test_events_go_a_week_after_the_root_has_ended(tmp_path: Path) -> None:
    now = time.time()
    old: dict[str, Any] = {"status": Status.COMPLETED, "created": now - 9e5, "ended": now - 8e5}
    with Store.open(tmp_path) as store:
        rows = [
            dispatch("old", **old),
            dispatch("child", root_id="old", parent_id="old", **old),
            dispatch("recent", status=Status.COMPLETED, created=now - 9e5, ended=now - 60),
            dispatch("running", status=Status.RUNNING, created=now - 9e5, ended=None),
            dispatch("part", root_id="running", parent_id="running", **old),
        ]
        names = [row.dispatch_id for row in rows]
        store.append(Batch(events=[(n, "kind", b"{}") for n in names * 3], dispatches=rows)).result(20)
        before, last = store.changes(0), store.last_seq
        assert Housekeeping(store, lambda: 0.0).sweep() == Swept(0, 0, 6)
        assert [len(store.events(n)) for n in names] == [0, 0, 3, 3, 3]
        assert store.changes(0) == before and store.last_seq == last, "rows and their numbers stay"
    with Store.open(tmp_path) as again:
        assert again.last_seq == last, "no number is given twice"


def test_many_events_go_in_portions(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        rows = [dispatch(f"d{n}", status=Status.FAILED, created=1.0, ended=2.0) for n in range(9)]
        store.append(
            Batch(events=[(r.dispatch_id, "kind", b"{}") for r in rows for _ in range(10)], dispatches=rows)
        ).result(20)
        assert store.compact_ended(3.0, most=25) == 90
        assert store.compact_ended(3.0) == 0


async def test_it_happens_by_itself_and_can_be_switched_off(tmp_path: Path) -> None:
    every = 0.0
    with Store.open(tmp_path) as store:
        free = old_blob(store, b"free")
        keeper = Housekeeping(store, lambda: every)
        task = asyncio.create_task(keeper.keep())
        await asyncio.sleep(0)
        keeper.settings_changed()
        await asyncio.to_thread(store.check)
        assert there(store, free) == [True]
        every = 0.01
        keeper.settings_changed()
        async with asyncio.timeout(120):  # three commits: each waits for whatever else the disk has to write
            while blobs.has_blob(store.blob_root, free):
                assert not task.done(), task.exception()
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_a_store_near_its_budget_is_told_of(tmp_path: Path) -> None:
    assert budget_warning(800, 1000) == "" == budget_warning(0, 0)
    assert "takes 0.9 GB, 90% of its budget" in budget_warning(900_000_000, 1_000_000_000)
    with Store.open(tmp_path) as store:
        keeper = Housekeeping(store, lambda: 0.0)
        keeper.look_at_disk()
        assert keeper.disk_warning == "", "a new store on a disk with room"


def test_health_says_what_the_service_lives_in(ask: Client) -> None:
    health = ask("GET", "health").json()
    assert health["place"] == surroundings().kind and health["place_text"] == surroundings().text
    assert health["warnings"] == []


async def test_a_service_that_starts_renews_what_is_searched(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.append(Batch(dispatches=[dispatch("a")], settings={"search": None})).result(
            20
        )  # as an earlier version left it
        keeping = asyncio.create_task(Housekeeping(store, lambda: 0.0).keep())
        try:
            async with asyncio.timeout(20):
                while store.setting("search") != str(SEARCHED):
                    await asyncio.sleep(0.01)
        finally:
            keeping.cancel()
