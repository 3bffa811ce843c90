"""A store that is moved away while electrons run, and moved back: what they gave in between is recorded then."""

from __future__ import annotations

import time
from pathlib import Path

import covalent_jupyter as ct

from ..waiting import wait_for

LARGE = 3_000_000


def test_what_runs_meanwhile_waits_for_the_store(executor: str, place: Path, tmp_path: Path) -> None:
    go, began = str(tmp_path / "go"), str(tmp_path / "began")

    @ct.electron(executor=executor)
    def large(i: int) -> bytes:
        Path(f"{began}{i}").touch()
        deadline = time.monotonic() + 120
        while not Path(go).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        print("printed" * 5000)
        return bytes([i]) * LARGE

    @ct.electron(executor=executor)
    def first(value: bytes) -> int:
        (ct.get_context().workdir / "file").write_text("a file")
        return value[0]

    @ct.lattice
    def flow() -> list[int]:
        return [first(large(i)) for i in range(4)]

    dispatch_id = ct.dispatch(flow)()
    wait_for(lambda: Path(f"{began}0").exists())
    away = place.with_name("away")
    place.rename(away)
    try:
        Path(go).touch()
        wait_for(lambda: any(b"waits until" in log.read_bytes() for log in away.glob("logs/live/*.err")))
        assert not place.exists()
    finally:
        away.rename(place)
    result = ct.get_result(dispatch_id, wait=True, timeout=120)
    assert result.value == [0, 1, 2, 3], result.error
    printed = [len(node.stdout) for node in result.electrons if node.name == "large"]
    assert printed == [35_001] * 4
