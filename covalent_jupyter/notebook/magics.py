"""``%load_ext covalent_jupyter``: magics that parse their line and call a plain function that exists anyway.

``%%electron`` and ``%%lattice`` are ``@ct.electron`` and ``@ct.lattice``, ``--dispatch`` is ``ct.dispatch``, ``%covalent`` and
``%%covalent_sql`` are the functions of the same names in ``ct``.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_cell_magic, line_magic, magics_class, no_var_expand

from ..client.dispatching import dispatch
from ..client.handle import DispatchId
from ..client.tables import sql, sql_schema
from ..workflow.electron import Electron
from ..workflow.lattice import Lattice
from . import commands
from .cells import define, notes_about, parse_head, running_cell
from .line import CELL, ELECTRON, LATTICE, Option, Parser, run_options, text_of, variable_name, whole, without_comment
from .outside import dispatch_cell
from .plainly import Clear
from .session import bind, stay

_ELECTRON = Parser("%%electron", ELECTRON)
_LATTICE = Parser("%%lattice", LATTICE)
_CELL = Parser("%%dispatch", CELL, [("name", "?", "what the cell is called")])
_SQL = Parser(
    "%%covalent_sql",
    (
        Option("--schema", "", "list the views and their columns"),
        Option("--output", "NAME", "the variable that gets the table", text_of, short="-o"),
        Option("--max-rows", "N", "rows that are given at most (10,000)", whole),
    ),
)
#: parser of each magic whose line takes options
PARSERS = {"electron": _ELECTRON, "lattice": _LATTICE, "dispatch": _CELL, "covalent_sql": _SQL}


@magics_class
class CovalentMagics(Magics):
    """Electrons, lattices and dispatches without decorators."""

    shell: Any

    @no_var_expand
    @cell_magic
    def electron(self, line: str, cell: str) -> None:
        with Clear():
            head = parse_head("electron", without_comment(line))
            found = _ELECTRON.parse(head.options, self.shell.user_ns)
            where = running_cell(self.shell, f"%%electron {line}", cell)
            function = define(where, head)
            options = run_options(found, "%%electron")
            for note in notes_about(where, head, function):
                print(note, file=sys.stderr)
            self.shell.user_ns[head.name] = Electron(function, options)

    @no_var_expand
    @cell_magic
    def lattice(self, line: str, cell: str) -> Any:
        with Clear():
            head = parse_head("lattice", without_comment(line))
            found = _LATTICE.parse(head.options, self.shell.user_ns)
            _need_dispatch(found, head.name + head.parameters)
            names = [self._variable(found, "%%lattice")] if "output" in found else [f"{head.name}_run"]
            where = running_cell(self.shell, f"%%lattice {line}", cell)
            function = define(where, head)
            made = Lattice(function, run_options(found, "%%lattice"))
            for note in notes_about(where, head, function):
                print(note, file=sys.stderr)
            self.shell.user_ns[head.name] = made
            if "dispatch" not in found:
                return None
            values = _defaults(made)
            sent = self._send(made, values, found, names)
        return self._shown(sent, found)

    @no_var_expand
    @cell_magic
    def dispatch(self, line: str, cell: str) -> Any:
        with Clear():
            found = _CELL.parse(line, self.shell.user_ns)
            where = running_cell(self.shell, f"%%dispatch {line}", cell)
            names = [self._variable(found, "%%dispatch")] if "output" in found else []
            return dispatch_cell(where, found.get("name"), run_options(found, "%%dispatch"), found, names)

    @no_var_expand
    @line_magic
    def covalent(self, line: str) -> Any:
        with Clear():
            return commands.run(self.shell, line)

    @line_cell_magic
    def covalent_sql(self, line: str, cell: str | None = None) -> Any:
        with Clear():
            text = line if cell is None else cell
            found = _SQL.parse(line if cell is not None or line.lstrip().startswith("-") else "", self.shell.user_ns)
            if "schema" in found:
                return sql_schema()
            if not text.strip():
                raise UsageError("%%covalent_sql: write one SELECT, or --schema for the views and their columns")
            name = self._variable(found, "%%covalent_sql") if "output" in found else ""
            table = sql(text, **{k: v for k, v in found.items() if k == "max_rows"})
            if not name:
                return table
            self.shell.user_ns[name] = table
            return None

    def _variable(self, found: dict[str, Any], magic: str) -> str:
        return variable_name(found["output"], magic, self.shell.user_ns)

    def _send(self, made: Lattice, values: dict[str, Any], found: dict[str, Any], names: list[str]) -> DispatchId:
        sent = dispatch(
            made, once="once" in found, seed=found.get("seed"), name=found.get("label"), tags=found.get("tag", ())
        )(**values)
        bind(self.shell, names, sent)
        return sent

    def _shown(self, sent: DispatchId, found: dict[str, Any]) -> DispatchId | None:
        if "wait" not in found:
            return sent
        stay(sent)
        return None


def _need_dispatch(found: dict[str, Any], call: str) -> None:
    """UsageError where an option of the dispatch is given, and none is asked for."""
    lonely = [n for n in ("wait", "once", "output", "seed", "label", "tag") if n in found and "dispatch" not in found]
    if lonely:
        flag = "-o" if lonely[0] == "output" else f"--{lonely[0]}"
        raise UsageError(f"%%lattice: {flag} is about a dispatch. Did you mean: %%lattice {call} --dispatch {flag} ...")


def _defaults(made: Lattice) -> dict[str, Any]:
    """The defaults of the lattice's parameters. UsageError names those that have none."""
    parameters = inspect.signature(made.function).parameters.values()
    plain = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    missing = [p.name for p in plain if p.default is p.empty]
    if missing:
        shown = ", ".join(f"{p.name}={'...' if p.default is p.empty else repr(p.default)}" for p in plain)
        raise UsageError(
            f"%%lattice {made.name} --dispatch needs a value for {', '.join(missing)}: write %%lattice {made.name}({shown}) "
            f"--dispatch, or call ct.dispatch({made.name})(...) in another cell"
        )
    return {p.name: p.default for p in plain}


