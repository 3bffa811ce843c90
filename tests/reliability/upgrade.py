"""Stores written by every earlier schema, closed in order and killed: opened, shown, and finished; newer ones refused.

``stores/schema<n>-<how>.tar.xz`` hold them: made by the code of that time with the dispatches *done* (COMPLETED), *bad*
(FAILED) and, where it was killed, *after* (COMPLETED) and *waits* (RUNNING: its electron ``gate`` waits for a file).
A change of the schema adds a pair of them, made by the code before it.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import duckdb

import covalent_jupyter as ct
from covalent_jupyter.errors import StoreTooNew
from covalent_jupyter.store import Store, opening

from . import invariants
from .crashes import _next_schema
from .place import place
from .report import Report, Row

STORES = Path(__file__).with_name("stores")
#: What those stores were made with, as it stands in their manifests.
INTERPRETER, PREFIX, CODE, GATE = "/tmp/env/bin/python", "/tmp/env", "/tmp/old", "/tmp/gate-of-an-old-store"
PYTHON = "3.11"  # functions are pickled by one Python and run by the same
STATES = {"done": "COMPLETED", "bad": "FAILED", "after": "COMPLETED", "waits": "RUNNING"}


def run(seed: int, times: int, again: str = "") -> Report:
    report = Report("Upgrade", seed, again or "python -m tests.reliability upgrade", "open (s)")
    for archive in sorted(STORES.glob("*.tar.xz")):
        schema, _, how = archive.name.removesuffix(".tar.xz").partition("-")
        with tempfile.TemporaryDirectory(prefix="covalent-reliability-") as folder, tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
            upgrade(Path(folder, how), how == "crashed", report.row(schema, how))
    with tempfile.TemporaryDirectory(prefix="covalent-reliability-") as folder:
        newer(Path(folder), report.row("newer schema", "start"))
    return report


def upgrade(old: Path, crashed: bool, row: Row) -> None:
    row.fired += 1
    expected = {k: v for k, v in STATES.items() if crashed or k in ("done", "bad")}
    with Store.open(old) as store:
        found = {r.name: r for r in store.dispatches(limit=100)[0]}
        shown = {name: str(r.status) for name, r in found.items()}
        if shown != expected or store.repairs:
            row.wrong.append(f"it shows {shown} instead of {expected}; {store.repairs}")
        for one in found.values():
            # schema 1 did not keep when, and to which host, an attempt was handed over
            row.wrong += invariants.replay_differs(store, one.dispatch_id, unrecorded=("queued", "host"))
        ids = {name: r.dispatch_id for name, r in found.items()}
    row.acknowledged += len(ids)
    with place("local") as here:
        shutil.copytree(old, here.store)
        for path in (here.store, *here.store.rglob("*")):  # an archive does not keep them
            path.chmod(0o700 if path.is_dir() else 0o600)
        move_here(here.store, here.marks)
        row.seconds.append(here.start())
        (here.marks / "open").touch()
        if ct.get_result(ids["done"]).value != (4, bytes(range(256)) * 300):
            row.wrong.append("a recorded value is another one")
        if "recorded failure" not in str(ct.get_result(ids["bad"]).error):
            row.wrong.append("a recorded failure says something else")
        if crashed and platform.python_version().startswith(PYTHON):
            result = ct.get_result(ids["waits"], wait=True, timeout=240)
            if str(result.status) != "COMPLETED" or result.value != 6:
                row.wrong.append(f"what was running is {result.status}: {result.error}")
        again = ct.redispatch(ids["done"])() if platform.python_version().startswith(PYTHON) else None
        if again is not None and ct.get_result(again, wait=True, timeout=240).value[0] != 4:
            row.wrong.append("run again it gives another value")
        row.wrong += invariants.check_files(here)
        row.wrong += [f"left behind at the end: {line[:300]}" for line in here.stop()]


def move_here(store: Path, gate: Path) -> None:
    """The same dispatches, as if this environment had sent them."""
    package = Path(ct.__file__).parents[1]
    with duckdb.connect(str(store / opening.DATABASE)) as connection:
        query = "UPDATE manifest SET data = encode(replace(decode(data), ?, ?)) WHERE data IS NOT NULL"
        pairs = ((INTERPRETER, sys.executable), (CODE, package), (GATE, gate), (f'"{PREFIX}"', f'"{sys.prefix}"'))
        for old, new in pairs:
            connection.execute(query, [old, str(new)])


def newer(folder: Path, row: Row) -> None:
    """Written by a later version: refused, unchanged, with the way out."""
    row.fired += 1
    store = folder / "store"
    migrations = str(_next_schema(folder / "migrations"))
    command = [sys.executable, "-m", "tests.reliability.storework", "migrate", str(store), str(folder), migrations]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True)
    row.acknowledged += 1
    before = (store / opening.DATABASE).read_bytes()
    try:
        Store.open(store).close()
        row.wrong.append("it was opened")
    except StoreTooNew as error:
        if "pip install -U" not in str(error):
            row.wrong.append(f"no way out: {error}")
    if (store / opening.DATABASE).read_bytes() != before:
        row.wrong.append("it was changed")
