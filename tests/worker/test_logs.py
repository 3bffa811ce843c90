from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covalent_jupyter.model import Lit
from covalent_jupyter.worker import capture
from covalent_jupyter.worker.pool import RunnerPool

from .packs import PackMaker, fine, run, start


def test_short_logs_are_in_the_outcome(pool: RunnerPool, tmp_path: Path) -> None:
    def talk() -> None:
        import ctypes
        import os
        import subprocess
        import sys

        print("python")
        print("error", file=sys.stderr)
        libc = ctypes.CDLL(None)
        libc.printf(b"from C\n")
        subprocess.run(["sh", "-c", "echo child; echo oops >&2"])
        os.write(1, b"raw\n")
        sys.stdout.write("no newline")

    maker = PackMaker()
    maker.add(talk)
    maker.add(fine, Lit(1))
    heard = run(pool, maker, log_root=str(tmp_path))
    outcome = heard.outcomes[0]
    assert outcome.stdout.text == "python\nfrom C\nchild\nraw\nno newline"
    assert outcome.stdout.size == len(outcome.stdout.text) and not outcome.stdout.file
    assert outcome.stderr.text == "error\noops\n"
    assert heard.outcomes[1].stdout.size == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "live"] == []


def test_long_logs_are_files(pool: RunnerPool, tmp_path: Path) -> None:
    def talk(count: int) -> None:
        for number in range(count):
            print("line", number)

    maker = PackMaker()
    maker.add(talk, 2000)
    maker.add(talk, 1)
    heard = run(pool, maker, log_root=str(tmp_path))
    log = heard.outcomes[0].stdout
    assert log.text == "" and log.file == f"{maker.dispatch_id}/0.1.out" and log.dropped == 0
    path = tmp_path / log.file
    assert path.read_text() == "".join(f"line {number}\n" for number in range(2000))
    assert path.stat().st_size == log.size and path.stat().st_mode & 0o777 == 0o600
    assert heard.outcomes[1].stdout.text == "line 0\n"


def test_without_a_log_root_head_and_tail_come_along(pool: RunnerPool) -> None:
    def talk() -> None:
        for number in range(100_000):
            print(number)

    maker = PackMaker()
    maker.add(talk)
    log = run(pool, maker).outcomes[0].stdout
    assert log.text.startswith("0\n1\n") and log.text.endswith("99999\n")
    assert f"... {log.dropped} bytes dropped ..." in log.text and log.size == 588_890
    assert len(log.text) < 70_000


def test_a_flood(pool: RunnerPool, tmp_path: Path) -> None:
    """100 MB: head and tail are kept, and the disk is not filled meanwhile."""

    def flood(path: str) -> None:
        import os
        import time

        block = b"x" * 99 + b"\n"
        os.write(1, b"first\n")
        for _ in range(100):
            os.write(1, block * 10_000)
        while not os.path.exists(path):
            time.sleep(0.01)
        os.write(1, b"last\n")

    maker = PackMaker()
    maker.add(flood, str(tmp_path / "go"))
    heard, thread = start(pool, maker.pack(log_root=str(tmp_path)))
    heard.wait_for(lambda heard: any(fact.stdout_size >= 100_000_006 for fact in heard.grown))
    live = heard.grown[-1].stdout
    assert os.path.isabs(live) and Path(live).read_bytes()[:6] == b"first\n"
    end = time.monotonic() + 60
    while os.stat(live).st_blocks * 512 > 2 * capture.CAP:
        assert time.monotonic() < end
        time.sleep(0.01)
    (tmp_path / "go").touch()
    thread.join(60)
    log = heard.outcomes[0].stdout
    assert log.size == 100_000_011 and log.dropped > 85_000_000
    text = (tmp_path / log.file).read_bytes()
    assert len(text) < 11 << 20
    assert text.startswith(b"first\n") and text.endswith(b"last\n")
    assert b"\n... %d bytes dropped ...\n" % log.dropped in text
    assert b"\0" not in text


def test_a_flood_where_files_have_no_holes(tmp_path: Path) -> None:
    path = tmp_path / "live"
    path.write_bytes(b"a" * (3 * capture.CAP))
    cut = capture.trim_live(str(path), None)
    assert cut == 3 * capture.CAP - capture.CAP // 2
    with open(path, "ab") as file:
        file.write(b"the end")
    log = capture.collect(str(path), str(tmp_path), "d", "0.1", "out", cut)
    assert log.size == 3 * capture.CAP + 7
    text = (tmp_path / log.file).read_bytes()
    assert text.endswith(b"the end") and b"%d bytes dropped" % log.dropped in text
    assert path.stat().st_size == 0


def test_live_while_it_runs_at_most_four_times_a_second(pool: RunnerPool, tmp_path: Path) -> None:
    def talk() -> None:
        import time

        for number in range(100):
            print("now", number)
            time.sleep(0.01)

    maker = PackMaker()
    maker.add(talk)
    begun = time.monotonic()
    heard = run(pool, maker, log_root=str(tmp_path))
    passed = time.monotonic() - begun
    assert 2 <= len(heard.grown) <= passed / 0.25 + 1
    sizes = [fact.stdout_size for fact in heard.grown]
    assert sizes == sorted(sizes) and sizes[0] < heard.outcomes[0].stdout.size
    assert heard.grown[0].stderr == ""


