# "Classifying with support vector machines" tutorial
import covalent as ct
from numpy.random import permutation
from sklearn import datasets, svm


@ct.electron
def load_data():
    iris = datasets.load_iris()
    perm = permutation(iris.target.size)
    iris.data = iris.data[perm]
    iris.target = iris.target[perm]
    return iris.data, iris.target


@ct.electron
def train_svm(data, C, gamma):
    X, y = data
    clf = svm.SVC(C=C, gamma=gamma)
    clf.fit(X[90:], y[90:])
    return clf


@ct.electron
def score_svm(data, clf):
    X_test, y_test = data
    return clf.score(X_test[:90], y_test[:90])


@ct.lattice
def run_experiment(C=1.0, gamma=0.7):
    data = load_data()
    clf = train_svm(data=data, C=C, gamma=gamma)
    score = score_svm(data=data, clf=clf)
    return score


dispatch_id = ct.dispatch(run_experiment)(C=1.0, gamma=0.7)
result = ct.get_result(dispatch_id=dispatch_id, wait=True)
assert result.result > 0.8, result.result
node = result.get_node_result(node_id=0)
assert node["node_name"] == "load_data"
X, y = node["output"].get_deserialized() if hasattr(node["output"], "get_deserialized") else node["output"]
assert X.shape == (150, 4)
