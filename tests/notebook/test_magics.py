"""Magics in a real IPython shell, with a real service: what people type, and what they are told."""

from __future__ import annotations

import inspect
import subprocess
import sys
import traceback

import pytest
from IPython.core.error import UsageError

import covalent_jupyter as ct
from covalent_jupyter import magic_names
from covalent_jupyter.notebook.magics import CovalentMagics

from .conftest import Shell

TRAIN = """%%electron train(C, gamma=0.5) --retries 1
x = C * 2
text = \"\"\"a
b\"\"\"
print("training", C)
1 / (C - 10)
(x, gamma, text)"""


class TestElectron:
    def test_the_cell_is_the_body(self, shell: Shell) -> None:
        shell.run(TRAIN)
        train = shell["train"]
        assert train(1) == (2, 0.5, "a\nb")
        assert train.given == {"retries": 1}
        assert str(inspect.signature(train.function)) == "(C, gamma=0.5)"

    def test_source_and_tracebacks_are_those_of_the_cell(self, shell: Shell) -> None:
        shell.run(TRAIN)
        lines, first = inspect.getsourcelines(shell["train"].function)
        cell = TRAIN.splitlines()
        assert first == 1 and lines[0] == "def train(C, gamma=0.5):\n"
        assert [line.strip() for line in lines[1:]] == [line.strip() for line in cell[1:]]
        with pytest.raises(ZeroDivisionError) as caught:
            shell["train"](10)
        last = traceback.extract_tb(caught.value.__traceback__)[-1]
        assert (last.lineno, last.line) == (6, "1 / (C - 10)") and cell[5] == last.line

    def test_lines_are_counted_from_the_top_of_a_cell_that_begins_with_empty_ones(self, shell: Shell) -> None:
        shell.run("\n\n%%electron f(x)\n\n\ny = x\n1 / y")
        with pytest.raises(ZeroDivisionError) as caught:
            shell["f"](0)
        assert traceback.extract_tb(caught.value.__traceback__)[-1].lineno == 7

    def test_running_the_cell_again_redefines_it_for_the_next_dispatch(self, shell: Shell) -> None:
        shell.run("%%electron f(x)\nx + 1")
        shell.run("%%lattice flow(x=1)\nf(x)")
        assert shell.run("ct.dispatch_sync(flow)(1).value") == 2
        shell.run("%%electron f(x)\nx + 100")
        assert shell.run("ct.dispatch_sync(flow)(1).value") == 101

    @pytest.mark.parametrize(
        ("body", "value"),
        [
            ("x + 1", 2),
            ("return x + 1", 2),
            ("y = x", None),
            ("# nothing but this", None),
            ("if x:\n    y = 2\nelse:\n    y = 3\ny", 2),
            ("async def g():\n    return x\nawait g()", 1),
            ("def g():\n    return f'''{x}\n  two'''\ng()", "1\n  two"),
            ("[x\n for _ in range(2)]", [1, 1]),
            ("'a string'", "a string"),
            ("class A:\n    v = 3\nA.v", 3),
            ("import functools\n@functools.lru_cache\ndef g(v):\n    return v\ng(x)", 1),
            ("out = !echo {x}\nlist(out)", ["1"]),
        ],
    )
    def test_bodies(self, shell: Shell, body: str, value: object) -> None:
        shell.run(f"%%electron f(x)\n{body}")
        shell.run("%%lattice flow(x=1) --dispatch --wait\nf(x)")
        assert shell["flow_run"].value() == value

    def test_a_syntax_error_points_at_the_cells_line(self, shell: Shell) -> None:
        error, shown = shell.fails("%%electron f(x)\ny = 1\nif y\n    z = 2")
        assert type(error).__name__ == "SyntaxError" and error.lineno == 3
        assert "line 3" in shown and "if y" in shown and "magics.py" not in shown
        error, shown = shell.fails("%%electron f(x)\ny = 1\nbreak")
        assert error.lineno == 3 and "break" in shown

    def test_what_surprises_newcomers_is_said(self, shell: Shell) -> None:
        shell.run("df = 1")
        shell.said()
        shell.run("%%electron clean()\ndf = df + 1\ndf")
        assert "make it a parameter: clean(df, ...)" in shell.said()
        shell.run("%%electron sum(a)\na")
        assert "`del sum`" in shell.said()
        shell.run("%%electron sum(a)\na")
        assert not shell.said()
        shell.run("del sum")

    def test_an_empty_cell(self, shell: Shell) -> None:
        error, shown = shell.fails("%%electron f(x)\n")
        assert isinstance(error, UsageError) and "empty" in shown


