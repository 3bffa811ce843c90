"""Network file systems are known, a local folder is ours alone, and a process knows what it lives in."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from covalent_jupyter import paths, place
from covalent_jupyter.place import filesystem_of, is_network, local_folder, network_warning, surroundings

MOUNTS = r"""
22 1 0:21 / / rw,relatime - ext4 /dev/sda1 rw
23 22 0:22 / /home rw,relatime shared:1 - nfs4 server:/home rw
24 23 0:23 / /home/ada/local\040disk rw - xfs /dev/sdb1 rw
25 22 0:24 / /lustre rw - lustre mgs@tcp:/scratch rw
26 22 0:25 / /home rw master:2 - cifs //server/home rw
not a line of mounts
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/ada/.local/share/jupyter/covalent", "cifs"),  # the later mount lies over the earlier
        ("/home/ada/local disk/covalent", "xfs"),
        ("/homes/ada", "ext4"),
        ("/lustre/ada", "lustre"),
        ("/", "ext4"),
    ],
)
def test_the_file_system_of_a_path(path: str, kind: str) -> None:
    assert filesystem_of(path, MOUNTS) == kind
    assert is_network(path, MOUNTS) == (kind in ("cifs", "lustre"))


def test_nothing_is_known_without_a_table_of_mounts() -> None:
    assert filesystem_of("/home/ada", "") == "" and not is_network("/home/ada", "")


def test_the_real_table_is_read() -> None:
    assert filesystem_of("/proc/self") == "proc" and not is_network("/proc/self")


def test_a_store_on_a_network_file_system_is_told_of() -> None:
    text = network_warning(Path("/home/ada/covalent"), Path("/lustre/blobs"), MOUNTS)
    assert "network file system (cifs)" in text and "COVALENT_STORE_DIR" in text and "may stay in /lustre/blobs" in text
    assert "setting blob_root" in network_warning(Path("/home/ada/c"), Path("/home/ada/c/blobs"), MOUNTS)
    assert network_warning(Path("/srv/covalent"), Path("/srv/covalent/blobs"), MOUNTS) == ""


def test_the_local_folder_is_ours_alone(tmp_path: Path) -> None:
    folder = local_folder(tmp_path)
    assert folder == tmp_path / f"covalent-{os.getuid()}" / socket.gethostname()
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700
    assert local_folder(tmp_path) == folder
    folder.parent.chmod(0o755)
    assert local_folder(tmp_path) is None, "others could look into it, or have made it"
    other = tmp_path / "other"
    other.mkdir()
    (other / f"covalent-{os.getuid()}").symlink_to(tmp_path)
    assert local_folder(other) is None, "somebody else may have put the link there"


def test_by_default_the_store_is_on_a_local_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Path("/var/tmp", f"covalent-{os.getuid()}", socket.gethostname())
    there = [folder for folder in (made, made.parent) if folder.exists()]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as home:
        monkeypatch.delenv("COVALENT_STORE_DIR", raising=False)
        monkeypatch.setenv("JUPYTER_DATA_DIR", home)
        assert paths.default_store_dir() == Path(home, "covalent")
        monkeypatch.setattr(place, "NETWORK", frozenset({filesystem_of("/dev/shm")}))  # as if it were one
        assert paths.default_store_dir() == made
        Path(home, "covalent").mkdir()
        Path(home, "covalent", "store.duckdb").touch()
        assert paths.default_store_dir() == Path(home, "covalent"), "a store that is there is not left behind"
    for folder in (made, made.parent):
        if folder not in there:
            folder.rmdir()


def system(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_what_a_process_lives_in(tmp_path: Path) -> None:
    hub = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}
    assert surroundings(hub, tmp_path).kind == "hub"
    assert "JupyterHub pod" in surroundings({**hub, "KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path).text
    job = surroundings({"SLURM_JOB_ID": "77"}, tmp_path)
    assert job.kind == "job" and "Slurm job 77 and ends with it" in job.text
    assert surroundings({"JOB_ID": "7"}, tmp_path).kind == "machine"
    assert surroundings({}, tmp_path).kind == "machine"
    assert surroundings({}, system(tmp_path / "c", **{".dockerenv": ""})).kind == "container"
    laptop = tmp_path / "l"
    (laptop / "sys/class/power_supply/BAT0").mkdir(parents=True)
    assert surroundings({}, laptop).kind == "laptop"


def test_a_login_session_that_ends_at_logout(tmp_path: Path) -> None:
    cgroup = "0::/user.slice/user-1000.slice/session-4.scope\n"
    goes_on = surroundings({}, system(tmp_path / "a", proc__self__cgroup=cgroup))
    assert goes_on.kind == "session" and "session 4: it goes on after logout" in goes_on.text
    ends = system(tmp_path / "b", proc__self__cgroup=cgroup)
    (ends / "etc/systemd/logind.conf.d").mkdir(parents=True)
    (ends / "etc/systemd/logind.conf").write_text("[Login]\n#KillUserProcesses=no\nKillUserProcesses=no\n")
    (ends / "etc/systemd/logind.conf.d/50.conf").write_text("[Login]\nKillUserProcesses = yes\n")
    assert "ends it at logout" in surroundings({}, ends).text
