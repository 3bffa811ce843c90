"""What a user relies on, through every process: kinds of arguments, sublattices, options, redispatch, results."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import sys
import time
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import covalent_jupyter as ct
from covalent_jupyter import errors

Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Settings:
    c: Any
    names: list[Any]


@ct.electron
def add(x: Any, y: Any = 10) -> Any:
    return x + y


@ct.electron
def identity(x: Any) -> Any:
    return x


def sync(lattice: Any, *args: Any, **kwargs: Any) -> Any:
    """The value of a dispatch."""
    return ct.dispatch_sync(lattice)(*args, **kwargs).value


def test_every_way_of_passing_arguments(executor: str) -> None:
    @ct.electron
    def everything(a: int, /, b: int, *rest: int, c: int = 5, d: int, **more: int) -> Any:
        return a, b, rest, c, d, more

    @ct.lattice(executor=executor)
    def call(n: int) -> Any:
        e = add(n)
        return everything(e, e, e, 4, d=e, z=e)

    assert sync(call, 1) == (11, 11, (11, 4), 5, 11, {"z": 11})


def test_containers_arrive_as_they_were(executor: str) -> None:
    @ct.electron
    def look(value: Any) -> Any:
        return value, [type(v).__name__ for v in value]

    @ct.lattice(executor=executor)
    def nested() -> Any:
        e = add(1)
        return look([(e, 1), {"k": e}, {1, 2}, Point(e, 2), Settings(e, [e]), OrderedDict(a=e), frozenset({3})])

    value, types = sync(nested)
    assert types == ["tuple", "dict", "set", "Point", "Settings", "OrderedDict", "frozenset"]
    assert value[0] == (11, 1) and value[3] == Point(11, 2) and value[4] == Settings(11, [11])


def test_selectors_arithmetic_and_methods(executor: str) -> None:
    @ct.electron
    def both() -> Any:
        return {"a": [1, 2, 3], "b": "text"}

    @ct.lattice(executor=executor)
    def use() -> Any:
        d = both()
        first, second = identity((7, 8))
        return d["a"][1] * 2 + 1, d["b"].upper(), first - second, 2 ** identity(3), identity(2) < 3, abs(-identity(4))

    assert sync(use) == (5, "TEXT", -1, 8, True, 4)


def test_wait_orders_what_shares_no_value(executor: str, tmp_path: Path) -> None:
    @ct.electron
    def write(path: str) -> None:
        time.sleep(0.3)
        Path(path).write_text("there")

    @ct.electron
    def read(path: str) -> str:
        return Path(path).read_text()

    @ct.lattice(executor=executor)
    def ordered(path: str) -> Any:
        writer, reader = write(path), read(path)
        ct.wait(child=reader, parents=[writer])
        return reader

    assert sync(ordered, str(tmp_path / "f")) == "there"


def test_async_electrons_and_electrons_that_call_electrons(executor: str) -> None:
    @ct.electron
    async def later(x: int) -> int:
        await asyncio.sleep(0.01)
        return x * 2

    @ct.electron
    def outer(x: int) -> int:
        return add(x) + 1

    @ct.lattice(executor=executor)
    def run() -> Any:
        return later(4), outer(1)

    assert sync(run) == (8, 12)


def test_one_electron_under_two_executors(place: Path) -> None:
    @ct.lattice
    def two() -> Any:
        return add.options(executor="local")(1), add.options(executor="dask")(2), add(3)

    result = ct.dispatch_sync(two)()
    assert result.value == (11, 12, 13)
    assert [e.executor for e in result.electrons] == ["local", "dask", "dask"]
    assert sync(ct.lattice(lambda: add(4))) == 14


@ct.electron
@ct.lattice
def factorial(n: int) -> Any:
    if n <= 1:
        return 1
    return identity(n) * factorial(n - 1)


def test_sublattices_nest_recurse_and_loop_over_results(executor: str) -> None:
    @ct.electron
    def numbers(n: int) -> list[int]:
        return list(range(n))

    @ct.electron
    @ct.lattice
    def each(values: list[int]) -> Any:
        return {v: add(v) for v in values if v % 2}

    @ct.lattice(executor=executor)
    def whole(n: int) -> Any:
        return factorial(4), each(numbers(n))

    assert sync(whole, 6) == (24, {1: 11, 3: 13, 5: 15})


def test_a_failure_inside_a_sublattice_is_told_outside(executor: str) -> None:
    @ct.electron
    def bad(x: int) -> int:
        raise ValueError(f"no {x}")

    @ct.electron
    @ct.lattice
    def inner(x: int) -> Any:
        return bad(x)

    result = ct.dispatch_sync(ct.lattice(lambda: inner(identity(3)), executor=executor))()
    assert str(result.status) == "FAILED" and "no 3" in str(result.error)


def test_a_failed_electron_as_a_value(executor: str) -> None:
    @ct.electron(on_error="value")
    def flaky(i: int) -> int:
        if i == 1:
            raise ValueError("one")
        return i

    @ct.electron
    def total(values: Any) -> Any:
        return sum(ct.completed(values)), sum(isinstance(v, ct.Failed) for v in values)

    @ct.lattice(executor=executor)
    def run() -> Any:
        values = [flaky(i) for i in range(4)]
        return total(values), values

    result = ct.dispatch_sync(run)()
    (got, failed), values = result.value
    assert (got, failed) == (5, 1) and str(result.status) == "COMPLETED"
    assert isinstance(values[1], ct.Failed) and values[1].message == "one"


def test_inputs_belong_to_the_electron(executor: str) -> None:
    big = np.zeros(100_000)
    small = [1, 2]

    @ct.electron
    def change(a: Any, b: Any) -> Any:
        a += 1
        b.append(3)
        return float(a.sum()), b

    @ct.lattice(executor=executor)
    def run(big: Any, small: Any) -> Any:
        made = identity(big)
        return change(made, small), change(made, small), identity(made)

    one, two, kept = sync(run, big, small)
    assert one == two == (100_000.0, [1, 2, 3]) and float(kept.sum()) == 0.0
    assert float(big.sum()) == 0.0 and small == [1, 2]


def test_a_file_that_two_electrons_write_draws_a_warning(
    executor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    @ct.electron
    def write(name: str) -> None:
        Path(name).write_text("x")
        (ct.get_context().workdir / "own").write_text("x")

    @ct.lattice(executor=executor)
    def flow() -> Any:
        return [write("mine"), write("shared"), write("shared")]

    warnings = [e.row.warnings for e in ct.dispatch_sync(flow)().electrons]
    assert warnings[0] == () and sorted(map(len, warnings[1:])) == [0, 1]
    (text,) = max(warnings, key=len)
    assert str(tmp_path / "shared") in text and "write (node 1" in text and "write (node 2" in text


def test_a_selector_of_the_return_value_that_fails_names_the_lattice(executor: str) -> None:
    @ct.electron
    def gives() -> dict[str, int]:
        return {"a": 1}

    @ct.lattice(executor=executor)
    def flow() -> Any:
        return gives()["b"]

    with pytest.raises(
        ct.DispatchFailed, match=r"the return value of lattice flow \(test_semantics\.py, line \d+\), of what gives"
    ):
        ct.dispatch(flow)().value(60)


def test_a_value_without_what_the_lattice_returns_of_it_is_reused_by_another_lattice_alone(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @ct.electron
    def gives(folder: str) -> tuple[int, ...]:
        with open(Path(folder, "runs"), "a") as file:
            file.write("x")
        return 1, 2, 3

    def flow(folder: str) -> Any:
        first, second = gives(folder)
        return first, second

    def mended(folder: str) -> Any:
        first, second, _ = gives(folder)
        return first, second

    mended.__name__ = mended.__qualname__ = "flow"
    run = ct.dispatch(ct.lattice(flow, executor="local"))(str(tmp_path))
    again = ct.redispatch(run, reuse_previous_results=True)()
    for each in (run, again):
        with pytest.raises(ct.DispatchFailed, match="unpacking into 2 names: got 3"):
            each.value(60)
    assert Path(tmp_path, "runs").read_text() == "xx"  # what it gave is not what is missing
    monkeypatch.setattr(sys.modules[__name__], "flow", ct.lattice(mended, executor="local"), raising=False)
    last = ct.redispatch(again, code="current", reuse_previous_results=True)()
    assert last.value(60) == (1, 2) and Path(tmp_path, "runs").read_text() == "xx"


def test_a_running_dispatch_gives_no_values_without_what_the_lattice_returns_of_them(
    place: Path, tmp_path: Path
) -> None:
    @ct.electron
    def gives() -> tuple[int, ...]:
        return 1, 2, 3

    @ct.electron
    def waits(file: str) -> int:
        while not Path(file).exists():
            time.sleep(0.01)
        return 4

    @ct.lattice(executor="local")
    def flow(file: str) -> Any:
        first, second = gives()
        return first, second, waits(file)

    run = ct.dispatch(flow)(str(tmp_path / "go"))
    while run.electrons[0].status != ct.status.COMPLETED:
        time.sleep(0.02)
    again = ct.redispatch(run, reuse_previous_results=True)()
    assert run.status == ct.status.RUNNING  # so that nothing says yet that its value does not fit
    Path(tmp_path, "go").touch()
    for each in (run, again):
        with pytest.raises(ct.DispatchFailed, match="unpacking into 2 names: got 3"):
            each.value(60)
    assert not any(electron.row.reused for electron in again.electrons)


def test_random_numbers_differ_between_electrons_and_repeat_with_the_seed(executor: str) -> None:
    @ct.electron
    def draw() -> Any:
        return random.random(), float(np.random.rand()), ct.get_context().seed

    @ct.lattice(executor=executor)
    def run() -> Any:
        return [draw() for _ in range(4)]

    first = ct.dispatch(run, seed=7)().value(60)
    again = ct.dispatch(run, seed=7)().value(60)
    other = ct.dispatch(run, seed=8)().value(60)
    assert len(set(first)) == 4 and first == again and first != other


def test_the_kernels_folder_and_variables_are_the_electrons(
    executor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_SETTING", "here")
    monkeypatch.setenv("JUPYTER_TOKEN", "secret")

    @ct.electron
    def look() -> Any:
        return os.getcwd(), os.environ.get("MY_SETTING"), os.environ.get("JUPYTER_TOKEN")

    assert sync(ct.lattice(lambda: look(), executor=executor)) == (
        str(tmp_path), "here", None,
    )  # fmt: skip


def test_local_modules_are_those_of_the_dispatch(
    executor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine_e2e.py").write_text("def value():\n    return 'first'\n")
    monkeypatch.delitem(sys.modules, "mine_e2e", raising=False)  # that of the other executor's test
    import mine_e2e  # type: ignore[import-not-found]

    @ct.electron
    def use() -> str:
        time.sleep(0.5)
        return str(mine_e2e.value())

    dispatch_id = ct.dispatch(ct.lattice(lambda: use(), executor=executor))()
    (tmp_path / "mine_e2e.py").write_text("def value():\n    return 'second'\n")
    assert dispatch_id.value(60) == "first"


def test_deps_run_in_their_order(executor: str, tmp_path: Path) -> None:
    path = str(tmp_path / "log")

    def note(word: str) -> str:
        with open(path, "a") as f:
            f.write(word + "\n")
        return word

    @ct.electron(
        executor=executor,
        deps_bash=ct.DepsBash([f"echo bash >> {path}"]),
        call_before=[
            ct.DepsCall(note, ["before"], retval_keyword="said"),
            ct.DepsCall(note, ["again"], retval_keyword="said"),
        ],
        call_after=ct.DepsCall(note, ["after"]),
    )
    def work(said: Any = None) -> Any:
        note("work")
        return said

    assert sync(ct.lattice(lambda: work())) == ["before", "again"]
    assert Path(path).read_text().split() == ["bash", "before", "again", "work", "after"]


def test_failing_deps_are_the_electrons_error(executor: str) -> None:
    @ct.electron(executor=executor, deps_bash="echo no such tool >&2; exit 4")
    def work() -> None: ...

    error = str(ct.dispatch_sync(ct.lattice(lambda: work()))().error)
    assert "no such tool" in error and "4" in error


def test_a_failing_call_before_shows_its_own_line(executor: str) -> None:
    def connect() -> None:
        raise ConnectionError("nobody answers")

    @ct.lattice(executor=executor)
    def flow() -> Any:
        return ct.electron(lambda: 1, call_before=ct.DepsCall(connect))()

    error = ct.dispatch_sync(flow)().error
    assert "DepsError: call_before connect failed: ConnectionError: nobody answers" in error
    assert 'raise ConnectionError("nobody answers")' in error and "the whole output" not in error


def test_output_is_there_while_the_electron_still_prints(executor: str, tmp_path: Path) -> None:
    go = str(tmp_path / "go")

    @ct.electron(executor=executor)
    def talk() -> None:
        print("early", flush=True)
        while not os.path.exists(go):
            time.sleep(0.02)
        print("late")

    dispatch_id = ct.dispatch(ct.lattice(lambda: talk()))()
    deadline = time.monotonic() + 120
    while "early" not in (text := dispatch_id.electrons[0].stdout):
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
    Path(go).touch()
    dispatch_id.wait(120)
    assert dispatch_id.electrons[0].stdout.split() == ["early", "late"]


def test_partial_state_and_flags_of_get_result(executor: str, tmp_path: Path) -> None:
    go = str(tmp_path / "go")

    @ct.electron
    def hold(x: int) -> int:
        while not os.path.exists(go):
            time.sleep(0.02)
        return x

    @ct.lattice(executor=executor)
    def run() -> Any:
        return identity(1), hold(2)

    dispatch_id = ct.dispatch(run)()
    deadline = time.monotonic() + 120
    while ct.get_result(dispatch_id, wait=False).get_node_result(0)["status"] != "COMPLETED":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    result = ct.get_result(dispatch_id, wait=False)
    assert str(result.status) == "RUNNING" and result.get_node_result(0)["output"] == 1
    with pytest.raises(errors.NotFinished):
        _ = result.value
    assert ct.get_result(dispatch_id, status_only=True)["status"] == "RUNNING"
    with pytest.raises(Exception, match="0.2"):
        ct.get_result(dispatch_id, wait=True, timeout=0.2)
    Path(go).touch()
    assert ct.get_result(dispatch_id, wait=True).value == (1, 2)


def test_cancelling_one_electron_leaves_the_others(executor: str) -> None:
    @ct.electron
    def long() -> None:
        time.sleep(240)

    @ct.lattice(executor=executor)
    def run() -> Any:
        return long(), identity(5)

    dispatch_id = ct.dispatch(run)()
    ct.cancel(dispatch_id, task_ids=[0])
    result = ct.get_result(dispatch_id, wait=True, timeout=120)
    assert str(result.status) == "CANCELLED" and result.electrons[1].value == 5


def test_redispatch_reuses_what_is_unchanged(executor: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    path = str(log)

    @ct.electron
    def first(x: int) -> int:
        with open(path, "a") as f:
            f.write("first ")
        return x + 1

    @ct.electron
    def second(x: int) -> int:
        with open(path, "a") as f:
            f.write("second ")
        return x * 2

    @ct.lattice(executor=executor)
    def run(x: int) -> Any:
        return second(first(x))

    dispatch_id = ct.dispatch(run)(1)
    assert dispatch_id.value(60) == 4 and log.read_text() == "first second "

    assert ct.get_result(ct.redispatch(dispatch_id, reuse_previous_results=True)(), wait=True).value == 4
    assert log.read_text() == "first second "

    @ct.electron
    def other(x: int) -> int:
        return x * 3

    replaced = ct.redispatch(dispatch_id, replace_electrons={"second": other}, reuse_previous_results=True)()
    assert ct.get_result(replaced, wait=True).value == 6 and log.read_text() == "first second "

    assert ct.get_result(ct.redispatch(dispatch_id)(5), wait=True).value == 12
    assert log.read_text() == "first second first second "

    with pytest.raises(Exception, match="secnd"):
        ct.redispatch(dispatch_id, replace_electrons={"secnd": other})()


def test_run_failed_again_keeps_what_is_done(executor: str, tmp_path: Path) -> None:
    marker, log = tmp_path / "fixed", tmp_path / "log"

    @ct.electron
    def good() -> int:
        with open(log, "a") as f:
            f.write("x")
        return 1

    @ct.electron
    def bad(x: int) -> int:
        if not marker.exists():
            raise RuntimeError("not yet")
        return x + 1

    dispatch_id = ct.dispatch(ct.lattice(lambda: bad(good()), executor=executor))()
    assert str(ct.get_result(dispatch_id, wait=True).status) == "FAILED"
    marker.touch()
    assert ct.get_result(ct.redispatch(dispatch_id, rerun="failed")(), wait=True).value == 2
    assert log.read_text() == "x"


def test_once_attaches_to_the_same_run(executor: str, tmp_path: Path) -> None:
    log = tmp_path / "log"

    @ct.electron
    def count() -> None:
        with open(log, "a") as f:
            f.write("x")

    lattice = ct.lattice(lambda: count(), executor=executor)
    one = ct.dispatch(lattice, once=True)()
    one.wait(60)
    assert ct.dispatch(lattice, once=True)() == one and log.read_text() == "x"


def test_results_are_awaited_together(executor: str) -> None:
    lattice = ct.lattice(lambda x: add(x), executor=executor)

    async def all_of_them() -> list[int]:
        results = await asyncio.gather(*(ct.dispatch(lattice)(i) for i in range(5)))
        return [r.value for r in results]

    assert asyncio.run(all_of_them()) == [10, 11, 12, 13, 14]


def test_a_lattice_without_electrons_and_one_that_raises(place: Path) -> None:
    assert sync(ct.lattice(lambda: {"plain": 1})) == {"plain": 1}

    @ct.lattice
    def broken() -> Any:
        raise KeyError("oops")

    with pytest.raises(errors.BuildError, match="broken"):
        ct.dispatch(broken)()


def test_ids_may_be_short_and_unknown_ones_are_answered(place: Path) -> None:
    dispatch_id = ct.dispatch(ct.lattice(lambda: identity(1)))()
    dispatch_id.wait(60)
    assert ct.get_result(dispatch_id[:8]).dispatch_id == dispatch_id
    with pytest.raises(errors.NotFound, match="no dispatch.*newest"):
        ct.get_result("ffffffff-0000-0000-0000-000000000000")


class Half(ct.executor.BaseExecutor):  # type: ignore[misc]
    """A user's own executor."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def run(self, function: Any, args: Any, kwargs: Any, task_metadata: Any) -> Any:
        assert set(task_metadata) >= {"dispatch_id", "node_id"}
        return function(*args, **kwargs) * self.factor


