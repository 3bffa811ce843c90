"""Reports and bars of electrons: live, at the end, and when the electron is killed; tqdm is recognised."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from covalent_jupyter.model import Reported
from covalent_jupyter.worker import context
from covalent_jupyter.worker.bars import Bar, Bars
from covalent_jupyter.worker.pool import RunnerPool

from .packs import Heard, PackMaker, run, start


def shown(heard: Heard) -> list[dict[str, Any]]:
    return [fact.progress for fact in heard.grown if fact.progress]


def test_a_bar_of_tqdm_is_shown_while_it_runs(pool: RunnerPool, tmp_path: Path) -> None:
    def fit(path: str) -> None:
        import os
        import time

        from tqdm import tqdm

        for number in tqdm(range(5), desc="fitting"):
            while number == 3 and not os.path.exists(path):
                time.sleep(0.01)
            time.sleep(0.11)

    maker = PackMaker()
    maker.add(fit, str(tmp_path / "go"))
    heard, thread = start(pool, maker.pack())
    heard.wait_for(lambda heard: any(bar.get("done") == 3 for bar in shown(heard)))
    (tmp_path / "go").touch()
    thread.join(60)
    bar = next(bar for bar in shown(heard) if bar.get("done") == 3)
    assert (bar["total"], bar["name"], "bars" in bar) == (5, "fitting", False) and bar["elapsed"] > 0.2
    end = heard.outcomes[0].progress
    assert (end["done"], end["total"], end["name"]) == (5, 5, "fitting")
    stderr = heard.outcomes[0].stderr.text
    assert stderr.count("\n") == 1 and stderr.startswith("fitting: 100%"), "the last state alone"


def test_quick_steps_before_a_long_one_are_shown(pool: RunnerPool, tmp_path: Path) -> None:
    def fit(path: str) -> None:
        import os
        import time

        import covalent_jupyter as ct

        for number in ct.progress(range(40)):
            while number == 20 and not os.path.exists(path):
                time.sleep(0.01)

    maker = PackMaker()
    maker.add(fit, str(tmp_path / "go"))
    heard, thread = start(pool, maker.pack())
    heard.wait_for(lambda heard: any(bar.get("done") == 20 for bar in shown(heard)))
    (tmp_path / "go").touch()
    thread.join(60)
    assert heard.outcomes[0].progress["done"] == 40


@pytest.mark.parametrize("how", ["tqdm", "trange", "auto", "subclass", "with", "asyncio"])
def test_every_way_to_make_a_bar(pool: RunnerPool, how: str) -> None:
    def work(how: str) -> int:
        import asyncio
        import importlib

        tqdm = importlib.import_module("tqdm")
        if how == "tqdm":
            return sum(tqdm.tqdm(range(10)))
        if how == "trange":
            return sum(tqdm.trange(10))
        if how == "auto":
            return sum(importlib.import_module("tqdm.auto").tqdm(range(10)))
        if how == "subclass":

            class Own(tqdm.tqdm):  # type: ignore[misc, name-defined]
                pass

            return sum(Own(range(10)))
        if how == "with":
            with tqdm.tqdm(total=45) as bar:
                for number in range(10):
                    bar.update(number)
                return int(bar.n)

        async def count() -> int:
            found = 0
            async for number in importlib.import_module("tqdm.asyncio").tqdm(range(10)):
                found += number
            return found

        return asyncio.run(count())

    maker = PackMaker()
    maker.add(work, how)
    heard = run(pool, maker)
    assert heard.value(0) == 45
    end = heard.outcomes[0].progress
    assert end["done"] == end["total"] == (45 if how == "with" else 10)


def test_nested_bars_come_outermost_first_and_go(pool: RunnerPool) -> None:
    def train() -> list[Any]:
        from tqdm import tqdm, trange

        from covalent_jupyter.worker.context import get_context, progress

        seen = []
        for _ in trange(2, desc="epoch"):
            for _ in tqdm(range(3), desc="batch", leave=False, mininterval=0):
                pass
            for _ in progress(range(2), name="check"):
                seen.append([bar["name"] for bar in get_context().progress()["bars"]])
        return seen

    maker = PackMaker()
    maker.add(train)
    heard = run(pool, maker)
    assert heard.value(0) == [["epoch", "check"]] * 4
    end = heard.outcomes[0].progress
    assert (end["done"], end["total"], end["name"]) == (2, 2, "epoch") and "bars" not in end
    lines = heard.outcomes[0].stderr.text.splitlines()
    assert len(lines) == 1 and lines[0].startswith("epoch: 100%"), "leave=False leaves nothing"


def test_a_switched_off_bar_is_not_shown_and_a_strange_one_does_no_harm(pool: RunnerPool) -> None:
    def quiet() -> int:
        from tqdm import tqdm

        return sum(tqdm(range(10), disable=True))

    def strange() -> str:
        from tqdm import tqdm

        bar = tqdm(total=float("inf"))
        bar.n = float("nan")
        bar.refresh()
        bar.close()
        return "done"

    maker = PackMaker()
    maker.add(quiet)
    maker.add(strange)
    heard = run(pool, maker)
    assert heard.value(0) == 45 and heard.outcomes[0].progress == {}
    assert heard.value(1) == "done" and heard.outcomes[1].progress["total"] is None


def test_bars_belong_to_their_electron(pool: RunnerPool) -> None:
    """Neither the bar that an electron left open nor what it noted is the next one's."""

    def leave() -> None:
        import builtins

        from tqdm import tqdm

        builtins.kept = tqdm(total=7, desc="left")  # type: ignore[attr-defined]

    def other() -> None:
        import builtins

        builtins.kept.update(2)  # type: ignore[attr-defined]
        builtins.kept.close()  # type: ignore[attr-defined]

    def none() -> None:
        pass

    maker = PackMaker()
    for function in (leave, other, none):
        maker.add(function)
    heard = run(pool, maker)
    assert heard.outcomes[0].progress["name"] == "left"
    assert heard.outcomes[2].progress == {}


