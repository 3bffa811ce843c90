"""Memory: what a runner and all that it started use, what a limit in words means, whether the kernel ran out of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..processes import LINUX, descendants

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", re.IGNORECASE)


def parse_memory(value: Any) -> int | None:
    """Bytes of ``2_000_000_000``, ``"2GB"``, ``"1.5 GiB"``; None for None and 0. ConfigError for anything else."""
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return int(value) or None
    match = _TEXT.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2].upper() not in _UNITS:
        raise ConfigError(f"memory must be bytes or a text such as '2GB' or '512MiB', not {value!r}")
    return int(float(match[1]) * _UNITS[match[2].upper()]) or None


def memory_of(pid: int) -> int:
    """Bytes of memory that a process and everything below it hold for themselves (mapped files do not count)."""
    return sum(map(_own_memory, (pid, *descendants(pid))))


def _own_memory(pid: int) -> int:
    if not LINUX:
        import psutil

        try:
            return int(psutil.Process(pid).memory_info().rss)
        except psutil.Error:
            return 0
    total = 0
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith((b"RssAnon:", b"RssShmem:")):
                    total += int(line.split()[1]) * 1024
    except (OSError, ValueError):  # it ended
        pass
    return total


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory, on this machine and in this container."""
    total = 0
    for path, name in (("/proc/vmstat", "oom_kill"), ("/sys/fs/cgroup/memory.events", "oom_kill")):
        try:
            for line in Path(path).read_text().splitlines():
                key, _, count = line.partition(" ")
                if key == name:
                    total += int(count)
        except (OSError, ValueError):
            continue
    return total


def show_bytes(count: int) -> str:
    """``1.5 GB`` for people."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
