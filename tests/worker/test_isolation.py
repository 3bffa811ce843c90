"""Nothing but speed depends on packing."""

from __future__ import annotations

import decimal
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from covalent_jupyter.model import Environment, Lit, Options, Ref
from covalent_jupyter.worker.pool import RunnerPool

from .packs import ENVIRONMENT, PackMaker, fine, run


def show_state() -> dict[str, Any]:
    import builtins
    import os
    import signal
    import sys
    import warnings

    mask = os.umask(0)
    os.umask(mask)
    return {
        "cwd": os.getcwd(), "env": dict(os.environ), "path": list(sys.path), "umask": mask,
        "filters": list(map(str, warnings.filters)),
        "alarm": str(signal.getsignal(signal.SIGALRM)), "int": str(signal.getsignal(signal.SIGINT)),
        "recursion": sys.getrecursionlimit(), "print": builtins.print is print,
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "hook": str(sys.breakpointhook), "trace": sys.gettrace(),
    }  # fmt: skip


show_state.__module__ = "__main__"


def test_state_comes_back(pool: RunnerPool, tmp_path: Path) -> None:
    def spoil(path: str) -> None:
        import os
        import signal
        import sys
        import warnings

        os.chdir(path)
        os.environ["SPOILED"] = "1"
        del os.environ["PATH"]
        sys.path.insert(0, path)
        os.umask(0)
        warnings.simplefilter("error")
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 1000)
        sys.setrecursionlimit(5000)
        sys.settrace(lambda *_: None)

    maker = PackMaker()
    maker.add(show_state)
    maker.add(spoil, str(tmp_path))
    maker.add(show_state)
    heard = run(pool, maker)
    assert heard.outcomes[1].status == "completed"
    assert heard.value(2) == heard.value(0)


def _asyncio_ran() -> None:
    import asyncio

    asyncio.run(asyncio.sleep(0))


def _loop_was_closed() -> None:
    import asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.close()


def _loop_by_itself() -> Any:
    import asyncio

    policy = asyncio.get_event_loop_policy()
    return getattr(policy, "_local")._set_called, type(policy).__name__  # noqa: B009


def _spoil_decimal() -> None:
    import decimal

    decimal.getcontext().prec = 3


def _decimal() -> Any:
    import decimal

    return str(decimal.Decimal(1) / 3)


def _spoil_locale() -> None:
    import locale

    locale.setlocale(locale.LC_ALL, "C" if locale.setlocale(locale.LC_ALL) != "C" else "C.UTF-8")


def _locale() -> Any:
    import locale

    return locale.setlocale(locale.LC_ALL)


def _spoil_zone() -> None:
    import os
    import time

    os.environ["TZ"] = "XYZ-9"
    time.tzset()


def _zone() -> Any:
    import time

    return time.localtime(0).tm_hour, time.strftime("%Z")


def _spoil_start_method() -> str:
    import multiprocessing

    multiprocessing.set_start_method("spawn")  # fails where it was set before
    return multiprocessing.get_start_method()


def _start_method() -> Any:
    import multiprocessing

    return multiprocessing.get_start_method(allow_none=True)


def _spoil_interpreter() -> None:
    import gc
    import sys
    import threading

    sys.argv = ["other", "--flag"]
    sys.set_int_max_str_digits(0)
    sys.setswitchinterval(1)
    sys.tracebacklimit = 0
    sys.unraisablehook = threading.excepthook = print
    threading.stack_size(1 << 20)
    gc.set_threshold(7, 7, 7)


def _interpreter() -> Any:
    import gc
    import sys
    import threading

    return (
        sys.argv, sys.get_int_max_str_digits(), sys.getswitchinterval(), getattr(sys, "tracebacklimit", None),
        repr(sys.unraisablehook), repr(threading.excepthook), threading.stack_size(), gc.get_threshold(),
    )  # fmt: skip


def _spoil_limits() -> None:
    import os
    import resource
    import socket

    socket.setdefaulttimeout(0.001)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (50, hard))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _limits() -> Any:
    import os
    import resource
    import socket

    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    return socket.getdefaulttimeout(), resource.getrlimit(resource.RLIMIT_NOFILE), cpus