class Later(ct.executor.AsyncBaseExecutor):  # type: ignore[misc]
    async def run(self, function: Any, args: Any, kwargs: Any, task_metadata: Any) -> Any:
        await asyncio.sleep(0.01)
        return function(*args, **kwargs)


class Broken(ct.executor.BaseExecutor):  # type: ignore[misc]
    def run(self, function: Any, args: Any, kwargs: Any, task_metadata: Any) -> Any:
        raise ConnectionError("the queue is down")


def test_executors_of_the_users_own(place: Path) -> None:
    @ct.lattice
    def run() -> Any:
        return add.options(executor=Half(3))(1), add.options(executor=Later())(2), add.options(executor=Half(5))(3)

    assert sync(run) == (33, 12, 65)


def test_executors_of_the_users_own_go_by_name_also_inside_sublattices(place: Path) -> None:
    class Tenfold(ct.executor.BaseExecutor):  # type: ignore[misc]
        short_name = "tenfold"

        def run(self, function: Any, args: Any, kwargs: Any, task_metadata: Any) -> Any:
            return 10 * function(*args, **kwargs)

    more = add.options(executor="tenfold")

    @ct.electron
    @ct.lattice
    def inner(x: int) -> Any:
        return add.options(executor="local")(x), more(x), add(x)

    @ct.lattice(executor="tenfold")
    def run() -> Any:
        return add(1), inner.options(executor="local")(2)

    assert sync(run) == (110, (12, 120, 120))


