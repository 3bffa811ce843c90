"""What holds for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from .bytecode import compile_the_package

# Electrons step back behind everything else of the machine, so by how much decides how long tests wait for them where it is busy.
os.environ.setdefault("COVALENT_NICE", "1")

# The same examples each time, however long the machine takes for one; others are tried with --hypothesis-profile=default.
settings.register_profile(
    "alike", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("alike")

#: Files that take minutes begin first, so that none of them runs alone at the end.
LONG = (
    "reliability/test_crashes.py", "e2e/test_kills.py", "browser/test_page_dispatch.py", "security/test_fuzz.py",
    "browser/test_sidebar.py", "reliability/test_kills.py", "browser/test_dispatches.py", "reliability/test_cluster.py",
    "reliability/test_graphs.py", "packaging/test_documents.py", "executors/test_deaths.py", "e2e/test_environments.py",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # once, before the workers of pytest-xdist
        compile_the_package()
    if hasattr(config.option, "loadscopereorder"):  # pytest-xdist would begin with the files that hold the most tests
        config.option.loadscopereorder = False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    order = {here / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path, len(LONG)))
