"""``ct.debug``: what failed elsewhere, here; mending it; going on."""

from __future__ import annotations

import os
from typing import Any

import pytest

import covalent_jupyter as ct

from .conftest import Shell
from .kernels import SECONDS, Kernel

CELLS = (
    """%%electron prepare(n)
list(range(n))""",
    """%%electron train(data, C)
import random
draw = random.random()
scale = C - 1
sum(data) / scale""",
    """%%electron best(values)
max(values)""",
    """%%lattice search(n=3) --dispatch
data = prepare(n)
best([train(data, 2.0), train(data, 1.0)])""",
)


@pytest.fixture
def failed(shell: Shell) -> Shell:
    """A notebook whose search failed in ``train[C=1.0]``."""
    for cell in CELLS:
        shell.run(cell)
    assert shell["search_run"].wait(60) == "FAILED"
    return shell


def test_function_inputs_and_error_come_here(failed: Shell) -> None:
    found = failed.run("%covalent debug search_run train[C=1.0] --bind")
    assert isinstance(found.error, ZeroDivisionError) and found.address == "train[C=1.0]"
    assert failed["debug_inputs"] == {"data": [0, 1, 2], "C": 1.0} and failed["debug_error"] is found.error
    assert failed["debug_locals"]["scale"] == 0.0
    assert failed["debug_function"]([1], 3.0) == 0.5 and found.call(C=4.0) == 1.0
    said = repr(found)
    assert "line 5 of train: sum(data) / scale" in said and 'code="current", rerun="failed"' in said


def test_without_a_node_it_is_the_first_that_failed(failed: Shell) -> None:
    assert failed.run("%covalent debug --bind").address == "train[C=1.0]"
    assert ct.debug(failed["search_run"][:8], 2, prompt=False).address == "train[C=1.0]"


def test_the_random_numbers_are_those_that_it_had(failed: Shell) -> None:
    draws = {failed.run("%covalent debug search_run 2 --bind").locals["draw"] for _ in range(2)}
    assert len(draws) == 1


def test_one_that_did_not_fail_runs_here(failed: Shell) -> None:
    found = ct.debug(failed["search_run"], "prepare", prompt=False, namespace={})
    assert found.error is None and found.value == [0, 1, 2] and "ran here without an error" in repr(found)
    with pytest.raises(ct.NotFound, match="did you mean 'train'"):
        ct.debug(failed["search_run"], "tran")


def test_nothing_failed(shell: Shell) -> None:
    shell.run("%%lattice fine(n=1) --dispatch --wait\nn")
    error, shown = shell.fails("%covalent debug fine_run")
    assert isinstance(error, ct.NotFound) and "nothing of fine" in shown


def test_continue_runs_what_failed_with_the_present_code(failed: Shell) -> None:
    failed.run("%%electron train(data, C)\nsum(data) / max(C - 1, 0.5)")
    failed.run("%covalent redispatch search_run --failed --current --wait -o again")
    result = ct.get_result(failed["again"])
    assert result.value == 6.0
    assert [e.reused for e in result.electrons] == [True, True, False, False]
    explained = failed.run("%covalent redispatch search_run --failed --current --explain")
    assert [row["reused"] for row in explained] == [True, True, False, False]


def test_the_failing_line_of_a_sublattice_is_found(shell: Shell) -> None:
    shell.run("@ct.electron\ndef invert(x):\n    return 1 / x")
    shell.run("@ct.electron\n@ct.lattice\ndef inner(x):\n    return invert(x)")
    shell.run("%%lattice outer(x=0) --dispatch\ninner(x)")
    assert shell["outer_run"].wait(60) == "FAILED"
    for line in ("%covalent debug outer_run --bind", "%covalent debug outer_run inner --bind"):
        found = shell.run(line)
        assert found.address == "invert" and shell["outer_run"] in found.hint


def test_a_debuggers_prompt_opens_in_a_kernel_at_the_failing_line(kernel: Kernel) -> None:
    kernel.run("%load_ext covalent_jupyter")
    for cell in CELLS:
        kernel.run(cell)
    kernel.run("search_run.wait()")
    cell = kernel.send("%covalent debug search_run", allow_stdin=True)
    prompts: list[str] = []
    for answer in ("p scale, C", "q"):
        asked: dict[str, Any] = kernel.client.get_stdin_msg(timeout=SECONDS)
        prompts.append(asked["content"]["prompt"])
        kernel.client.input(answer)
    outputs = kernel.finished(cell)
    text = "".join(str(o.get("text", "")) + "".join(o.get("traceback", ())) for o in outputs)
    assert "ipdb" in prompts[0] and "(0.0, 1.0)" in text
    assert "sum(data) / scale" in text and 'code="current", rerun="failed"' in text
    assert os.path.basename(ct.__file__) not in text
    assert kernel.value("debug_inputs['C']") == 1.0
