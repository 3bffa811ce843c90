"""The demo: a machine-learning lattice on a data set that scikit-learn ships; without it, one in plain Python.

``jupyter covalent demo`` runs it; it is also the lattice that ``jupyter covalent doctor`` tests with (:func:`probe`).
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import random
from typing import Any

from .workflow import electron, lattice

MODELS = ("nearest mean", "3 neighbours", "9 neighbours", "logistic regression")
SKLEARN_MODELS = ("logistic regression", "random forest", "support vectors", "nearest neighbours", "naive Bayes")


def has_sklearn() -> bool:
    """Whether the extra ``demo`` (scikit-learn) is installed here."""
    return importlib.util.find_spec("sklearn") is not None


# with scikit-learn


@electron
def load(name: str) -> Any:
    """The data set: features, labels, names of the classes."""
    datasets = importlib.import_module("sklearn.datasets")
    data = getattr(datasets, f"load_{name}")()
    print(f"{name}: {data.data.shape[0]} samples, {data.data.shape[1]} features, {len(data.target_names)} classes")
    return data.data, data.target, [str(n) for n in data.target_names]


@electron
def split(data: Any, test: float) -> Any:
    """Training and test part, with the classes in the same proportions."""
    selection = importlib.import_module("sklearn.model_selection")
    features, labels, _ = data
    return selection.train_test_split(features, labels, test_size=test, stratify=labels, random_state=0)


@electron
def train(model: str, parts: Any) -> Any:
    """One fitted model."""
    pipeline = importlib.import_module("sklearn.pipeline").make_pipeline
    scaler = importlib.import_module("sklearn.preprocessing").StandardScaler
    train_features, _, train_labels, _ = parts
    fitted = pipeline(scaler(), _estimator(model)).fit(train_features, train_labels)
    print(f"trained {model} on {len(train_labels)} samples")
    return fitted


def _estimator(model: str) -> Any:
    kinds = {
        "logistic regression": ("linear_model", "LogisticRegression", {"max_iter": 1000}),
        "random forest": ("ensemble", "RandomForestClassifier", {"n_estimators": 100, "random_state": 0}),
        "support vectors": ("svm", "SVC", {}),
        "nearest neighbours": ("neighbors", "KNeighborsClassifier", {}),
        "naive Bayes": ("naive_bayes", "GaussianNB", {}),
    }
    module, kind, options = kinds[model]
    return getattr(importlib.import_module(f"sklearn.{module}"), kind)(**options)


@electron
def score(fitted: Any, parts: Any) -> float:
    """Share of the test samples that the model gets right."""
    _, test_features, _, test_labels = parts
    return float(fitted.score(test_features, test_labels))


@electron
def best(scores: dict[str, float]) -> dict[str, Any]:
    """The winner, and how all did."""
    winner = max(scores, key=lambda name: scores[name])
    for name, accuracy in sorted(scores.items(), key=lambda item: -item[1]):
        print(f"{accuracy:6.1%}  {name}")
    return {"model": winner, "accuracy": scores[winner], "scores": scores}


@lattice
def compare_models(data_set: str = "breast_cancer", models: tuple[str, ...] = SKLEARN_MODELS, test: float = 0.3) -> Any:
    """Train several models side by side on a real data set, score them, pick the best."""
    parts = split(load(data_set), test)
    return best({model: score(train(model, parts), parts) for model in models})


# in plain Python

Sample = tuple[list[float], int]


@electron
def generate(samples: int) -> list[Sample]:
    """Points of three clouds in the plane, labelled by their cloud."""
    centres = ((0.0, 0.0), (2.2, 0.6), (0.8, 2.4))
    drawn = []
    for i in range(samples):
        x, y = centres[i % 3]
        drawn.append(([random.gauss(x, 0.8), random.gauss(y, 0.8)], i % 3))
    print(f"{samples} samples, 2 features, 3 classes")
    return drawn


@electron
def halve(data: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Two thirds for training, one third for the test."""
    shuffled = random.sample(data, len(data))
    cut = 2 * len(shuffled) // 3
    return shuffled[:cut], shuffled[cut:]


@electron
def fit(model: str, training: list[Sample]) -> dict[str, Any]:
    """One fitted model, as plain data."""
    print(f"trained {model} on {len(training)} samples")
    if model.endswith("neighbours"):
        return {"k": int(model.split()[0]), "samples": training}
    means = _means(training)
    if model == "nearest mean":
        return {"k": 1, "samples": means}
    return {"weights": _logistic(training, rate=0.5, rounds=60)}


def _means(samples: list[Sample]) -> list[Sample]:
    found = []
    for label in sorted({label for _, label in samples}):
        points = [x for x, known in samples if known == label]
        found.append(([sum(p[i] for p in points) / len(points) for i in (0, 1)], label))
    return found


def _logistic(samples: list[Sample], rate: float, rounds: int) -> list[list[float]]:
    """Weights of a softmax regression, by gradient descent."""
    weights = [[0.0, 0.0, 0.0] for _ in range(3)]
    for _ in range(rounds):
        slopes = [[0.0, 0.0, 0.0] for _ in range(3)]
        for point, label in samples:
            for kind, share in enumerate(_shares(weights, point)):
                for i, x in enumerate((*point, 1.0)):
                    slopes[kind][i] += (share - (kind == label)) * x / len(samples)
        for row, slope in zip(weights, slopes, strict=True):
            for i in range(3):
                row[i] -= rate * slope[i]
    return weights


def _shares(weights: list[list[float]], point: list[float]) -> list[float]:
    raw = [math.exp(min(w[0] * point[0] + w[1] * point[1] + w[2], 50.0)) for w in weights]
    total = sum(raw)
    return [r / total for r in raw]


@electron
def accuracy(fitted: dict[str, Any], test: list[Sample]) -> float:
    """Share of the test samples that the model gets right."""
    return sum(_predict(fitted, point) == label for point, label in test) / len(test)


def _predict(fitted: dict[str, Any], point: list[float]) -> int:
    if "weights" in fitted:
        shares = _shares(fitted["weights"], point)
        return shares.index(max(shares))
    near = sorted(fitted["samples"], key=lambda s: math.dist(s[0], point))[: fitted["k"]]
    labels = [label for _, label in near]
    return max(sorted(set(labels)), key=labels.count)


@lattice
def compare_plain_models(samples: int = 300, models: tuple[str, ...] = MODELS) -> Any:
    """The same with models written out in plain Python, for where scikit-learn is not installed."""
    training, test = halve(generate(samples))
    return best({model: accuracy(fit(model, training), test) for model in models})


# the smallest one


@electron
def answer(question: int) -> int:
    return question + 1


@lattice
def probe(question: int = 41) -> Any:
    """What ``jupyter covalent doctor`` dispatches."""
    return answer(question)
