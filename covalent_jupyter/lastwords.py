"""What runners wrote down before they died, as whoever survives them may use it.

A runner writes a large value to its blob, and the outcome that names it to its spool, without waiting for the disk: usually the
pool syncs the blob before anybody hears of it. When the pool died too, that is made up for here. After a power cut a
blob may be there in name only; an outcome whose value is gone or damaged is left out, and its attempt counts as cut off.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from . import blobs
from .errors import StoreDamaged
from .model import Digest, Fact, Outcome, Output
from .spool import read_spool

log = logging.getLogger(__name__)

_decoder = msgspec.msgpack.Decoder(Fact)


def last_words(folder: Path, blob_root: Path) -> list[Fact]:
    """The facts in all spools below ``folder``. Large values that they name are on the disk when this returns."""
    facts: list[Fact] = []
    booted = _boot_time()
    for path in sorted(folder.rglob("*.spool")):
        with suppress(FileNotFoundError):
            doubtful = path.stat().st_mtime < booted
            facts += [fact for fact in _facts_of(path) if _is_sound(fact, blob_root, doubtful)]
    return facts


def named_in_spools(folder: Path) -> set[Digest]:
    """Digests of all values that outcomes in spools below ``folder`` name."""
    found: set[Digest] = set()
    for path in folder.rglob("*.spool"):
        for fact in _facts_of(path):
            if isinstance(fact, Outcome):
                found.update(output.digest for output in _outputs(fact))
    return found


def _facts_of(path: Path) -> Iterator[Fact]:
    for record in read_spool(path):
        try:
            yield _decoder.decode(record)
        except msgspec.DecodeError:
            log.warning("%s holds a record that cannot be read", path)


def _outputs(outcome: Outcome) -> list[Output]:
    error = outcome.error
    return [output for output in (outcome.output, error.exception if error is not None else None) if output is not None]


def _is_sound(fact: Fact, blob_root: Path, doubtful: bool) -> bool:
    if not isinstance(fact, Outcome):
        return True
    for output in _outputs(fact):
        if output.data is not None:
            continue
        try:
            if doubtful:
                blobs.read_blob(blob_root, output.digest)
            blobs.sync_blob(blob_root, output.digest)
        except (FileNotFoundError, StoreDamaged) as error:
            log.warning("the outcome of node %d of %s is not used: %s", fact.node, fact.dispatch_id, error)
            if isinstance(error, StoreDamaged):  # another attempt writes it anew
                blobs.remove_blob(blob_root, output.digest)
            return False
    return True


def _boot_time() -> float:
    """When this machine was started, in seconds since the epoch."""
    try:
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    except AttributeError:  # no Linux
        import psutil

        return float(psutil.boot_time())
