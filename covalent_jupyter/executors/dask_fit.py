"""Whether Dask workers that we did not start can run what we send: said before anything is unpickled there."""

from __future__ import annotations

import logging
import platform
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import cloudpickle

from ..folders import make_folder
from ..model import PROTOCOL
from .dask_pulse import ask

log = logging.getLogger(__name__)

# Sent as a text to ``eval``: a worker without our package, or with another Python, must be able to answer.
_QUESTION = (
    "(lambda i, p, has: {'python': p.python_version(), 'cloudpickle': i.import_module('cloudpickle').__version__, "
    "'covalent': i.import_module('covalent_jupyter').__version__ if has else '', "
    "'protocol': i.import_module('covalent_jupyter.model').PROTOCOL if has else 0})"
    "(__import__('importlib.util') and __import__('importlib'), __import__('platform'), "
    "__import__('importlib.util').util.find_spec('covalent_jupyter') is not None)"
)


async def examine(client: Any, workers: Iterable[str]) -> dict[str, str]:
    """Why each of these workers cannot be used, by address; ``""``: it fits. Those that did not answer are left out."""
    wanted = list(workers)
    if not wanted:
        return {}
    answers = await ask(client, eval, _QUESTION, workers=wanted)
    found = {}
    for worker, there in answers.items():
        if isinstance(there, OSError):
            log.info("the Dask worker %s did not answer: %s", worker, there)
        elif isinstance(there, BaseException):
            found[worker] = f"the Dask worker {worker} cannot be used: {type(there).__name__}: {there}"
        else:
            found[worker] = misfit(worker, there)
    return found


def misfit(worker: str, there: Mapping[str, Any]) -> str:
    """What a worker lacks, with the way out; ``""`` if nothing."""
    here = platform.python_version()
    if here.split(".")[:2] != there["python"].split(".")[:2]:
        return (
            f"the Dask worker {worker} runs Python {there['python']}, this environment Python {here}: functions pickled by one "
            f"crash the other. Start the workers with Python {'.'.join(here.split('.')[:2])}"
        )
    if not there["covalent"]:
        return (
            f"the Dask worker {worker} does not have the package covalent_jupyter: install it there "
            f"(`pip install covalent-jupyter`)"
        )
    if there["protocol"] != PROTOCOL:
        return (
            f"the Dask worker {worker} has covalent-jupyter {there['covalent']}, which speaks protocol {there['protocol']}, not "
            f"{PROTOCOL}: install the same version on both sides"
        )
    if cloudpickle.__version__.split(".")[0] != there["cloudpickle"].split(".")[0]:
        return (
            f"the Dask worker {worker} has cloudpickle {there['cloudpickle']}, this environment {cloudpickle.__version__}: "
            f"install the same version on both sides"
        )
    return ""


async def first_unseen(client: Any, workers: list[str], folders: Iterable[Path]) -> str:
    """The first of these folders of ours that some worker does not read and write; ``""`` if all do."""
    for folder in folders:
        if not await _sees(client, workers, folder):
            return str(folder)
    return ""


async def _sees(client: Any, workers: list[str], folder: Path) -> bool:
    """Whether every worker reads and writes the very folder."""
    nonce, path = secrets.token_hex(16), folder / f".probe-{secrets.token_hex(8)}"
    make_folder(folder)
    path.write_text(nonce)
    look = (
        f"(lambda os, p, n: os.access(os.path.dirname(p), os.W_OK) and os.path.exists(p) and open(p).read() == n)"
        f"(__import__('os'), {str(path)!r}, {nonce!r})"
    )
    try:
        answers = await ask(client, eval, look, workers=workers)
        return all(answer is True for answer in answers.values())
    finally:
        with suppress(OSError):
            path.unlink()
