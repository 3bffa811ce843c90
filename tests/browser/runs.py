"""Lattices of the browser tests, and what a person does with the page of a dispatch of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, expect

from .lab import Lab
from .page import LabPage

STARTED = 180_000  # ms: the first dispatch starts service, host and cluster

LATTICES = r"""
import sys, time, pathlib
import covalent_jupyter as ct

@ct.electron
def load(n):
    print("loading", n)
    return list(range(n))

@ct.electron
def train(data, c):
    print(f"\x1b[31mfitting\x1b[0m c={c} <script>window.hit = 1</script>")
    for step in range(5):
        ct.report(step=step, loss=1 / (1 + step))
    if c == 3:
        raise ValueError("<img src=x onerror='window.hit = 1'> c must not be 3")
    return {"c": c, "score": c / 10}

@ct.electron
def best(models, note):
    return max(models, key=lambda m: m["score"])

@ct.lattice
def experiment(start):
    data = load(20)
    return best([train(data, c) for c in range(start, start + 5)], "x")

@ct.electron
def double(x):
    return 2 * x

@ct.electron
@ct.lattice
def inner(n):
    return [double(i) for i in range(n)]

@ct.electron
def total(xs):
    return sum(xs)

@ct.lattice
def nested():
    return total(inner(3))

@ct.electron
def until(path):
    print("waiting", flush=True)
    while not pathlib.Path(path).exists():
        time.sleep(0.05)
    print("going on", flush=True)
    return 1

@ct.lattice
def patient(path):
    return double(until(path))

@ct.electron
def hostile(x):
    return x

@ct.lattice
def names():
    return [hostile.options(name=n)(1) for n in ("<b>bold</b>", "\u202ereversed", "x" * 200, "a\nb")]

@ct.lattice
def squares(n):
    return total([double(i) for i in range(n)])

@ct.electron
def frame(n):
    import pandas as pd
    return pd.DataFrame({"<i>a</i>": range(n)})

@ct.lattice
def table():
    return frame(5)

@ct.electron
def step(a, b):
    return a + b

class Picture:
    def _repr_png_(self):
        import struct, zlib
        part = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        rows = b"".join(b"\0" + b"\x2e\x9e\x5b" * 60 for _ in range(40))
        head = struct.pack(">IIBBBBB", 60, 40, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")

    def __repr__(self):
        return "a green picture"

@ct.electron
def draws():
    return Picture()

@ct.electron
def holds():
    return {"rates": list(range(100, 180)), "names": {"first": "Ada", "second": None}, "empty": []}

@ct.electron
def tells(lines, path):
    for i in range(lines):
        print("line", i)
    while not pathlib.Path(path).exists():
        time.sleep(0.05)
    print("the end", file=sys.stderr)

@ct.lattice
def values(path):
    return draws(), holds(), tells(400, path)

@ct.lattice
def mesh(layers, wide):
    row = [double.options(name=f"start {i}")(i) for i in range(wide)]
    for k in range(1, layers):
        row = [step.options(name=f"step {k}.{i}")(row[i], row[(i * 7 + 3) % wide]) for i in range(wide)]
    return row[0]
"""


class Runs:
    """Dispatches from scripts of the Lab's user."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        (folder / "lattices.py").write_text(LATTICES)
        self.known: dict[str, str] = {}

    def start(self, call: str, *, wait: bool = True) -> str:
        """The id of ``ct.dispatch`` of this call, such as ``"experiment", 1``; each call once."""
        if call not in self.known:
            lattice, _, arguments = call.partition(" ")
            ending = "ct.get_result(i, wait=True)" if wait else ""
            script = f"from lattices import *; i = ct.dispatch({lattice})({arguments}); print(i); {ending}"
            done = subprocess.run(
                [sys.executable, "-c", script],
                env=self.lab.env,
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=240,
            )
            assert done.returncode == 0, done.stderr
            self.known[call] = done.stdout.split()[-1]
        return self.known[call]

    def ask(self, method: str, path: str) -> Any:
        request = urllib.request.Request(
            f"{self.lab.url}/covalent/{path}", method=method, headers={"Authorization": f"token {self.lab.token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


def open_dispatch(page: LabPage, dispatch: str, **query: object) -> Locator:
    """Follow the link to a dispatch; its page."""
    page.page.set_default_timeout(120_000)
    rest = "".join(f"&{name}={value}" for name, value in query.items())
    page.page.goto(f"{page.lab.url}/lab/workspaces/{page.workspace}?token={page.lab.token}&covalent={dispatch}{rest}")
    page.wait_for_lab()
    view = page.page.locator(".jp-CovalentPage:visible")
    view.wait_for()
    return view


def tab(view: Locator, name: str) -> None:
    view.get_by_role("tab", name=re.compile(f"^{name}")).click()


def boxes(view: Locator) -> list[str]:
    """What the boxes of the graph say."""
    expect(view.locator(".cv-canvas [role=option]").first).to_be_attached(timeout=60_000)
    return [text.strip() for text in view.locator(".cv-canvas [role=option]").all_text_contents()]


def click_box(view: Locator, text: str) -> None:
    """Click where the box that says this is drawn."""
    place = view.locator(".cv-canvas [role=option]").filter(has_text=text).first.get_attribute("data-place")
    assert place is not None
    x, y, width, height = map(float, place.split())
    canvas = view.locator(".cv-canvas")
    scale, left, top = (float(canvas.get_attribute(f"data-{name}") or 0) for name in ("scale", "left", "top"))
    position = {"x": (x + width / 3) * scale + left, "y": (y + height / 2) * scale + top}
    canvas.click(position=position)  # type: ignore[arg-type]
