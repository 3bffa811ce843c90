# Functions of libraries and built-in ones as electrons; results used by attributes, items and arithmetic
import functools

import covalent as ct
import numpy as np
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

load = ct.electron(datasets.load_iris)
split = ct.electron(train_test_split)
eigenvalues = ct.electron(np.linalg.eigh)
total = ct.electron(sum)
power = ct.electron(functools.partial(pow, 2))


@ct.electron(executor="local")
def fit(x, y, C=1.0):
    return LogisticRegression(C=C, max_iter=200).fit(x, y)


@ct.electron
def score(model, x, y):
    return model.score(x, y)


@ct.lattice
def workflow(Cs=(0.1, 1.0)):
    data = load()
    x_train, x_test, y_train, y_test = split(data.data, data.target, random_state=0, test_size=0.25)
    models = [fit(x_train, y_train, C=c) for c in Cs]
    scores = [score(m, x_test, y_test) for m in models]
    values, _ = eigenvalues(np.eye(3) * 2)
    return {
        "scores": scores, "mean": total(scores) / len(Cs), "coef": models[0].coef_.shape, "first": values[0],
        "power": power(3), "predicted": models[1].predict(x_test[:5]), "class": models[0].classes_[-1],
    }  # fmt: skip


r = ct.dispatch_sync(workflow)()
assert r.status == "COMPLETED", r.error
found = r.result
assert found["mean"] == sum(found["scores"]) / 2 > 0.7 and found["coef"] == (3, 4) and found["first"] == 2.0
assert found["power"] == 8 and len(found["predicted"]) == 5 and found["class"] == 2
