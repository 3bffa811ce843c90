"""A store that was damaged while nobody looked: opened at the exact committed prefix, or refused with a way out."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from covalent_jupyter.store import Batch, Store
from tests.store.records import digest, dispatch, electron

from .report import Report, Row

ROOT = Path(__file__).parents[2]
WAL, MAIN = "store.duckdb.wal", "store.duckdb"
PAGE = 4096
HEADER = 30  # bytes of the log's header at least: some of its numbers take two
CLOSING = 5.0  # seconds
RECORDS = 40


# Ways in which a file can be wrong. Each changes the file, and says what it did.


def cut(path: Path, rng: random.Random) -> str:
    size = rng.randrange(path.stat().st_size)
    os.truncate(path, size)
    return f"cut to {size} bytes"


def zero_tail(path: Path, rng: random.Random) -> str:
    size = path.stat().st_size
    keep = rng.randrange(size)
    os.truncate(path, keep)
    os.truncate(path, size)
    return f"zeros from byte {keep}"


def flip(path: Path, rng: random.Random) -> str:
    return _flip(path, rng.randrange(path.stat().st_size), rng.randrange(8))


def flip_header(path: Path, rng: random.Random) -> str:
    return _flip(path, rng.randrange(3 * PAGE), rng.randrange(8))


def _flip(path: Path, at: int, bit: int) -> str:
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))
    return f"bit {bit} of byte {at} flipped"


def flip_start(path: Path, rng: random.Random) -> str:
    """Of the log: in its header, which has no checksum."""
    return _flip(path, rng.randrange(HEADER), rng.randrange(8))


def spoil_start(path: Path, rng: random.Random) -> str:
    size = rng.randint(1, HEADER)
    with open(path, "r+b") as file:
        file.write(rng.choice((rng.randbytes(size), bytes(size))))
    return f"zeros or garbage in the first {size} bytes"


def zero_page(path: Path, rng: random.Random) -> str:
    data = path.read_bytes()
    pages = [at for at in range(0, len(data), PAGE) if any(data[at : at + PAGE])]
    at = rng.choice(pages)
    path.write_bytes(data[:at] + bytes(len(data[at : at + PAGE])) + data[at + PAGE :])
    return f"page {at // PAGE} zeroed"


def garbage(path: Path, rng: random.Random) -> str:
    at = rng.randrange(path.stat().st_size)
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(rng.randbytes(min(64, path.stat().st_size - at)))
    return f"64 bytes of garbage at {at}"


class Damage(NamedTuple):
    fault: str
    file: str
    do: Callable[[Path, random.Random], str]


#: What follows the header is whole, and has to be there.
IN_HEADER = (flip_start, spoil_start)
DAMAGES = [
    *(Damage(f.__name__.replace("_", " "), WAL, f) for f in (cut, zero_tail, flip, *IN_HEADER, zero_page, garbage)),
    *(Damage(f.__name__.replace("_", " "), MAIN, f) for f in (cut, zero_tail, flip, flip_header, zero_page, garbage)),
    *(Damage(f.__name__.replace("_", " "), "blobs", f) for f in (cut, zero_tail, flip)),
]


def make_store(folder: Path, checkpointed: int) -> None:
    """A store whose first records lie in its main file and the others in its log, as a kill leaves it; of these most went through
    the journal, and the last ones are there still."""
    before, at_work = folder / "before", folder / "at-work"
    with Store.open(before) as store:
        for i in range(checkpointed):
            store.append(record(i)).result(30)
    with Store.open(before) as store:
        for i in range(checkpointed, RECORDS):
            store.append(record(i), unread=i % 7 > 0).result(30)
        subprocess.run(["cp", "-r", str(before), str(at_work)], check=True)


def record(i: int) -> Batch:
    """Everything that one commit may hold; every fifth manifest is large, and so a blob file."""
    return Batch(
        events=[(f"d{i % 4}", "x", b"%d" % i)],
        dispatches=[dispatch(f"d{i % 4}", note=str(i))],
        electrons=[electron(f"d{i % 4}", i % 6, attempt=i)],
        values=[(digest(i), b"value %d " % i * 50)],
        references=[(f"d{i % 4}", digest(i))],
        manifests=[(f"m{i}", b"manifest %d " % i * (40_000 if i % 5 == 0 else 3))],
    )


def expected(k: int) -> dict[str, Any]:
    """What the store shows after the first ``k`` commits."""
    rows: dict[str, int] = {}
    notes: dict[str, str] = {}
    for i in range(k):
        rows[f"d{i % 4}.{i % 6}"] = i
        notes[f"d{i % 4}"] = str(i)
    return {
        "events": list(range(k)), "electrons": rows, "notes": notes,
        "values": list(range(k)), "manifests": list(range(k)),
    }  # fmt: skip


def run(seed: int, times: int, again: str = "") -> Report:
    """``times`` stores, damaged in turn in every way, each at a random place."""
    rng = random.Random(seed)
    report = Report(
        "Damaged store", seed, again or f"python -m tests.reliability damage --seed {seed} --times {times}", "open (s)"
    )
    root = Path(tempfile.mkdtemp(prefix="covalent-reliability-"))
    reader = Reader()
    try:
        bases = []
        for number, checkpointed in enumerate((0, RECORDS // 2)):
            make_store(root / str(number), checkpointed)
            bases.append((root / str(number) / "at-work", checkpointed))
        for n in range(times):
            damage = DAMAGES[n % len(DAMAGES)]
            base, checkpointed = bases[1] if damage.file == MAIN else rng.choice(bases)
            row = report.row(damage.fault, damage.file)
            trial(root, base, checkpointed, damage, rng, reader, row)
    finally:
        reader.close()
        shutil.rmtree(root, ignore_errors=True)
    return report


def trial(
    root: Path, base: Path, checkpointed: int, damage: Damage, rng: random.Random, reader: Reader, row: Row
) -> None:
    folder = root / "trial"
    shutil.copytree(base, folder)
    try:
        path = folder / damage.file
        if path.is_dir():
            path = rng.choice(sorted(p for p in path.rglob("*") if p.is_file()))
        before = path.read_bytes()
        did = damage.do(path, rng)
        if path.read_bytes() == before:
            return  # zeros over zeros: no damage
        row.fired += 1
        found = reader.ask(folder)
        row.seconds.append(found.get("seconds", 0.0))
        if found.get("closing", 0.0) > CLOSING:
            row.wrong.append(f"the last commits took {found['closing']:.1f} s")
        row.acknowledged += RECORDS
        least = RECORDS if damage.do in IN_HEADER else checkpointed if damage.file != MAIN else 0
        problem = judge(found, least, damage.file)
        if problem:
            row.wrong.append(f"{did}, {checkpointed} of {RECORDS} checkpointed: {problem}")
    finally:
        shutil.rmtree(folder)


def judge(found: dict[str, Any], least: int, file: str) -> str:
    """ "" if all is well; ``least`` commits must be there if it opened."""
    if "crashed" in found:
        return f"the process died of it: {found['crashed']}"
    if "refused" in found:
        if file == WAL and "move this one away" in found["refused"]:
            return ""  # it looks like the log of another moment, which must not be read
        if file != MAIN:
            return f"it was not opened though only {file} was damaged: {found['refused']}"
        return "" if "mv " in found["refused"] or "backup" in found["refused"] else f"no way out: {found['refused']}"
    k = len(found["events"]) if isinstance(found["events"], list) else None
    if file == WAL and (k is None or k < least):
        return f"{k} of {least} commits that nothing has damaged"
    every = expected(RECORDS if k is None else k)
    for what, wanted in every.items():
        got = found[what]
        if isinstance(got, str):  # refused when it was read
            if (
                "damaged" not in got
                and "could not be read" not in got
                and "contents that it was stored with" not in got
            ):
                return f"{what}: {got}"
        elif got != wanted:
            return f"{what} are {got!r:.300} instead of {wanted!r:.300}"
    return ""


class Reader:
    """A process that opens stores and reads all of them; another one when it has died of a store."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, folder: Path) -> dict[str, Any]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.reliability.damagework"], cwd=ROOT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{folder}\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        status = process.wait(30)
        self.close()
        return {"crashed": f"exit status {status}"}

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            process.stdout.close()
            process.wait(30)