MISTAKES = [
    ("%%electron\nx", "give the function a name"),
    ("%%electron --retries 3\nx", "give the function a name"),
    ("%%electron def f(x):\nx", "stands for the def: write %%electron f(x)"),
    ("%%electron f x, y\nx", "Did you mean: %%electron f(x, y)"),
    ("%%electron f(x\nx", "not closed"),
    ("%%electron 3f(x)\nx", "cannot be the name of a function"),
    ("%%electron class(x)\nx", "cannot be the name of a function"),
    ("%%electron f(x) --retry 3\nx", "Did you mean --retries?"),
    ("%%electron f(x) --retries many\nx", "neither a number nor a variable"),
    ("%%electron f(x) --retries -1\nx", "whole number from 0"),
    ("%%electron f(x) --retries 'a\nx", "quotation mark"),
    ("%%electron f(x) --resources cpus=2\nx", "did you mean 'cpu'"),
    ("%%electron f(x) --resources 2\nx", "write cpu=2,gpu=1"),
    ("%%electron f(x) --on-error valu\nx", "did you mean 'value'"),
    ("%%lattice f(x) --dispatch\nx", "needs a value for x: write %%lattice f(x=...) --dispatch"),
    ("%%lattice L(data, a, b='x') --dispatch\na", "write %%lattice L(data=..., a=..., b='x') --dispatch"),
    ("%%electron f x # note\nx", "Did you mean: %%electron f(x)"),
    ("%%electron f(x) --executor nowhere\nx", "there is no executor 'nowhere'"),
    ("%%lattice f(x=1) --dispatch --executor loca\nx", "Did you mean 'local'?"),
    ("%%lattice f(x=1) --dispatch -o class\nx", "the name of a variable"),
    ("%covalent config nonsense", "no setting 'nonsense', and none about it"),
    ("%%lattice f(x=1) -o run\nx", "Did you mean: %%lattice f(x=1) --dispatch -o"),
    ("%%lattice f(x=1) --dispatch -o 3\nx", "the name of a variable"),
    ("%%dispatch --wiat\nx = 1", "Did you mean --wait?"),
    ("%%dispatch my-cell\nx = 1", "cannot be the name of a cell"),
    ("%%dispatch\n%%bash\nls", "%%bash below it cannot go along"),
    ("%covalent stauts", "Did you mean %covalent status?"),
    ("%covalent list --limt 3", "Did you mean --limit?"),
    ("%covalent cluster scale", "how many slots"),
    ("%%covalent_sql --schem\nSELECT 1", "Did you mean --schema?"),
    ("%covalent_sql", "one SELECT"),
]


@pytest.mark.parametrize(("cell", "answer"), MISTAKES)
def test_a_mistake_is_answered_with_what_was_meant(shell: Shell, cell: str, answer: str) -> None:
    error, shown = shell.fails(cell)
    assert isinstance(error, UsageError)
    assert answer in shown, shown


class TestLine:
    def test_a_comment_at_its_end_is_one(self, shell: Shell) -> None:
        shell.run("%%electron f(x, mark='# no') # with a 'comment\nx, mark")
        assert shell["f"](1) == (1, "# no")
        shell.run("%%electron g(x)# another\nx")
        shell.run("%%electron h(x) --retries 2 --name '# h' # --timeout 3\nx")
        assert shell["g"](1) == 1 and shell["h"].given == {"retries": 2, "name": "# h"}
        shell.run("%covalent list --limit 1 # the newest")

    @pytest.mark.parametrize(
        "cell",
        ["%%lattice flow(n=1) --dispatch -o keep\nn", "%%dispatch -o keep\nx = 1", "%%covalent_sql -o keep\nSELECT 1",
         "%covalent result -o keep", "%covalent redispatch -o keep"],
    )  # fmt: skip
    def test_no_electron_is_replaced_by_a_variable(self, shell: Shell, cell: str) -> None:
        shell.run("%%lattice once(n=1) --dispatch --wait\nn")
        shell.run("%%electron keep(x)\nx")
        before = ct.dispatches(limit=1, pandas=False)[0]["dispatch_id"]
        error, shown = shell.fails(cell)
        assert isinstance(error, UsageError) and "keep is an electron, which -o keep would replace" in shown
        assert isinstance(shell["keep"], ct.electron(len).__class__)
        assert ct.dispatches(limit=1, pandas=False)[0]["dispatch_id"] == before


