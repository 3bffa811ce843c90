"""Processes: which one it is, what it started, and how to end all of it.

A pid alone names nobody (it is used again). A *record* is a small file ``<name>.proc`` with pid, start time and boot
id: whoever finds it later can tell whether that process still lives, and end it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

LINUX = sys.platform.startswith("linux")


class ProcessRecord(msgspec.Struct):
    """Who a process is, beyond doubt."""

    pid: int
    start: str
    boot: str


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def boot_id() -> str:
    """A text that is another after every boot of this machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))


def start_time(pid: int) -> str | None:
    """When the process started, as a text to compare; None if there is no such process (or only its zombie)."""
    if not LINUX:
        import psutil

        try:
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
        except psutil.Error:
            return None
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # the name before may hold anything
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def is_stopped(pid: int) -> bool:
    """Whether the process was stopped by a signal (SIGSTOP), and stands still until somebody continues it."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def children(pid: int) -> list[int]:
    """The direct children of a process, zombies included; none if it is gone."""
    if LINUX:
        found: list[int] = []
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                    found.extend(map(int, file.read().split()))
        except OSError:
            pass
        if found or os.path.exists("/proc/self/task"):
            return found
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.Error:
        return []


def descendants(pid: int) -> list[int]:
    """Everything below a process, parents first."""
    found = children(pid)
    for child in found:
        if len(found) > 100_000:  # a fork bomb: its group is killed again and again until it is gone
            break
        found.extend(children(child))
    return found


def step_back_in_session() -> bool:
    """Let this process's session leave the processor to others as its niceness says; whether the kernel knows it now.

    Where Linux groups processes by session (``sched_autogroup_enabled``, sched(7)), a process's niceness counts inside
    its session only, and the session has one of its own. Without rights it can be set ten times a second on the whole machine:
    False means that it is to be tried again later. To be called by the leader of a session of ours.
    """
    if not LINUX:
        return True
    try:
        with open("/proc/self/autogroup", "w") as file:
            file.write(str(os.getpriority(os.PRIO_PROCESS, 0)))
    except BlockingIOError:
        return False
    except OSError:  # a kernel without such groups, or one that does not let us
        return True
    return True


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """A signal to one process; no error if it is gone."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def kill_group(pgid: int, number: int = signal.SIGKILL) -> bool:
    """A signal to a process group; False if it is gone."""
    try:
        os.killpg(pgid, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS, where only zombies are left in it
        return False
    return True


def kill_tree(pid: int, number: int = signal.SIGKILL) -> None:
    """A signal to the group that ``pid`` leads and to everything below it, in whatever session that is."""
    below = descendants(pid)
    kill_group(pid, number)
    kill(pid, number)
    for child in below:
        kill(child, number)


def write_record(path: str | os.PathLike[str], pid: int) -> None:
    """Note in ``path`` (mode 0600) who ``pid`` is."""
    record = ProcessRecord(pid, start_time(pid) or "", boot_id())
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, msgspec.json.encode(record))
    finally:
        os.close(fd)


def alive(record: ProcessRecord) -> bool:
    """Whether the very process of the record still runs."""
    return record.boot == boot_id() and bool(record.start) and start_time(record.pid) == record.start


def end_child(pid: int, timeout: float = 10.0) -> None:
    """End this child of the present process with all that it started, and return when it is gone; nothing if there is none of that
    number. TimeoutError if it is not gone after ``timeout`` seconds."""
    start = start_time(pid)
    if start is not None and pid in children(os.getpid()):
        _end([ProcessRecord(pid, start, boot_id())], timeout)


def end_survivors(folder: str | os.PathLike[str], timeout: float = 10.0) -> list[int]:
    """End every process recorded in a file ``*.proc`` below ``folder``, with all that it started.

    Returns the pids that were still alive, when they are gone. TimeoutError names the ones that are not gone after
    ``timeout`` seconds (a process in an uninterruptible read, say).
    """
    found = dict(_records(Path(folder)))
    survivors = [record for record in found.values() if alive(record)]
    _end(survivors, timeout)
    for path in found:
        path.unlink(missing_ok=True)
    return [record.pid for record in survivors]


def _end(survivors: list[ProcessRecord], timeout: float) -> None:
    end = time.monotonic() + timeout
    while survivors:
        for record in survivors:
            kill_tree(record.pid)
        time.sleep(0.005)
        survivors = [record for record in survivors if alive(record)]
        if survivors and time.monotonic() > end:
            pids = ", ".join(str(record.pid) for record in survivors)
            raise TimeoutError(f"processes {pids} did not end within {timeout:g} s of being killed")


def _records(folder: Path) -> Iterable[tuple[Path, ProcessRecord]]:
    for path in sorted(folder.rglob("*.proc")):
        try:
            yield path, msgspec.json.decode(path.read_bytes(), type=ProcessRecord)
        except (OSError, msgspec.DecodeError):  # gone meanwhile, or torn before the process did anything
            continue
