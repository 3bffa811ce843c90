"""A cell as a function: its first line is parsed, its body compiled, and every line keeps its number in the cell.

The source that tracebacks and ``inspect.getsource`` show is the body below a ``def`` line, indented, so that
it is Python as it stands, and line 7 of the function is line 7 of the cell.
"""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import linecache
import re
import tokenize
from collections.abc import Iterable
from types import FunctionType
from typing import Any, NamedTuple

from IPython.core.error import UsageError

_INDENT = "    "
_OPENING, _CLOSING = "([{", ")]}"
#: what stands for IPython's ``get_ipython`` in a function that runs elsewhere
_SHELL_LINE = "from covalent_jupyter.worker.cell import get_ipython"


class Head(NamedTuple):
    """The first line of a cell, without the magic's name: ``train(C, gamma=0.5) -> float --retries 3``."""

    name: str
    parameters: str  # "(C, gamma=0.5)"
    returns: str  # "float", or ""
    options: str  # "--retries 3"


class Cell(NamedTuple):
    """The cell that runs now."""

    shell: Any  # IPython's InteractiveShell
    body: str  # without the line of the magic
    first: int  # number of the body's first line in the cell, from 1
    raw: str  # all of it
    number: int  # in ``In[...]``


def running_cell(shell: Any, line: str, body: str) -> Cell:
    """The cell of a magic that was called with ``line`` and ``body``."""
    history = shell.history_manager.input_hist_raw if shell.history_manager is not None else []
    raw = history[-1] if history else ""
    kept = body.rstrip("\n")
    at = raw.rstrip("\n").rfind(kept) if kept else -1
    if at < 0 or raw[at + len(kept) :].strip():  # called by another magic, or in a loop
        return Cell(shell, body, 2, f"{line}\n{body}", int(shell.execution_count))
    return Cell(shell, body, raw.count("\n", 0, at) + 1, raw, len(history) - 1)


def parse_head(magic: str, line: str) -> Head:
    """The parts of ``name(parameters) options``. UsageError says what was meant."""
    text = line.strip()
    example = f"%%{magic} {'train(C, gamma=0.5)' if magic == 'electron' else 'find_best(C=1.0, gamma=0.5)'}"
    if not text or text.startswith("-"):
        raise UsageError(f"%%{magic}: give the function a name and its parameters, for example: {example}")
    if text.startswith("def "):
        raise UsageError(f"%%{magic} stands for the def: write %%{magic} {text[4:].strip().rstrip(':')}")
    found = re.match(r"[^\W\d]\w*", text)
    if found is None or keyword.iskeyword(found[0]):
        word = re.split(r"[\s(]", text, maxsplit=1)[0]
        raise UsageError(f"%%{magic}: {word!r} cannot be the name of a function; for example: {example}")
    name, rest = found[0], text[found.end() :]
    parameters, rest = _parenthesis(magic, name, rest)
    returns, rest = _returns(rest)
    rest = rest.strip()
    if rest.startswith(":"):
        rest = rest[1:].strip()
    if rest and not rest.startswith("-"):
        words = rest.split(" -")[0].replace(",", " ").split()
        meant = f"%%{magic} {name}({', '.join(words)})"
        raise UsageError(f"%%{magic}: {rest!r} after {name}{parameters} is no option. Did you mean: {meant}")
    return Head(name, parameters, returns, rest)


