# Coroutines as electrons, and many dispatches awaited together
import asyncio

import covalent as ct


@ct.electron
async def fetch(i):
    await asyncio.sleep(0.05)
    return i


@ct.electron
async def gather(n):
    return await asyncio.gather(*(fetch(i) for i in range(n)))


@ct.lattice
def both():
    return [fetch(1), gather(3)]


assert ct.dispatch_sync(both)().result == [1, [0, 1, 2]]


async def main():
    ids = [ct.dispatch(both)() for _ in range(5)]
    results = await asyncio.gather(*ids)
    assert all(r.status == ct.status.COMPLETED for r in results)
    assert (await ct.get_result(ids[0])).result == [1, [0, 1, 2]]
    assert {i async for i in ct.as_completed(ids)} == set(ids)


asyncio.run(main())


@ct.lattice
async def no_lattice():
    return fetch(1)


@ct.electron
async def yields():
    yield 1


try:
    ct.dispatch(no_lattice)()
except ct.BuildError as error:
    assert "electrons may be async" in str(error), error
else:
    raise AssertionError("a coroutine is no lattice")
assert "return a list of its items instead" in ct.dispatch_sync(ct.lattice(lambda: yields()))().error
