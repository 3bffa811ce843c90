"""Tab in the line of a magic, as IPython asks for it: by ``complete`` (terminals) and by ``completions`` (kernels)."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

from covalent_jupyter.notebook.magics import PARSERS

from .conftest import Shell
from .kernels import Kernel


def offered(shell: Shell, line: str) -> set[str]:
    """Whole lines that Tab makes of this one; both ways of asking must agree."""
    _, old = shell.ipython.complete(line, line, len(line))
    with provisionalcompleter():
        new = list(shell.ipython.Completer.completions(line, len(line)))
    lines = {line[: c.start] + c.text + line[c.end :] for c in new}
    if old:
        assert {text for c in old for text in lines if text.endswith(c)}, (old, lines)
    return lines


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%%electron train(C, gamma=0.5) --re", {"%%electron train(C, gamma=0.5) --retries"}),
        ("%%lattice flow(C=1.0) --dis", {"%%lattice flow(C=1.0) --dispatch"}),
        ("%%electron f(x) --executor lo", {"%%electron f(x) --executor local"}),
        ("%%electron f(x) --on-error va", {"%%electron f(x) --on-error value"}),
        ("%%dispatch --onc", {"%%dispatch --once"}),
        ("%%covalent_sql --sch", {"%%covalent_sql --schema"}),
        ("%covalent red", {"%covalent redispatch"}),
        ("%covalent list --sta", {"%covalent list --status"}),
        ("%covalent cluster sc", {"%covalent cluster scale"}),
    ],
)
def test_options_commands_and_choices(shell: Shell, line: str, expected: set[str]) -> None:
    assert expected <= offered(shell, line)


def test_ids_and_electrons(shell: Shell) -> None:
    shell.run("%%electron train(C)\nC")
    shell.run("%%lattice flow(C=0.1) --dispatch --wait\n[train(C), train(1.0)]")
    short = shell["flow_run"][:8]
    for command in ("show", "logs", "result", "redispatch", "debug"):
        assert f"%covalent {command} {short}" in offered(shell, f"%covalent {command} {short[:3]}")
    assert f"%covalent logs {short} train" in offered(shell, f"%covalent logs {short} tr")
    assert {f"%covalent logs {short} train[C=0.1]", f"%covalent logs {short} train[C=1.0]"} <= offered(
        shell, f"%covalent logs {short} train["
    )
    assert f"%covalent debug {short} train[C=0.1]" in offered(shell, f"%covalent debug {short} train[C=0")
    assert "%covalent cancel train" in offered(shell, "%covalent cancel tr")
    assert "%covalent logs train[C=1.0]" in offered(shell, "%covalent logs train[C=1")


def test_what_other_lines_offer_is_left_alone(shell: Shell) -> None:
    shell.run("covalent_things = 1")
    assert "covalent_things" in offered(shell, "covalent_t")
    assert "x = covalent_things" in offered(shell, "x = covalent_t")


@pytest.mark.parametrize(
    ("line", "magic"),
    [("%%electron f(x) --", "electron"), ("%%dispatch --", "dispatch"), ("%%covalent_sql -", "covalent_sql")],
)
def test_a_kernel_offers_our_options_alone(kernel: Kernel, line: str, magic: str) -> None:
    kernel.run("%load_ext covalent_jupyter")
    typed = line.rpartition(" ")[2]
    expected = [line.removesuffix(typed) + flag for flag in PARSERS[magic].flags if flag.startswith(typed)]
    assert kernel.completed(line) == expected


def test_a_kernel_offers_ids_and_electrons_alone(kernel: Kernel) -> None:
    kernel.run("%load_ext covalent_jupyter")
    kernel.run("%%electron slow(x)\nx")
    kernel.run("%%lattice flow(x=1) --dispatch --wait\nslow(x)")
    short = kernel.value("str(flow_run)")[:8]
    assert kernel.completed("%covalent redispatch --f") == ["%covalent redispatch --failed"]
    assert kernel.completed("%covalent status ")[0] == f"%covalent status {short}"
    assert kernel.completed("%covalent logs slo") == ["%covalent logs slow"]
    assert kernel.completed(f"x = 1\n%covalent logs {short} sl") == [f"x = 1\n%covalent logs {short} slow"]
    assert "x = flow_run" in kernel.completed("x = flow_r"), "other lines are left alone"
