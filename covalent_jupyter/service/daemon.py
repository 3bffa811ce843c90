"""Starts a command as a daemon and waits until it says that it is ready.

``python -I -S daemon.py COMMAND...`` runs the command in a session of its own, as nobody's child, with
``--ready-fd N`` appended. Exit status: 0 as soon as a byte arrives on N, else the status with which the command ended.

Standard library only, and run by path: it lives for the time of the start alone.
"""

from __future__ import annotations

import os
import sys


def main(command: list[str]) -> int:
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        os.setsid()
        os.set_inheritable(write_end, True)
        os.execv(command[0], [*command, "--ready-fd", str(write_end)])
    os.close(write_end)
    if os.read(read_end, 1):
        return 0
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
