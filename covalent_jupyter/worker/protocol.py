"""Between a pool and a runner: numbers of tasks one way, a byte that says "look" the other."""

from __future__ import annotations

import struct

TOKEN = struct.Struct("<I")
LAST = 0xFFFFFFFF  # the token after a pack's last
FACTS = b"F"  # there is something in the spool
END = b"E"  # the pack is over

#: numeric libraries start threads when they are imported unless told not to; those do not survive a fork
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)  # fmt: skip
#: Exit status of a runner whose electron has closed its descriptors.
CLOSED = 71
