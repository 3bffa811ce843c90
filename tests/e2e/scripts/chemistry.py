# ASE-like chemistry: objects defined here, passed around, custom exceptions, dataclasses
from dataclasses import dataclass, field

import covalent as ct


@dataclass
class Atoms:
    symbols: list
    positions: list = field(default_factory=list)
    energy: float = 0.0


def lj(r):
    return 4 * (1 / r**12 - 1 / r**6)


@ct.electron
def build(d):
    return Atoms(["N", "N"], [0.0, d])


@ct.electron
def compute(atoms):
    atoms.energy = lj(abs(atoms.positions[0] - atoms.positions[1]))
    return atoms


@ct.electron
def best(systems):
    return min(systems, key=lambda a: a.energy)


@ct.lattice
def scan(distances):
    return best([compute(build(d)) for d in distances])


r = ct.get_result(ct.dispatch(scan)([0.9, 1.0, 1.12, 1.5]), wait=True)
assert r.result.positions[1] == 1.12, (r.result, r.error)
assert isinstance(r.result, Atoms)