def test_progress_bars_fold(pool: RunnerPool) -> None:
    def bar() -> None:
        for number in range(500):
            print(f"\r{number}/500 " + "#" * 20, end="", flush=True)
        print("\ndone\r")

    maker = PackMaker()
    maker.add(bar)
    log = run(pool, maker).outcomes[0].stdout
    assert log.text == "499/500 " + "#" * 20 + "\ndone\n"
    assert log.size > 10_000 and log.dropped == 0


@given(st.lists(st.sampled_from([b"a", b"bc", b"\r", b"\n", b"\r\n"]), max_size=30))
def test_folding_keeps_lines(parts: list[bytes]) -> None:
    data = b"".join(parts)
    folded = capture.fold_returns(data)
    assert b"\r" not in folded
    assert folded.count(b"\n") == data.count(b"\n")
    assert capture.fold_returns(folded) == folded


@pytest.mark.parametrize("how", ["assign", "close", "detach"])
def test_redefined_stdout(pool: RunnerPool, how: str) -> None:
    def redefine(how: str) -> None:
        import io
        import sys

        print("before", flush=True)
        if how == "assign":
            sys.stdout = sys.stderr = io.StringIO()
            print("swallowed")
        elif how == "close":
            sys.stdout.close()
        else:
            sys.stdout.detach()  # type: ignore[union-attr]

    def talk() -> None:
        print("after")

    maker = PackMaker()
    maker.add(redefine, how)
    maker.add(talk)
    heard = run(pool, maker)
    assert heard.outcomes[0].stdout.text == "before\n"
    assert heard.outcomes[1].stdout.text == "after\n"


def test_log_of_a_crash_is_a_file_when_long(pool: RunnerPool, tmp_path: Path) -> None:
    def crash() -> None:
        import os

        for number in range(2000):
            print("line", number)
        os.abort()

    maker = PackMaker()
    maker.add(crash)
    log = run(pool, maker, log_root=str(tmp_path)).outcomes[0].stdout
    assert (tmp_path / log.file).read_text().endswith("line 1999\n")


def test_prints_that_the_disk_has_no_room_for_are_dropped_and_noted(pool: RunnerPool, tmp_path: Path) -> None:
    def talk(heals: bool) -> int:
        import os
        import sys

        print("before")
        saved, full = os.dup(1), os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, 1)
        print("x" * 1000)
        sys.stdout.write("y\n")
        if heals:
            os.dup2(saved, 1)
            print("after")
        os.close(saved)
        os.close(full)
        return 3

    maker = PackMaker()
    maker.add(talk, True)
    maker.add(talk, False)
    maker.add(print, Lit("next"))
    heard = run(pool, maker, log_root=str(tmp_path))
    note = "\n... 1003 bytes dropped: the disk had no room for them ...\n"
    healed, full, after = (heard.outcomes[n].stdout for n in range(3))
    assert heard.value(0) == heard.value(1) == 3
    assert healed.text == f"before\n{note}after\n" and healed.dropped == 1003
    assert full.text == f"before\n{note}" and full.dropped == 1003
    assert after.text == "next\n" and after.dropped == 0


def test_displays_that_the_disk_has_no_room_for_are_dropped_and_noted(pool: RunnerPool, tmp_path: Path) -> None:
    def show(size: int) -> int:
        import os

        from IPython.display import HTML, display

        live = os.readlink("/proc/self/fd/1")[:-4] + ".dsp"
        os.symlink("/dev/full", live)
        display(HTML("lost"))
        os.unlink(live)
        display(HTML("kept" * size))
        return 3

    maker = PackMaker()
    maker.add(show, Lit(1))
    maker.add(show, Lit(3000))
    (tmp_path / maker.dispatch_id).write_text("in the place of the folder for the second one's file")
    heard = run(pool, maker, log_root=str(tmp_path))
    assert heard.value(0) == heard.value(1) == 3
    assert "kept" in heard.outcomes[0].stdout.shown and "lost" not in heard.outcomes[0].stdout.shown
    assert heard.outcomes[0].warnings == ("1 display was dropped: the disk had no room",)
    assert heard.outcomes[1].stdout.displays == 0
    assert heard.outcomes[1].warnings == ("2 displays were dropped: the disk had no room",)


def test_redirected_output_is_restored_for_the_next_electron(pool: RunnerPool) -> None:
    def redirect() -> None:
        import os

        print("before")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        print("swallowed")

    maker = PackMaker()
    maker.add(redirect)
    maker.add(print, Lit("next"))
    heard = run(pool, maker)
    assert [heard.outcomes[n].stdout.text for n in (0, 1)] == ["before\n", "next\n"]


def test_odd_bytes(pool: RunnerPool) -> None:
    def talk() -> None:
        import os

        os.write(1, b"\xff\xfe \xe2\x82\xac\n")
        print("\ud800")

    maker = PackMaker()
    maker.add(talk)
    assert run(pool, maker).outcomes[0].stdout.text == "\ufffd\ufffd €\n\\ud800\n"
