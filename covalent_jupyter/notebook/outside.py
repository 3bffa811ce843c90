"""``%%dispatch``: a cell that runs outside the kernel, as a lattice of one electron, and brings back what it assigned."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from IPython.core.error import UsageError

from ..client.dispatching import dispatch
from ..client.handle import DispatchId
from ..client.result import Result
from ..errors import InvalidRequest, NotFound
from ..worker.cell import Names
from ..workflow.electron import Electron
from ..workflow.globals import reached
from ..workflow.lattice import Lattice
from .cells import Cell, check_syntax, compiled, first_line, function_source, transform
from .following import follow, watch
from .names import CellNames, names_of
from .plainly import raised
from .session import bind

#: tag of dispatches that are cells, by which they are found again
TAG = "cell"
_LABEL = 40
_OURS = "from covalent_jupyter.worker.cell import gather as _ct_gather, show as _ct_show, star as _ct_star, get_ipython"
_TIMED = re.compile(r"\s*%%time\b[^\n]*(\n|$)")


class Outside(NamedTuple):
    """A cell as a function without parameters that returns the names it assigned, and what it takes along."""

    function: FunctionType
    names: CellNames


def outside(cell: Cell, name: str) -> Outside:
    """The cell as such a function. Its variables are globals, as they would be in the kernel.

    SyntaxError points at the cell's own line.
    """
    if cell.body.lstrip().startswith("%%"):
        timed = _TIMED.match(cell.body)
        if timed is None:
            magic = cell.body.split()[0]
            raise UsageError(
                f"%%dispatch runs Python; {magic} below it cannot go along: put {magic[2:]}'s work into a cell of its own"
            )
        cell = cell._replace(body=f"{timed[0].count(chr(10)) * chr(10)}{cell.body[timed.end() :]}")
    transformed = transform(cell)
    check_syntax(cell, transformed)
    names = names_of(_checked_as_cell(cell, transformed))
    if not transformed.strip():
        raise UsageError("%%dispatch: the cell is empty")
    tree, _, file = function_source(cell, f"def {name}():", transformed)
    function = tree.body[0]
    assert isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
    assigned = [n for n in names.assigns if n != "_"]
    had = sorted(n for n in names.reads if n in cell.shell.user_ns)
    function.body = [
        first_line(statement)
        for statement in ast.parse(_OURS + (f"\nglobal {', '.join(names.assigns)}" if names.assigns else "")).body
    ] + _as_module(function.body, cell.body)
    back = [*assigned, *(n for n in names.mutates if not isinstance(cell.shell.user_ns.get(n), ModuleType))]
    gathering = ast.parse(f"return _ct_gather(globals(), {back!r}, {[*had, '_ct_gather']!r})").body[0]
    function.body.append(first_line(gathering))
    made: dict[str, Any] = {}
    exec(compiled(tree, file, cell), cell.shell.user_ns, made)
    return Outside(made[name], names)


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


class _Mend(ast.NodeTransformer):
    """What is allowed in a module and not where names are global: ``x: int = 1``, ``from m import *``."""

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

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if [alias.name for alias in node.names] != ["*"]:
            return node
        scope = ast.Call(ast.Name("globals", ast.Load()), [], [])
        call = ast.Call(ast.Name("_ct_star", ast.Load()), [scope, ast.Constant(node.module)], [])
        return ast.fix_missing_locations(ast.copy_location(ast.Expr(call), node))


@contextmanager
def hidden(names: dict[str, Any], chosen: Sequence[str]) -> Iterator[None]:
    """Take some variables out of the notebook while the cell is captured: it assigns them before it reads them, and
    their old values, which may be large, are not its business."""
    kept = {name: names.pop(name) for name in chosen if name in names}
    try:
        yield
    finally:
        names.update(kept)


def _not_read(cell_names: CellNames, names: dict[str, Any]) -> list[str]:
    """Assigned names whose old value neither the cell reads nor a function that it calls."""
    chosen = {n for n in cell_names.assigns if n in names and n not in cell_names.reads}
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
    with hidden(names, _not_read(made.names, names)):
        sent = dispatch(
            lattice, once="once" in found, seed=found.get("seed"), name=found.get("label") or _label(cell, name),
            tags=[TAG, *found.get("tag", ())],
        )()  # fmt: skip
    bind(cell.shell, [*outputs, *([f"{name}_run"] if name and not outputs else [])], sent)
    if "wait" in found:
        result = watch(sent)
        fetch(result, names)
    else:
        follow(cell.shell, sent, lambda: _quietly(sent, names))


def _label(cell: Cell, name: str | None) -> str:
    if name:
        return name
    lines = [line.strip() for line in cell.body.splitlines()]
    first = next((line for line in lines if line and not line.startswith(("#", "%", "import ", "from "))), "a cell")
    return first if len(first) <= _LABEL else f"{first[: _LABEL - 1]}…"


def fetch(result: Result | DispatchId | str, into: dict[str, Any], names: Sequence[str] | None = None) -> Names:
    """Put what a cell assigned into a namespace (``globals()``), all of it or some ``names``, and say so.

    Raises the cell's own exception if it failed, NotFinished while it runs.
    """
    found = raised(result if isinstance(result, Result) else DispatchId(str(result)).result()).value
    if not isinstance(found, Names):
        raise InvalidRequest(
            f"dispatch {_id_of(result)[:8]} is no cell of %%dispatch; its result is ct.get_result({_id_of(result)[:8]!r}).value"
        )
    unknown = [n for n in names or () if n not in found]
    if unknown:
        raise NotFound(f"the cell assigned no {', '.join(unknown)}; it assigned {', '.join(found) or 'nothing'}")
    chosen = {n: found[n] for n in names or found}
    into.update({n: _at_home(value, into) for n, value in chosen.items()})
    _tell(chosen, found.left if not names else {})
    return Names(chosen, found.left)


def _quietly(sent: DispatchId, into: dict[str, Any]) -> list[str]:
    """Fetch everything; the names of it that are no modules."""
    found = sent.result().value
    into.update({n: _at_home(value, into) for n, value in found.items()})
    return [n for n, value in found.items() if not isinstance(value, ModuleType)]


def _id_of(result: Result | DispatchId | str) -> str:
    return result.dispatch_id if isinstance(result, Result) else str(result)


def _tell(chosen: Mapping[str, Any], left: Mapping[str, str]) -> None:
    if chosen:
        values = [name for name, value in chosen.items() if not isinstance(value, ModuleType)] or list(chosen)
        shown = values[:20]
        more = f" and {len(values) - len(shown)} more" if len(values) > len(shown) else ""
        print(f"Here now: {', '.join(shown)}{more}")
    elif not left:
        print("The cell assigned nothing.")
    for name, why in left.items():
        print(f"Stayed there: {name} ({why})")


def _at_home(value: Any, into: dict[str, Any]) -> Any:
    """A function that the cell defined reads the variables of the notebook from now on."""
    if not isinstance(value, FunctionType) or value.__module__ != "__main__" or value.__closure__:
        return value
    for key, needed in value.__globals__.items():
        into.setdefault(key, needed)
    made = FunctionType(value.__code__, into, value.__name__, value.__defaults__)
    made.__kwdefaults__, made.__doc__, made.__dict__ = value.__kwdefaults__, value.__doc__, dict(value.__dict__)
    made.__annotations__, made.__module__ = value.__annotations__, value.__module__
    return made
