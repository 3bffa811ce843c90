"""Byte code of the package, for the many processes that tests start."""

from __future__ import annotations

import compileall
from pathlib import Path

import covalent_jupyter


def compile_the_package() -> None:
    """Where PYTHONDONTWRITEBYTECODE is set, as in many containers, each process would compile all of a checkout anew: a quarter
    of the start of a service. An installed package has its byte code."""
    compileall.compile_dir(Path(covalent_jupyter.__file__).parent, quiet=2)