class TestLattice:
    def test_dispatch_runs_with_the_values_in_the_line(self, shell: Shell) -> None:
        shell.run("%%electron add(a, b)\na + b")
        shown = shell.run("%%lattice flow(a=1, b=2) --dispatch -o run --label sums --tag x --seed 3\nadd(a, b)")
        assert shown == shell["run"] == shell["_"] and isinstance(shown, ct.DispatchId)
        assert shell["run"].value(60) == 3
        result = ct.get_result(shell["run"])
        assert result.name == "sums" and result.row.tags == ["x"] and result.row.inputs == {"a": "1", "b": "2"}
        assert "flow_run" not in shell

    def test_the_default_names_hold_the_id(self, shell: Shell) -> None:
        shell.run("%%lattice plain(n=4) --dispatch --wait\nn")
        assert shell["plain_run"] == shell["_"] and shell["plain_run"].value() == 4

    def test_once_attaches_and_says_to_which(self, shell: Shell) -> None:
        cell = "%%lattice single(n=4) --dispatch --once --wait\nn"
        shell.run(cell)
        first = shell["single_run"]
        shell.said()
        shell.run(cell)
        assert shell["single_run"] == first and f"Attached to dispatch {first}" in shell.said()
        shell.run(cell.replace("n=4", "n=5"))
        assert shell["single_run"] != first

    def test_waiting_raises_what_the_electron_raised_at_the_cells_line(self, shell: Shell) -> None:
        shell.run(TRAIN)
        error, shown = shell.fails("%%lattice flow(C=10) --dispatch --wait\ntrain(C)")
        assert isinstance(error, ZeroDivisionError) and "flow_run" in shell
        assert "line 6, in train" in shown and "1 / (C - 10)" in shown and "covalent_jupyter/" not in shown

    def test_an_error_while_building_names_the_cells_line(self, shell: Shell) -> None:
        shell.run("%%electron one()\n1")
        error, shown = shell.fails("%%lattice flow() --dispatch\na = one()\nint(a)")
        assert isinstance(error, ct.BuildError)
        assert "line 3" in shown and "int(a)" in shown and "covalent_jupyter/" not in shown

    def test_an_executor_from_a_variable_and_by_name(self, shell: Shell) -> None:
        shell.run("mine = ct.executor.LocalExecutor()")
        shell.run("%%electron f(x) --executor mine --timeout 60 --resources cpu=1,memory=1GB --keep always\nx")
        options = shell["f"].given
        assert options["executor"] is shell["mine"] and options["timeout"] == 60.0
        assert options["resources"] == {"cpu": 1, "memory": 10**9}
        shell.run("%%electron g(x) --executor local --retry_delay 0.5\nx")
        assert shell["g"].given == {"executor": "local", "retry_delay": 0.5}


