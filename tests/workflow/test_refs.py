"""References: what is recorded, and what refuses to lie."""

from __future__ import annotations

import copy
import json
import math
import operator
import os
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covalent_jupyter.errors import BuildError, RefError
from covalent_jupyter.workflow import Ref, electron, lattice
from covalent_jupyter.workflow.ops import SelectError

from .local_runs import graph_of, run


@electron
def give(value: Any) -> Any:
    return value


@electron
def add(a: int, b: int) -> int:
    return a + b


BINARY = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
    operator.lshift, operator.rshift, operator.and_, operator.or_, operator.xor, divmod,
    operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne,
]  # fmt: skip


@pytest.mark.parametrize("operation", BINARY, ids=lambda f: f.__name__)
def test_arithmetic_and_comparison_are_recorded_on_both_sides(operation: Any) -> None:
    @lattice
    def flow() -> Any:
        return operation(give(13), 3), operation(29, give(2)), operation(give(13), give(4))

    assert run(flow) == (operation(13, 3), operation(29, 2), operation(13, 4))
    assert [n.kind for n in graph_of(flow).nodes].count("operator") == 3


@pytest.mark.parametrize(
    "operation",
    [operator.neg, operator.pos, abs, round, math.floor, math.ceil, math.trunc],
    ids=lambda f: f.__name__,
)
def test_unary_operators_are_recorded(operation: Any) -> None:
    @lattice
    def flow() -> Any:
        return operation(give(-2.6))

    assert run(flow) == operation(-2.6)


def test_further_operators_are_recorded() -> None:
    @lattice
    def flow() -> Any:
        m = give(np.eye(2))
        return ~give(5), round(give(2.345), 1), pow(give(3), 4, 5), 2 ** give(5), m @ np.ones((2, 1)), np.ones(2) @ m

    inverted, rounded, power, reflected, left, right = run(flow)
    assert (inverted, rounded, power, reflected) == (~5, 2.3, 1, 32)
    assert left.tolist() == [[1.0], [1.0]] and right.tolist() == [1.0, 1.0]


def test_augmented_assignment_makes_a_new_value() -> None:
    @lattice
    def flow() -> Any:
        x = give(1)
        x += 5
        x *= give(2)
        return x

    assert run(flow) == 12


def test_selectors_cost_no_task() -> None:
    @lattice
    def flow() -> Any:
        e = give({"a": [1, 2, {"b": 3}], "z": 2 + 5j})
        return add(e["a"][2]["b"], e["z"].real)

    assert len(graph_of(flow).nodes) == 2
    assert run(flow) == 5.0


def test_keys_of_every_kind() -> None:
    table = {1.5: "float", None: "none", True: "true", (1, 2): "tuple", b"x": "bytes", 2**70: "large"}

    @lattice
    def flow() -> Any:
        e = give(table)
        numbers = give([10, 20, 30, 40])
        return [e[k] for k in table], numbers[1:3], numbers[-1], numbers[np.int64(2)]

    keys, part, last, picked = run(flow)
    assert keys == list(table.values())
    assert (part, last, picked) == ([20, 30], 40, 30)
    assert len(graph_of(flow).nodes) == 2


def test_a_key_that_is_an_electron_is_a_node() -> None:
    @lattice
    def flow() -> Any:
        e = give(np.arange(12).reshape(3, 4))
        i = give(2)
        return e[i][1], e[i, 0], e[0:i, 1]

    one, two, three = run(flow)
    assert (int(one), int(two), three.tolist()) == (9, 8, [1, 5])


def test_unpacking_is_a_selector() -> None:
    @lattice
    def flow() -> Any:
        a, b = give((1, 2))
        (c, (d, e)), f = give(((3, (4, 5)), 6))
        [g, h] = give("xy")
        return a, b, c, d, e, f, g, h

    assert run(flow) == (1, 2, 3, 4, 5, 6, "x", "y")
    assert len(graph_of(flow).nodes) == 3


def test_unpacking_many_names() -> None:
    names = ", ".join(f"v{i}" for i in range(300))  # more than one byte of argument
    scope: dict[str, Any] = {"give": give}
    exec(f"def body():\n    {names} = give(list(range(300)))\n    return [{names}]", scope)
    assert run(lattice(scope["body"])) == list(range(300))


@pytest.mark.parametrize("value", [(1, 2, 3), (1,), {1: "a"}])
def test_unpacking_the_wrong_number_fails_when_it_runs(value: Any) -> None:
    @lattice
    def flow() -> Any:
        a, b = give(value)
        return a

    with pytest.raises(SelectError, match=rf"unpacking into 2 names: got {len(value)}$"):
        run(flow)


