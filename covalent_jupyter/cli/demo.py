"""``jupyter covalent demo``: dispatches the machine-learning lattice and prints what happened."""

from __future__ import annotations

import argparse
import shutil
import sys

from ..client.dispatching import dispatch
from ..client.display import duration_text, plain, sign_of, took
from ..client.progress import TerminalLine
from ..client.result import Result
from ..client.waiting import wait_for
from ..demo import compare_models, compare_plain_models, has_sklearn
from ..model import Status
from .graphtext import draw
from .output import Out
from .runs import print_run


def demo(options: argparse.Namespace, out: Out) -> int:
    if has_sklearn():
        handle = dispatch(compare_models, name="demo: compare models", tags=("demo",))(options.data_set)
        out.say(f"Several models are trained side by side on scikit-learn's {options.data_set} data set.")
    else:
        handle = dispatch(compare_plain_models, name="demo: compare models", tags=("demo",))()
        out.say(
            "scikit-learn is not installed here (pip install 'covalent-jupyter[demo]' brings it), "
            "so the models are small ones in plain Python."
        )
    out.say(f"Dispatched as {handle}; Ctrl-C leaves it running.")
    row = wait_for(
        handle.rest, handle, on_change=TerminalLine(sys.stderr).update if sys.stderr.isatty() and not out.json else None
    )
    result = Result(handle.rest, row)
    found = handle.rest.graph(handle)
    value = result.value if row.status is Status.COMPLETED else None
    out.data({"dispatch_id": str(handle), "status": row.status, "result": value, "error": result.error, "graph": found})
    if out.json:
        return 0 if row.status is Status.COMPLETED else 1
    electrons = handle.rest.electrons(handle, limit=60)
    out.say()
    print_run(handle.rest, row, electrons.electrons, electrons.total, out, graph=False)
    out.say()
    out.say(draw(found["nodes"], found["edges"], shutil.get_terminal_size().columns, out.colour))
    if value is None:
        return 1
    out.say()
    for name, accuracy in sorted(value["scores"].items(), key=lambda item: -item[1]):
        bar = "█" * round(30 * accuracy)
        out.say(f"  {plain(name):<24} {accuracy:6.1%}  {bar}", "ok" if name == value["model"] else "")
    spent = duration_text(took(row.created, row.ended))
    out.say(
        f"\n{sign_of(row.status)[0]} The best is {plain(value['model'])}: {value['accuracy']:.1%} of the test samples "
        f"right, after {spent}."
    )
    out.say(f'In Python: ct.get_result("{handle}").value', "mute")
    return 0
