"""``%%dispatch``: a cell that runs outside of the kernel, as if it had run in it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from IPython.core.inputtransformer2 import TransformerManager

import covalent_jupyter as ct
from covalent_jupyter.client.rest import connect
from covalent_jupyter.errors import InvalidRequest
from covalent_jupyter.notebook.fetching import fetch
from covalent_jupyter.notebook.following import Moved, outputs
from covalent_jupyter.notebook.names import names_of
from covalent_jupyter.notebook.touching import touched
from covalent_jupyter.worker import cell as worker_cell

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

    @pytest.mark.parametrize(
        ("source", "reads", "assigns"),
        [
            ("!rm -rf $folder/* ${x} {y + 1} {z[1:2]} $$pid", {"folder", "x", "y", "z"}, []),
            ("!awk '{print $1}' $file", {"file"}, []),
            ("folder = 1\n!ls $folder", set(), ["folder"]),
            ("found = !ls {folder}", {"folder"}, ["found"]),
            ("%cd $folder", {"folder"}, []),
            ("%time total = f(data)\ntotal", {"f", "data"}, ["total"]),
            ("%timeit -n 3 -r2 mine = df.a.sum()", {"df"}, []),
            ("%prun -s cumulative -q g(q)", {"g", "q"}, []),
            ("%time !ls $folder", {"folder"}, []),
            ("def f():\n    !ls $folder", {"folder"}, ["f"]),
            ("exec('new = old')", {"old"}, ["new"]),
        ],
    )
    def test_inside_of_commands_and_magics(self, source: str, reads: set[str], assigns: list[str]) -> None:
        import ast

        transform = TransformerManager().transform_cell
        found = names_of(ast.parse(transform(source)).body, transform)
        assert found.reads - {"get_ipython", "exec", "print"} == reads and list(found.assigns) == assigns
        assert found.texts >= reads

    @pytest.mark.parametrize(
        ("source", "maybe"),
        [
            ("clf.fit(X, y)", {"clf", "X", "y"}),
            ("print(df, len(df))\nz = df + 1", set()),
            ("nested['k'].append(9)", {"nested"}),
            ("for n, m in zip(names, models):\n    m.fit()", {"names", "models", "m"}),
            ("first = models[0]\nfirst.rate = 1", {"first", "models"}),
            ("[m.fit() for m in models]", {"m", "models"}),
            ("found = train(net, lr=rate)", {"net", "rate"}),
        ],
    )
    def test_what_it_may_change(self, source: str, maybe: set[str]) -> None:
        import ast

        assert touched(ast.parse(source).body).maybe == maybe

    def test_what_is_too_large_to_be_compared_is_told_of(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker_cell, "_COMPARED", 100)
        scope = {"small": [1], "large": [1] * 1000, "given": [1] * 1000}
        with worker_cell.Running(scope, [], watched={"small": True, "large": True, "given": False}) as run:
            scope["small"].append(2)
            scope["large"].append(2)
        assert dict(run.names) == {"small": [1, 2]} and list(run.names.left) == ["large"]
        assert "`large = large` in the cell brings it back" in run.names.left["large"]


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
        assert "Here now: k, y, i, total, square, Point, point, z, df" in said
        assert "Stayed there: lock (" in said and "create it inside the electron" in said
        assert [shell[name] for name in ("k", "y", "i", "total", "z")] == [20, 21, 2, 2, 22]
        assert shell["df"] == {"a": 0, "b": [1, 1]} and shell["point"].x == 3 and "lock" not in shell
        assert shell.run("math.pi > 3 and isinstance(point, Point)") and shell.run("basename('a/b')") == "b"
        shell.run("k = 100")
        assert shell.run("square(2)") == 200  # it is a function of this notebook now

    def test_commands_and_magics_have_the_variables_of_the_notebook(self, shell: Shell) -> None:
        shell.run("folder = '/x/out'\ndata = [1, 2, 3]\ndef ff():\n    return 7\ndef hh(p):\n    !echo $p and $folder")
        shell.said()
        shell.run(
            "%%dispatch --wait\n!echo rm -rf $folder/* {folder} {len(data)}\nhh(4)\n%time total = sum(data)\n%time z = ff()"
            "\n%timeit -n 1 -r 1 ff()\nfound = !echo $z $folder\nfound[0]"
        )
        said = shell.said()
        assert "rm -rf /x/out/* /x/out 3" in said and "4 and /x/out" in said and "'7 /x/out'" in said
        assert shell["total"] == 6 and shell["z"] == 7

    def test_a_variable_that_a_shell_would_take_for_nothing(self, shell: Shell) -> None:
        shell.run("folder = '/x/out'")
        error, shown = shell.fails("%%dispatch --wait\n!echo rm -rf $folder/* $HOME")
        assert isinstance(error, NameError) and "the shell would take $folder for an empty text" in str(error)
        shell.run("%%dispatch --wait\n!echo $HOME\n!for f in 1 2; do echo $f; done\n!echo $nosuch")
        assert shell.said().count("is no variable of the cell, the notebook or the environment") == 1

    def test_what_is_bound_otherwise_comes_back_as_well(self, shell: Shell) -> None:
        shell.run("data = [1, 2]\ncounter = 0\ndef count():\n    global counter\n    counter += 1")
        shell.run("%%dispatch --wait\nexec('new = data[0]')\ncount()\nlocals()['other'] = eval('new + 1')")
        assert "Here now: new, counter, other" in shell.said()
        assert [shell[name] for name in ("new", "counter", "other")] == [1, 1, 2]

    def test_a_cell_that_assigns_the_name_of_its_function(self, shell: Shell) -> None:
        shell.run("%%dispatch --wait\ncell = 3")
        assert shell["cell"] == 3

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
        assert isinstance(error, ct.NotFinished) and "%covalent wait" in shown and "%%dispatch --wait" in shown
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

    def test_what_it_had_assigned_when_it_failed_comes_back(self, shell: Shell) -> None:
        shell.run("data = [1]\nold = 1")
        error, shown = shell.fails("%%dispatch --wait\ndel old\nkeep = {'a': [2] * 20000}\nkeep2 = undefined_name")
        assert isinstance(error, NameError) and "Here now: keep" in shown and "line 4, in cell" in shown
        assert len(shell["keep"]["a"]) == 20000 and "keep2" not in shell and "old" not in shell
        found = ct.get_result(shell["_"])
        assert found.electrons[0].status == "FAILED"
        with pytest.raises(NameError):
            _ = found.value
        with pytest.raises(NameError):
            _ = found.electrons[0].value
        shell.run("del keep")
        shell.said()
        shell.run("%covalent fetch")
        assert "The cell failed (NameError: name 'undefined_name' is not defined)" in shell.said()
        assert len(shell["keep"]["a"]) == 20000
        error, _ = shell.fails("%%dispatch --wait\nprint(undefined_name)")
        assert isinstance(error, NameError)

    def test_a_bar_that_was_printed_is_not_told_a_second_time_where_nobody_saw_it_run(self, shell: Shell) -> None:
        shell.run("%%dispatch -o run\nfrom tqdm import tqdm\nfor n in tqdm(range(5)):\n    ct.report(loss=n)")
        assert shell["run"].wait(60) == "COMPLETED"
        found = list(outputs(connect(), shell["run"]))
        assert "5/5" in "".join(item["text"] for item in found if isinstance(item, dict))
        assert [set(item.advance) for item in found if isinstance(item, Moved)] == [{"report"}]
        shell.run("%%dispatch -o run\nprint('caf\u00e9')\nfor n in ct.progress(range(5)):\n    pass")
        assert shell["run"].wait(60) == "COMPLETED"
        (moved,) = [item for item in outputs(connect(), shell["run"]) if isinstance(item, Moved)]
        assert moved.advance["done"] == moved.advance["total"] == 5

    def test_what_it_had_assigned_when_its_time_was_over_comes_back(self, shell: Shell) -> None:
        error, shown = shell.fails(
            "%%dispatch --wait --timeout 2.5\nimport time\nsteps = []\nwhile True:\n    steps.append(1)\n    time.sleep(0.01)"
        )
        assert isinstance(error, ct.ElectronTimeout) and "Here now: steps" in shown
        assert len(shell["steps"]) > 3

    def test_what_it_had_assigned_when_it_was_cancelled_comes_back(self, shell: Shell, tmp_path: Path) -> None:
        os.mkfifo(pipe := tmp_path / "pipe")
        shell.run(
            f"%%dispatch -o run\nimport time\nstep = {{'n': [1] * 20000}}\nopen({str(pipe)!r}, 'w').close()\n"
            "while True:\n    time.sleep(0.01)"
        )
        pipe.read_text()  # until the cell opens it
        run = shell["run"]
        run.cancel()
        assert run.wait(60) == "CANCELLED"
        electron = run.result().electrons[0]
        assert electron.status == "CANCELLED" and electron.error is None and not electron.traceback
        with pytest.raises(ct.NotFinished, match="it is cancelled"):
            _ = electron.value
        shell.said()
        shell.run("%covalent fetch run")
        said = shell.said()
        assert "The cell was cancelled. It had assigned something before." in said and "Here now: step" in said
        assert len(shell["step"]["n"]) == 20000
        with pytest.raises(ct.DispatchCancelled):
            _ = run.result().value

    def test_what_did_not_come_back_is_named_and_why(self, shell: Shell) -> None:
        crash = "%%dispatch --wait -o run\nimport os\nmodel, scores = 1, [2]\nos.kill(os.getpid(), 6)"
        error, shown = shell.fails(crash)
        told = "Did not come back: model, scores (its process ended before it could hand out anything)"
        assert isinstance(error, ct.ElectronCrashed) and told in shown and "Here now" not in shown
        error, shown = shell.fails("%covalent fetch run")
        assert isinstance(error, ct.ElectronCrashed) and told in shown
        stubborn = (
            "%%dispatch --wait --timeout 2\nimport time\nkept = 1\nwhile True:\n    try:\n        time.sleep(0.1)\n"
            "    except BaseException:\n        pass"
        )
        error, shown = shell.fails(stubborn)
        assert isinstance(error, ct.ElectronTimeout)
        assert "Did not come back: kept (it did not stop when it was told to" in shown

    def test_what_it_deletes_is_deleted_here(self, shell: Shell) -> None:
        shell.run("x1 = 1\nx2 = 2\nlock = __import__('threading').Lock()\nrow = {'a': 1}")
        shell.said()
        shell.run("%%dispatch --wait\nx1 = x1 + 1\ndel x1, lock\nif False:\n    del x2\ndel row['a']\nnew = 1\ndel new")
        assert "Deleted here as well: x1, lock" in shell.said()
        assert "x1" not in shell and "lock" not in shell and shell["x2"] == 2 and shell["row"] == {}

    def test_objects_that_it_changed_come_back(self, shell: Shell) -> None:
        shell.run(
            "class Model:\n    def fit(self, rows):\n        self.seen = len(rows)\n        return self\n"
            "    def score(self):\n        return self.seen\n"
            "model, rows, nested, models, same = Model(), [1, 2], {'k': []}, [Model(), Model()], [5]\n"
            "def fill(where):\n    where.append(7)"
        )
        shell.said()
        shell.run("same_before, filled = same, []")
        shell.run(
            "%%dispatch --wait\nmodel.fit(rows)\nprint(model.score())\nnested['k'].append(9)\nfor m in models:\n    m.fit(rows)\n"
            "fill(filled)\nsame.count(5)\nlen(rows)"
        )
        assert "Here now: m, filled, model, models, nested\n" in shell.said()
        assert shell["model"].score() == 2 and shell["nested"] == {"k": [9]} and shell["filled"] == [7]
        assert [m.seen for m in shell["models"]] == [2, 2] and shell["same"] is shell["same_before"]
        assert shell.run("isinstance(model, Model)")
        shell.run("%%dispatch --wait\n%time nested['k'].append(10)")
        assert shell["nested"] == {"k": [9, 10]}

    def test_objects_that_a_function_changed_come_back(self, shell: Shell) -> None:
        shell.run(
            "log, other = [], [0]\ndef note(text):\n    log.append(text)\ndef twice(text):\n    note(text)\n    note(text)"
        )
        shell.run("%%dispatch --wait\ntwice('x')")
        assert shell["log"] == ["x", "x"] and shell["other"] == [0]

    def test_what_it_changed_before_it_failed_comes_back(self, shell: Shell) -> None:
        shell.run("rows = []")
        shell.fails("%%dispatch --wait\nrows.append(1)\n1 / 0")
        assert shell["rows"] == [1]

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
        shell.said()
        shell.run("%%dispatch --wait\n%%time\ntimed = 1")
        said = shell.said()
        assert shell["timed"] == 1 and "CPU times: user" in said and "Wall time:" in said

    def test_the_folder_may_be_changed_and_the_kernel_cannot_be_emptied(self, shell: Shell, tmp_path: Path) -> None:
        shell.run(f"folder = {str(tmp_path)!r}\nimport os")
        shell.run("%%dispatch --wait\n%cd $folder\nwhere = os.getcwd()")
        assert shell["where"] == str(tmp_path) and os.getcwd() != str(tmp_path)
        error, shown = shell.fails("%%dispatch --wait\n%reset -f")
        assert (
            isinstance(error, RuntimeError)
            and "run it in a cell of its own" in shown
            and "assigned nothing" not in shown
        )

    def test_packages_are_not_installed_from_inside(self, shell: Shell) -> None:
        error, shown = shell.fails("%%dispatch --wait\n%pip install numpy")
        assert isinstance(error, RuntimeError) and "deps_pip" in shown