class TestCommands:
    def test_without_an_id_the_newest_is_meant(self, shell: Shell) -> None:
        shell.run("%%electron say(x)\nprint('said', x)\nx")
        shell.run("%%lattice flow(n=3) --dispatch --wait\n[say(i) for i in range(3)]")
        shell.said()
        shell.run("%covalent status")
        assert "✓ flow  completed  3 of 3" in shell.said()
        shell.run("%covalent logs say[x=1]")
        assert shell.said() == "said 1\n"
        shell.run("%covalent logs flow_run say[2]")
        assert shell.said() == "said 2\n"
        shell.run("%covalent logs")
        assert [line for line in shell.said().splitlines() if line.startswith("said")] == ["said 0", "said 1", "said 2"]
        assert shell.run("%covalent result") == [0, 1, 2]
        shell.run("%covalent result -o values")
        assert shell["values"] == [0, 1, 2]
        assert shell.run("%covalent show") == shell["flow_run"]
        assert shell["flow_run"] in set(shell.run("%covalent list -n 3 --status completed").dispatch_id)

    def test_a_first_word_may_be_an_electron_of_the_newest(self, shell: Shell) -> None:
        shell.run("%%electron slow(x)\nprint('slow', x)\n1 / x")
        shell.run("%%lattice flow() --dispatch\nslow(0)")
        shell["flow_run"].wait(60)
        shell.said()
        shell.run("%covalent logs slow")
        assert shell.said().startswith("slow 0\n")
        shell.run("%covalent debug slow --bind")
        assert isinstance(shell["debug_error"], ZeroDivisionError)
        _, shown = shell.fails("%covalent cancel slow")
        assert "nothing to cancel: flow" in shown
        error, shown = shell.fails("%covalent logs slwo")
        assert isinstance(error, ct.NotFound) and "no electron is called 'slwo'; did you mean 'slow'?" in shown
        error, shown = shell.fails("%covalent logs 00000000")
        assert isinstance(error, ct.NotFound) and "no dispatch '00000000'" in shown
        error, shown = shell.fails("%covalent logs slow slow")
        assert isinstance(error, UsageError) and "'slow' is no dispatch" in shown

    def test_one_electron_of_the_newest_is_cancelled(self, shell: Shell) -> None:
        shell.run("%%electron endless(x)\nimport time\nwhile x:\n    time.sleep(0.01)")
        shell.run("%%lattice flow() --dispatch\n[endless(0), endless(1)]")
        shell.run("%covalent cancel endless[x=1]")
        assert str(shell["flow_run"].wait(60)) == "CANCELLED"

    def test_names_of_the_newest_cell_are_fetched(self, shell: Shell) -> None:
        shell.run("%%dispatch --wait\nfirst, second = 1, 2")
        shell.run("del first, second")
        shell.run("%covalent fetch second")
        assert shell["second"] == 2 and "first" not in shell
        error, shown = shell.fails("%covalent fetch third")
        assert isinstance(error, ct.NotFound) and "the cell assigned no third; it assigned first, second" in shown

    def test_recorded_code_runs_again_and_is_told_from_that_of_now(self, shell: Shell) -> None:
        shell.run("%%electron halve(x)\n1 / x")
        shell.run("%%lattice flow() --dispatch\nhalve(0)")
        shell["flow_run"].wait(60)
        shell.said()
        shell.run("%covalent redispatch --failed -o again")
        assert "--current" not in shell.said()
        shell.run("%%electron halve(x)\n1")
        shell.run("%covalent redispatch --failed -o again")
        assert "The recorded code of flow runs; what is defined here differs: --current takes that." in shell.said()
        shell.run("%covalent redispatch --failed --current -o again")
        assert str(shell["again"].wait(60)) == "COMPLETED" and "--current" not in shell.said()

    def test_cancel(self, shell: Shell) -> None:
        shell.run("%%electron endless()\nimport time\nwhile True:\n    time.sleep(0.01)")
        shell.run("%%lattice flow() --dispatch\nendless()")
        shell.run("%covalent cancel")
        assert str(shell["flow_run"].wait(60)) == "CANCELLED"
        _, shown = shell.fails("%covalent cancel")
        assert "nothing to cancel: flow" in shown

    def test_delete_asks(self, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
        shell.run("%%lattice flow(n=8) --dispatch --wait\nn")
        monkeypatch.setattr("builtins.input", lambda question: "n")
        shell.run("%covalent delete flow_run")
        assert ct.get_result(shell["flow_run"]).status == "COMPLETED"
        shell.run("%covalent delete flow_run --yes")
        with pytest.raises(ct.NotFound):
            ct.get_result(shell["flow_run"])

    def test_settings(self, shell: Shell) -> None:
        assert "executor" in {row["setting"] for row in shell.run("%covalent config")}
        assert shell.run("%covalent config executor") == "local"
        about = {row["setting"] for row in shell.run("%covalent config cluster")}
        assert "dask_cluster_class" in about and "panel" not in about
        error, shown = shell.fails("%covalent config exectuor=dask")
        assert isinstance(error, ct.ConfigError) and "executor" in shown and "covalent_jupyter/" not in shown
        assert shell.run("%covalent disk")["store"] and shell.run("%covalent cluster")

    def test_an_unknown_id(self, shell: Shell) -> None:
        error, shown = shell.fails("%covalent show 00000000")
        assert isinstance(error, ct.NotFound) and "no dispatch '00000000'" in shown and "covalent_jupyter/" not in shown

    def test_sql(self, shell: Shell) -> None:
        shell.run("%%lattice flow(n=9) --dispatch --wait\nn")
        assert shell.run("%covalent_sql SELECT count(*) AS n FROM dispatches").n[0] >= 1
        assert shell.run("%%covalent_sql -o rows --max-rows 5\nSELECT status\nFROM dispatches LIMIT 2") is None
        assert shell["rows"].status[0]
        schema = shell.run("%covalent_sql --schema")
        assert {"dispatches", "electrons"} <= set(schema["view"]) and schema["what it is"].str.len().min() > 5

    def test_help_has_examples(self, shell: Shell) -> None:
        for magic in ("%%electron", "%%lattice", "%%dispatch", "%covalent", "%%covalent_sql"):
            text = shell.ipython.object_inspect(magic)["docstring"]
            assert "    %" in text and "--" in text, magic
        shell.run("%covalent")
        assert "%covalent redispatch --failed" in shell.said()


class TestLoading:
    def test_the_import_is_enough(self) -> None:
        """The first magic that is used after it loads them all; one that somebody else has registered stays his."""
        script = """
import subprocess
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.history_manager.enabled = False
def is_there(cell):
    return shell.run_cell(cell).success
shell.register_magic_function(lambda line: line, magic_name="covalent")
theirs = shell.magics_manager.magics["line"]["covalent"]
assert not is_there("%%lattice flow(n=1)\\nn")
assert is_there("import covalent_jupyter as ct") and "covalent_jupyter.notebook.magics" not in sys.modules
assert shell.magics_manager.magics["line"]["covalent"] is theirs
assert is_there("%%lattice flow(n=1)\\nn") and shell.user_ns["flow"](2) == 2
assert is_there("%%electron f(n)\\nn") and not is_there("%lattice x")
assert is_there("%unload_ext covalent_jupyter") and not is_there("%%lattice flow(n=1)\\nn")
assert is_there("%load_ext covalent_jupyter") and is_there("%%lattice flow(n=1)\\nn")
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr + done.stdout
        assert {*magic_names.NAMES} == {name for names in CovalentMagics.magics.values() for name in names}

    def test_who_imports_this_package_hears_nothing_of_covalent(self, bare_shell: Shell) -> None:
        bare_shell.run("import covalent_jupyter as ct")
        bare_shell.run("%load_ext covalent_jupyter")
        assert "electron" in bare_shell.ipython.magics_manager.magics["cell"]
        assert "install_as_covalent" not in bare_shell.said()
        bare_shell.run("%unload_ext covalent_jupyter")

    def test_it_can_be_taken_back(self, bare_shell: Shell) -> None:
        kinds = bare_shell.ipython.magics_manager.magics
        before = {kind: set(names) for kind, names in kinds.items()}
        matchers = list(bare_shell.ipython.Completer.custom_matchers)
        bare_shell.run("%load_ext covalent_jupyter")
        assert "install_as_covalent" in bare_shell.said() or "covalent" in sys.modules
        bare_shell.run("%reload_ext covalent_jupyter")
        assert "electron" in kinds["cell"]
        bare_shell.run("%unload_ext covalent_jupyter")
        assert {kind: set(names) for kind, names in kinds.items()} == before
        assert bare_shell.ipython.Completer.custom_matchers == matchers
        error, _ = bare_shell.fails("%covalent status")
        assert isinstance(error, UsageError)
