"""Where this process lives, and on what its files lie: what of it survives a logout, a closed lid, a culling.

Standard library only: kernel, service and command line use it alike.
"""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

#: Types of file systems that other machines see too, and that lock and sync differently from a local disk.
NETWORK = frozenset(
    "nfs nfs3 nfs4 cifs smb smb2 smb3 smbfs afs lustre gpfs beegfs ceph glusterfs panfs pvfs2 orangefs wekafs ncpfs coda "
    "fuse.sshfs fuse.glusterfs fuse.ceph fuse.s3fs fuse.rclone fuse.cephfs fuse.quobyte fuse.moosefs fuse.juicefs".split()
)
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Place(NamedTuple):
    """``kind``: ``hub``, ``job``, ``container``, ``session``, ``laptop`` or ``machine``; ``text``: what that means for runs, in a
    sentence or two."""

    kind: str
    text: str


def filesystem_of(path: str | os.PathLike[str], mounts: str | None = None) -> str:
    """Type of the file system on which ``path`` lies or would lie, such as ``ext4`` or ``nfs4``; ``""`` if unknown.

    ``mounts``: the text of ``/proc/self/mountinfo``.
    """
    target = Path(os.path.realpath(path))
    if mounts is None:
        return _mounted_at(target, _device_of(target))
    return _type_of(target, mounts)


def _device_of(path: Path) -> int:
    """Number of the device on which the path lies or would lie; 0 if unknown."""
    for folder in (path, *path.parents):
        with suppress(OSError):
            return os.stat(folder).st_dev
    return 0


@lru_cache(maxsize=64)
def _mounted_at(target: Path, _device: int) -> str:
    """What is mounted there, read again when something else has been: each dispatch asks, and machines have many mounts."""
    try:
        return _type_of(target, Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))
    except OSError:
        return ""


def _type_of(target: Path, mounts: str) -> str:
    best, found = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) < 5 or not kinds:
            continue
        point = Path(_ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        if target.is_relative_to(point) and len(point.parts) >= best:  # of two mounts on one point the later counts
            best, found = len(point.parts), kinds[0]
    return found


def is_network(path: str | os.PathLike[str], mounts: str | None = None) -> bool:
    """Whether the path lies on a network file system."""
    return filesystem_of(path, mounts) in NETWORK


def local_folder(root: str | os.PathLike[str] = "/var/tmp") -> Path | None:
    """A folder of this user and this machine on a local disk that survives a reboot, made if need be; None if there can be none.

    Its name is known to everybody, so one that is not ours alone is not used.
    """
    folder = Path(root, f"covalent-{os.getuid()}", socket.gethostname())
    if is_network(root):
        return None
    for part in (folder.parent, folder):
        try:
            part.mkdir(mode=0o700, exist_ok=True)
            found = os.lstat(part)
        except OSError:
            return None
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            return None
    return folder


def network_warning(store: Path, blob_root: Path, mounts: str | None = None) -> str:
    """What to say of a store on a network file system; ``""`` if it is on none."""
    kind = filesystem_of(store, mounts)
    if kind not in NETWORK:
        return ""
    values = "" if blob_root.is_relative_to(store) else f" Large values may stay in {blob_root} (blob_root)."
    return (
        f"the store {store} lies on a network file system ({kind}), where locks and syncs are slow and not always kept: give this "
        f"machine a store on a local disk (setting store_dir, or COVALENT_STORE_DIR=/var/tmp/...).{values or ' Large values may go to the network: setting blob_root.'}"
    )


def surroundings(variables: Mapping[str, str] | None = None, root: str | os.PathLike[str] = "/") -> Place:
    """What this process lives in, as far as one can tell; ``root`` is where system files are looked for."""
    given = os.environ if variables is None else variables
    base = Path(root)
    if given.get("JUPYTERHUB_SERVICE_PREFIX") or given.get("JUPYTERHUB_API_URL"):
        where = "a JupyterHub pod" if given.get("KUBERNETES_SERVICE_HOST") else "a server of a JupyterHub"
        return Place(
            "hub",
            f"lives in {where}: running dispatches count as activity, so that it is not culled. If it is removed all the same, runs go on "
            "when it is started again and the home directory was kept",
        )
    for variable, system in (
        ("SLURM_JOB_ID", "Slurm"),
        ("PBS_JOBID", "PBS"),
        ("LSB_JOBID", "LSF"),
        ("JOB_ID", "Grid Engine"),
    ):
        if given.get(variable) and (variable != "JOB_ID" or given.get("SGE_ROOT")):
            return Place(
                "job",
                f"lives in {system} job {given[variable]} and ends with it: unfinished runs go on when it is started again",
            )
    if (base / ".dockerenv").exists() or (base / "run/.containerenv").exists() or given.get("KUBERNETES_SERVICE_HOST"):
        return Place(
            "container",
            "lives in a container and ends with it: runs go on when it is started again and the store's folder was kept",
        )
    session = _login_session(base)
    if session:
        ends = _ends_at_logout(base)
        return Place(
            "session",
            f"lives in login session {session}: "
            + ("this machine ends it at logout (KillUserProcesses)" if ends else "it goes on after logout")
            + "; after a reboot unfinished runs go on when it is started again",
        )
    if any((base / "sys/class/power_supply").glob("BAT*")):
        return Place(
            "laptop",
            "lives on a laptop: runs stand still while the lid is closed and go on afterwards; timeouts do not count that time",
        )
    return Place(
        "machine",
        "goes on without a browser or a kernel; after a reboot unfinished runs go on when it is started again",
    )


def _login_session(base: Path) -> str:
    try:
        found = re.search(r"/session-([^/\s]+)\.scope", (base / "proc/self/cgroup").read_text())
    except OSError:
        return ""
    return found[1] if found else ""


def _ends_at_logout(base: Path) -> bool:
    """logind's KillUserProcesses, which is off unless set; the last file that sets it counts."""
    ends = False
    files = [base / "etc/systemd/logind.conf", *sorted((base / "etc/systemd/logind.conf.d").glob("*.conf"))]
    for file in files:
        try:
            text = file.read_text(errors="replace")
        except OSError:
            continue
        for match in re.finditer(r"^\s*KillUserProcesses\s*=\s*(\w+)", text, re.MULTILINE):
            ends = match[1].lower() in ("yes", "true", "1", "on")
    return ends
