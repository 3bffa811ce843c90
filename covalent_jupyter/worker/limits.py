"""Memory: what there is, what a runner and all that it started use, what a limit in words means, whether the kernel ran out of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
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


def parse_limit(value: Any, what: str) -> int | None:
    """Bytes of a limit as Dask and Covalent take it: as :func:`parse_memory`, or a part of the machine's memory (``0.5``);
    0: no limit; None for None, ``""`` and ``"auto"``. ConfigError names ``what``."""
    if value is None or value in ("", "auto"):
        return None
    if isinstance(value, float) and 0 < value <= 1:
        return int(value * total_memory())
    try:
        return parse_memory(value) or 0
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from None


def total_memory() -> int:
    """Bytes that this machine or the tightest cgroup of this process has."""
    return min([_of_machine("MemTotal"), *(limit for limit, _ in _cgroups())])


def free_memory() -> int:
    """Bytes that this process and those that it starts could still get, of the machine and of its cgroups."""
    return max(0, min([_of_machine("MemAvailable"), *(limit - used for limit, used in _cgroups())]))


def _of_machine(name: str) -> int:
    if not LINUX:
        import psutil

        found = psutil.virtual_memory()
        return int(found.total if name == "MemTotal" else found.available)
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _cgroups() -> list[tuple[int, int]]:
    """(limit, used) of every cgroup above this process that has a limit. Page cache that can be dropped is not used."""
    found = []
    for folder, limit_file, used_file, cache in _cgroup_folders():
        try:
            limit = int((folder / limit_file).read_text())
            used = int((folder / used_file).read_text())
            for line in (folder / "memory.stat").read_text().splitlines():
                if line.startswith(f"{cache} "):
                    used -= int(line.split()[1])
        except (OSError, ValueError):  # none here ("max"), or not ours to read
            continue
        if limit < 1 << 60:  # the first version writes a huge number for none
            found.append((limit, max(0, used)))
    return found


def _cgroup_folders() -> Iterator[tuple[Path, str, str, str]]:
    root = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / "memory" if controllers else root
        files = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if controllers
            else ("memory.max", "memory.current", "inactive_file")
        )
        inner = base / path.lstrip("/")
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(base):
                yield (folder, *files)


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
