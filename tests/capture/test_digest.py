"""The code digest changes if and only if what the function does may change."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from covalent_jupyter.workflow.digest import Digester, code_digest, value_digest

from .notebook import Notebook, cell


def digest(source: str, name: str = "f") -> str:
    return code_digest(getattr(cell(textwrap.dedent(source)), name))


BASE = """
import math
N = 3
def deep(x):
    return x + N
def helper(x):
    return deep(x) * 2
def f(x, y=1, *, z="a"):
    return [helper(x), math.sqrt(y), z, x in {"a", "b", "c"}, None]
"""

SAME = {
    "the same cell": BASE,
    "a blank line above": "\n\n" + BASE,
    "a comment": BASE.replace("    return deep", "    # twice\n    return deep"),
    "a docstring": BASE.replace('def f(x, y=1, *, z="a"):\n', "def f(x, y=1, *, z=\"a\"):\n    'Text.'\n"),
    "a docstring of a helper": BASE.replace("def deep(x):\n", "def deep(x):\n    'Text.'\n"),
    "other line breaks": BASE.replace("[helper(x), math", "[\n        helper(x),\n        math"),
    "an unrelated function": BASE + "def g(): return 5\n",
    "an unrelated global": BASE + "M = 4\n",
    "the name of a local": BASE.replace("return deep(x) * 2", "return deep(x) * 2"),
}

OTHER = {
    "its code": BASE.replace("None]", "True]"),
    "a constant": BASE.replace('"c"', '"d"'),
    "a default": BASE.replace("y=1", "y=2"),
    "a default of a keyword": BASE.replace('z="a"', 'z="b"'),
    "a parameter's name": BASE.replace("x, y=1", "x, k=1").replace("sqrt(y)", "sqrt(k)"),
    "a helper": BASE.replace("* 2", "* 3"),
    "a helper two calls deep": BASE.replace("x + N", "x - N"),
    "a global two calls deep": BASE.replace("N = 3", "N = 4"),
    "the type of a global": BASE.replace("N = 3", "N = 3.0"),
    "a library function": BASE.replace("math.sqrt", "math.exp"),
    "a global that is gone": BASE.replace("N = 3\n", ""),
}


@pytest.mark.parametrize("change", SAME)
def test_what_does_not_change_the_digest(change: str) -> None:
    assert digest(SAME[change]) == digest(BASE)


@pytest.mark.parametrize("change", OTHER)
def test_what_changes_the_digest(change: str) -> None:
    assert digest(OTHER[change]) != digest(BASE)


# Every pair: (source, a change that matters)
KINDS = {
    "lambda": ("f = lambda x: x + 1", "f = lambda x: x + 2"),
    "nested": ("def f():\n    def g(): return 1\n    return g()", "def f():\n    def g(): return 2\n    return g()"),
    "closure": (
        "def make(n):\n    def f(): return n\n    return f\nf = make([1, {2}])",
        "def make(n):\n    def f(): return n\n    return f\nf = make([1, {3}])",
    ),
    "closure over a function": (
        "def make(g):\n    def f(): return g()\n    return f\nf = make(lambda: 1)",
        "def make(g):\n    def f(): return g()\n    return f\nf = make(lambda: 2)",
    ),
    "recursion": ("def f(n): return f(n - 1) if n else 0", "def f(n): return f(n - 2) if n else 0"),
    "mutual recursion": (
        "def f(n): return g(n)\ndef g(n): return f(n) if n else 1",
        "def f(n): return g(n)\ndef g(n): return f(n) if n else 2",
    ),
    "class used": (
        "class A:\n    'Doc.'\n    k = 1\n    def go(self): return self.k\ndef f(): return A().go()",
        "class A:\n    'Doc.'\n    k = 2\n    def go(self): return self.k\ndef f(): return A().go()",
    ),
    "base class": (
        "class B:\n    def go(self): return 1\nclass A(B): pass\ndef f(): return A().go()",
        "class B:\n    def go(self): return 2\nclass A(B): pass\ndef f(): return A().go()",
    ),
    "property": (
        "class A:\n    @property\n    def p(self): return 1\ndef f(): return A().p",
        "class A:\n    @property\n    def p(self): return 2\ndef f(): return A().p",
    ),
    "static and class methods": (
        "class A:\n    @staticmethod\n    def s(): return 1\n    @classmethod\n    def c(cls): return cls.s()\ndef f(): return A.c()",
        "class A:\n    @staticmethod\n    def s(): return 2\n    @classmethod\n    def c(cls): return cls.s()\ndef f(): return A.c()",
    ),
    "dataclass": (
        "import dataclasses\n@dataclasses.dataclass\nclass D:\n    a: int = 1\ndef f(): return D()",
        "import dataclasses\n@dataclasses.dataclass\nclass D:\n    a: int = 2\ndef f(): return D()",
    ),
    "enum": (
        "import enum\nclass E(enum.Enum):\n    A = 1\ndef f(): return E.A",
        "import enum\nclass E(enum.Enum):\n    A = 2\ndef f(): return E.A",
    ),
    "class inside": (
        "def f():\n    class A:\n        k = 1\n    return A.k",
        "def f():\n    class A:\n        k = 2\n    return A.k",
    ),
    "partial": (
        "import functools\nf = functools.partial(lambda a, b: a + b, 1)",
        "import functools\nf = functools.partial(lambda a, b: a + b, 2)",
    ),
    "bound method": (
        "class A:\n    def __init__(self, k): self.k = k\n    def go(self): return self.k\nf = A(1).go",
        "class A:\n    def __init__(self, k): self.k = k\n    def go(self): return self.k\nf = A(2).go",
    ),
    "callable object": (
        "class A:\n    def __call__(self): return 1\nf = A()",
        "class A:\n    def __call__(self): return 2\nf = A()",
    ),
    "async": ("async def f(): return 1", "async def f(): return 2"),
    "generator against function": ("def f():\n    return 1", "def f():\n    yield 1"),
    "wraps": (
        "import functools\ndef deco(g):\n    @functools.wraps(g)\n    def w(*a): return g(*a)\n    return w\n@deco\ndef f(): return 1",
        "import functools\ndef deco(g):\n    @functools.wraps(g)\n    def w(*a): return g(*a)\n    return w\n@deco\ndef f(): return 2",
    ),
    "decorator": (
        "def deco(g):\n    def w(*a): return g(*a) + 1\n    return w\n@deco\ndef f(): return 1",
        "def deco(g):\n    def w(*a): return g(*a) + 2\n    return w\n@deco\ndef f(): return 1",
    ),
    "lru_cache": (
        "import functools\n@functools.lru_cache\ndef g(): return 1\ndef f(): return g()",
        "import functools\n@functools.lru_cache\ndef g(): return 2\ndef f(): return g()",
    ),
    "electron": (
        "class Electron:\n    def __init__(self, function): self.function = function\n@Electron\ndef f(): return 1",
        "class Electron:\n    def __init__(self, function): self.function = function\n@Electron\ndef f(): return 2",
    ),
    "electron called": (
        "class Electron:\n    def __init__(self, function): self.function = function\n@Electron\ndef g(): return 1\ndef f(): return g()",
        "class Electron:\n    def __init__(self, function): self.function = function\n@Electron\ndef g(): return 2\ndef f(): return g()",
    ),
    "functions in a dict": (
        "def a(): return f\ndef b(): return 1\ntable = {'a': a, 'b': b}\ndef f(k): return table[k]()",
        "def a(): return f\ndef b(): return 2\ntable = {'a': a, 'b': b}\ndef f(k): return table[k]()",
    ),
    "instance of a class": (
        "class A:\n    def __init__(self, k): self.k = k\n    def go(self): return self.k\na = A(1)\ndef f(): return a.go()",
        "class A:\n    def __init__(self, k): self.k = k\n    def go(self): return self.k\na = A(2)\ndef f(): return a.go()",
    ),
    "set": ("s = {'a', 'b', 'c'}\ndef f(): return s", "s = {'a', 'b', 'd'}\ndef f(): return s"),
    "dict": ("d = {'a': 1}\ndef f(): return d", "d = {'a': 2}\ndef f(): return d"),
    "array": (
        "import numpy\na = numpy.arange(5)\ndef f(): return a",
        "import numpy\na = numpy.arange(6)\ndef f(): return a",
    ),
    "large array": (
        "import numpy\na = numpy.zeros(500_000)\ndef f(): return a",
        "import numpy\na = numpy.zeros(500_000); a[-1] = 1\ndef f(): return a",
    ),
    "long list": ("a = list(range(50_000))\ndef f(): return a", "a = list(range(50_001))\ndef f(): return a"),
    "frame": (
        "import pandas\nd = pandas.DataFrame({'a': [1, 2], 's': ['x', 'y']})\ndef f(): return d",
        "import pandas\nd = pandas.DataFrame({'a': [1, 2], 's': ['x', 'z']})\ndef f(): return d",
    ),
    "logger and lock": (
        "import logging, threading\nlog, lock = logging.getLogger('a'), threading.Lock()\ndef f():\n    with lock: log.info('x')",
        "import logging, threading\nlog, lock = logging.getLogger('b'), threading.Lock()\ndef f():\n    with lock: log.info('x')",
    ),
    "regular expression": (
        "import re\np = re.compile('a')\ndef f(): return p",
        "import re\np = re.compile('b')\ndef f(): return p",
    ),
    "function attribute": ("def f(): return f.k\nf.k = 1", "def f(): return f.k\nf.k = 2"),
    "try": (
        "def f():\n    try:\n        return 1\n    except ValueError:\n        return 2",
        "def f():\n    try:\n        return 1\n    except KeyError:\n        return 2",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_functions(kind: str) -> None:
    source, changed = KINDS[kind]
    assert digest(source) == digest("# a comment\n\n" + source)
    assert digest(source) != digest(changed)


def test_a_large_cycle_of_functions_is_quick() -> None:
    names = [f"f{i}" for i in range(60)]
    source = "".join(f"def {n}(x):\n    return [{', '.join(names)}, {i}]\n" for i, n in enumerate(names))
    start = time.process_time()
    assert digest(source, "f0") == digest(source, "f0") != digest(source, "f1")
    assert time.process_time() - start < 5


def test_a_data_cycle() -> None:
    source = "a = [1]\na.append(a)\ndef f(): return a"
    assert digest(source) == digest(source) != digest(source.replace("[1]", "[2]"))


def test_across_processes_and_hash_seeds() -> None:
    sources = [BASE, *(source for source, _ in KINDS.values())]
    script = textwrap.dedent(
        """
        import sys, json
        from covalent_jupyter.workflow.digest import code_digest
        out = []
        for source in json.load(sys.stdin):
            names = {"__name__": "__main__"}
            exec(compile(source, f"<cell {len(out)}>", "exec"), names)
            out.append(code_digest(names["f"]))
        print(json.dumps(out))
        """
    )
    import json

    found = []
    for seed in ("0", "1", "77"):
        result = subprocess.run(
            [sys.executable, "-c", script],
            input=json.dumps(sources),
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        found.append(json.loads(result.stdout))
    assert found[0] == found[1] == found[2]


def test_a_cell_run_again() -> None:
    notebook = Notebook()
    first = code_digest(notebook.run(BASE).f)
    notebook.run("other = 5")
    assert code_digest(notebook.run(BASE).f) == first
    notebook.run("N = 7")
    assert code_digest(notebook.names["f"]) != first


def test_one_build_sees_one_state_and_the_next_another() -> None:
    notebook = Notebook()
    f = notebook.run(BASE).f
    build = Digester()
    first = build.code(f)
    notebook.run("N = 7")
    assert build.code(f) == first != Digester().code(f)


VALUES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "sets in any order": (lambda: {"a", "b", 3, (1, 2)}, lambda: {"a", "b", 4, (1, 2)}),
    "dict": (lambda: {"a": [1]}, lambda: {"a": [2]}),
    "array": (lambda: np.arange(9).reshape(3, 3), lambda: np.arange(9)),
    "array of objects": (lambda: np.array([{"a"}, None], dtype=object), lambda: np.array([{"b"}, None], dtype=object)),
    "dtype": (lambda: np.zeros(3, "f4"), lambda: np.zeros(3, "f8")),
    "frame": (lambda: pd.DataFrame({"a": [1.0]}), lambda: pd.DataFrame({"b": [1.0]})),
    "bool and int": (lambda: [True], lambda: [1]),
    "int and float": (lambda: 1, lambda: 1.0),
    "str and bytes": (lambda: "a", lambda: b"a"),
    "minus zero": (lambda: 0.0, lambda: -0.0),
    "nesting": (lambda: [[1], 2], lambda: [[1, 2]]),
    "functions": (lambda: cell("def f(): return 1").f, lambda: cell("def f(): return 2").f),
    "long": (lambda: list(range(30_000)), lambda: list(range(30_001))),
}


@pytest.mark.parametrize("kind", VALUES)
def test_values(kind: str) -> None:
    one, other = VALUES[kind]
    assert value_digest(one()) == value_digest(one())
    assert value_digest(one()) != value_digest(other())


def test_equal_parts_need_not_be_one_object() -> None:
    shared = [1]
    assert value_digest([shared, shared]) == value_digest([[1], [1]])


# Local modules


def test_a_function_of_a_local_module_depends_on_what_it_reaches_there(project: Callable[..., Any]) -> None:
    text = "import numpy as np\nK = 2\ndef helper(x):\n    return x * K\ndef a(x):\n    return helper(x)\ndef b(x):\n    return np.mean(x)\n"

    def digests(changed: str) -> tuple[str, str]:
        module = project({"mine.py": changed}, "mine")
        return code_digest(module.a), code_digest(module.b)

    a, b = digests(text)
    assert digests('"""Doc."""\n\n# comment\n' + text.replace("def a(x):\n", "def a(x):\n    'Doc.'\n")) == (a, b)
    for change in (text.replace("K = 2", "K = 3"), text.replace("x * K", "x + K")):
        changed = digests(change)
        assert changed[0] != a and changed[1] == b
    changed = digests(text.replace("np.mean", "np.sum"))
    assert changed[0] == a and changed[1] != b
    changed = digests(text + "np.random.seed(0)\n")
    assert changed[0] != a and changed[1] != b


def test_an_imported_local_module_changes_its_dependants_only(project: Callable[..., Any]) -> None:
    def digests(deep: str) -> list[str]:
        project(
            {
                "low.py": deep,
                "pkg/__init__.py": "",
                "pkg/mid.py": "from low import step\ndef go(x):\n    return step(x)\n",
            }
        )
        names = cell(
            "import low, pkg.mid\nfrom pkg import mid\nfrom pkg.mid import go\n"
            "def attribute(x): return pkg.mid.go(x)\n"
            "def whole(x): return mid.go(x)\n"
            "def name(x): return go(x)\n"
            "def inside(x):\n    from pkg.mid import go as g\n    return g(x)\n"
            "def handed(x): return x(low)\n"
            "def other(x): return low.other(x)\n"
            "def none(x): return x\n"
        )
        return [
            code_digest(getattr(names, n)) for n in ("attribute", "whole", "name", "inside", "handed", "other", "none")
        ]

    text = "def step(x):\n    return x + 1\ndef other(x):\n    return x\n"
    before = digests(text)
    assert digests("# comment\n" + text) == before
    after = digests(text.replace("x + 1", "x + 2"))
    assert [a == b for a, b in zip(after, before, strict=True)] == [False] * 5 + [True] * 2


def test_methods_star_imports_and_relative_imports(project: Callable[..., Any]) -> None:
    def digests(value: int) -> list[str]:
        files = {
            "pkg/__init__.py": "from .core import *\n",
            "pkg/core.py": f"from . import const\nclass A:\n    def go(self): return const.K\nLIMIT = [{value}]\n",
            "pkg/const.py": f"K = {value}\n",
            "pkg/table.txt": "x",
        }
        pkg = project(files, "pkg")
        names = {"pkg": pkg, "A": pkg.A, "limit": pkg.LIMIT, "__name__": "__main__"}
        exec("def f(): return A().go()\ndef g(): return pkg.LIMIT\ndef h(): return limit", names)
        return [code_digest(names[n]) for n in "fgh"]

    one, two = digests(1), digests(2)
    assert all(a != b for a, b in zip(one, two, strict=True)) and digests(1) == one


def test_the_digest_is_of_the_file_not_of_what_is_loaded(project: Callable[..., Any]) -> None:
    module = project({"mine.py": "def f(): return 1\n"}, "mine")
    before = code_digest(module.f)
    project({"mine.py": "def f(): return 22\n"}, reload=False)
    assert code_digest(module.f) != before


def test_decorated_functions_of_a_local_module(project: Callable[..., Any]) -> None:
    text = (
        "import functools\nclass Electron:\n    def __init__(self, function): self.function = function\n"
        "def deco(g):\n    @functools.wraps(g)\n    def w(): return g()\n    return w\n"
        "@Electron\n@deco\ndef f(): return 1\n"
    )
    one = project({"mine.py": text}, "mine")
    before = code_digest(one.f), code_digest(one.f.function), code_digest(one.f.function.__wrapped__)
    other = project({"mine.py": text.replace("return 1", "return 22")}, "mine")
    after = code_digest(other.f), code_digest(other.f.function), code_digest(other.f.function.__wrapped__)
    assert all(a != b for a, b in zip(before, after, strict=True))