# Help: ``%%electron?``, ``%covalent?``

_HELP = {
    "electron": """Make the cell the body of an electron: %%electron name(parameters) [options]

The value of a last line that is an expression is what it returns. Run the cell again to redefine it.

    %%electron train(C, gamma=0.5) --retries 2 --timeout 600
    model = SVC(C=C, gamma=gamma).fit(X, y)
    model.score(X_test, y_test)

is the same as

    @ct.electron(retries=2, timeout=600)
    def train(C, gamma=0.5):
        model = SVC(C=C, gamma=gamma).fit(X, y)
        return model.score(X_test, y_test)

Options:
""",
    "lattice": """Make the cell the body of a lattice, and with --dispatch send it off: %%lattice name(parameters) [options]

    %%lattice find_best(C=1.0, gamma=0.7) --dispatch -o run
    scores = [train(c, gamma) for c in (C, 10 * C)]
    best(scores)

runs with the values in its first line, and `run` is the dispatch id (without -o: find_best_run, and _). The same as

    @ct.lattice
    def find_best(C=1.0, gamma=0.7):
        scores = [train(c, gamma) for c in (C, 10 * C)]
        return best(scores)
    run = ct.dispatch(find_best)(C=1.0, gamma=0.7)

With --once "Restart and Run All" starts no second run of the same code and inputs. Options:
""",
    "dispatch": """Run this cell outside the kernel, as a lattice of one electron: %%dispatch [name] [options]

    %%dispatch
    model = RandomForestClassifier(500).fit(X, y)
    plt.plot(model.feature_importances_)
    model.score(X_test, y_test)

The kernel stays free. What the cell reads is taken along, what it prints and draws appears below it, and the names
that it assigns (here: model) come back by `%covalent fetch`, in this kernel or any later one; with --wait by itself.
Options:
""",
    "covalent_sql": """Ask the store: one SELECT, read-only. %%covalent_sql [options]

    %%covalent_sql -o slow
    SELECT name, avg(duration) FROM electrons GROUP BY name ORDER BY 2 DESC

    %covalent_sql --schema
    %covalent_sql SELECT count(*) FROM dispatches

The same as ct.sql("SELECT ..."). Options:
""",
}


def describe_magics() -> None:
    """Give the magics the help that ``?`` shows."""
    for name, text in _HELP.items():
        getattr(CovalentMagics, name).__doc__ = text + PARSERS[name].help_text()
    CovalentMagics.covalent.__doc__ = commands.help_text()


describe_magics()
