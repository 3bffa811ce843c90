# A library's own decorators round electrons, lattices and sublattices, and executors that are chosen while a sublattice is built
import functools
import os
import tempfile

import covalent as ct


def job(function=None, **options):
    return ct.electron(function, **options) if function is not None else functools.partial(job, **options)


def flow(function=None, **options):
    return ct.lattice(function, **options) if function is not None else functools.partial(flow, **options)


def subflow(function=None, **options):
    return (
        ct.electron(ct.lattice(function, **options)) if function is not None else functools.partial(subflow, **options)
    )


@job
def add(a, b):
    return a + b


@job(executor="local")
def multiply(a, b):
    return a * b


@job
def thrice(value):
    return [value] * 3


@subflow(executor="local")
def each(values, other, function):
    return [function(value, other) for value in values]


@flow
def dynamic(a, b, c):
    first = each(thrice(add(a, b)), c, add)
    second = each(first, c, multiply)
    return add(second[0], c), functools.partial(multiply, b=10)(second[1]), second


assert ct.dispatch_sync(dynamic)(1, 2, 3).result == (21, 180, [18, 18, 18])
assert ct.dispatch_sync(flow(each))([1, 2], 2, add).result == [3, 4]
assert ct.dispatch_sync(each)([1], 2, multiply).result == [2] == each([1], 2, multiply)

FOLDERS = {"here": tempfile.mkdtemp(), "there": tempfile.mkdtemp()}


def where(**options):
    return os.getcwd(), options


@subflow
def chosen(place, **options):
    executor = ct.executor.LocalExecutor(workdir=FOLDERS[place]) if place == "here" else ct.executor.DaskExecutor()
    if place == "there":
        executor.workdir = FOLDERS[place]
    return ct.electron(where, executor=executor, deps_pip=ct.DepsPip(packages=["numpy"]))(**options)


@flow
def places():
    return [chosen(place, n=n) for n, place in enumerate(FOLDERS)]


result = ct.dispatch_sync(places)()
assert result.result == [(folder, {"n": n}) for n, folder in enumerate(FOLDERS.values())], (result.result, result.error)
