from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covalent_jupyter import codec
from covalent_jupyter.errors import BuildError, EncodeError, RefError
from covalent_jupyter.workflow.capture import Capture, describe_function
from covalent_jupyter.workflow.globals import is_shareable, watch_globals

from .notebook import Notebook, cell


def load(described: Any) -> Any:
    definition, blobs = described
    joined = {digest: b"".join(chunks) for digest, chunks in blobs.items()}
    assert all(codec.digest_of([data]) == digest for digest, data in joined.items())
    return codec.decode_function(joined[definition.digest], joined.__getitem__)


TRAIN = '''
import numpy as np
N = 5
name = "adam"
data = np.arange(100_000.0)
def helper(x):
    return x * N + data[1]
def train(x: int, k=3, *, big=tuple(range(1000))) -> float:
    """Trains.

    Well.
    """
    return helper(x) + k + len(name)
'''


def test_a_function_of_a_notebook() -> None:
    names = cell(TRAIN)
    described = describe_function(names.train)
    definition, blobs = described
    assert definition.name == "train" and definition.doc == "Trains.\n\nWell."
    assert definition.source.startswith("def train(x: int") and definition.source.rstrip().endswith("len(name)")
    assert definition.file.startswith("<ipython-input") and definition.line == 8
    assert definition.signature.startswith("(x: int, k=3, *, big=(0, 1, 2, 3, 4, 5, ...)")
    assert definition.captured == {"N": "5", "data": "ndarray 800.2 kB", "name": "'adam'"}
    assert list(definition.globals) == ["data"]
    assert set(blobs) == {definition.digest, definition.globals["data"]}
    assert sum(map(len, blobs[definition.digest])) < 16_000
    assert load(described)(2) == names.train(2)


def test_captured_values_are_private_copies() -> None:
    names = cell(TRAIN)
    described = describe_function(names.train)
    one, other = load(described), load(described)
    one.__globals__["helper"].__globals__["data"][1] = 100
    assert other(2) == names.train(2) != one(2)


def test_a_large_value_is_stored_once_for_all_functions_and_versions() -> None:
    notebook = Notebook()
    first = notebook.run(TRAIN)
    build = Capture()
    (train, _), (helper, _) = build.describe_function(first.train), build.describe_function(first.helper)
    assert train.globals == helper.globals
    changed = notebook.run("def train(x): return helper(x) - 1").train
    again, _ = describe_function(changed)
    assert again.globals == train.globals and again.digest != train.digest


def test_values_are_taken_at_the_dispatch() -> None:
    notebook = Notebook()
    names = notebook.run("N = [1]\ndef f(): return N")
    described = describe_function(names.f)
    names.N.append(2)
    assert load(described)() == [1]


def test_what_cannot_be_pickled_is_named_with_the_path_through_the_helpers() -> None:
    notebook = Notebook()
    notebook.run("import sqlite3\nconn = sqlite3.connect(':memory:')")
    names = notebook.run("def helper(): return conn\ndef train(): return helper()")
    with pytest.raises(EncodeError) as caught:
        describe_function(names.train)
    assert str(caught.value).startswith(
        "train -> helper -> conn: sqlite3.Connection cannot be pickled; create it inside"
    )
    notebook.run("config = {'db': [conn]}\ndef train(): return config")
    with pytest.raises(EncodeError, match=r"train -> config -> \['db'\] -> \[0\]: sqlite3\.Connection"):
        describe_function(notebook.names["train"])
    names = notebook.run("class Model:\n    def fit(self): return conn\ndef train(): return Model().fit()")
    with pytest.raises(EncodeError, match=r"train -> Model -> fit -> conn: sqlite3\.Connection"):
        describe_function(names.train)
    notebook.names["conn"].close()


class Ref:
    def __reduce__(self) -> Any:
        raise RefError("the output of load has no value yet")


def test_a_reference_in_a_global_is_a_build_error_that_says_where() -> None:
    names = cell("def f(): return ref")
    names.f.__globals__["ref"] = [Ref()]
    with pytest.raises(BuildError, match=r"f -> ref -> \[0\]: the output of load"):
        describe_function(names.f)


