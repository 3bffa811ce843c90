import os

import covalent as ct
from covalent.executor import AsyncBaseExecutor, BaseExecutor


class TimingExecutor(BaseExecutor):
    def __init__(self, timing_filepath: str = "", **kwargs):
        self.timing_filepath = timing_filepath
        super().__init__(**kwargs)

    def run(self, function, args, kwargs, task_metadata):
        import time

        time.process_time()
        result = function(*args, **kwargs)
        with open(self.timing_filepath, "a") as f:
            f.write(f"Node {task_metadata['node_id']} in dispatch {task_metadata['dispatch_id']}\n")
        return result


class Slow(AsyncBaseExecutor):
    async def run(self, function, args, kwargs, task_metadata):
        import asyncio

        await asyncio.sleep(0.01)
        return function(*args, **kwargs)


path = os.path.abspath("timing.txt")


@ct.electron(executor=TimingExecutor(timing_filepath=path))
def add(x, y):
    return x + y


@ct.electron(executor=Slow())
def mul(x, y):
    return x * y


@ct.lattice
def wf(x):
    return mul(add(x, 1), 3)


r = ct.get_result(ct.dispatch(wf)(1), wait=True)
assert r.result == 6, r.error
assert "Node 0 in dispatch" in open(path).read()
