"""One executor host as a process: how it is started, known again, and what it leaves behind."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from .. import config, processes
from ..crashpoint import crashpoint
from ..folders import FolderGone, make_folder
from ..lastwords import last_words
from ..model import Environment, Fact

#: Variables that a host is given; the user's own come with each dispatch.
_VARIABLES = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ LD_LIBRARY_PATH DYLD_LIBRARY_PATH TMPDIR XDG_RUNTIME_DIR XDG_CONFIG_HOME "
    "JUPYTER_DATA_DIR JUPYTER_RUNTIME_DIR JUPYTER_CONFIG_DIR JUPYTER_PATH JUPYTER_PLATFORM_DIRS CUDA_VISIBLE_DEVICES "
    "DASK_CONFIG KUBECONFIG KRB5CCNAME SSH_AUTH_SOCK SLURM_CONF".split()
)
_PREFIXES = ("LC_", "SSL_", "COVALENT_")
_PRIVATE = frozenset(("COVALENT_JUPYTER_TOKEN", "COVALENT_JUPYTER_URL", "COVALENT_TOKEN", "COVALENT_URL"))
_LOG_TAIL = 15  # lines
_MOST_LOG = 10 << 20
_READ = ".read"  # folders of spools that have been read
_KEPT = 24 * 3600.0  # seconds that they are kept where what they hold was never recorded


class HostRecord(msgspec.Struct):
    """Who a host is, so that a later service knows it again: ``hosts/<host>.json``."""

    host_id: str
    incarnation: str
    pid: int
    start: str
    boot: str
    plugin: bool = False


def host_id_of(environment: Environment, root_id: str = "") -> str:
    """The host of an environment; with ``root_id`` that of one root dispatch in it."""
    identity = environment.digest or f"{environment.interpreter}\0{environment.prefix}"
    short = hashlib.sha256(identity.encode()).hexdigest()[:12]
    return f"plugin-{short}-{hashlib.sha256(root_id.encode()).hexdigest()[:12]}" if root_id else f"host-{short}"


def read_records(store_dir: Path) -> list[HostRecord]:
    """The hosts that an earlier service started."""
    found = []
    for path in sorted((store_dir / "hosts").glob("*.json")):
        with suppress(OSError, msgspec.DecodeError):
            record = msgspec.json.decode(path.read_bytes(), type=HostRecord)
            if record.host_id == path.stem:
                found.append(record)
    return found


def recover_strays(store_dir: Path, known: Iterable[str], blob_root: Path) -> list[tuple[str, list[Fact]]]:
    """Reads spools of incarnations that no record names, ending what may still write to them."""
    root, known = store_dir / "spool", set(known)
    found = []
    with suppress(FileNotFoundError):
        for folder in sorted(p for p in root.iterdir() if p.is_dir()):
            name = folder.name
            if name.endswith(_READ):
                found.append((name.removesuffix(_READ), last_words(folder, blob_root)))
                if time.time() - folder.stat().st_mtime > _KEPT:
                    shutil.rmtree(folder, ignore_errors=True)
            elif name not in known:
                processes.end_survivors(folder)
                found.append((name, _fence(folder, blob_root)))
    return [(name, facts) for name, facts in found if facts]


def _fence(folder: Path, blob_root: Path) -> list[Fact]:
    """What the spools hold; the folder gets another name, so that nobody writes into it by its path any more."""
    if not folder.is_dir():
        return []
    fenced = folder.with_name(folder.name + _READ)
    folder.rename(fenced)
    crashpoint("recovery.fenced")
    os.utime(fenced)
    facts = last_words(fenced, blob_root)
    if not facts:
        shutil.rmtree(fenced, ignore_errors=True)
    return facts


def _remove_sockets(scratch: Path) -> None:
    """Sockets of a dead host, each in a folder of its own elsewhere, since their paths must be short."""
    for link in scratch.glob("socket-*"):
        with suppress(OSError):
            folder = link.readlink()
            (folder / "s").unlink(missing_ok=True)
            folder.rmdir()


def forget_spools(store_dir: Path, incarnation: str) -> None:
    """What a dead incarnation's runners had written down is recorded: no later service has to read it again."""
    shutil.rmtree(store_dir / "spool" / (incarnation + _READ), ignore_errors=True)


