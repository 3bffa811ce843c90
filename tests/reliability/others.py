"""What others may do, as a table: the tests of ``tests/security`` that can be run for longer than with the other tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from .report import Report

ROOT = Path(__file__).parents[2]


def run_fuzz(seed: int, times: int, again: str = "") -> Report:
    """``times`` requests, made from the OpenAPI document and of raw bytes, with login and without."""
    report = Report("Fuzzed requests", seed, again or _command("fuzz", seed, times), "all of them (s)")
    _tested("test_fuzz", report, {"COVALENT_SEED": str(seed), "COVALENT_FUZZ": str(times)})
    return report


def run_uploads(seed: int, times: int, again: str = "") -> Report:
    """Bodies that are too large, slow, broken off, or nobody's, ``times`` times, each time at a service of its own."""
    report = Report("Uploads", seed, again or _command("uploads", seed, times), "took (s)")
    for _ in range(times):
        _tested("test_uploads", report, {})
    return report


def _command(name: str, seed: int, times: int) -> str:
    return f"python -m tests.reliability {name} --seed {seed} --times {times}"


def _tested(name: str, report: Report, variables: dict[str, str]) -> None:
    """One run of a test file; each of its tests is a row, with so many faults as it says that it made requests."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.xml")
        command = [sys.executable, "-m", "pytest", f"tests/security/{name}.py", "-q", f"--junitxml={results}"]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
        cases = list(ElementTree.parse(results).iter("testcase")) if results.exists() else []
    for case in cases:
        test, _, point = case.get("name", "").removeprefix("test_").partition("[")
        row = report.row(test.replace("_", " "), point.removesuffix("]"))
        requests = [p.get("value", "") for p in case.iter("property") if p.get("name") == "requests"]
        row.fired += int(requests[0]) if requests else 1
        row.seconds.append(float(case.get("time", "0")))
        row.wrong += [
            (each.get("message") or each.tag)[:2000] for each in case if each.tag in ("failure", "error", "skipped")
        ]
    if not cases or (done.returncode and not report.wrong):
        report.row(name, "").wrong.append(done.stdout[-2000:] + done.stderr[-2000:])
