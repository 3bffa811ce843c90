"""The walls between the parts: which module may reach which; read from the source, and from what a process loads."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "covalent_jupyter"
ROOT = Path(__file__).resolve().parents[1] / PACKAGE

KERNEL_FORBIDDEN = (
    "duckdb",
    "dask",
    "distributed",
    "tornado",
    "plotly",
    "networkx",
    "ipywidgets",
    "numpy",
    "pandas",
    "traitlets",
)
STDLIB = frozenset(sys.stdlib_module_names)


def module_name(path: Path) -> str:
    parts = [PACKAGE, *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py")) if "labextension" not in path.parts}
TREES = {name: ast.parse(path.read_text(), str(path)) for name, path in FILES.items()}


def absolute(name: str, node: ast.ImportFrom) -> str:
    """The module that ``from ... import`` names, in full."""
    if not node.level:
        return node.module or ""
    base = name.split(".") if FILES[name].name == "__init__.py" else name.split(".")[:-1]
    base = base[: len(base) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def targets(name: str, node: ast.AST) -> Iterator[str]:
    """The modules that an import statement loads."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name
    elif isinstance(node, ast.ImportFrom):
        module = absolute(name, node)
        for alias in node.names:
            full = f"{module}.{alias.name}"
            yield full if full in FILES else module


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def statements(tree: ast.AST, inside: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every node that counts at run time, and whether it stands in a function."""
    for node in ast.iter_child_nodes(tree):
        if is_type_checking(node):
            continue
        yield node, inside
        yield from statements(node, inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))


def imports(name: str, *, functions: bool) -> set[str]:
    """What the module imports at its top, and with ``functions`` inside its functions, too."""
    return {
        target for node, inside in statements(TREES[name]) if functions or not inside for target in targets(name, node)
    }


def reached(start: list[str]) -> dict[str, str]:
    """Every module of ours that importing these loads, parents included, with one that imports it."""
    found = dict.fromkeys(start, "")
    todo = list(start)
    while todo:
        name = todo.pop()
        for target in imports(name, functions=True):
            if not target.startswith(PACKAGE):
                continue
            parts = target.split(".")
            for end in range(1, len(parts) + 1):
                module = ".".join(parts[:end])
                if module in FILES and module not in found:
                    found[module] = name
                    todo.append(module)
    return found


def way(found: dict[str, str], module: str) -> str:
    steps = [module]
    while found[steps[-1]]:
        steps.append(found[steps[-1]])
    return " <- ".join(steps)


def under(*names: str) -> list[str]:
    chosen = [m for m in FILES for n in names if m == f"{PACKAGE}.{n}" or m.startswith(f"{PACKAGE}.{n}.")]
    assert chosen, f"nothing is called {names}"
    return chosen


def loaded_by(code: str) -> tuple[set[str], float]:
    """Names of all modules that a fresh interpreter has loaded after ``code``, and the seconds that it took."""
    script = (
        f"import sys, time, json; t = time.perf_counter()\n{code}\n"
        "print(json.dumps([time.perf_counter() - t, sorted(sys.modules)]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    seconds, names = json.loads(done.stdout)
    return set(names), seconds


def heavy(names: set[str], forbidden: tuple[str, ...]) -> set[str]:
    return {n for n in names if n.partition(".")[0] in forbidden}


class TestKernelWall:
    def test_importing_the_package_loads_nothing_heavy(self) -> None:
        names, _ = loaded_by("import covalent_jupyter")
        assert not heavy(names, KERNEL_FORBIDDEN)
        ours = {n for n in names if n.startswith(PACKAGE)}
        assert ours <= {PACKAGE, f"{PACKAGE}._version"}, "public names are loaded when they are used"

    def test_defining_and_dispatching_loads_nothing_heavy(self) -> None:
        code = (
            "import covalent_jupyter as ct\n"
            "ct.electron, ct.lattice, ct.dispatch, ct.get_result, ct.redispatch, ct.Result, ct.status, ct.executor"
        )
        names, _ = loaded_by(code)
        assert not heavy(names, KERNEL_FORBIDDEN)
        assert not {n for n in names if n.startswith((f"{PACKAGE}.store", f"{PACKAGE}.service", f"{PACKAGE}.engine"))}

    def test_building_a_graph_loads_nothing_heavy(self) -> None:
        code = """
import covalent_jupyter as ct
@ct.electron
def add(a, b):
    return a + b
@ct.lattice
def flow(a):
    return add(add(a, 1), 2)
assert len(flow.build_graph(1).nodes) == 2
"""
        names, _ = loaded_by(code)
        assert not heavy(names, KERNEL_FORBIDDEN)

    def test_import_is_quick(self) -> None:
        seconds = min(loaded_by("import covalent_jupyter")[1] for _ in range(5))
        assert seconds < 0.150, f"import covalent_jupyter takes {seconds * 1000:.0f} ms"

    def test_every_public_name_is_there(self) -> None:
        names, _ = loaded_by(
            "import covalent_jupyter as ct\n"
            "missing = [n for n in ct.__all__ if not hasattr(ct, n)]\nassert not missing, missing\n"
            "import builtins\n"
            "assert {*ct.__all__, 'zip'} == {*ct._HOMES, *ct._ALIASES, '__version__'}\n"
            "assert {*ct.__all__, 'zip'} <= set(dir(ct))\n"
            "assert not {*ct.__all__} & {*dir(builtins)}  # import * is not to hide them\n"
        )
        assert not heavy(names, KERNEL_FORBIDDEN)

    def test_unknown_name_is_an_attribute_error(self) -> None:
        import covalent_jupyter

        with pytest.raises(AttributeError, match="no attribute 'elektron'"):
            covalent_jupyter.elektron  # type: ignore[attr-defined] # noqa: B018

    def test_kernel_side_reaches_no_service(self) -> None:
        found = reached(under("client", "workflow", "codec"))
        bad = [
            m
            for m in found
            if m.startswith(tuple(f"{PACKAGE}.{n}" for n in ("store", "service", "dispatcher", "engine", "packing")))
        ]
        assert not bad, [way(found, m) for m in bad]


def test_worker_wall() -> None:
    found = reached(under("worker"))
    bad = [
        m
        for m in found
        if m.startswith(tuple(f"{PACKAGE}.{n}" for n in ("store", "engine", "service", "notebook", "dispatcher")))
    ]
    assert not bad, [way(found, m) for m in bad]


def test_service_wall() -> None:
    found = reached(under("service", "dispatcher", "engine", "store"))
    forbidden = ("codec", "workflow", "worker", "executors", "client", "notebook")
    bad = [m for m in found if m.startswith(tuple(f"{PACKAGE}.{n}" for n in forbidden))]
    assert not bad, [way(found, m) for m in bad]
    for name in found:
        for target in imports(name, functions=True):
            assert target.partition(".")[0] not in ("dask", "distributed", "cloudpickle", "pickle", "numpy"), (
                f"{name}: {target}"
            )


def test_the_service_process_loads_no_dask_and_no_pickler_of_ours() -> None:
    names, _ = loaded_by("import covalent_jupyter.service.app, covalent_jupyter.service.__main__")
    assert not heavy(names, ("dask", "distributed", "cloudpickle", "numpy", "pandas"))
    assert not {
        n
        for n in names
        if n.startswith((f"{PACKAGE}.codec", f"{PACKAGE}.workflow", f"{PACKAGE}.worker", f"{PACKAGE}.executors"))
    }


def test_purity_wall() -> None:
    for name in under("model", "engine", "packing"):
        for target in imports(name, functions=True):
            top = target.partition(".")[0]
            assert top in STDLIB or top in ("msgspec", PACKAGE), f"{name} imports {target}"
            assert top not in ("time", "socket", "threading", "asyncio", "subprocess"), f"{name} imports {target}"
            if top == PACKAGE:
                assert target in under("model", "engine", "packing", "errors"), f"{name} imports {target}"
        for node in ast.walk(TREES[name]):
            assert not isinstance(node, (ast.AsyncFunctionDef, ast.Await)), f"{name}: async, line {node.lineno}"
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in ("open", "print", "input"), f"{name} calls {called}, line {node.lineno}"  # type: ignore[attr-defined]


def test_one_place_connects_to_duckdb() -> None:
    places = [name for name in FILES if "duckdb.connect(" in FILES[name].read_text()]
    assert len(places) == 1, places


def test_no_import_cycle() -> None:
    graph = {name: {t for t in imports(name, functions=False) if t in FILES and t != name} for name in FILES}
    state: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if state.get(name) == 2:
            return
        assert state.get(name) != 1, " -> ".join([*path[path.index(name) :], name])
        state[name] = 1
        for target in sorted(graph[name]):
            visit(target, (*path, name))
        state[name] = 2

    for name in sorted(FILES):
        visit(name, ())


def test_no_internal_import_hidden_in_a_function() -> None:
    hidden = [
        f"{FILES[name].relative_to(ROOT.parent)}:{node.lineno} imports {target}"
        for name in FILES
        for node, inside in statements(TREES[name])
        if inside and isinstance(node, (ast.Import, ast.ImportFrom))
        for target in targets(name, node)
        if target.partition(".")[0] == PACKAGE
    ]
    assert not hidden, "\n".join(hidden)


def test_third_parties_are_declared() -> None:
    """What is imported at the top of a module is a dependency."""
    block = re.search(r"^dependencies = \[(.*?)^\]", (ROOT.parent / "pyproject.toml").read_text(), re.M | re.S)
    assert block is not None
    declared = {d.lower().replace("-", "_") for d in re.findall(r'"([A-Za-z0-9_.-]+)', block[1])}
    for name in FILES:
        for target in imports(name, functions=False):
            top = target.partition(".")[0]
            if top in STDLIB or top == PACKAGE:
                continue
            assert top.lower() in declared, f"{name} imports {top}, which pyproject.toml does not declare"