def test_what_was_selected_is_named_where_it_fails() -> None:
    @lattice
    def flow(value: Any) -> Any:
        a, b = give(value)[(1, 2)]
        return a.rows

    with pytest.raises(SelectError, match=r"unpacking \[\(1, 2\)\] into 2 names: got one int$"):
        run(flow, {(1, 2): 3})
    with pytest.raises(
        SelectError, match=r"^\[\(1, 2\)\] of the value failed: KeyError: \(1, 2\) \(applied to dict of length 0\)"
    ):
        run(flow, {})
    with pytest.raises(SelectError, match=r"^\[\(1, 2\)\]\[0 of 2\].rows of the value failed: AttributeError"):
        run(flow, {(1, 2): [3, 4]})


def test_unpacking_a_dict_gives_its_keys_and_a_set_is_refused() -> None:
    @lattice
    def flow(value: Any) -> Any:
        a, b = give(value)
        return a, b

    assert run(flow, {0: "x", 1: "y"}) == (0, 1)
    with pytest.raises(Exception, match="a set has no order"):
        run(flow, {1, 2})


def test_methods_are_recorded() -> None:
    @lattice
    def flow() -> Any:
        words = give("a b c").split(" ")
        return words, words[0].upper(), give([3, 1, 2]).index(give(1))

    assert run(flow) == (["a", "b", "c"], "A", 1)
    assert [n.name for n in graph_of(flow).nodes] == ["give", ".split()", ".upper()", "give", "give", ".index()"]
    assert run(lattice(lambda: give("a b c").split(" ")[1].upper())) == "B"
    assert run(lattice(lambda: give({"a": 1}).get("b", give(7)))) == 7


def test_an_electron_that_gives_a_function() -> None:
    @lattice
    def flow() -> Any:
        return give(math.sqrt)(16.0), give([math.sqrt])[0](give(25.0))

    assert run(flow) == (4.0, 5.0)


