"""Memory that electrons share: a share each, soft while the sum is not short."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from covalent_jupyter.errors import ConfigError
from covalent_jupyter.model import Options, Outcome
from covalent_jupyter.worker.budget import Budget
from covalent_jupyter.worker.limits import free_memory, parse_limit, total_memory
from covalent_jupyter.worker.pool import RunnerPool

from .packs import Heard, PackMaker

MB = 1_000_000


def test_a_share_is_soft_while_the_sum_is_not_short() -> None:
    budget = Budget(4, 400)
    for name in "ab":
        budget.enter(name)
    assert budget.share == 100
    assert budget.excess("a", 390) is None  # over its share, and nobody needs the rest
    assert budget.excess("b", 90) is None  # short, but it keeps to its share
    excess = budget.excess("a", 390)
    assert excess is not None and (excess.used, excess.share, excess.together, excess.limit) == (390, 100, 480, 400)
    budget.leave("a")
    assert budget.excess("b", 300) is None


def test_the_one_that_passed_its_share_most_goes_and_one_at_a_time() -> None:
    budget = Budget(2, 100)
    for name in "ab":
        budget.enter(name)
    budget.excess("a", 70)
    assert budget.excess("b", 60) is None
    assert budget.excess("a", 70) is not None
    assert budget.excess("b", 60) is None, "a is still on its way out"
    budget.leave("a")
    assert budget.excess("b", 60) is None


def test_what_is_reserved_is_not_counted_against_anybody_else() -> None:
    budget = Budget(2, 100)
    for name in "ab":
        budget.enter(name)
    assert budget.excess("a", 90, reserved=True) is None
    assert budget.excess("b", 40) is None
    assert budget.excess("b", 60) is not None


def test_by_default_nine_tenths_of_what_is_free_when_work_begins() -> None:
    free = iter([1000, 500])
    budget = Budget(2, part=0.5, free=lambda: next(free))
    budget.enter("a")
    budget.enter("b")
    assert (budget.limit, budget.share) == (450, 225)
    budget.leave("a")
    budget.leave("b")
    budget.enter("a")
    assert budget.limit == 225
    unlimited = Budget(2, 0)
    unlimited.enter("a")
    assert unlimited.excess("a", 1 << 50) is None


def test_what_is_free_here() -> None:
    assert 0 < free_memory() <= total_memory() <= psutil.virtual_memory().total


def test_limits_in_words() -> None:
    assert [parse_limit(value, "m") for value in (None, "", "auto", 0, "0", "2GB", 5e9)] == [
        None, None, None, 0, 0, 2_000_000_000, 5_000_000_000,
    ]  # fmt: skip
    half = parse_limit(0.5, "m")
    assert half is not None and half == total_memory() // 2
    with pytest.raises(ConfigError, match=r"memory_limit: memory must be bytes or a text such as '2GB'"):
        parse_limit("much", "memory_limit")


@pytest.fixture
def make_pool(tmp_path: Path) -> Any:
    pools: list[RunnerPool] = []

    def make(**settings: Any) -> RunnerPool:
        pools.append(RunnerPool(spool_dir=str(tmp_path / "spool"), scratch=str(tmp_path / "scratch"), **settings))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def hold(megabytes: int, path: str) -> int:
    """Takes memory, and keeps it until the file is there."""
    import os
    import time

    held = bytearray(megabytes * 1_000_000)
    for at in range(0, len(held), 4096):
        held[at] = 1
    open(f"{path}.{megabytes}", "w").close()
    end = time.monotonic() + 90
    while not os.path.exists(path) and time.monotonic() < end:
        time.sleep(0.01)
    return len(held)


def outcomes_of(pool: RunnerPool, calls: list[tuple[Callable[..., Any], tuple[Any, ...], Options]]) -> list[Outcome]:
    """Each call in a pack of its own, all at once."""
    heard = [Heard() for _ in calls]
    threads = []
    for one, (function, args, options) in zip(heard, calls, strict=True):
        maker = PackMaker()
        maker.add(function, *args, options=options)
        threads.append(threading.Thread(target=pool.run_pack, args=(maker.pack(), one)))
        threads[-1].start()
    for thread in threads:
        thread.join(120)
    return [next(f for f in one.facts if isinstance(f, Outcome)) for one in heard]


def test_the_electron_that_is_too_large_goes_and_its_neighbour_does_not(make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(slots=2, memory=500 * MB)
    go = str(tmp_path / "go")

    def grow(after: str) -> int:
        """Takes too much as soon as its neighbour has what it wants."""
        import os
        import time

        while not os.path.exists(after):
            time.sleep(0.01)
        held = bytearray(450_000_000)
        for at in range(0, len(held), 4096):
            held[at] = 1
        time.sleep(90)
        return 0

    neighbour: list[Outcome] = []
    beside = threading.Thread(target=lambda: neighbour.extend(outcomes_of(pool, [(hold, (150, go), Options())])))
    beside.start()
    (killed,) = outcomes_of(pool, [(grow, (f"{go}.150",), Options())])
    Path(go).touch()
    beside.join(60)
    assert killed.error is not None and killed.error.cause == "memory"
    assert "more than its share of 250.0 MB, when all electrons here together used" in killed.error.message
    assert [outcome.status for outcome in neighbour] == ["completed"]


def test_alone_an_electron_may_pass_its_share(make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(slots=4, memory=800 * MB)
    (tmp_path / "go").touch()
    (outcome,) = outcomes_of(pool, [(hold, (400, str(tmp_path / "go")), Options())])
    assert outcome.status == "completed"


def test_runners_offer_themselves_to_the_kernel(make_pool: Any) -> None:
    def score() -> int:
        from pathlib import Path

        return int(Path("/proc/self/oom_score_adj").read_text())

    from covalent_jupyter import codec

    (outcome,) = outcomes_of(make_pool(slots=1), [(score, (), Options())])
    assert outcome.output is not None and outcome.output.data is not None
    assert codec.decode(outcome.output.data) >= 800


def test_a_pool_takes_another_size(make_pool: Any, tmp_path: Path) -> None:
    pool = make_pool(slots=1)
    pool.resize(3)
    go = tmp_path / "go"
    done: list[Outcome] = []
    work = threading.Thread(
        target=lambda: done.extend(outcomes_of(pool, [(hold, (n, str(go)), Options()) for n in (1, 2, 3)]))
    )
    work.start()
    pause = threading.Event()
    for _ in range(6000):
        if all(Path(f"{go}.{n}").exists() for n in (1, 2, 3)):
            break
        pause.wait(0.01)
    assert pool.stats().busy == 3
    pool.resize(1)
    go.touch()
    work.join(60)
    assert [o.status for o in done] == ["completed"] * 3
    assert pool.stats().slots == 1 and pool.stats().spare <= 1