@pytest.mark.parametrize(
    ("spoil", "look"),
    [
        (_asyncio_ran, _loop_by_itself), (_loop_was_closed, _loop_by_itself), (_spoil_decimal, _decimal),
        (_spoil_locale, _locale), (_spoil_zone, _zone), (_spoil_start_method, _start_method),
        (_spoil_interpreter, _interpreter), (_spoil_limits, _limits),
    ],
)  # fmt: skip
def test_what_an_electron_sets_stays_with_it(
    pool: RunnerPool, monkeypatch: pytest.MonkeyPatch, spoil: Any, look: Any
) -> None:
    for function in (spoil, look):
        monkeypatch.setattr(function, "__module__", "__main__")
    maker = PackMaker()
    for function in (look, spoil, look, spoil, look):
        maker.add(function)
    heard = run(pool, maker)
    assert heard.value(1) == heard.value(3)
    assert heard.value(0) == heard.value(2) == heard.value(4)
    assert len({outcome.worker for outcome in heard.outcomes.values()}) == 1


def test_what_modules_set_when_they_are_imported_stays(pool: RunnerPool, tmp_path: Path) -> None:
    (tmp_path / "sets_at_import.py").write_text(
        "import decimal, os, sys, warnings\nimport numpy\n"
        "numpy.seterr(all='raise')\ndecimal.getcontext().prec = 50\nsys.setrecursionlimit(4321)\n"
        "os.environ['SET_AT_IMPORT'] = 'yes'\nwarnings.filterwarnings('error', 'only here')\n"
        "def look():\n"
        "    spoilt, decimal.getcontext().prec = decimal.getcontext().prec, 3\n"
        "    filters = [str(f[1]) for f in warnings.filters if f[1]]\n"
        "    return numpy.geterr()['divide'], spoilt, sys.getrecursionlimit(), os.environ.get('SET_AT_IMPORT'), 'only here' in str(filters)\n"
    )
    space: dict[str, Any] = {"__name__": "__main__"}
    recursion = sys.getrecursionlimit()
    sys.path.insert(0, str(tmp_path))
    try:
        exec("import sets_at_import\ndef look(x):\n    return sets_at_import.look()", space)
        maker = PackMaker()
        for number in range(3):
            maker.add(space["look"], Lit(number))
    finally:
        sys.path.remove(str(tmp_path))
        np.seterr(all="warn", under="ignore")
        decimal.setcontext(decimal.DefaultContext.copy())
        sys.setrecursionlimit(recursion)
        del os.environ["SET_AT_IMPORT"]
        warnings.filters.pop(0)  # type: ignore[attr-defined]
    heard = run(pool, maker, environment=msgspec.structs.replace(ENVIRONMENT, sys_path=(str(tmp_path),)))
    assert {heard.value(node) for node in range(3)} == {("raise", 50, 4321, "yes", True)}


def test_after_what_cannot_be_undone_nothing_runs_in_that_process(pool: RunnerPool) -> None:
    """Root becomes somebody else; everybody else lowers a hard limit, which root could raise again."""

    def burn_bridges() -> bool:
        import os
        import resource

        if os.getuid() == 0:
            os.setuid(65534)
            return os.getuid() == 65534
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        return resource.getrlimit(resource.RLIMIT_NOFILE) == (64, 64)

    maker = PackMaker()
    maker.add(burn_bridges)
    maker.add(fine, Lit(1))
    heard = run(pool, maker)
    assert heard.value(0) is True
    assert heard.returned == [1]
    maker = PackMaker(root=maker.root)
    maker.add(fine, Lit(1))
    assert run(pool, maker).value(0) == 2


def test_matplotlib_state_comes_back(pool: RunnerPool) -> None:
    pytest.importorskip("matplotlib")

    def spoil() -> None:
        import matplotlib.pyplot as plt

        plt.rcParams["lines.linewidth"] = 77
        plt.figure()

    def look() -> Any:
        import matplotlib.pyplot as plt

        return plt.rcParams["lines.linewidth"], plt.get_fignums(), plt.get_backend().lower()

    maker = PackMaker()
    for function in (spoil, look, spoil, look):
        maker.add(function)
    heard = run(pool, maker)
    assert heard.value(1) == heard.value(3) == (1.5, [], "agg")


def test_inputs_are_the_electrons_own(pool: RunnerPool, tmp_path: Path) -> None:
    def make(size: int) -> Any:
        import numpy

        return {"a": numpy.zeros(size), "b": [1]}

    def spoil(x: Any, again: Any) -> Any:
        x["a"] += 1
        x["b"].append(2)
        return float(x["a"].sum()), x["b"], again["a"].sum()

    for size in (10, 100_000):  # inline, and a mapped file
        maker = PackMaker()
        maker.add(make, size)
        for _ in range(3):
            maker.add(spoil, Ref(0), again=Ref(0))
        heard = run(pool, maker, blob_root=str(tmp_path))
        assert (heard.outcomes[0].output.data is None) == (size > 10)  # type: ignore[union-attr]
        for node in (1, 2, 3):
            assert heard.value(node) == (size, [1, 2], 0)


