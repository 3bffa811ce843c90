"""``%%dispatch``: a cell that runs outside the kernel, as a lattice of one electron, and brings back what it assigned."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, ModuleType, NoneType
from typing import Any, NamedTuple

from IPython.core.error import UsageError

from ..client.dispatching import dispatch
from ..workflow.bytecode import facts
from ..workflow.electron import Electron
from ..workflow.globals import reached
from ..workflow.lattice import Lattice
from .cells import Cell, check_syntax, compiled, first_line, function_source, transform
from .fetching import assigned_by, bring, fetch, leftover, put, tell
from .following import follow, watch
from .inside import Inside, expanded
from .names import CellNames, names_of
from .plainly import raised
from .session import bind
from .touching import touched

#: tag of dispatches that are cells, by which they are found again
TAG = "cell"
_LABEL = 40
_SHELL = "get_ipython"  # the kernel's stays here
_OURS = (
    "from covalent_jupyter.worker.cell import Running as _ct_running, show as _ct_show, star as _ct_star, get_ipython"
)
#: what stays as it is, or stays in the kernel
_UNCHANGING = (ModuleType, FunctionType, BuiltinFunctionType, type, str, bytes, int, float, complex, NoneType)
_TIMED = re.compile(r"\s*%%time\b[^\n]*(\n|$)")


class Outside(NamedTuple):
    """A cell as a function without parameters that returns the names it assigned, and what it takes along."""

    function: FunctionType
    names: CellNames


def outside(cell: Cell, name: str) -> Outside:
    """The cell as such a function. Its variables are globals, as they would be in the kernel.

    SyntaxError points at the cell's own line.
    """
    timing = False
    if cell.body.lstrip().startswith("%%"):
        timed = _TIMED.match(cell.body)
        if timed is None:
            magic = cell.body.split()[0]
            raise UsageError(
                f"%%dispatch runs Python; {magic} below it cannot go along: put {magic[2:]}'s work into a cell of its own"
            )
        timing = True
        cell = cell._replace(body=f"{timed[0].count(chr(10)) * chr(10)}{cell.body[timed.end() :]}")
    transformed = transform(cell)
    check_syntax(cell, transformed)
    body = _checked_as_cell(cell, transformed)
    names = names_of(body, cell.shell.transform_cell)
    if not transformed.strip():
        raise UsageError("%%dispatch: the cell is empty")
    while name in names.assigns:  # the cell's own variable
        name += "_"
    tree, _, file = function_source(cell, f"def {name}():", transformed)
    function = tree.body[0]
    assert isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
    assigned = [n for n in names.assigns if n != "_"]
    had = sorted(n for n in names.reads if n in cell.shell.user_ns)
    above = [_OURS]
    if names.assigns or names.deletes:
        above.append(f"global {', '.join(dict.fromkeys([*names.assigns, *names.deletes]))}")
    texts = sorted({*names.texts.intersection(had), *_in_commands(set(had), cell.shell.user_ns)})
    if texts:  # nothing but the text of a command names them: so they are captured
        above.append(f"lambda: ({', '.join(texts)},)")
    back = [*assigned, *(n for n in names.mutates if not isinstance(cell.shell.user_ns.get(n), ModuleType))]
    unread = [n for n in names.deletes if n in cell.shell.user_ns and n not in names.reads]
    watched = _watched([*body, *names.inside], set(had), cell.shell.user_ns)
    watched = {name: surely for name, surely in watched.items() if name not in back}
    given = f"{back!r}, {names.deletes!r}, {unread!r}, {watched!r}, {timing}"
    above.append(f"with _ct_running(globals(), {given}) as _ct_run: pass")
    above.append("return _ct_run.names")
    *first, running, last = [first_line(statement) for statement in ast.parse("\n".join(above)).body]
    assert isinstance(running, ast.With)
    running.body = _as_module(function.body, cell.body)
    function.body = [*first, running, last]
    made: dict[str, Any] = {}
    exec(compiled(tree, file, cell), cell.shell.user_ns, made)
    return Outside(made[name], names)


def _watched(body: Sequence[ast.stmt], read: set[str], names: dict[str, Any]) -> dict[str, bool]:
    """Captured variables that the cell, or a function that it calls, may change without assigning them, and whether that is
    why the cell calls their methods."""
    found = touched(body)
    inner = {name for function in _functions(read, names) for name in facts(function.__code__).loads}
    wanted = sorted(
        n for n in (found.maybe & read) | inner if n in names and n[:1] != "_" and not isinstance(names[n], _UNCHANGING)
    )
    return {name: name in found.surely for name in wanted}


def _in_commands(read: set[str], names: dict[str, Any]) -> set[str]:
    """Variables that functions of the notebook that the cell calls name in commands: ``!ls $folder``."""
    found: set[str] = set()
    for function in _functions(read, names):
        if _SHELL in function.__code__.co_names:
            texts = [text for text in function.__code__.co_consts if isinstance(text, str)]
            found.update(*(Inside(expanded(text), False).names for text in texts))
    return found & names.keys()


def _functions(read: set[str], names: dict[str, Any]) -> Iterator[FunctionType]:
    """Functions of the notebook that the cell may call, also by one another and as methods."""
    for name in sorted(read):
        for _, value in reached(names[name], name):
            if isinstance(value, FunctionType) and value.__globals__ is names:
                yield value


def _checked_as_cell(cell: Cell, transformed: str) -> list[ast.stmt]:
    """The statements; SyntaxError where a cell of a notebook has one, though a function would not (``return``)."""
    padded = "\n" * (cell.first - 1) + transformed
    tree = ast.parse(padded)
    try:
        compile(tree, "the cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError as error:
        error.filename = str(cell.shell.compile.cache(padded, cell.number, raw_code=cell.raw))
        error.text = padded.splitlines()[(error.lineno or 1) - 1]
        raise error.with_traceback(None) from None
    return ast.parse(padded).body


def _as_module(body: list[ast.stmt], source: str) -> list[ast.stmt]:
    """The statements as they have to be where the names that they bind are declared global."""
    last = body[-1]
    if isinstance(last, ast.Expr) and not source.rstrip().endswith(";"):
        call = ast.Call(ast.Name("_ct_show", ast.Load()), [last.value], [])
        body[-1] = ast.copy_location(ast.Expr(ast.copy_location(call, last)), last)
    mended = _Mend()
    return [mended.visit(statement) for statement in body]


#: how many arguments these have where they mean the variables of the place
_WITHOUT_SCOPE = {"exec": 1, "eval": 1, "locals": 0, "vars": 0}


class _Mend(ast.NodeTransformer):
    """What is another thing in a module than where names are global: ``x: int = 1``, ``from m import *``, ``exec``."""

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if not isinstance(node.target, ast.Name):
            return node
        made: ast.stmt = ast.Pass() if node.value is None else ast.Assign([node.target], node.value)
        return ast.copy_location(made, node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """``exec("x = 1")`` and ``locals()`` mean the variables of the notebook."""
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if not node.keywords and len(node.args) == _WITHOUT_SCOPE.get(name, -1):
            scope = ast.Call(ast.Name("globals", ast.Load()), [], [])
            ast.fix_missing_locations(ast.copy_location(scope, node))
            return scope if not node.args else ast.copy_location(ast.Call(node.func, [*node.args, scope], []), node)
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if [alias.name for alias in node.names] != ["*"]:
            return node
        scope = ast.Call(ast.Name("globals", ast.Load()), [], [])
        call = ast.Call(ast.Name("_ct_star", ast.Load()), [scope, ast.Constant(node.module)], [])
        return ast.fix_missing_locations(ast.copy_location(ast.Expr(call), node))


@contextmanager
def hidden(names: dict[str, Any], chosen: Sequence[str]) -> Iterator[None]:
    """Take some variables out of the notebook while the cell is captured: those that it assigns before it reads them, for
    their old values, which may be large, are not its business."""
    kept = {name: names.pop(name) for name in chosen if name in names}
    try:
        yield
    finally:
        names.update(kept)


def _not_read(cell_names: CellNames, names: dict[str, Any]) -> list[str]:
    """Assigned and deleted names whose old value neither the cell reads nor a function that it calls."""
    chosen = {n for n in (*cell_names.assigns, *cell_names.deletes) if n in names and n not in cell_names.reads}
    if chosen:
        for name in cell_names.reads:
            if name in names:
                for path, value in reached(names[name], name):
                    read = path.rpartition(" -> ")[2]
                    if read in chosen and names.get(read) is value:
                        chosen.discard(read)
    return sorted(chosen)


def dispatch_cell(
    cell: Cell, name: str | None, options: dict[str, Any], found: Mapping[str, Any], outputs: Sequence[str]
) -> None:
    """Send the cell off; what it prints and displays appears below it. With ``wait`` its names are here afterwards."""
    if name is not None and not name.isidentifier():
        raise UsageError(f"%%dispatch: {name!r} cannot be the name of a cell; write %%dispatch train_all, or no name")
    made = outside(cell, name or TAG)
    lattice = Lattice.of_electron(Electron(made.function, options))
    names = cell.shell.user_ns
    with hidden(names, [_SHELL, *_not_read(made.names, names)]):
        sent = dispatch(
            lattice, once="once" in found, seed=found.get("seed"), name=found.get("label") or _label(cell, name),
            tags=[TAG, *found.get("tag", ())],
        )()  # fmt: skip
    bind(cell.shell, [*outputs, *([f"{name}_run"] if name and not outputs else [])], sent)
    if "wait" not in found:
        follow(cell.shell, sent, lambda: bring(sent, names))
        return
    result = watch(sent)
    stopped, lost = leftover(result)
    if stopped is not None:
        left = assigned_by(result, stopped)
        tell(left, left.left, put(left, left.gone, names))
    elif lost:
        print(lost)
    raised(result)
    fetch(result, names)


def _label(cell: Cell, name: str | None) -> str:
    if name:
        return name
    lines = [line.strip() for line in cell.body.splitlines()]
    first = next((line for line in lines if line and not line.startswith(("#", "%", "import ", "from "))), "a cell")
    return first if len(first) <= _LABEL else f"{first[: _LABEL - 1]}…"