def test_an_executor_that_fails_is_named(place: Path) -> None:
    result = ct.dispatch_sync(ct.lattice(lambda: add.options(executor=Broken())(1)))()
    assert "the queue is down" in str(result.error)
    assert sync(ct.lattice(lambda: add(1))) == 11


def test_what_cannot_be_taken_from_a_value_fails_the_dispatch_and_the_value_stays(executor: str) -> None:
    @ct.electron
    def three() -> tuple[int, int, int]:
        return 1, 2, 3

    @ct.lattice(executor=executor)
    def two() -> Any:
        a, b = three()
        return a

    @ct.lattice(executor=executor)
    def outer() -> Any:
        return ct.electron(two)(), three()[1]

    result = ct.get_result(ct.dispatch(two)(), wait=True, timeout=120)
    assert (
        str(result.status) == "FAILED"
        and "three (0)" in str(result.error)
        and "into 2 names: got 3" in str(result.error)
    )
    assert result.electrons[0].value == (1, 2, 3)
    result = ct.get_result(ct.dispatch(outer)(), wait=True, timeout=120)
    assert [str(e.status) for e in result.electrons] == ["FAILED", "COMPLETED"] and "three (0)" in str(result.error)


def test_past_runs_are_a_table_and_sql(place: Path) -> None:
    ct.dispatch_sync(ct.lattice(lambda: identity(1)))()
    assert len(ct.dispatches()) >= 1
    table = ct.sql("SELECT status, count(*) AS n FROM electrons GROUP BY status")
    assert len(table) >= 1
    with pytest.raises(errors.InvalidRequest):
        ct.sql("DELETE FROM dispatch")


def test_files_of_electrons_have_the_modes_of_the_kernels_files(executor: str, tmp_path: Path) -> None:
    @ct.electron
    def write(path: str) -> str:
        Path(path).write_text("x")
        return path

    before = os.umask(0o022)
    try:
        for mask in (0o022, 0o002):
            os.umask(mask)
            path = sync(ct.lattice(lambda mask=mask: write(str(tmp_path / f"file-{mask}")), executor=executor))
            assert os.stat(path).st_mode & 0o777 == 0o666 & ~mask
    finally:
        os.umask(before)


def test_electrons_step_back_behind_the_notebook(executor: str) -> None:
    @ct.electron
    def niceness() -> tuple[int, str]:
        group = Path("/proc/self/autogroup")  # "/autogroup-25 nice 5", where Linux shares out by session
        return os.nice(0), group.read_text().split()[-1] if group.exists() else ""

    @ct.lattice(executor=executor)
    def look() -> Any:
        return niceness()

    expected = min(os.nice(0) + ct.get_config("nice"), 19)
    own, of_session = sync(look)
    assert own == expected and of_session in ("", str(expected))
