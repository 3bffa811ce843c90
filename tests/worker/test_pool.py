"""Runners and roots: who serves whom, how many live, what stays on disk."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from covalent_jupyter.errors import ExecutorError
from covalent_jupyter.model import Lit, Outcome
from covalent_jupyter.processes import children, start_time
from covalent_jupyter.spool import read_spool
from covalent_jupyter.worker.feeder import _decoder
from covalent_jupyter.worker.nursery import child_environment
from covalent_jupyter.worker.pool import RunnerPool

from .packs import Heard, PackMaker, fine, run


@pytest.fixture
def others() -> set[int]:
    """Children that this process has from elsewhere: a browser's driver, multiprocessing's resource tracker."""
    return set(children(os.getpid()))


@pytest.fixture
def own_pool(tmp_path: Path) -> Iterator[RunnerPool]:
    pool = RunnerPool(slots=2, spool_dir=str(tmp_path / "spool"), scratch=str(tmp_path / "scratch"))
    yield pool
    pool.close()


def who() -> Any:
    def pid() -> int:
        import os

        return os.getpid()

    return pid


def pid_of(pool: RunnerPool, root: str) -> int:
    maker = PackMaker(root)
    maker.add(who())
    pid: int = run(pool, maker).value(0)
    return pid


def test_a_runner_serves_one_root(own_pool: RunnerPool) -> None:
    pids = {root: {pid_of(own_pool, root) for _ in range(3)} for root in ("a", "b")}
    assert [len(found) for found in pids.values()] == [1, 1]
    assert pids["a"] != pids["b"]
    own_pool.release("a")
    end = time.monotonic() + 60
    while start_time(min(pids["a"])) is not None:
        assert time.monotonic() < end
    assert start_time(min(pids["b"])) is not None
    assert pid_of(own_pool, "a") not in pids["a"]


def test_at_most_twice_the_slots_live(own_pool: RunnerPool) -> None:
    for number in range(6):
        pid_of(own_pool, f"root {number}")
        stats = own_pool.stats()
        assert stats.busy + stats.idle + stats.spare <= 4
    assert pid_of(own_pool, "root 5") == pid_of(own_pool, "root 5")


def test_more_threads_than_slots_wait(own_pool: RunnerPool) -> None:
    running = [0]
    most = [0]

    def emit(facts: list[Any]) -> None:
        most[0] = max(most[0], own_pool.stats().busy)

    def one(root: str) -> None:
        maker = PackMaker(root)
        maker.add(fine, Lit(1))
        own_pool.run_pack(maker.pack(), emit)
        running[0] += 1

    threads = [threading.Thread(target=one, args=(f"root {number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert running[0] == 8 and 1 <= most[0] <= 2


def test_spools_stay_until_the_root_is_released(own_pool: RunnerPool, tmp_path: Path) -> None:
    maker = PackMaker("root")
    for number in range(3):
        maker.add(fine, Lit(number))
    heard = run(own_pool, maker)

    def recorded() -> list[Outcome]:
        facts = [_decoder.decode(item) for path in tmp_path.glob("spool/*.spool") for item in read_spool(path)]
        return [fact for fact in facts if isinstance(fact, Outcome)]

    assert [outcome.node for outcome in recorded()] == [0, 1, 2]
    assert recorded() == list(heard.outcomes.values())
    own_pool.release("root")
    end = time.monotonic() + 60
    while recorded():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_scratch_and_records_go(tmp_path: Path) -> None:
    pool = RunnerPool(slots=2, spool_dir=str(tmp_path / "spool"), scratch=str(tmp_path / "scratch"))
    pid_of(pool, "a")
    pool.close()
    assert list((tmp_path / "scratch").iterdir()) == []
    assert [path.suffix for path in (tmp_path / "spool").iterdir()] == [".spool"]


def test_harmless_preloads(tmp_path: Path) -> None:
    """What cannot be imported is left out; what leaves threads running is not used again."""
    (tmp_path / "threaded_module.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()"
    )
    (tmp_path / "broken_module.py").write_text("raise SystemExit(1)")

    def loaded() -> list[str]:
        import sys

        return [name for name in ("colorsys", "threaded_module", "broken_module", "torch") if name in sys.modules]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        pool = RunnerPool(
            slots=1,
            spool_dir=str(tmp_path / "spool"),
            scratch=str(tmp_path / "scratch"),
            preload=("colorsys", "no_such_module", "broken_module", "threaded_module", "torch"),
        )
        try:
            deadline = time.monotonic() + 60
            while "threaded_module" not in pool._nursery._denied:  # type: ignore[attr-defined]
                assert time.monotonic() < deadline
                time.sleep(0.01)
            maker = PackMaker()
            maker.add(loaded)
            heard = Heard()
            while 0 not in heard.outcomes:  # a spare runner that was asked for too soon gives it back
                heard = run(pool, maker)
            assert heard.value(0) == ["colorsys"]
        finally:
            pool.close()


def test_a_forkserver_with_threads_forks_nothing(tmp_path: Path) -> None:
    """Not even what it was asked for before it was known: an electron that began there would be cut off."""
    (tmp_path / "threaded_module.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()"
    )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(60)
    lifeline, hold = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "covalent_jupyter.worker.forkserver", str(theirs.fileno()), str(lifeline),
         str(tmp_path / "record"), "threaded_module"],
        pass_fds=(theirs.fileno(), lifeline), env={**(env := child_environment()), "PYTHONPATH": f"{tmp_path}{os.pathsep}{env['PYTHONPATH']}"},
    )  # fmt: skip
    theirs.close()
    os.close(lifeline)
    try:
        assert json.loads(ours.recv(65_536))["threaded"] == ["threaded_module"]
        assert ours.recv(65_536) == b"" and process.wait(60) == 0
    finally:
        os.close(hold)
        ours.close()
        process.kill()
        process.wait()


def test_pyarrow_and_what_imports_it_are_preloaded(tmp_path: Path) -> None:
    """Its allocator has a thread, without which it does in a forked child."""

    def summed() -> Any:
        import sys

        there = {name for name in ("pandas", "pyarrow") if name in sys.modules}
        import pandas as pd

        table = pd.DataFrame({"name": ["a", "b"] * 200_000, "value": 1.0})
        return there, table.groupby("name").value.sum().to_dict(), len(pd.concat([table] * 5).name.str.upper().unique())

    pool = RunnerPool(
        slots=1, spool_dir=str(tmp_path / "spool"), scratch=str(tmp_path / "scratch"), preload=("pyarrow", "pandas")
    )
    try:
        assert pool._nursery.wait_ready()
        maker = PackMaker()
        maker.add(summed)
        assert run(pool, maker).value(0) == ({"pandas", "pyarrow"}, {"a": 200_000.0, "b": 200_000.0}, 2)
        assert not pool._nursery._denied  # type: ignore[attr-defined]
    finally:
        pool.close()


def test_ten_thousand_trivial_tasks(own_pool: RunnerPool) -> None:
    packs = []
    for _ in range(20):
        maker = PackMaker("root")
        for number in range(500):
            maker.add(fine, Lit(number))
        packs.append(maker.pack())
    heard = [Heard() for _ in packs]
    begun = time.monotonic()
    for pack, hears in zip(packs, heard, strict=True):
        own_pool.run_pack(pack, hears)
    seconds = time.monotonic() - begun
    assert sum(len(hears.outcomes) for hears in heard) == 10_000
    assert all(len(hears.began) <= hears.batches for hears in heard)  # mostly told together with their ends
    assert sum(hears.batches for hears in heard) <= 20 * 2 + seconds / 0.01
    assert heard[7].value(499) == 500
    assert seconds < 60


def test_the_tasks_of_a_pack_see_each_others_values(own_pool: RunnerPool) -> None:
    maker = PackMaker()
    ref = maker.add(fine, Lit(0))
    for _ in range(999):
        ref = maker.add(fine, ref)
    assert run(own_pool, maker).value(999) == 1000


def world() -> Any:
    def look() -> Any:
        import os
        import sys

        return os.getppid(), "numpy" in sys.modules

    return look


def world_of(pool: RunnerPool, root: str) -> tuple[int, bool]:
    maker = PackMaker(root)
    maker.add(world())
    found: tuple[int, bool] = run(pool, maker).value(0)
    pool.release(root)
    return found


def test_what_an_electron_imports_is_preloaded_for_the_next_root(own_pool: RunnerPool) -> None:
    def imports() -> Any:
        import numpy

        return numpy.__name__

    before, there = world_of(own_pool, "first")
    assert not there
    maker = PackMaker("second")
    maker.add(imports)
    assert run(own_pool, maker).value(0) == "numpy"
    number, end = 0, time.monotonic() + 60
    while not (found := world_of(own_pool, f"later {number}"))[1]:
        assert time.monotonic() < end
        number += 1
    assert found[0] != before  # the forkserver that had not imported it
    own_pool.release("second")
    while start_time(before) is not None:  # and it goes with the last of its runners
        assert time.monotonic() < end


def test_an_installation_renews_the_forkserver(own_pool: RunnerPool) -> None:
    before, _ = world_of(own_pool, "first")
    assert world_of(own_pool, "second")[0] == before
    mark = Path(sysconfig.get_path("purelib")) / f"covalent-test-{os.getpid()}.txt"
    mark.write_text("a package was installed")
    try:
        assert world_of(own_pool, "third")[0] != before
    finally:
        mark.unlink()


def test_a_pool_that_closes_while_it_learns_leaves_nothing(others: set[int], own_pool: RunnerPool) -> None:
    def imports() -> Any:
        import os

        import numpy

        return os.getppid(), numpy.__name__

    maker = PackMaker("a")
    maker.add(imports)
    forkserver, _ = run(own_pool, maker).value(0)
    own_pool.close()
    end = time.monotonic() + 60
    while start_time(forkserver) is not None or set(children(os.getpid())) - others:
        assert time.monotonic() < end


def test_an_interpreter_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a virtual environment was removed while the executor host ran."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv/bin/python"))
    with pytest.raises(
        ExecutorError, match="the interpreter .*/venv/bin/python is gone.*Dispatch from one that is there"
    ):
        RunnerPool(slots=1, spool_dir=str(tmp_path / "spool"), scratch=str(tmp_path / "scratch"))
