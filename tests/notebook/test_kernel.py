"""Cells of ``%%dispatch`` in a real kernel: what appears below them, when, and that the kernel is free meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .kernels import Kernel

CELL = """%%dispatch fit
import time
import matplotlib.pyplot as plt
print("one")
plt.plot([1, 2])
plt.show()
print("two")
while not Path(gate).exists():
    time.sleep(0.01)
for n in range(3):
    print(f"\\rstep {n}", end="", flush=True)
print()
result = 6 * 7
{"answer": result}"""


def texts(outputs: list[dict[str, Any]]) -> str:
    return "".join(o["text"] for o in outputs if o["output_type"] == "stream")


def plain_texts(outputs: list[dict[str, Any]]) -> list[str]:
    return [str(o["data"]["text/plain"]) for o in outputs if "text/plain" in o.get("data", {})]


def after_clear(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is on the screen in the end."""
    clears = [i for i, o in enumerate(outputs) if o["output_type"] == "clear_output"]
    return outputs[clears[-1] + 1 :] if clears else outputs


def test_outputs_appear_below_the_cell_in_order_while_others_run(kernel: Kernel) -> None:
    kernel.run("%load_ext covalent_jupyter\nfrom pathlib import Path\ngate = str(Path('gate').absolute())")
    cell = kernel.send(CELL)
    kernel.finished(cell)
    outputs = kernel.outputs[cell]
    kernel.until(lambda: "two" in texts(outputs), "what it prints does not appear")
    shown = [o for o in outputs if o["output_type"] == "stream" or "image/png" in o.get("data", {})]
    assert [o["output_type"] for o in shown] == ["stream", "display_data", "stream"]
    assert kernel.value("'free'") == "free" and kernel.value("'result' in globals()") is False
    kernel.run("Path(gate).touch()")
    kernel.until(lambda: any("'answer': 42" in str(o.get("data")) for o in outputs), "the last value does not appear")
    kernel.until(
        lambda: any("completed" in str(o.get("data", {}).get("text/plain")) for o in outputs), "no end is told"
    )
    last = after_clear(outputs)
    assert texts(last).endswith("step 2\n") and "runs outside" in str(outputs[0]["data"])
    assert len(last) == len(outputs) or "completed" in last[0]["data"]["text/plain"]
    kernel.run("%covalent fetch fit_run")
    assert kernel.value("result") == 42


def test_the_line_above_a_cell_that_ended_early_says_what_there_is_of_it(kernel: Kernel) -> None:
    def says(cell: str, text: str) -> None:
        kernel.until(
            lambda: any(text in str(o.get("data", "")) for o in kernel.outputs[cell]), f"nothing says {text!r}"
        )

    kernel.run("%load_ext covalent_jupyter")
    waits = "try:\n    time.sleep(100)\nfinally:\n    pass"
    says(kernel.send(f"%%dispatch --timeout 2\nimport time\nkept = 1\n{waits}"), "brings what was assigned before")
    cell = kernel.send("%%dispatch\nimport os\nmodel = 1\nos._exit(3)")
    says(cell, "Did not come back: model (its process ended before it could hand out anything)")
    assert "brings what was assigned before" not in str(kernel.outputs[cell])
    cell = kernel.send("%%dispatch\n1 / 0")
    says(cell, "stops at the line that failed")
    assert "brings what" not in str(kernel.outputs[cell])


def test_an_error_appears_below_the_cell_with_its_number_and_line(kernel: Kernel) -> None:
    kernel.run("%load_ext covalent_jupyter")
    cell = kernel.send("%%dispatch\na = 1\n1 / (a - 1)")
    kernel.finished(cell)
    number = kernel.value("len(In) - 2")
    kernel.until(lambda: any(o["output_type"] == "error" for o in kernel.outputs[cell]), "no error appears")
    error = next(o for o in kernel.outputs[cell] if o["output_type"] == "error")
    assert error["ename"] == "ZeroDivisionError"
    assert f"Cell In[{number}], line 3, in cell" in error["traceback"][0] and "1 / (a - 1)" in error["traceback"][0]


LOOP = """
import os, time
for step in {loop}:
    while step == 10 and not os.path.exists({gate!r}):
        time.sleep(0.01)
    ct.report(loss=1 / (step + 1))"""


def test_how_far_it_is_appears_below_the_cell(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run("%load_ext covalent_jupyter\nimport covalent_jupyter as ct")
    for option in ("", "--wait"):
        gate = tmp_path / f"gate{option}"
        loop = LOOP.format(loop='ct.progress(range(20), name="epoch")', gate=str(gate))
        cell = kernel.send(f"%%dispatch {option}" + loop)
        for far, what in (("10/20 50%", "nothing while it runs"), ("20/20 100%", "no end")):
            kernel.until(lambda id=cell, far=far: any(far in t for t in plain_texts(kernel.outputs[id])), what)  # type: ignore[misc]
            gate.touch()
        kernel.finished(cell)
        lines = [t for t in plain_texts(kernel.outputs[cell]) if "epoch " in t]
        assert "loss=0.05" in lines[-1]
        assert len({o["transient"]["display_id"] for o in kernel.outputs[cell] if "epoch " in str(o.get("data"))}) == 1


def test_of_bars_that_are_printed_nothing_is_said_twice(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run("%load_ext covalent_jupyter\nimport covalent_jupyter as ct\nfrom tqdm import tqdm")
    gate = tmp_path / "gate"
    cell = kernel.send("%%dispatch --wait" + LOOP.format(loop="tqdm(range(20))", gate=str(gate)))
    kernel.until(lambda: any("loss=" in t for t in plain_texts(kernel.outputs[cell])), "nothing while it runs")
    gate.touch()
    outputs = kernel.finished(cell)
    assert "20/20" in texts(outputs)
    shown = [t for t in plain_texts(outputs) if "loss=" in t]
    assert shown and not any("/20" in t for t in shown)


def test_bars_beside_several_displays(kernel: Kernel) -> None:
    kernel.run("%load_ext covalent_jupyter\nfrom tqdm import tqdm\nimport time")
    outputs = kernel.run(
        "%%dispatch --wait\nfor e in range(4):\n    for i in tqdm(range(10)):\n        time.sleep(0.02)\n    display(f'shown {e}')"
    )
    last = after_clear(outputs)
    shown = [o["data"]["text/plain"] for o in last if o["output_type"] == "display_data"]
    assert shown == [f"'shown {e}'" for e in range(4)] and texts(last).endswith("Here now: e, i\n")


def test_names_come_back_into_a_later_kernel(kernel: Kernel) -> None:
    kernel.run("%load_ext covalent_jupyter")
    kernel.run("%%dispatch later --wait\nkept = [1, 2, 3]")
    found = str(kernel.value("str(later_run)"))
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)
    assert kernel.value("'kept' in globals()") is False
    kernel.run(f"%load_ext covalent_jupyter\n%covalent fetch {found[:8]}")
    assert kernel.value("kept") == [1, 2, 3]