class HostProcess:
    """One incarnation of a host. Methods block (call them in a thread), except ``wait``, ``terminate`` and ``kill``."""

    def __init__(
        self, store_dir: Path, host_id: str, environment: Environment | None, *, plugin: bool, connection_file: Path
    ) -> None:
        self.host_id = host_id
        self.incarnation = f"{host_id}.{secrets.token_hex(6)}"
        self.pid = 0
        self._start = ""
        self._store_dir = store_dir
        self._environment = environment
        self._plugin = plugin
        self._connection_file = connection_file
        self._child: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    @classmethod
    def of_record(cls, store_dir: Path, record: HostRecord) -> HostProcess:
        """A host that somebody else has started."""
        process = cls(store_dir, record.host_id, None, plugin=record.plugin, connection_file=Path())
        process.incarnation, process.pid = record.incarnation, record.pid
        process._start = record.start if record.boot == processes.boot_id() else "another boot"
        process._log_from = process._log_size()
        return process

    @property
    def log_file(self) -> Path:
        return self._store_dir / "hosts" / f"{self.host_id}.log"

    @property
    def _record_file(self) -> Path:
        return self._store_dir / "hosts" / f"{self.host_id}.json"

    def start(self) -> str:
        """Starts the process. "" if it runs, else what hindered it; FolderGone where the store is not there."""
        environment = self._environment
        assert environment is not None
        if not environment.interpreter:
            return "the dispatch does not name its Python interpreter"
        variables = host_variables(environment, self._store_dir)
        variables["COVALENT_NICE"] = str(config.load().nice)
        command = [
            environment.interpreter, "-m", "covalent_jupyter.executors.host", "--store-dir", str(self._store_dir),
            "--connection-file", str(self._connection_file), "--host-id", self.host_id, "--incarnation", self.incarnation,
            "--environment", environment.digest, *(["--plugin"] if self._plugin else []),
        ]  # fmt: skip
        try:
            if _needs_path(environment, variables):
                variables["PYTHONPATH"] = environment.package_path
            make_folder(self._store_dir / "hosts")
            self._spawn(command, variables)
        except FolderGone:
            raise
        except (OSError, subprocess.SubprocessError) as error:
            return (
                f"the interpreter {environment.interpreter} of this dispatch cannot be started: {error}. "
                f"Electrons run in the environment of the kernel that dispatched them; does it still exist on this machine?"
            )
        return ""

    def _spawn(self, command: list[str], variables: dict[str, str]) -> None:
        log = self.log_file
        mode = os.O_TRUNC if self._log_size() > _MOST_LOG else 0
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | mode, 0o600)
        try:
            self._log_from = os.fstat(descriptor).st_size
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, cwd="/", env=variables,
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(descriptor)
        self.pid = self._child.pid
        crashpoint("host.spawned")
        self._start = processes.start_time(self.pid) or ""
        record = HostRecord(self.host_id, self.incarnation, self.pid, self._start, processes.boot_id(), self._plugin)
        temporary = self._record_file.with_suffix(f".{secrets.token_hex(4)}.tmp")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(record))
        os.replace(temporary, self._record_file)
        crashpoint("host.recorded")

    def alive(self) -> bool:
        if self._child is not None and self._child.poll() is not None:
            return False
        return bool(self._start) and processes.start_time(self.pid) == self._start

    async def wait(self) -> None:
        """Returns when the process is gone."""
        loop = asyncio.get_running_loop()
        try:
            fd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # no Linux, or it is gone already
            while self.alive():
                await asyncio.sleep(0.1)
            return
        try:
            if not self.alive():
                return
            gone = asyncio.Event()
            loop.add_reader(fd, gone.set)
            try:
                await gone.wait()
            finally:
                loop.remove_reader(fd)
        finally:
            os.close(fd)
        if self._child is not None:
            self._child.poll()

    def terminate(self) -> None:
        """Asks it to close."""
        if self.alive():
            processes.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        if self.alive():
            processes.kill_tree(self.pid)

    def leave(self) -> None:
        """It goes on without us, as somebody else's child before long."""
        if self._child is not None and self._child.poll() is None:
            self._child.returncode = 0  # or the forgotten Popen complains that its process still runs

    def bury(self, blob_root: Path) -> list[Fact]:
        """Ends what the dead process left running, and gives what its runners wrote down."""
        if self.pid and processes.start_time(self.pid) is None:
            processes.kill_group(self.pid)  # the group keeps its leader's number from being used again
        folder = self._store_dir / "spool" / self.incarnation
        processes.end_survivors(folder)
        crashpoint("recovery.ended")
        facts = _fence(folder, blob_root)
        scratch = self._store_dir / "hosts" / f"{self.host_id}.scratch"
        _remove_sockets(scratch)
        shutil.rmtree(scratch, ignore_errors=True)
        self._record_file.unlink(missing_ok=True)
        if self._plugin and not self._log_size():
            self.log_file.unlink(missing_ok=True)
        return facts

    def status(self) -> int | None:
        """Its exit status, negative where a signal ended it; None for a process that an earlier service had started."""
        return self._child.poll() if self._child is not None else None

    def epitaph(self) -> str:
        """Why it ended, as far as one can tell, with the last lines of its log."""
        status = self.status()
        if status is None:
            how = "ended"
        elif status < 0:
            how = f"was ended by {processes.signal_name(-status)}"
        else:
            how = f"ended with exit status {status}"
        tail = self._log_lines()
        if status == 0 or not tail:
            return f"the executor host (process {self.pid}) {how}"
        return f"the executor host (process {self.pid}) {how}; its log {self.log_file} ends with:\n{tail}"

    def _log_size(self) -> int:
        try:
            return self.log_file.stat().st_size
        except OSError:
            return 0

    def _log_lines(self) -> str:
        with suppress(OSError), open(self.log_file, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(min(self._log_from, end), end - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-_LOG_TAIL:])
        return ""


def host_variables(environment: Environment, store_dir: Path) -> dict[str, str]:
    """The environment variables of a host: a few of the service's own, nothing of the user's."""
    given = {
        name: value
        for name, value in os.environ.items()
        if (name in _VARIABLES or name.startswith(_PREFIXES)) and name not in _PRIVATE
    }
    for name, value in os.environ.items():  # the service may live in another environment
        if name == "VIRTUAL_ENV" and value == environment.prefix:
            given[name] = value
        elif name.startswith("CONDA_") and os.environ.get("CONDA_PREFIX") == environment.prefix:
            given[name] = value
    given["COVALENT_STORE_DIR"] = str(store_dir)
    return given


def _needs_path(environment: Environment, variables: dict[str, str]) -> bool:
    """Whether that interpreter finds this package only by its folder (a checkout that is not installed there)."""
    if not environment.package_path or "-packages" in Path(environment.package_path).name:
        return False
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('covalent_jupyter') is None)"
    answer = subprocess.run(
        [environment.interpreter, "-c", probe], cwd="/", env=variables, stdin=subprocess.DEVNULL, capture_output=True,
        timeout=30, check=False,
    )  # fmt: skip
    return answer.returncode == 1