def test_numpy_functions_are_recorded() -> None:
    array = np.arange(4.0)

    @lattice
    def flow() -> Any:
        e = give(array)
        return (
            np.exp(e), np.add(array, e), array + e, np.float64(2) * e, np.add.reduce(e),
            np.concatenate([e, array]), np.mean(e), np.where(e > 1, e, 0.0),
        )  # fmt: skip

    expected = (
        np.exp(array), array + array, array + array, array * 2, array.sum(),
        np.concatenate([array, array]), array.mean(), np.where(array > 1, array, 0.0),
    )  # fmt: skip
    for got, wanted in zip(run(flow), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_pandas_on_the_left_is_recorded() -> None:
    frame = pd.DataFrame({"x": [1, 2]})

    @lattice
    def flow() -> Any:
        return frame + give(1), frame["x"] * give(2)

    summed, doubled = run(flow)
    assert summed["x"].tolist() == [2, 3] and doubled.tolist() == [2, 4]


def _loop(e: Any) -> Any:
    for x in e:
        return x


def _mapping(e: Any) -> Any:
    return dict(**e)


def _starred(e: Any) -> Any:
    a, *rest = e
    return rest


def _with(e: Any) -> Any:
    with e:
        pass


def _set_attribute(e: Any) -> None:
    e.x = 1


def _set_item(e: Any) -> None:
    e[0] = 1


def _delete(e: Any) -> None:
    del e[0]


def _delete_attribute(e: Any) -> None:
    del e.x


async def _awaits(e: Any) -> Any:
    return await e


def _await(e: Any) -> Any:
    _awaits(e).send(None)


REFUSED = {
    "bool": (bool, "sublattice"),
    "if": (lambda e: 1 if e else 2, "condition"),
    "not": (lambda e: not e, "condition"),
    "and": (lambda e: e and 1, "condition"),
    "chained comparison": (lambda e: 1 < e < 3, "condition"),
    "min": (lambda e: min(e, 3), "condition"),
    "sorted": (lambda e: sorted([e, e]), "condition"),
    "in a list": (lambda e: 1 in [e], "condition"),
    "int": (int, "turned into an int"),
    "float": (float, "float"),
    "complex": (complex, "complex"),
    "math.sqrt": (math.sqrt, "float"),
    "len": (len, "length"),
    "for": (_loop, r"use for i in range\(n\)"),
    "list": (list, "iterated"),
    "tuple": (tuple, "iterated"),
    "sum": (sum, "iterated"),
    "star": (lambda e: print(*e), r"spread with \*"),
    "star in a list": (lambda e: [*e], r"spread with \*"),
    "dict": (dict, r"dict\(\)"),
    "two stars": (_mapping, r"spread with \*\*"),
    "starred name": (_starred, "starred name"),
    "comprehension": (lambda e: [x + 1 for x in e], "iterated"),
    "zip": (lambda e: zip(e, [1], strict=True), "iterated"),
    "enumerate": (enumerate, "iterated"),
    "reversed": (reversed, "iterated"),
    "in": (lambda e: 1 in e, "'in'"),
    "range": (range, "range"),
    "index": (lambda e: [1, 2][e], "index"),
    "hash": (hash, "hashed"),
    "set": (lambda e: {e}, "hashed"),
    "key": (lambda e: {e: 1}, "hashed"),
    "str": (str, "made into text"),
    "f-string": (lambda e: f"model-{e}.pkl", "formatted into a string"),
    "percent": (lambda e: operator.mod("%s", e), "text"),
    "format": (lambda e: f"{e:.2f}", "formatted"),
    "join": (lambda e: "".join(["a", str(e)]), "text"),
    "bytes": (bytes, "bytes"),
    "open": (open, "path"),
    "pickle": (pickle.dumps, "pickled"),
    "np.asarray": (np.asarray, "array"),
    "np.array of refs": (lambda e: np.array([e, e]), "array"),
    "array index": (lambda e: np.arange(3)[e], "index|array"),
    "out": (lambda e: np.add(np.zeros(2), e, out=np.zeros(2)), "out="),
    "with": (_with, "with statement"),
    "set attribute": (_set_attribute, "attribute set"),
    "set item": (_set_item, "item set"),
    "delete": (_delete, "del e"),
    "delete attribute": (_delete_attribute, "del .x"),
    "await": (_await, "without await"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_recorded_is_a_type_error_with_the_way_out(case: str) -> None:
    use, message = REFUSED[case]

    @lattice
    def flow() -> Any:
        use(give(1))

    with pytest.raises(TypeError, match=message) as caught:
        graph_of(flow)
    assert isinstance(caught.value, RefError) and isinstance(caught.value, BuildError)
    assert "lattice flow, line " in str(caught.value) and "test_refs.py" in str(caught.value)


def test_frames_are_restored_after_an_error() -> None:
    """A refused lattice does not leave its graph behind: the electron is a plain function again."""
    with pytest.raises(RefError):
        graph_of(lattice(lambda: bool(give(1))))
    assert give(3) == 3


@pytest.mark.parametrize(
    "name",
    ["_repr_html_", "_ipython_display_", "_ipython_canary_method_should_not_exist_", "__array_interface__", "_private"],
)
def test_private_names_are_no_selectors(name: str) -> None:
    @lattice
    def flow() -> Any:
        e = give(1)
        assert not hasattr(e, name)
        with pytest.raises(AttributeError, match="private names are not recorded"):
            getattr(e, name)
        return e

    assert len(graph_of(flow).nodes) == 1


def test_repr_is_safe_and_says_what_it_is() -> None:
    seen = []

    @lattice
    def flow() -> Any:
        e = give(1)
        seen.extend([repr(e), repr(e["k"].x), repr(e + 1), f"{e!r}"])
        a, b = e
        seen.extend([repr(b), repr(e[1, 2])])
        return e

    graph_of(flow)
    assert seen[0] == seen[3] == "<result of give (node 0 of flow), not run yet>"
    assert seen[1] == "<result of give (node 0 of flow)['k'].x, not run yet>"
    assert seen[4] == "<result of give (node 0 of flow)[1 of 2], not run yet>"
    assert seen[5] == "<result of give (node 0 of flow)[(1, 2)], not run yet>"
    assert seen[2] == "<operator + (node 1 of flow), not run yet>"


def test_copies_stay_references() -> None:
    @lattice
    def flow() -> Any:
        e = give(1)
        return copy.copy(e), copy.deepcopy({"k": [e]})

    assert run(flow) == (1, {"k": [1]})


class Point:
    kind: str

    def __init__(self) -> None:
        self.x = 1

    def fit(self) -> None:
        self.coef_ = 2


class Open:
    def __getattr__(self, name: str) -> int:
        return 4


@electron
def make_point() -> Point:
    return Point()


@electron
def make_open() -> Open:
    return Open()


@electron
def either() -> int | str:
    return "x"


@electron
def unknown() -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
    return 1j


@electron
async def number() -> float:
    return 1.5


def test_attributes_are_checked_against_the_return_annotation() -> None:
    graph_of(lattice(lambda: [make_point().x, make_point().coef_, make_point().kind, make_point().fit()]))
    graph_of(lattice(lambda: [make_open().anything, either().upper(), either().real, unknown().imag, give(1).foo]))
    with pytest.raises(
        BuildError, match=r"Point has no attribute 'coeff_' \(did you mean 'coef_'\?\)|Point has no attribute"
    ):
        graph_of(lattice(lambda: make_point().coeff_))
    with pytest.raises(BuildError, match="float has no attribute 'rael'.*did you mean 'real'"):
        graph_of(lattice(lambda: number().rael))
    with pytest.raises(BuildError, match="int or str has no attribute 'nope'"):
        graph_of(lattice(lambda: either().nope))


class Kept:
    refs: list[Ref] = []


def test_a_reference_of_another_lattice_is_refused() -> None:
    graph_of(lattice(lambda: Kept.refs.append(give(1))))
    with pytest.raises(BuildError, match="argument 'value' of give: <result of give.*another lattice"):
        graph_of(lattice(lambda: give(Kept.refs[0])))
    with pytest.raises(BuildError, match="another lattice"):
        graph_of(lattice(lambda: give([Kept.refs[0]])))
    with pytest.raises(BuildError, match="used outside of it"):
        Kept.refs[0] + 1
    with pytest.raises(BuildError, match="used outside of it"):
        graph_of(lattice(lambda: Kept.refs[0] + give(1)))
    with pytest.raises(BuildError, match="another lattice"):
        graph_of(lattice(lambda: {"k": Kept.refs[0]}))
    with pytest.raises(RefError, match="outside of the building"):
        give(Kept.refs[0])


def _random_graph(draw: Any, values: list[Any], build: Any) -> Any:
    operations = [operator.add, operator.sub, operator.mul, lambda a, b: build(a, b), operator.lt, operator.eq, max_of]
    for _ in range(draw(st.integers(0, 25))):
        one = draw(st.integers(0, len(values) - 1))
        two = draw(st.integers(0, len(values) - 1))
        values.append(operations[draw(st.integers(0, len(operations) - 1))](values[one], values[two]))
    chosen = draw(st.lists(st.integers(0, len(values) - 1), max_size=5))
    return {"all": [values[i] for i in chosen], "last": (values[-1],)}


def _pick(a: Any, b: Any) -> Any:
    return (a, b, a + b)[2]


def max_of(a: Any, b: Any) -> Any:
    return a + b * 2


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_random_graphs_evaluate_as_plain_python(data: Any) -> None:
    recorded: list[Any] = []

    class Replay:
        def __init__(self) -> None:
            self.at = 0

        def __call__(self, strategy: Any) -> Any:
            if self.at == len(recorded):
                recorded.append(data.draw(strategy))
            self.at += 1
            return recorded[self.at - 1]

    starts = data.draw(st.lists(st.integers(-50, 50), min_size=1, max_size=4))
    plain = _random_graph(Replay(), list(starts), _pick)
    node = electron(_pick)

    @lattice
    def flow(numbers: list[int]) -> Any:
        return _random_graph(Replay(), [give(number) for number in numbers], node)

    assert run(flow, starts) == plain


def test_numpy_is_told_what_to_do_instead() -> None:
    number = electron(lambda: 1)
    for convert in (np.array, np.asarray, lambda e: np.asarray(e, dtype=float)):
        with pytest.raises(RefError, match="electron"):
            graph_of(lattice(lambda convert=convert: convert(number())))


@pytest.mark.parametrize(
    "use", [lambda e: json.dumps([e]), lambda e: ",".join([e]), lambda e: os.path.join("x", e), np.zeros]
)
def test_what_other_libraries_say_of_a_reference_has_the_way_out(use: Any) -> None:
    number = electron(lambda: 1)
    with pytest.raises(
        BuildError, match=r"TypeError: .*A Ref stands for what an electron gives.*ct\.electron\(ct\.lattice"
    ):
        graph_of(lattice(lambda: use(number())))


def _into_array(number: Any) -> None:
    np.zeros(3)[0] = number


def _into_column(number: Any) -> None:
    table = pd.DataFrame({"a": [1, 2]})
    table["b"] = number


@pytest.mark.parametrize(
    ("use", "hint"),
    [
        (_into_array, "ValueError: setting an array element with a sequence. A Ref stands for"),
        (_into_column, "It was pandas that asked, which was given a Ref"),
        (pd.DataFrame, "It was pandas that asked, which was given a Ref"),
    ],
)
def test_what_arrays_and_tables_say_of_a_reference_names_it(use: Any, hint: str) -> None:
    number = electron(lambda: 1)
    with pytest.raises(BuildError, match=hint):
        graph_of(lattice(lambda: use(number())))