def test_a_text_in_the_place_of_the_total_is_the_name(pool: RunnerPool) -> None:
    def count() -> list[Any]:
        from covalent_jupyter.worker.context import get_context, progress

        found = []
        for bar in (progress(range(4), "epochs"), progress(iter("ab"), "letters", 2), progress(range(3), None, "x")):
            for _ in bar:
                pass
            told = get_context().progress()
            found.append((told["name"], told["done"], told["total"]))
        return found

    maker = PackMaker()
    maker.add(count)
    assert run(pool, maker).value(0) == [("epochs", 4, 4), ("letters", 2, 2), ("x", 3, 3)]


def test_what_was_reported_before_a_crash_is_kept(pool: RunnerPool) -> None:
    def crash() -> None:
        import os

        from covalent_jupyter.worker.context import progress, report

        for step in progress(range(100)):
            report(step=step, loss=1 / (1 + step))
            if step == 42:
                os.abort()

    maker = PackMaker()
    maker.add(crash)
    heard = run(pool, maker)
    assert heard.outcomes[0].status == "failed"
    assert [values["step"] for _, values in heard.reports(0)] == list(range(43))
    assert heard.outcomes[0].progress["total"] == 100


def test_many_reports_are_told_together(pool: RunnerPool) -> None:
    def flood() -> None:
        from covalent_jupyter.worker.context import report

        for step in range(5000):
            report(step=step)

    maker = PackMaker()
    maker.add(flood)
    begun = time.monotonic()
    heard = run(pool, maker)
    passed = time.monotonic() - begun
    told = [fact for fact in heard.facts if isinstance(fact, Reported)]
    assert len(heard.reports(0)) == 5000 and len(told) <= passed / 0.25 + 2


def test_reports_of_threads_count_and_those_of_forked_children_do_not(pool: RunnerPool) -> None:
    def work() -> None:
        import os
        import threading

        from covalent_jupyter.worker.context import report

        def tell(who: int) -> None:
            for step in range(50):
                report(who=who, step=step)

        threads = [threading.Thread(target=tell, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        child = os.fork()
        if child == 0:
            report(who=99)
            os._exit(0)
        os.waitpid(child, 0)
        report(**{"bad \ud800 name": "bad \ud800 text", "nothing": None, "yes": True})

    maker = PackMaker()
    maker.add(work)
    points = run(pool, maker).reports(0)
    assert len(points) == 201 and {values.get("who") for _, values in points} == {0, 1, 2, 3, None}
    assert points[-1][1] == {r"bad \ud800 name": r"bad \ud800 text", "nothing": None, "yes": True}


def test_bars_alone() -> None:
    bars = Bars()
    assert bars.told() == {}
    first, second = Bar("a", 10), Bar("", 2)
    bars.open(first)
    bars.open(second)
    assert [bar.get("name") for bar in bars.told()["bars"]] == ["a", None]
    bars.close(second)
    bars.close(second)
    assert bars.told()["name"] == "a" and "bars" not in bars.told()
    bars.close(first)
    assert bars.told()["name"] == "a", "the last one stays to be seen"


def test_tqdm_outside_of_an_electron_is_left_alone() -> None:
    assert context.shown() is None
    thread = threading.Thread(target=context.report, kwargs={"loss": 1})
    thread.start()
    thread.join()
