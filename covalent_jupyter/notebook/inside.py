"""What is read inside the texts that IPython's syntax makes of a cell: ``!ls $folder``, ``%time total = sum(data)``.

To Python they are texts, ``get_ipython().system("ls $folder")``, in which no variable occurs.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple

from IPython.utils.text import DollarFormatter

#: line magics whose line is code, and whether what that assigns stays
_CODE = {"time": True, "prun": True, "timeit": False, "memit": False, "mprun": True, "lprun": True}
_EXECUTING = frozenset({"exec", "eval"})

Transform = Callable[[str], str]


class Inside(NamedTuple):
    """Code inside a text; ``binds``: what it assigns is a variable of the notebook afterwards."""

    body: list[ast.stmt]
    binds: bool

    @property
    def names(self) -> set[str]:
        return {node.id for statement in self.body for node in ast.walk(statement) if isinstance(node, ast.Name)}


def codes_inside(tree: ast.AST, transform: Transform) -> Iterator[Inside]:
    """The code in texts of ``tree``. ``transform`` makes Python of IPython's syntax."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        if isinstance(node.func, ast.Name) and node.func.id in _EXECUTING and len(node.args) == len(texts) == 1:
            yield Inside(_parsed(texts[0]) or [], True)
        elif isinstance(node.func, ast.Attribute) and _is_shell(node.func.value):
            yield from _of_shell(node.func.attr, texts, transform)


def _is_shell(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_ipython"


def _of_shell(method: str, texts: list[str], transform: Transform) -> Iterator[Inside]:
    if method in ("system", "getoutput") and texts:
        yield Inside(expanded(texts[0]), False)
    elif method == "run_line_magic" and len(texts) == 2:
        name, line = texts
        if name in _CODE:
            yield Inside(_code(line, transform), _CODE[name])
        else:
            yield Inside(expanded(line), False)


def expanded(text: str) -> list[ast.stmt]:
    """The expressions that IPython puts the values of into a command: of ``$name``, ``{expression}``."""
    found: list[ast.stmt] = []
    try:
        for _, field, spec, _ in DollarFormatter().parse(text):
            if field:
                found += _parsed(f"{field}:{spec}" if spec else field) or []
    except ValueError:  # braces of the shell's own
        pass
    return found


def _code(line: str, transform: Transform) -> list[ast.stmt]:
    """The code of ``-n 3 -q f(x)``: what is left when as few words as possible are taken away."""
    text = line.strip()
    while text:
        found = _parsed(transform(text))
        if found is not None:
            return found
        text = (text.split(None, 1) + [""])[1]
    return []


def _parsed(text: str) -> list[ast.stmt] | None:
    """The statements; None where it is no Python."""
    try:
        return ast.parse(text.strip()).body
    except (SyntaxError, ValueError):
        return None