def test_functions_keep_nothing(pool: RunnerPool) -> None:
    def make() -> Any:
        kept: list[int] = []
        count = 0

        def closure(x: int) -> int:
            nonlocal count
            count += 1
            kept.append(x)
            return count * 100 + len(kept)

        def default(x: int, seen: list[int] = []) -> int:  # noqa: B006
            seen.append(x)
            return len(seen)

        def attribute(x: int) -> int:
            attribute.calls = getattr(attribute, "calls", 0) + 1  # type: ignore[attr-defined]
            return attribute.calls  # type: ignore[attr-defined]

        number = 0

        def cell() -> int:
            nonlocal number
            number += 1
            return number

        def helped(x: int) -> int:
            return cell()

        return closure, default, attribute, helped

    maker = PackMaker()
    for function in make():
        for _ in range(2):
            maker.add(function, Lit(1))
    heard = run(pool, maker)
    assert [heard.value(node) for node in range(8)] == [101, 101, 1, 1, 1, 1, 1, 1]


def test_a_changed_global_is_reported_and_not_kept(pool: RunnerPool) -> None:
    space: dict[str, Any] = {"counter": 5, "__name__": "__main__"}
    exec("def count():\n    global counter\n    counter += 1\n    return counter", space)
    maker = PackMaker()
    maker.add(space["count"])
    maker.add(space["count"])
    heard = run(pool, maker)
    assert (heard.value(0), heard.value(1)) == (6, 6)
    assert heard.outcomes[0].warnings == ("changed in the electron, unchanged in your kernel: counter",)


def draw() -> Any:
    import random

    import numpy

    return random.random(), float(numpy.random.rand()), float(numpy.random.default_rng().random() * 0)


draw.__module__ = "__main__"


@pytest.fixture(params=[(), ("numpy", "numpy.random")], ids=["imported later", "preloaded"])
def seeded_pool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunnerPool]:
    pool = RunnerPool(
        slots=1, spool_dir=str(tmp_path / "spool"), scratch=str(tmp_path / "scratch"), preload=request.param
    )
    yield pool
    pool.close()


def test_seeds(seeded_pool: RunnerPool) -> None:
    import random

    random.seed(7)
    np.random.seed(7)
    expected = (random.random(), float(np.random.rand()), 0.0)
    maker = PackMaker()
    for seed in (7, 7, 8):
        maker.add(draw, seed=seed)
    maker.add(draw, seed=2**63 - 1)
    heard = run(seeded_pool, maker)
    assert heard.value(0) == heard.value(1) == expected
    assert len({heard.value(node)[:2] for node in range(4)}) == 3


def test_leftover_threads_are_told(pool: RunnerPool) -> None:
    def leave(seconds: float) -> None:
        import threading
        import time

        threading.Thread(target=time.sleep, args=(seconds,), name="lingerer").start()

    maker = PackMaker()
    maker.add(leave, 5.0)
    maker.add(show_state)
    heard = run(pool, maker)
    (warning,) = heard.outcomes[0].warnings
    assert "1 thread running (lingerer)" in warning
    assert heard.outcomes[1].warnings == ()


def test_threads_of_pools_that_are_kept_are_no_leftovers(pool: RunnerPool) -> None:
    def parallel() -> list[int]:
        from joblib import Parallel, delayed

        return list(Parallel(n_jobs=2)(delayed(abs)(n) for n in (-1, -2)))

    maker = PackMaker()
    maker.add(parallel)
    heard = run(pool, maker)
    assert heard.value(0) == [1, 2] and heard.outcomes[0].warnings == ()


def test_changed_globals_are_told(pool: RunnerPool) -> None:
    space: dict[str, Any] = {"count": 0, "seen": {1: "one"}, "rows": [1], "still": [2, 3]}
    exec(
        "def change():\n    global count\n    count += 1\n    seen[1] = 'two'\n    rows.append(still[0])\n    return count",
        space,
    )
    maker = PackMaker()
    maker.add(space["change"])
    maker.add(space["change"])
    heard = run(pool, maker)
    assert heard.value(0) == heard.value(1) == 1
    assert heard.outcomes[0].warnings == ("changed in the electron, unchanged in your kernel: count, rows, seen",)


