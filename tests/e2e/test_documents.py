"""The Python examples of the documentation run as they stand there, and print what they say they print.

A page is one script: its ``python`` fences, one after another. ``print(x)  # text`` must print that text, in which ``...``
stands for anything. Fences of other languages are not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from covalent_jupyter import config
from covalent_jupyter.cli.app import build_parser
from covalent_jupyter.service.routes import ROUTES
from covalent_jupyter.workflow.options import ELECTRON_OPTIONS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = ("electrons", "values", "results", "running", "runs", "covalent")

pytestmark = pytest.mark.timeout(300)

#: Stands in the first line of the script, where the page has its title.
_PRELUDE = (
    "import builtins; builtins.__dict__['printed'] = lambda _said, *values: print(' '.join(map(str, values))) or "
    "__import__('fnmatch').fnmatchcase(' '.join(map(str, values)), _said) or "
    "(_ for _ in ()).throw(AssertionError(f'the page says {_said!r}, printed was {values!r}'))\n"
)
_PRINT = re.compile(r"^( *)print\((.*)\)  # (.+)$")


def script_of(text: str) -> str:
    """The page's Python, each line at its number in the page."""
    lines, inside = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = line == "```python"
            lines.append("")
            continue
        found = _PRINT.match(line) if inside else None
        if found:
            said = re.sub(r"([\[\]?*])", r"[\1]", found[3]).replace("...", "*")
            line = f"{found[1]}printed({said!r}, {found[2]})"
        lines.append(line if inside else "")
    return _PRELUDE + "\n".join(lines[1:]) + "\n"


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(page: str, place: Path, tmp_path: Path) -> None:
    script = tmp_path / f"{page}.py"
    script.write_text(script_of((DOCS / f"{page}.md").read_text()))
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, f"{page}.md: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def test_an_example_that_prints_something_else_is_found(tmp_path: Path) -> None:
    page = "# Title\n\n```python\nx = [1, 2]\nprint(x)  # [1, ...]\nprint(len(x))  # 3\n```\n"
    script = tmp_path / "page.py"
    script.write_text(script_of(page))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert "line 6" in done.stderr and "the page says '3'" in done.stderr


def test_what_the_pages_point_to_is_there() -> None:
    for path in DOCS.glob("*.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} points to {target}"
    index = (DOCS / "index.md").read_text()
    for path in DOCS.glob("*.md"):
        assert path.name == "index.md" or f"]({path.name})" in index, f"docs/index.md does not name {path.name}"
    assert "](docs/index.md)" in (ROOT / "README.md").read_text()


def test_every_setting_is_listed_as_it_is() -> None:
    text = (DOCS / "running.md").read_text()
    for name, option in config.OPTIONS.items():
        row = re.search(rf"^\| `{name}` \| (.*?) \| (.*) \|$", text, re.M)
        assert row, f"docs/running.md does not list the setting {name}"
        assert row[1] == f"`{option.default!r}`" and row[2] == option.help, (
            f"{name}: | `{option.default!r}` | {option.help} |"
        )


def test_every_option_of_an_electron_is_listed() -> None:
    text = (DOCS / "electrons.md").read_text()
    listed = {name for row in re.findall(r"^\| (`.*?) \|", text, re.M) for name in re.findall(r"`(\w+)=", row)}
    assert listed == set(ELECTRON_OPTIONS)


def test_every_command_and_every_route_is_listed() -> None:
    results, running = (DOCS / "results.md").read_text(), (DOCS / "running.md").read_text()
    for command in build_parser()[1]:
        assert f"`{command}" in results + running, f"the command {command} is not described"
    for route in ROUTES:
        assert f"`{route.path}`" in running, f"docs/running.md does not list {route.method} {route.path}"
