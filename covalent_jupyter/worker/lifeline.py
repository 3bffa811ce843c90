"""No orphans: a pipe whose only write end is in the owner.

Its end is seen by whoever watches it, whatever killed the owner. The forkserver polls it; a runner may be deep in C
code, so the kernel itself is asked to kill the runner's whole group (``F_SETSIG``), and a thread does it where that is
not to be had.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading

from ..processes import LINUX, kill_group

_F_SETSIG = 10  # <fcntl.h> of Linux; the fcntl module does not name it in every build


def die_with_owner(fd: int) -> None:
    """From now on the caller's process group is killed when the write end of the pipe ``fd`` is closed.

    The caller must lead its group.
    """
    if LINUX:
        own = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # flags of its own
        os.close(fd)
        fcntl.fcntl(own, fcntl.F_SETOWN, -os.getpid())
        fcntl.fcntl(own, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(own, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
        try:
            if os.read(own, 1) == b"":  # it ended before we asked
                kill_group(os.getpid())
        except BlockingIOError:
            pass
    else:
        threading.Thread(target=_wait, args=(fd, os.getpid()), name="covalent-lifeline", daemon=True).start()


def _wait(fd: int, pgid: int) -> None:
    os.read(fd, 1)
    kill_group(pgid)
