import covalent as ct


class Model:
    def __init__(self, w):
        self.w = w

    @ct.electron
    def train(self, data):
        return self.w * sum(data)

    @ct.electron
    def scaled(self, x):
        return x / self.w


@ct.lattice
def wf(data):
    m = Model(3)
    t = m.train(data)
    return m.scaled(t)


r = ct.get_result(ct.dispatch(wf)([1, 2, 3]), wait=True)
assert r.result == 6, (r.result, r.error)


class Base:
    @ct.electron
    def f(self):
        return "base"


class Child(Base):
    def g(self):
        return 1


@ct.lattice
def wf2():
    return Child().f()


assert ct.get_result(ct.dispatch(wf2)(), wait=True).result == "base"
