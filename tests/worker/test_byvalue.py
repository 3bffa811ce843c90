"""Processes that an electron starts get what only the notebook defines, and give it back."""

from __future__ import annotations

from typing import Any

import pytest

from covalent_jupyter.worker.pool import RunnerPool

from .packs import PackMaker, run

NOTEBOOK = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

class Point:
    def __init__(self, x):
        self.x = x

OFFSET = 10

def moved(point):
    return Point(point.x + OFFSET)

def main(method):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        found = pool.map(moved, [Point(1), Point(2)])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found.append(pool.submit(lambda: Point(OFFSET)).result())
    queue = context.SimpleQueue()
    process = context.Process(target=lambda: queue.put(Point(5)))
    process.start()
    found.append(queue.get())
    process.join()
    return [type(point) is Point and point.x for point in found]
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_functions_and_classes_of_a_notebook(pool: RunnerPool, method: str) -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(NOTEBOOK, space)
    maker = PackMaker()
    maker.add(space["main"], method)
    assert run(pool, maker).value(0) == [11, 12, 10, 5]
