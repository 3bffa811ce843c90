"""``python -m tests.executors.elsewhere FOLDER MODULE ARGUMENTS...``: runs a module where FOLDER cannot be seen, as on another machine."""

from __future__ import annotations

import ctypes
import os
import runpy
import sys
import tempfile

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18


def main() -> None:
    folder, module = sys.argv[1:3]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if os.getuid() else 0)) or libc.mount(
        None, b"/", None, MS_REC | MS_PRIVATE, None
    ):
        raise OSError(ctypes.get_errno(), "no mount namespace of its own")
    if libc.mount(tempfile.mkdtemp().encode(), os.fsencode(folder), None, MS_BIND, None):
        raise OSError(ctypes.get_errno(), "the folder could not be hidden")
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