def test_relative_paths_that_are_written_are_noted(pool: RunnerPool, tmp_path: Path) -> None:
    def write(name: str) -> None:
        import os
        from pathlib import Path

        os.makedirs("below", exist_ok=True)
        Path("below", name).write_text("x")
        with open(name, "a"), open(os.path.abspath("absolute"), "w"), open("read", "a+"):
            pass
        open("read").close()

    maker = PackMaker()
    maker.add(write, "one")
    maker.add(fine, Lit(1))
    heard = run(pool, maker, environment=msgspec.structs.replace(ENVIRONMENT, cwd=str(tmp_path)))
    assert heard.outcomes[0].wrote == tuple(str(tmp_path / n) for n in ("below/one", "one", "read"))
    assert heard.outcomes[1].wrote == ()


def test_the_dispatchs_world(pool: RunnerPool, tmp_path: Path) -> None:
    folder = tmp_path / "notebook"
    folder.mkdir()
    (folder / "beside_the_notebook.py").write_text("value = 'edited later'")
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "on_the_path.py").write_text("value = 'path'")

    def look() -> Any:
        import os
        import time

        import beside_the_notebook  # type: ignore[import-not-found]
        import on_the_path  # type: ignore[import-not-found]

        return (
            beside_the_notebook.value,
            on_the_path.value,
            os.getcwd(),
            os.environ["COLOUR"],
            os.environ["MPLBACKEND"],
            os.environ["OMP_NUM_THREADS"],
            time.localtime(0).tm_hour,
        )

    def threads() -> Any:
        import os

        return os.environ["OMP_NUM_THREADS"]

    def runs(value: str) -> Any:
        maker = PackMaker()
        maker.add(look)
        maker.add(threads, options=Options(resources={"cpu": 3}))
        maker.add(threads)
        digest = maker.blob([value.encode()])
        environment = Environment(
            "python",
            "/",
            "3",
            "3",
            cwd=str(folder),
            sys_path=(str(folder), str(extra)),
            modules={"beside_the_notebook.py": digest},
        )
        variables = {"COLOUR": "blue", "PATH": os.environ["PATH"], "TZ": "ABC+5"}
        return run(pool, maker, environment=environment, variables=variables, work_root=str(tmp_path / "work"))

    heard = runs("value = 'as dispatched'")
    assert heard.value(0) == ("as dispatched", "path", str(folder), "blue", "Agg", "1", 19)
    assert (heard.value(1), heard.value(2)) == ("3", "1")
    assert runs("value = 'the next dispatch'").value(0)[0] == "the next dispatch"


def test_local_modules_with_names_of_others(pool: RunnerPool, tmp_path: Path) -> None:
    """A runner has imported the standard library's own ones long before."""

    def look() -> Any:
        import json.decoder as deep  # type: ignore[import-not-found,unused-ignore]
        import socket

        return socket.value, deep.value  # type: ignore[attr-defined]

    maker = PackMaker()
    maker.add(look)
    modules = {
        "socket.py": maker.blob([b"value = 'socket'"]), "json/__init__.py": maker.blob([b""]),
        "json/decoder.py": maker.blob([b"value = 'decoder'"]),
    }  # fmt: skip
    environment = Environment("python", "/", "3", "3", cwd=str(tmp_path), modules=modules)
    assert run(pool, maker, environment=environment, work_root=str(tmp_path)).value(0) == ("socket", "decoder")
    maker = PackMaker()
    maker.add(fine, Lit(1))
    assert run(pool, maker).value(0) == 2


def test_a_folder_that_is_not_here(pool: RunnerPool, tmp_path: Path) -> None:
    maker = PackMaker()
    maker.add(show_state)
    heard = run(pool, maker, environment=Environment("python", "/", "3", "3", cwd=str(tmp_path / "missing")))
    assert heard.outcomes[0].status == "completed"
    assert "cannot be used on this machine" in heard.outcomes[0].warnings[0]


def test_a_snapshot_that_cannot_be_had_fails_the_electrons(pool: RunnerPool, tmp_path: Path) -> None:
    for modules, message in (({"a.py": "0" * 64}, "missing"), ({"../../a.py": ""}, "outside")):
        maker = PackMaker()
        maker.add(show_state)
        modules = {path: digest or maker.blob([b""]) for path, digest in modules.items()}
        heard = run(
            pool, maker, environment=Environment("python", "/", "3", "3", modules=modules), work_root=str(tmp_path)
        )
        error = heard.outcomes[0].error
        assert error is not None and error.cause == "executor" and message in error.message
        assert not (tmp_path / "a.py").exists()


def test_async_electrons(pool: RunnerPool) -> None:
    async def later(x: int) -> int:
        import asyncio

        await asyncio.sleep(0.001)
        return x + 1

    maker = PackMaker()
    first = maker.add(later, Lit(1))
    maker.add(later, first)
    assert run(pool, maker).value(1) == 3
