"""``%%dispatch``: a cell that runs outside of the kernel, as if it had run in it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter.errors import InvalidRequest
from covalent_jupyter.notebook.names import names_of
from covalent_jupyter.notebook.outside import fetch

from .conftest import Shell


class TestNames:
    """What a cell reads and assigns, from its source."""

    @pytest.mark.parametrize(
        ("source", "reads", "assigns"),
        [
            ("y = x", {"x"}, ["y"]),
            ("x = 1\ny = x", set(), ["x", "y"]),
            ("x = x + 1", {"x"}, ["x"]),
            ("x += 1", {"x"}, ["x"]),
            ("a, (b, *c) = d", {"d"}, ["a", "b", "c"]),
            ("if t:\n    x = 1\ny = x", {"t", "x"}, ["x", "y"]),
            ("if t:\n    x = 1\nelse:\n    x = 2\ny = x", {"t"}, ["x", "y"]),
            ("for i in n:\n    s = i\nprint(s, i)", {"n", "print", "s", "i"}, ["i", "s"]),
            ("with open(f) as h:\n    r = h.read()\nr", {"open", "f"}, ["h", "r"]),
            ("try:\n    x = f()\nexcept E as e:\n    x = e\nx", {"f", "E"}, ["x"]),
            ("import a.b, c as d\nfrom e import f as g", set(), ["a", "d", "g"]),
            ("def f(v):\n    return v + w\nclass A(B):\n    z = q", {"w", "B", "q"}, ["f", "A"]),
            ("[v * k for v in vs]", {"vs", "k"}, []),
            ("(n := m) + n\nn", {"m", "n"}, ["n"]),
            ("match p:\n    case {'k': v, **rest} if v > lim:\n        w = v", {"p", "lim"}, ["v", "rest", "w"]),
            ("del x\nx", {"x"}, []),
            ("await z", {"z"}, []),
        ],
    )
    def test_reads_and_assigns(self, source: str, reads: set[str], assigns: list[str]) -> None:
        import ast

        found = names_of(ast.parse(source).body)
        assert found.reads - {"print", "open"} == reads - {"print", "open"}
        assert sorted(found.assigns) == sorted(assigns)

    def test_items_and_attributes_that_are_set(self) -> None:
        import ast

        found = names_of(ast.parse("df['a'][0] = 1\nobj.x.y += 2\ndel d[k]").body)
        assert set(found.mutates) == {"df", "obj", "d"} and found.reads >= {"df", "obj", "d", "k"}


CELL = """%%dispatch --wait
import math
from os.path import *
k = 20
y: float = helper(n)
for i in range(3):
    total = i
def square(v):
    return v * k
class Point:
    x = 3
point = Point()
df["b"] = [n, n]
!echo hello {y}
%time z = y + 1
await __import__("asyncio").sleep(0)
lock = __import__("threading").Lock()
z"""


class TestCell:
    def test_it_runs_as_if_it_had_run_here(self, shell: Shell) -> None:
        shell.run("n = 1\nk = 10\ndf = {'a': 0}\ndef helper(v):\n    return v + k")
        shell.said()
        shell.run(CELL)
        said = shell.said()
        assert "hello 21" in said and "Wall time" in said and "\n22\n" in said
        assert "Here now: k, y, i, total, square, Point, point, df" in said
        assert "Stayed there: lock (" in said and "create it inside the electron" in said
        assert [shell[name] for name in ("k", "y", "i", "total", "z")] == [20, 21, 2, 2, 22]
        assert shell["df"] == {"a": 0, "b": [1, 1]} and shell["point"].x == 3 and "lock" not in shell
        assert shell.run("math.pi > 3 and isinstance(point, Point)") and shell.run("basename('a/b')") == "b"
        shell.run("k = 100")
        assert shell.run("square(2)") == 200  # it is a function of this notebook now

    def test_names_come_back_later_and_elsewhere(self, shell: Shell) -> None:
        shell.run("%%dispatch fit -o run\nscore = 0.9\nmodel = [1, 2]")
        assert shell["run"].wait(60) == "COMPLETED"
        shell.run("%covalent fetch run score")
        assert shell["score"] == 0.9 and "model" not in shell
        shell.run("%covalent fetch")
        assert shell["model"] == [1, 2]
        there: dict[str, Any] = {}
        fetch(shell["run"], there)
        assert there == {"score": 0.9, "model": [1, 2]} == dict(ct.get_result(shell["run"]).value)
        _, shown = shell.fails("%covalent fetch run modell")
        assert "the cell assigned no modell; it assigned score, model" in shown

    def test_while_it_runs_there_is_nothing_to_fetch(self, shell: Shell) -> None:
        shell.run("%%dispatch -o run\nimport time\nwhile True:\n    time.sleep(0.01)")
        error, shown = shell.fails("%covalent fetch run")
        assert isinstance(error, ct.NotFinished) and "electrons completed" in shown
        shell["run"].cancel()

    def test_a_dispatch_that_is_no_cell(self, shell: Shell) -> None:
        shell.run("%%lattice flow(n=1) --dispatch --wait\nn")
        error, shown = shell.fails("%covalent fetch flow_run")
        assert isinstance(error, InvalidRequest) and "is no cell of %%dispatch" in shown

    def test_errors_are_at_the_cells_lines(self, shell: Shell) -> None:
        error, shown = shell.fails("%%dispatch --wait\na = 1\n\n1 / (a - 1)")
        assert isinstance(error, ZeroDivisionError)
        assert "line 4, in cell" in shown and "1 / (a - 1)" in shown and "covalent_jupyter/" not in shown
        error, shown = shell.fails("%%dispatch --wait\na = 1\nreturn a")
        assert type(error).__name__ == "SyntaxError" and error.lineno == 3 and "return a" in shown

    def test_what_cannot_be_captured_is_named(self, shell: Shell) -> None:
        shell.run("import sqlite3\nconn = sqlite3.connect(':memory:')")
        error, shown = shell.fails("%%dispatch\nrows = conn.execute('SELECT 1').fetchall()")
        assert isinstance(error, ct.EncodeError)
        assert "cell -> conn: sqlite3.Connection cannot be pickled" in shown and "covalent_jupyter/" not in shown

    def test_old_values_of_what_it_assigns_first_are_not_captured(self, shell: Shell) -> None:
        shell.run("lock = __import__('threading').Lock()\nold = lock")
        shell.run("%%dispatch --wait\nlock = 1\nlock += 1")
        assert shell["lock"] == 2
        assert isinstance(shell["old"], type(threading.Lock()))

    def test_once_does_not_run_it_again(self, shell: Shell) -> None:
        shell.run("n = 5")
        shell.run("%%dispatch --once --wait\nonly = n * 2")
        first = shell["_"]
        shell.run("%%dispatch --once --wait\nonly = n * 2")
        assert shell["_"] == first and shell["only"] == 10
        shell.run("n = 6")
        shell.run("%%dispatch --once --wait\nonly = n * 2")
        assert shell["_"] != first and shell["only"] == 12

    def test_time_on_top_is_no_obstacle(self, shell: Shell) -> None:
        shell.run("%%dispatch --wait\n%%time\ntimed = 1")
        assert shell["timed"] == 1

    def test_packages_are_not_installed_from_inside(self, shell: Shell) -> None:
        error, shown = shell.fails("%%dispatch --wait\n%pip install numpy")
        assert isinstance(error, RuntimeError) and "deps_pip" in shown
