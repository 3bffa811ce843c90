"""Workers that cannot see the store: values inside the pack, and back inside the outcomes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from covalent_jupyter import blobs
from covalent_jupyter.executors.inline import keep_big_values, with_values
from covalent_jupyter.model import INLINE, Composite, ExecutorSpec, Lit, Outcome, Output, Part, Ref, Val
from covalent_jupyter.model.graph import CallDep, Deps, Options
from covalent_jupyter.snapshot import materialise

from .conftest import Cluster
from .service import Service, Work, environment


def double(value: bytes) -> bytes:
    return value + value


def large(size: int) -> bytes:
    return b"y" * size


def test_everything_that_is_named_goes_inside(tmp_path: Path) -> None:
    work = Work(tmp_path)
    root = tmp_path / "blobs"
    captured, _ = blobs.write_blob(root, [b"captured" * 9000])
    named, _ = blobs.write_blob(root, [b"named" * 9000])
    part, _ = blobs.write_blob(root, [b"part" * 9000])
    call, _ = blobs.write_blob(root, [b"a call that names " + captured.encode()])
    pack = work.pack(double, (0,), options=Options(deps=Deps(before=(CallDep(call),))))
    pack.tasks[0].args = [Val(named), Lit(1), Ref(7)]
    pack.outputs = {7: Composite(None, (Part(Output(part, 36_000)),))}
    inside = with_values(pack)
    assert {captured, named, part, call} <= inside.values.keys()
    assert (inside.blob_root, inside.log_root, inside.work_root) == ("", "", "")
    assert captured not in pack.values and pack.blob_root


def test_local_modules_that_lie_on_this_disk_go_inside(tmp_path: Path) -> None:
    pack = Work(tmp_path).pack(double, (0,))
    data = b"value = 1\n"
    digest = blobs.digest_of([data])
    pack.work_root = str(tmp_path / "work")
    pack.environment = msgspec.structs.replace(pack.environment, modules={"mine.py": digest})
    materialise(pack.environment.modules, {digest: data}.__getitem__, pack.work_root)
    assert with_values(pack).values[digest] == data


def test_a_missing_value_is_an_error(tmp_path: Path) -> None:
    pack = Work(tmp_path).pack(double, (0,))
    pack.tasks[0].args = [Val("a" * 64)]
    with pytest.raises(FileNotFoundError):
        with_values(pack)


def test_big_outputs_become_files(tmp_path: Path) -> None:
    data = b"z" * (INLINE + 1)
    digest = blobs.digest_of([data])
    small = Outcome("d", 0, 1, "completed", output=Output("b" * 64, 1, b"s"))
    (kept, same) = keep_big_values(
        [Outcome("d", 1, 1, "completed", output=Output(digest, len(data), data)), small], str(tmp_path)
    )
    assert isinstance(kept, Outcome) and kept.output == Output(digest, len(data))
    assert blobs.read_blob(tmp_path, digest) == data
    assert isinstance(same, Outcome) and same.output == Output("b" * 64, 1, b"s")


@pytest.mark.parametrize("size", [50_000, 5_000_000])
async def test_a_worker_elsewhere(cluster: Cluster, service: Service, size: int) -> None:
    work = Work(service.store_dir)
    work.spec = ExecutorSpec("dask", {"address": cluster.start(elsewhere=service.store_dir)})
    await service.host()
    digest = work.put(b"y" * size)
    blobs.write_blob(service.store_dir / "blobs", [work.values.pop(digest)])
    pack = work.pack(double, (0,))
    pack.tasks[0].args = [Val(digest)]
    pack.environment = environment(cwd="/")
    service.run(pack)
    outcome = (await service.done(pack))[0]
    assert outcome.output is not None, outcome.error
    assert outcome.output.data is None
    assert work.value(outcome) == b"y" * (2 * size)


@pytest.mark.parametrize(("size", "words"), [(2 << 20, "could not report"), (4 * INLINE, "without a word about it")])
async def test_a_value_from_elsewhere_that_cannot_be_kept_ends_its_pack(
    cluster: Cluster, service: Service, tmp_path: Path, size: int, words: str
) -> None:
    work = Work(service.store_dir)
    work.spec = ExecutorSpec("dask", {"address": cluster.start(elsewhere=service.store_dir)})
    await service.host()
    pack = work.pack(large, (size,))
    pack.environment = environment(cwd="/")
    (tmp_path / "file").touch()
    pack.blob_root = str(tmp_path / "file" / "blobs")  # there can be no such folder
    service.run(pack)
    outcome = (await service.done(pack))[0]
    assert outcome.status == "interrupted" and outcome.error is not None
    assert words in outcome.error.message