def test_a_very_large_capture_draws_a_warning() -> None:
    build = Capture()
    build.describe_function(cell("import numpy\ndf = numpy.zeros(7_000_000)\ndef train(): return df").train)
    assert build.warnings == [
        "train captures df (56.0 MB): pass it as an argument, so that it is an input of the electron and shown as one"
    ]


def test_names_that_only_look_like_globals_are_not_captured() -> None:
    names = cell("data = 5\nos = 1\ndef f(x):\n    import os\n    return x.data, os.sep, [data2 for data2 in x]")
    assert describe_function(names.f)[0].captured == {}


def test_code_is_not_shown_as_a_captured_value() -> None:
    names = cell(
        "import math, functools, numpy as np\nfrom math import sqrt\n"
        "@functools.lru_cache\ndef cached(x): return x + K\nK = 2\n"
        "class A: pass\ndef f(x): return math.pi, sqrt(x), np.add(1, x), cached(x), A(), len([])"
    )
    described = describe_function(names.f)
    assert described[0].captured == {"K": "2"}
    assert load(described)(4)[3] == 6


SHAPES = {
    "lambda": "f = lambda: 7",
    "partial": "import functools\nf = functools.partial(lambda a, b: a + b, 3, b=4)",
    "bound method": "class A:\n    def __init__(self): self.k = 7\n    def go(self): return self.k\nf = A().go",
    "callable object": "class A:\n    def __call__(self): return 7\nf = A()",
    "class": "class f:\n    def __eq__(self, other): return other == 7",
    "closure": "def make(n):\n    def f(): return n\n    return f\nf = make(7)",
    "wraps": "import functools\ndef d(g):\n    @functools.wraps(g)\n    def w(): return g() + 1\n    return w\n@d\ndef f(): return 6",
    "lru_cache": "import functools\n@functools.lru_cache(maxsize=3)\ndef f(): return 7",
    "recursion": "def f(n=7): return f(n - 1) + 1 if n else 0",
    "dataclass": "import dataclasses\n@dataclasses.dataclass\nclass D:\n    a: int = 7\ndef f(): return D().a",
    "enum": "import enum\nclass E(enum.Enum):\n    A = 7\ndef f(): return E.A.value",
    "super": "class B:\n    def go(self): return 6\nclass A(B):\n    def go(self): return super().go() + 1\ndef f(): return A().go()",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_functions_of_every_shape_travel_to_another_process(shape: str, tmp_path: Path) -> None:
    names = cell(SHAPES[shape])
    definition, blobs = describe_function(names.f)
    assert definition.code and definition.name and len(blobs) == 1
    (tmp_path / "f").write_bytes(b"".join(blobs[definition.digest]))
    script = (
        "import sys\nfrom covalent_jupyter import codec\n"
        "f = codec.decode_function(open(sys.argv[1], 'rb').read(), None)\nassert f() == 7, f()"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "f")], check=True)


def test_async_functions() -> None:
    import asyncio

    names = cell("async def f(x): return x + 1")
    assert asyncio.run(load(describe_function(names.f))(1)) == 2


def test_builtins_and_library_functions() -> None:
    for function in (len, np.mean, sorted, dict):
        definition, blobs = describe_function(function)
        assert load((definition, blobs)) is function and definition.name == function.__name__


def test_the_source_of_a_cell_in_ipython(tmp_path: Path) -> None:
    script = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("import math\\n\\ndef f(x):\\n    # root\\n    return math.sqrt(x)\\n\\ng = 5")
