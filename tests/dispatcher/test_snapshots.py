"""Local modules are laid out once by the service; packs bring them only where that cannot be done."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from covalent_jupyter.dispatcher import Dispatcher
from covalent_jupyter.model import Pack, Status
from covalent_jupyter.snapshot import folder_of, is_whole
from covalent_jupyter.store import Store

from .hosts import Hosts
from .test_dispatcher import ENVIRONMENT, FUNCTION, head, play, settle

SOURCES = {"pkg/__init__.py": b"", "pkg/part.py": b"value = 1\n", "alone.py": b"import pkg\n"}
MODULES = {path: hashlib.sha256(data).hexdigest() for path, data in SOURCES.items()}
BLOBS = {digest: SOURCES[path] for path, digest in MODULES.items()}


def begin(store: Store) -> tuple[Dispatcher, Hosts]:
    dispatcher, hosts = Dispatcher(store), Hosts()
    dispatcher.attach(hosts)
    return dispatcher, hosts


async def submit(service: tuple[Dispatcher, Hosts]) -> tuple[str, Pack]:
    """A dispatch of two electrons that need the modules; its id and its first pack."""
    environment = msgspec.structs.replace(ENVIRONMENT, modules=MODULES)
    submitted, small = head([[], [0]], environment=environment)
    submitted.manifest.blobs.update({d: len(data) for d, data in BLOBS.items()})
    await service[0].submit(submitted, {**small, **BLOBS})
    await settle(service[0])
    (pack,) = service[1].packs.values()
    return submitted.manifest.dispatch_id, pack


async def end(service: tuple[Dispatcher, Hosts], store: Store, dispatch_id: str) -> None:
    await play(service)
    row = store.dispatch(dispatch_id)
    assert row is not None and row.status is Status.COMPLETED
    await service[0].close()


async def test_packs_do_not_bring_what_lies_on_the_disk(store: Store) -> None:
    service = begin(store)
    dispatch_id, pack = await submit(service)
    folder = folder_of(MODULES, pack.work_root)
    assert {path: (folder / path).read_bytes() for path in SOURCES} == SOURCES
    assert set(pack.values) == {FUNCTION}
    await end(service, store, dispatch_id)


async def test_what_a_power_cut_left_is_laid_out_anew(store: Store) -> None:
    service = begin(store)
    dispatch_id, pack = await submit(service)
    await end(service, store, dispatch_id)
    folder = folder_of(MODULES, pack.work_root)
    (folder / "pkg/part.py").write_bytes(b"")
    assert not is_whole(folder, MODULES)
    dispatch_id, pack = await submit(service)
    assert is_whole(folder, MODULES) and not set(pack.values) & set(BLOBS)
    await end(service, store, dispatch_id)


async def test_files_are_read_once_and_again_when_they_were_written_to(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counting(folder: Path, modules: Mapping[str, str]) -> bool:
        read.append(folder)
        return is_whole(folder, modules)

    monkeypatch.setattr("covalent_jupyter.dispatcher.snapshots.is_whole", counting)
    service = begin(store)
    for _ in range(3):
        dispatch_id, pack = await submit(service)
        await end(service, store, dispatch_id)
    folder = folder_of(MODULES, pack.work_root)
    assert read == [folder]
    file = folder / "pkg/part.py"
    file.write_bytes(b"#" * file.stat().st_size)
    dispatch_id, pack = await submit(service)
    assert read == [folder, folder] and is_whole(folder, MODULES)
    await end(service, store, dispatch_id)


async def test_where_they_cannot_be_laid_out_packs_bring_them(store: Store) -> None:
    (Path(store.folder) / "work").write_text("a file where a folder should be")
    service = begin(store)
    dispatch_id, pack = await submit(service)
    assert {d: pack.values[d] for d in BLOBS} == BLOBS
    await end(service, store, dispatch_id)


async def test_a_service_that_starts_again_lays_them_out_from_the_store(store: Store) -> None:
    (Path(store.folder) / "work").write_text("a file where a folder should be")
    service = begin(store)
    dispatch_id, pack = await submit(service)
    (Path(store.folder) / "work").unlink()
    dispatcher, hosts = begin(store)
    await dispatcher.recover()
    hosts.hello(dispatcher)  # it never had the pack
    await settle(dispatcher)
    (again,) = hosts.packs.values()
    assert again.pack_id != pack.pack_id and set(again.values) == {FUNCTION}
    assert is_whole(folder_of(MODULES, pack.work_root), MODULES)
    await end((dispatcher, hosts), store, dispatch_id)