def _parenthesis(magic: str, name: str, text: str) -> tuple[str, str]:
    """``(a, b="(")`` at the beginning of a text, and what comes after it."""
    text = text.lstrip() if text.lstrip().startswith("(") else text
    if not text.startswith("("):
        return "()", text
    depth, quote, at = 0, "", 0
    while at < len(text):
        char = text[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in _OPENING:
            depth += 1
        elif char in _CLOSING:
            depth -= 1
            if depth == 0:
                return text[: at + 1], text[at + 1 :]
        at += 1
    raise UsageError(f"%%{magic}: the parenthesis of {name}( is not closed: {name}{text})")


def _returns(text: str) -> tuple[str, str]:
    if not text.lstrip().startswith("->"):
        return "", text
    parts = re.split(r"\s(?=-)", text.lstrip()[2:].strip(), maxsplit=1)
    return parts[0].rstrip(":").strip(), parts[1] if len(parts) > 1 else ""


def define(cell: Cell, head: Head) -> FunctionType:
    """The function whose body is the cell. Its globals are the notebook's, as those of every function there.

    A last line that is a plain expression is returned. SyntaxError points at the cell's own line.
    """
    transformed = transform(cell)
    check_syntax(cell, transformed)
    text = f"def {head.name}{head.parameters}{f' -> {head.returns}' if head.returns else ''}:"
    tree, source, file = function_source(cell, text, transformed)
    function = tree.body[0]
    assert isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
    return_last(function)
    if uses(function, "get_ipython"):
        function.body.insert(0, first_line(ast.parse(_SHELL_LINE).body[0]))
    found: dict[str, Any] = {}
    exec(compiled(tree, file, cell), cell.shell.user_ns, found)
    made: FunctionType = found[head.name]
    made.__doc__ = ast.get_docstring(function) if len(function.body) > 1 else None
    return made


def transform(cell: Cell) -> str:
    """The body with IPython's own syntax (``!ls``, ``%time``) as Python, line by line as it was."""
    body = cell.body
    blank = len(body) - len(body.lstrip("\n \t"))
    gap = body.count("\n", 0, blank)  # IPython takes away empty lines at the top
    return "\n" * gap + cell.shell.transform_cell(body)


def check_syntax(cell: Cell, transformed: str) -> None:
    """SyntaxError, at the cell's own line, where the body is not Python."""
    padded = "\n" * (cell.first - 1) + transformed
    try:
        ast.parse(padded, "the cell")
    except SyntaxError as error:
        error.filename = remember(cell, "#\n" * (cell.first - 1) + transformed)
        raise error.with_traceback(None) from None


def remember(cell: Cell, source: str) -> str:
    """A file name under which tracebacks find ``source``, and under which IPython says ``Cell In[5]``."""
    return str(cell.shell.compile.cache(source, cell.number, raw_code=cell.raw))


def function_source(cell: Cell, head: str, transformed: str) -> tuple[ast.Module, str, str]:
    """The tree, the source and the file name of a function with this head, whose body is the cell.

    It begins in the line of the magic, so that each line is where it is in the cell.
    """
    body = indented(transformed)
    asynchronous = awaits(ast.parse(transformed).body)
    if not has_statement(transformed):
        body += f"{_INDENT}pass\n"
    above = "\n" * (cell.first - 2)
    source = f"{above}{'async ' if asynchronous else ''}{head}\n{body}"
    file = remember(cell, source)
    try:
        tree = ast.parse(source, file)
    except SyntaxError as error:  # of the head: the body has been parsed before
        raise error.with_traceback(None) from None
    return tree, source, file


def compiled(tree: ast.Module, file: str, cell: Cell) -> Any:
    """The code; what the compiler alone finds (``break`` outside of a loop) is a SyntaxError at the cell's line."""
    ast.fix_missing_locations(tree)
    try:
        return compile(tree, file, "exec", flags=cell.shell.compile.flags, dont_inherit=True)
    except SyntaxError as error:
        error.text = error.text or linecache.getline(file, error.lineno or 0)
        raise error.with_traceback(None) from None


def has_statement(text: str) -> bool:
    return bool(ast.parse(text).body)


def indented(text: str) -> str:
    """Every line one step to the right, but those that go on inside a string: these would change it."""
    kept = set(_inside_strings(text))
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return "".join(line if i in kept or not line.strip() else _INDENT + line for i, line in enumerate(lines, 1))


def _inside_strings(text: str) -> Iterable[int]:
    starts: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "STRING":
            yield from range(token.start[0] + 1, token.end[0] + 1)
        elif kind in ("FSTRING_START", "TSTRING_START"):
            starts.append(token.start[0])
        elif kind in ("FSTRING_END", "TSTRING_END"):
            yield from range(starts.pop() + 1, token.end[0] + 1)


_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def own_nodes(body: Iterable[ast.AST]) -> Iterable[ast.AST]:
    """Nodes of these statements, without those inside the functions and classes that they define."""
    for node in body:
        yield node
        if not isinstance(node, _SCOPES):
            yield from own_nodes(ast.iter_child_nodes(node))


def awaits(body: list[ast.stmt]) -> bool:
    """Whether a function with this body must be ``async``."""
    return any(
        isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith))
        or (isinstance(node, ast.comprehension) and bool(node.is_async))
        for node in own_nodes(body)
    )


def return_last(function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    """The value of a last line that is an expression becomes what the function returns."""
    last = function.body[-1]
    if isinstance(last, ast.Expr):
        function.body[-1] = ast.copy_location(ast.Return(last.value), last)


def uses(tree: ast.AST, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))


def first_line(statement: ast.stmt) -> ast.stmt:
    """A statement of ours, placed where it disturbs nobody's line numbers."""
    for node in ast.walk(statement):
        if "lineno" in node._attributes:
            node.lineno = node.end_lineno = 1  # type: ignore[attr-defined]
            node.col_offset = node.end_col_offset = 0  # type: ignore[attr-defined]
    return statement


def notes_about(cell: Cell, head: Head, function: FunctionType) -> list[str]:
    """What somebody who knows notebooks, and no electrons yet, would want to be told about this function."""
    notes = []
    if hasattr(builtins, head.name) and head.name not in cell.shell.user_ns:
        notes.append(
            f"{head.name} is now this function in the notebook, and no longer Python's own; `del {head.name}` "
            "brings that back"
        )
    for name in _read_before_assigned(function, cell):
        if name in cell.shell.user_ns:
            notes.append(
                f"{head.name} assigns {name}, so {name} is its own variable and the notebook's is not seen; to work on the "
                f"notebook's value make it a parameter: {head.name}({name}, ...)"
            )
    return notes


def _read_before_assigned(function: FunctionType, cell: Cell) -> list[str]:
    """Local variables that the first statement that names them reads: ``df = df.dropna()``."""
    code = function.__code__
    own = set(code.co_varnames[code.co_argcount + code.co_kwonlyargcount :])
    seen: set[str] = set()
    found: list[str] = []
    for statement in ast.parse(transform(cell)).body:
        stored = {n.id for n in own_nodes([statement]) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        if isinstance(statement, (ast.Assign, ast.AugAssign)):
            read = {n.id for n in own_nodes([statement.value]) if isinstance(n, ast.Name)}
            read |= stored if isinstance(statement, ast.AugAssign) else set()
            found += sorted((read & stored & own) - seen)
        seen |= stored
    return found