from covalent_jupyter.workflow.capture import describe_function
d, _ = describe_function(shell.user_ns["f"])
assert d.source == "def f(x):\\n    # root\\n    return math.sqrt(x)\\n", d.source
assert d.line == 3
shell.run_cell("def f(x):\\n    return 2")
e, _ = describe_function(shell.user_ns["f"])
assert e.source.rstrip() == "def f(x):\\n    return 2" and e.code != d.code
"""
    subprocess.run([sys.executable, "-c", script], check=True, env={"HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path)})


def test_a_default_whose_repr_fails() -> None:
    names = cell("class Odd:\n    def __repr__(self): raise ValueError\nodd = Odd()\ndef f(x=odd): return odd")
    definition, _ = describe_function(names.f)
    assert definition.signature == "(x=Odd)" and definition.captured == {"odd": "Odd"}


def test_speed_of_a_simple_function() -> None:
    f = cell("N = 1\ndef f(x):\n    return x + N").f
    describe_function(f)
    best = min(_timed(lambda: describe_function(f)) for _ in range(20))
    assert best < 0.001


def _timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_a_function_of_a_local_module_goes_by_reference(project: Callable[..., Any]) -> None:
    module = project(
        {
            "mine.py": "class Electron:\n    def __init__(self, function): self.function = function\n"
            "state = []\ndef plain(): return state\n@Electron\ndef wrapped(): return plain()\n"
        },
        "mine",
    )
    build = Capture()
    for function in (module.plain, module.wrapped.function):
        described = build.describe_function(function)
        assert described[0].captured == {} and len(described[0].modules) == 1
        assert load(described) is function
    assert set(build.modules.snapshot().files) == {"mine.py"}


def test_a_value_names_the_modules_that_it_needs(project: Callable[..., Any]) -> None:
    module = project({"shapes.py": "class Square: pass\n"}, "shapes")
    names: set[str] = set()
    codec.encode([module.Square()], modules=names)
    build = Capture()
    build.reach(names)
    assert set(build.take_environment().environment.modules) == {"shapes.py"}


# In the runner


def test_globals_that_an_electron_changes_are_reported() -> None:
    f = load(
        describe_function(
            cell(
                "count, seen, kept, table = 0, [], [1], {'a': [1]}\n"
                "def helper():\n    global count\n    count += 1\n"
                "def f(deep=True):\n    helper()\n    seen.append(1)\n    len(kept)\n    if deep: table['a'].append(2)"
            ).f
        )
    )
    watch = watch_globals(f)
    assert watch is not None and watch.changed() == ()
    f(deep=False)
    assert watch.changed() == ("count", "seen")
    f()
    assert watch.changed() == ("count", "seen", "table")


def test_a_global_that_is_made_or_deleted() -> None:
    f = load(describe_function(cell("old = 1\ndef f():\n    global new, old\n    new = 1\n    del old").f))
    watch = watch_globals(f)
    f()
    assert watch is not None and watch.changed() == ("new", "old")


def test_nothing_to_watch() -> None:
    f = load(describe_function(cell("import math\nN = 3\ndef g(x): return x + N\ndef f(x): return g(math.sqrt(x))").f))
    assert watch_globals(f) is None and is_shareable(f)


@pytest.mark.parametrize(
    "source",
    [
        "state = []\ndef f(): state.append(1)",
        "import numpy\na = numpy.zeros(3)\ndef f(): a[0] += 1",
        "def f(x=[]): x.append(1)",
        "def f(*, x={}): x[1] = 1",
        "n = 0\ndef f():\n    global n\n    n += 1",
        "def f(): f.calls += 1\nf.calls = 0",
        "class A:\n    n = 0\ndef f(): A.n += 1",
        "def make():\n    n = [0]\n    def f(): n[0] += 1\n    return f\nf = make()",
        "state = ([],)\ndef helper(): state[0].append(1)\ndef f(): helper()",
        "import functools\n@functools.lru_cache\ndef g(): return []\ndef f(): g().append(1)",
    ],
)
def test_functions_with_a_memory_are_not_shared(source: str) -> None:
    f = cell(source).f
    assert not is_shareable(f) and not is_shareable(load(describe_function(f)))


def test_a_closure_variable_that_is_rebound_is_not_shared() -> None:
    f = cell(
        "def make():\n    n = 0\n    def f():\n        nonlocal n\n        n += 1\n        return n\n    return f\nf = make()"
    ).f
    assert not is_shareable(f)
