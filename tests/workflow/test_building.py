"""Electrons and lattices: calls, arguments, sublattices, waiting, the manifest."""

from __future__ import annotations

import functools
import gc
import inspect
import random
import subprocess
import sys
import time
import weakref
from typing import Any

import numpy as np
import pandas as pd
import pytest

from covalent_jupyter import codec
from covalent_jupyter.errors import BuildError, ConfigError, EncodeError
from covalent_jupyter.model import wire
from covalent_jupyter.model.graph import Lit, Manifest, Ref, Tpl, Val
from covalent_jupyter.workflow import Electron, Lattice, build, completed, electron, lattice, recorded_call, wait

from .local_runs import check_manifest, evaluate, graph_of, run


@electron
def add(x: Any, y: Any = 1) -> Any:
    """Sums."""
    return x + y


@electron()
def gather(*values: Any, sep: str = ",", **named: Any) -> str:
    return sep.join([*map(str, values), *(f"{k}={v}" for k, v in named.items())])


@electron
def total(xs: Any) -> Any:
    return sum(xs)


@electron
async def later(x: int) -> int:
    return x * 10


@electron
def keyword_only(a: int, /, b: int, *, c: int, d: int = 4) -> list[int]:
    return [a, b, c, d]


# Plain functions


def test_an_electron_is_a_plain_function_outside_a_lattice() -> None:
    assert add(1, y=2) == 3 and add.__name__ == "add" and add.__doc__ == "Sums."
    assert list(inspect.signature(add).parameters) == ["x", "y"]
    assert inspect.iscoroutine(coroutine := later(1))
    coroutine.close()
    assert repr(add) == "<electron add(x: 'Any', y: 'Any' = 1) -> 'Any'>"


def test_a_lattice_is_a_plain_function_outside_a_dispatch() -> None:
    @lattice
    def flow(n: int) -> Any:
        return {"sum": add(n, 5)}

    assert flow(1) == {"sum": 6}
    assert flow.__name__ == "flow" and isinstance(flow, Lattice)
    assert flow.transport_graph is None
    graph = flow.build_graph(2)
    assert flow.transport_graph is graph and isinstance(graph, Manifest) and len(graph.nodes) == 1


def test_decorators_with_and_without_parentheses() -> None:
    def f(x: int) -> int:
        return x

    for made in (electron(f), electron()(f), electron(retries=1)(f)):
        assert isinstance(made, Electron) and made(4) == 4
    for made in (lattice(f), lattice()(f), lattice(executor="local")(f)):
        assert isinstance(made, Lattice) and made(4) == 4
    with pytest.raises(ConfigError, match="needs a function, not 3"):
        electron(3)
    with pytest.raises(ConfigError, match="is a lattice already"):
        lattice(lattice(f))


def test_electrons_of_all_kinds_of_callables() -> None:
    class Scale:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        def __call__(self, x: int) -> int:
            return x * self.factor

        def times(self, x: int) -> int:
            return x * self.factor

    flow = lattice(
        lambda: [
            electron(len)([1, 2]),
            electron(functools.partial(pow, 2))(5),
            electron(np.mean)([1.0, 3.0]),
            electron(Scale(3))(4),
            electron(Scale(5).times)(4),
            electron(int)("7"),
            electron(lambda x: -x)(1),
        ]
    )
    assert run(flow) == [2, 32, 2.0, 12, 20, 7, -1]
    assert [n.name for n in graph_of(flow).nodes] == ["len", "partial", "mean", "Scale", "times", "int", "<lambda>"]


def test_methods_of_classes() -> None:
    assert run(lattice(lambda n: Model(n).score(2)), 5) == 10


class Model:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    @electron
    def score(self, x: int) -> int:
        return self.factor * x


# Nodes and inputs


def test_what_is_a_node_and_what_is_an_input() -> None:
    @lattice
    def flow(n: int) -> Any:
        a = add(n)
        return add(a, [0] * 50)

    graph = graph_of(flow, 3)
    assert [node.name for node in graph.nodes] == ["add", "add"]
    assert graph.nodes[0].args == [Lit(3)] and graph.nodes[0].params == ("x",)
    assert graph.nodes[1].args[0] == Ref(0) and isinstance(graph.nodes[1].args[1], Val)
    assert graph.nodes[1].params == ("x", "y")
    assert graph.output == Ref(1)
    assert [node.line - graph.lattice.line for node in graph.nodes] == [2, 3]
    assert [f.name for f in graph.functions] == ["add"]
    assert "return x + y" in graph.functions[0].source and graph.functions[0].doc == "Sums."


@pytest.mark.parametrize("value", [None, True, 0, -(2**63), 2**63 - 1, 1.5, -0.0, "", "é", "x" * 1000])
def test_cheap_values_are_literals(value: Any) -> None:
    graph = graph_of(lattice(lambda: add(value)))
    assert graph.nodes[0].args == [Lit(value)]
    back = wire.decode_manifest(wire.encode_manifest(graph)).nodes[0].args[0]
    assert isinstance(back, Lit) and type(back.value) is type(value) and repr(back.value) == repr(value)


class Text(str):
    pass


@pytest.mark.parametrize(
    "value",
    [2**63, float("inf"), float("nan"), "x" * 1001, "é" * 600, "\ud800", Text("a"), np.float64(1.5), np.int64(2), b"x"],
)
def test_other_values_are_blobs(value: Any) -> None:
    graph = graph_of(lattice(lambda: total([0]) + add(value)))
    assert isinstance(graph.nodes[1].args[0], Val)
    back = run(lattice(lambda: give(value)))
    assert type(back) is type(value) and repr(back) == repr(value)


@electron
def give(value: Any) -> Any:
    return value


def test_arguments_of_every_kind() -> None:
    @lattice
    def flow() -> Any:
        a = add(1)
        return (
            gather(a, 5, sep="-"), gather(), gather(1, k=a, m=2), keyword_only(1, 2, c=3),
            keyword_only(1, c=a, b=5, d=a), add(x=a), add(y=a, x=1),
        )  # fmt: skip

    assert run(flow) == ("2-5", "", "1,k=2,m=2", [1, 2, 3, 4], [1, 5, 2, 2], 3, 3)
    nodes = graph_of(flow).nodes
    assert nodes[1].params == ("values[0]", "values[1]") and nodes[1].kwargs == {"sep": Lit("-")}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: add(), r"add misses the argument 'x'; its signature is add\(x: 'Any', y: 'Any' = 1\)"),
        (lambda: add(1, 2, 3), r"add takes 2 positional arguments, and 3 were given; its signature is add\("),
        (lambda: add(1, yy=2), r"add has no parameter 'yy' \(did you mean 'y'\?\); its signature"),
        (lambda: add(1, x=2), r"add got two values for 'x'"),
        (lambda: keyword_only(1), r"keyword_only misses the arguments 'b', 'c'"),
        (lambda: keyword_only(a=1, b=2, c=3), r"keyword_only has no parameter 'a'"),
        (lambda: keyword_only(1, 2, 3), r"takes 2 positional arguments, and 3 were given"),
        (lambda: nothing(1), r"nothing takes no positional arguments, and 1 were given"),
    ],
)
def test_arguments_that_do_not_fit(call: Any, message: str) -> None:
    with pytest.raises(BuildError, match=message) as caught:
        graph_of(lattice(call))
    assert "test_building.py" in str(caught.value)


def test_a_parameter_may_be_called_self() -> None:
    keep = electron(lambda **named: named)
    assert keep(self=1) == {"self": 1} and lattice(lambda **named: named)(self=1) == {"self": 1}
    assert run(lattice(lambda **named: keep(**named)), self=2) == {"self": 2}
    assert lattice(lambda **named: keep(**named)).build_graph(self=2).nodes[0].kwargs["self"].value == 2  # type: ignore[union-attr]


@electron
def nothing() -> None: ...


def test_arguments_of_the_lattice_itself() -> None:
    @lattice
    def flow(n: int, *rest: int, k: int = 2) -> Any:
        return add(n, k)

    with pytest.raises(BuildError, match=r"flow misses the argument 'n'; its signature is flow\("):
        graph_of(flow)
    with pytest.raises(BuildError, match="flow has no parameter 'j'"):
        graph_of(flow, 1, j=1)
    graph = graph_of(flow, 1, 2, 3)
    assert graph.inputs["n"] == Lit(1) and graph.inputs["k"] == Lit(2) and isinstance(graph.inputs["rest"], Val)


def test_the_call_is_recorded_and_large_arguments_are_stored_once() -> None:
    flow = lattice(lambda data, *, n: add(data, n))
    data = np.arange(50_000.0)
    built = build(flow, (data,), {"n": 3})
    check_manifest(built)
    blobs = {digest: b"".join(map(bytes, chunks)) for digest, chunks in built.blobs.items()}
    assert [size for size in built.manifest.blobs.values() if size > 0.5 * data.nbytes] == [
        pytest.approx(400_000, 0.01)
    ]
    (back,), kwargs = recorded_call(built.manifest, blobs.__getitem__)
    np.testing.assert_array_equal(back, data)
    assert kwargs == {"n": 3}
    small = build(flow, (1,), {"n": 3})
    assert small.manifest.call is not None
    assert codec.decode(small.blobs[small.manifest.call][0]) == ((1,), {"n": 3})


def test_defaults_stay_with_the_function() -> None:
    @electron
    def grow(x: int, into: Any = None) -> Any:
        return [x, into]

    assert graph_of(lattice(lambda: grow(1))).nodes[0].args == [Lit(1)]


# The lattice's value


@pytest.mark.parametrize("value", [None, 5, "text", [1, {"a": (2, 3)}], np.float64(1.0)])
def test_a_lattice_without_electrons(value: Any) -> None:
    graph = graph_of(lattice(lambda: value))
    assert graph.nodes == [] and isinstance(graph.output, Val)
    assert run(lattice(lambda: value)) == value


def test_the_value_may_be_any_nesting() -> None:
    @lattice
    def flow() -> Any:
        a, b = add(1), add(2)
        return {"a": a, "list": [b, (a, None)], "plain": {1, 2}}

    assert isinstance(graph_of(flow).output, Tpl)
    assert run(flow) == {"a": 2, "list": [3, (2, None)], "plain": {1, 2}}
    assert run(lattice(lambda: add(1))) == 2
    assert run(lattice(lambda: give((7, 8))[1])) == 8


def test_coroutines_and_generators_are_no_lattices() -> None:
    async def coroutine() -> Any:
        return add(1)

    def generator() -> Any:
        yield add(1)

    for function in (coroutine, generator):
        with pytest.raises(BuildError, match="a lattice only builds the graph.*plain def"):
            graph_of(lattice(function))


def test_async_electrons() -> None:
    assert run(lattice(lambda: later(add(1)))) == 20


# Electrons that call electrons, sublattices, one electron as a lattice


@electron
def outer(n: int) -> int:
    return sum(add(i) for i in range(n))


def test_electrons_that_call_electrons_are_one_node() -> None:
    flow = lattice(lambda: outer(3))
    assert len(graph_of(flow).nodes) == 1
    assert run(flow) == 6


@electron
@lattice
def halve(n: int) -> Any:
    if n <= 1:
        return [n]
    return [n, halve(add(n, -n // 2))]


@electron
@lattice
def count_down(n: int) -> Any:
    return {"n": n, "next": count_down(add(n, -1)) if n else None}


def test_sublattices_recurse_and_loop_over_results() -> None:
    @electron
    @lattice
    def each(numbers: list[int]) -> Any:
        return [add(number, 10) for number in numbers]

    @lattice
    def flow() -> Any:
        return total(each(give([1, 2, 3]))), count_down(3), count_down(add(0, 0))["n"]

    nodes = graph_of(flow).nodes
    assert [n.kind for n in nodes].count("sublattice") == 3
    down = {"n": 0, "next": None}
    for n in (1, 2, 3):
        down = {"n": n, "next": down}
    assert run(flow) == (36, down, 0)
    assert count_down(1) == {"n": 1, "next": {"n": 0, "next": None}}


def test_a_lattice_called_in_a_lattice_is_part_of_it() -> None:
    inner = lattice(lambda x: add(x, 1))
    flow = lattice(lambda: add(inner(5), 2))
    assert len(graph_of(flow).nodes) == 2 and run(flow) == 8


def test_one_electron_as_a_lattice() -> None:
    for flow in (lattice(add), Lattice.of_electron(add)):
        graph = graph_of(flow, 2, y=5)
        assert graph.name == "add" and len(graph.nodes) == 1
        assert run(flow, 2, y=5) == 7
    sub = Lattice.of_electron(count_down)
    assert graph_of(sub, 1).nodes[0].kind == "sublattice"


def test_a_sublattice_records_its_parent_and_has_no_environment() -> None:
    built = build(halve.function, (4,), parent=("root-id", 3), root="root-id", dispatch_id="child", seed=9)
    assert built.manifest.parent == ("root-id", 3) and built.manifest.root == "root-id"
    assert built.manifest.environment is None and built.variables == {}
    assert (built.manifest.dispatch_id, built.manifest.seed) == ("child", 9)


def test_a_sublattice_inherits_key_by_key() -> None:
    inner = electron(lattice(lambda x: add(x), retries=2))
    flow = lattice(lambda: inner(1), executor="local", retries=5, timeout=7)
    built = build(flow)
    definition = built.manifest.functions[0]
    recorded = codec.decode_function(b"".join(map(bytes, built.blobs[definition.digest])), lambda d: b"")
    graph = graph_of(recorded, 1)
    assert graph.executors[0].name == "local"
    assert (graph.options[0].retries, graph.options[0].timeout) == (2, 7.0)
    assert inner.function.given == {"retries": 2}


# Late binding


def test_everything_is_resolved_at_dispatch() -> None:
    """Run a cell again that redefines an electron: the next dispatch takes the new one."""
    scope: dict[str, Any] = {"electron": electron, "lattice": lattice}
    exec("@electron\ndef f(x): return x\n@lattice\ndef flow(): return f(1)", scope)
    before = graph_of(scope["flow"])
    exec("@electron\ndef f(x): return x + 1", scope)
    assert run(scope["flow"]) == 2
    assert graph_of(scope["flow"]).nodes[0].key != before.nodes[0].key


def test_values_are_taken_as_they_are_when_they_are_passed() -> None:
    seen = [1]

    @lattice
    def flow() -> Any:
        found = []
        own = []
        for i in range(3):
            own.append(i)
            found.append(total(own))
        return found, total(seen)

    built = build(flow)
    seen.append(100)
    assert evaluate(built) == ([0, 1, 3], 1)


def test_an_argument_of_the_lattice_may_be_changed_before_it_is_passed_on() -> None:
    @lattice
    def flow(config: dict[str, int], numbers: Any) -> Any:
        config["b"] = 2
        numbers += 1
        return give(config), give(numbers)

    config, numbers = run(flow, {"a": 1}, np.zeros(3))
    assert config == {"a": 1, "b": 2} and numbers.tolist() == [1, 1, 1]


def test_a_change_between_two_uses_of_one_object_is_an_error() -> None:
    @lattice
    def flow() -> Any:
        frame = pd.DataFrame({"x": [1, 2]})
        one = give(frame)
        frame["y"] = 3
        return one, give(frame)

    with pytest.raises(
        BuildError, match=r"argument 'value' of give \(DataFrame .*\) was changed in the lattice.*a copy"
    ):
        graph_of(flow)

    @lattice
    def large() -> Any:
        array = np.zeros(20_000)
        one = give(array)
        array += 1
        return one

    with pytest.raises(BuildError, match="argument 'value' of give .* was changed in the lattice"):
        graph_of(large)


class Counted:
    encoded = 0

    def __getstate__(self) -> Any:
        Counted.encoded += 1
        return {"a": 1}

    def __setstate__(self, state: Any) -> None: ...


def test_one_object_is_encoded_once() -> None:
    @lattice
    def flow() -> Any:
        thing = Counted()
        return [give(thing) for _ in range(100)]

    Counted.encoded = 0
    assert len({node.args[0] for node in graph_of(flow).nodes}) == 1
    assert Counted.encoded == 2  # once, and once more to see that it has not changed


# Keys


def _key(flow: Any, *args: Any) -> str:
    return graph_of(lattice(flow), *args).key


def test_keys_are_those_of_code_inputs_and_deps() -> None:
    base = lambda: add(add(1), 2)  # noqa: E731
    assert _key(base) == _key(lambda: add(add(1), 2)) == _key(_base_again)
    others = [
        lambda: add(add(2), 2), lambda: add(add(1), 3), lambda: add(add(1.0), 2), lambda: add(add(True), 2),
        lambda: add(add("1"), 2), lambda: add(2, add(1)), lambda: add(add(1)[0], 2), lambda: add(add(1).x, 2),
        lambda: add(give(1), 2), lambda: add.options(deps_pip="numpy")(add(1), 2), lambda: [add(add(1), 2)],
        lambda: add.options(call_before=nothing)(add(1), 2), lambda: add.options(call_after=nothing)(add(1), 2),
    ]  # fmt: skip
    keys = [_key(base), *map(_key, others)]
    assert len(set(keys)) == len(keys)


def _base_again() -> Any:
    """The same calls, elsewhere and with a comment."""
    one = add(1)
    # and one more
    return add(one, 2)


def test_options_and_seed_do_not_change_keys() -> None:
    base = _key(lambda: add(1))
    assert base == _key(lambda: add.options(executor="local", retries=3, name="other", timeout=5)(1))
    flow = lattice(lambda: add(1))
    assert build(flow, seed=1).manifest.key == build(flow, seed=2).manifest.key


def test_an_inserted_electron_changes_only_what_depends_on_it() -> None:
    short = graph_of(lattice(lambda: [add(1), add(add(2), 3)]))
    long = graph_of(lattice(lambda: [give(0), add(1), add(add(2), 3)]))
    assert {n.key for n in short.nodes} < {n.key for n in long.nodes}


def test_functions_as_arguments_count_by_their_code() -> None:
    def make(number: int) -> Any:
        scope: dict[str, Any] = {}
        exec("\n" * number + f"def score(x): return x + {number // 100}", scope)
        return scope["score"]

    apply = electron(lambda f, x: f(x))
    keys = [_key(lambda f: apply(f, 1), make(n)) for n in (1, 50, 150)]
    assert keys[0] == keys[1] != keys[2]
    keys = [_key(lambda f: apply([f, add(1)], 1), make(n)) for n in (1, 50, 150)]
    assert keys[0] == keys[1] != keys[2]


# wait


def test_wait_orders_without_values() -> None:
    @lattice
    def flow() -> Any:
        a, b = add(1), add(2)
        c = wait(add(3), [a, b])
        d, e = add(4), add(5)
        wait([d, e["k"]], c)
        wait(d, a)
        return d

    nodes = graph_of(flow).nodes
    assert [n.after for n in nodes] == [(), (), (0, 1), (2, 0), (2,)]
    assert wait(3, 4) == 3


def test_a_cycle_through_wait_is_named() -> None:
    @lattice
    def flow() -> Any:
        a = add(1)
        b = give(add(a, 1))
        wait(a, b)
        return b

    with pytest.raises(BuildError, match=r"line \d+: ct.wait closes a cycle.*add \(node 0\) -> .*give \(node 2\)"):
        graph_of(flow)
    with pytest.raises(BuildError, match=r"closes a cycle.*: add \(node 0\) -> add \(node 0\)"):
        graph_of(lattice(lambda: (lambda a: wait(a, a))(add(1))))

    @lattice
    def forward() -> Any:
        a, b = add(1), add(2)
        return wait(a, b)

    assert graph_of(forward).nodes[0].after == (1,) and run(forward) == 2


def test_wait_takes_references_only() -> None:
    with pytest.raises(BuildError, match="ct.wait: parents must be what electrons of this lattice gave, not 5"):
        graph_of(lattice(lambda: wait(add(1), 5)))


def test_completed() -> None:
    flow = lattice(lambda: (completed([add(1), add(2)]), completed({"a": add(3)})))
    assert run(flow) == ([2, 3], {"a": 4}) and completed((1, 2)) == [1, 2]


# replace


def test_replacing_electrons() -> None:
    flow = lattice(lambda: [add(1), add.options(name="second")(2), give(3)])
    built = build(flow, replace={"add": lambda x: x * 100, "give": electron(lambda value: -value, retries=1)})
    assert evaluate(built) == [100, 200, -3]
    assert evaluate(build(flow, replace={"second": lambda x: "s"})) == [2, "s", 3]
    with pytest.raises(
        BuildError,
        match=r"no electron of lattice <lambda> is called 'ad' \(did you mean 'add'\?\); it has add, give, second",
    ):
        build(flow, replace={"ad": add})
    with pytest.raises(BuildError, match="misses the argument 'q'"):
        build(flow, replace={"add": lambda x, q: x})


# The manifest


def test_texts_that_utf8_cannot_carry_are_written_out() -> None:
    """Names and tags; the selector of a part keeps its key."""
    lone = "caf\udce9"

    @electron(name=lone)
    def parts() -> dict[str, int]:
        """Caf\udce9."""
        return {lone: 1}

    flow = lattice(lambda: {lone: add(parts()[lone], 1)})
    built = build(flow, label=lone, tags=(lone,))
    head, _ = wire.unpack_body(wire.pack_body(built.manifest, []))
    sent = head.manifest
    assert (sent.label, sent.tags, sent.names) == (r"caf\udce9", (r"caf\udce9",), (r"caf\udce9",))
    assert (sent.nodes[0].name, sent.functions[0].doc) == (r"caf\udce9", r"Caf\udce9.")
    assert sent.nodes[1:] == built.manifest.nodes[1:] and sent.output == built.manifest.output
    assert evaluate(built) == {lone: 2}
    with pytest.raises(BuildError, match=r"gather: a keyword .* UTF-8 cannot carry: 'caf\\udce9'"):
        build(lattice(lambda: gather(**{lone: 1})))


def test_a_manifest_of_everything_goes_over_the_wire() -> None:
    @lattice
    def flow(data: Any, n: int = 3) -> Any:
        a = add(data[0], n)
        parts = [add.options(executor="local", retries=2)(i) for i in range(n)]
        return {"a": a, "parts": (parts, count_down(a)[("k", 1)])}

    built = build(flow, ([1, 2],), {"n": 2}, label="mine", tags=("x", "y"), redispatch_of="old", reuse="changed")
    check_manifest(built)
    manifest = built.manifest
    assert wire.decode_manifest(wire.encode_manifest(manifest)) == manifest
    assert (manifest.label, manifest.tags, manifest.redispatch_of, manifest.reuse) == (
        "mine",
        ("x", "y"),
        "old",
        "changed",
    )
    assert manifest.environment is not None and manifest.environment.python.count(".") == 2
    assert len(manifest.options) == 2 and [e.name for e in manifest.executors] == ["dask", "local"]
    assert manifest.created > 0 and manifest.lattice.name == "flow" and "parts" in manifest.lattice.source
    other = build(flow, ([1, 2],), {"n": 2}).manifest
    assert other.key == manifest.key and other.dispatch_id != manifest.dispatch_id and other.seed != manifest.seed


def test_the_recorded_lattice_builds_again_with_other_arguments() -> None:
    flow = lattice(lambda n: add(n, 5), executor="local")
    built = build(flow, (1,))
    recorded = codec.decode_function(b"".join(map(bytes, built.blobs[built.manifest.lattice.digest])), lambda d: b"")
    again = build(recorded, (2,))
    assert evaluate(again) == 7 and again.manifest.executors[0].name == "local"
    assert build(recorded, (1,)).manifest.key == built.manifest.key


def test_a_lattice_that_cannot_be_recorded_runs_all_the_same() -> None:
    lock = __import__("threading").Lock()

    @lattice
    def flow() -> Any:
        with lock:
            return add(1)

    built = build(flow)
    assert evaluate(built) == 2
    assert "flow cannot be recorded" in built.manifest.warnings[0]
    recorded = codec.decode(b"".join(map(bytes, built.blobs[built.manifest.lattice.digest])))
    with pytest.raises(BuildError, match="could not be recorded"):
        recorded(1)


# Errors


def test_errors_name_the_lattice_its_line_and_chain_the_cause() -> None:
    @lattice
    def flow() -> Any:
        add(1)
        return helper_that_fails()

    with pytest.raises(BuildError) as caught:
        graph_of(flow)
    line = inspect.getsourcelines(flow.function)[1] + 3
    assert str(caught.value) == f"lattice flow, line {line} of test_building.py: KeyError: 'gone'"
    assert isinstance(caught.value.__cause__, KeyError)
    assert add(1) == 2


def helper_that_fails() -> Any:
    return {}["gone"]


def test_unpicklable_arguments_are_named() -> None:
    with pytest.raises(EncodeError, match=r"lattice <lambda>, line \d+.*: argument 'value' of give -> \['f'\]"):
        graph_of(lattice(lambda: give({"f": __import__("threading").Lock()})))
    with pytest.raises(EncodeError, match="argument 'data' of <lambda>"):
        graph_of(lattice(lambda data: give(1)), __import__("threading").Lock())


class Config:
    def __init__(self, *items: Any) -> None:
        self.items = list(items)


@pytest.mark.parametrize(
    ("use", "where"),
    [
        (lambda e: give(Config(1, e)), r"argument 'value' of give -> \.items -> \[1\]: <result of add"),
        (lambda e: give([e, Config(e)]), r"argument 'value' of give: <result of add.*inside an object"),
        (lambda e: give([add(5), Config(e)]), r"argument 'value' of give -> \[1\] -> \.items -> \[0\]"),
        (lambda e: _fill(e), r"argument 'value' of give -> .*<result of add"),
        (lambda e: give(pd.DataFrame({"x": pd.Series([e, 1], dtype=object)})), "argument 'value' of give"),
        (lambda e: electron(lambda x: x + e)(1), r"<lambda> -> e|closure"),
        (lambda e: give(lambda: e), "argument 'value' of give"),
        (lambda e: Config(e), r"the return value of lattice .* -> \.items -> \[0\]"),
        (lambda e: electron(_notebook_function(e))(1), "f -> held"),
    ],
    ids=["object", "both", "beside", "array", "frame", "closure", "lambda", "returned", "global"],
)  # fmt: skip
def test_references_inside_opaque_objects_are_named(use: Any, where: str) -> None:
    with pytest.raises(BuildError, match=where):
        graph_of(lattice(lambda: use(add(1))))


def _fill(e: Any) -> Any:
    array = np.empty(2, dtype=object)
    array[0] = e
    return give(array)


def _notebook_function(e: Any) -> Any:
    scope: dict[str, Any] = {"__name__": "__main__", "held": [e]}
    exec("def f(x): return held", scope)
    return scope["f"]


# Cost


def test_ten_thousand_electrons_build_quickly() -> None:
    def seconds(flow: Any, n: int) -> float:
        start = time.process_time()
        build(flow, (n,))
        return time.process_time() - start

    wide = lattice(lambda n: [add(i, 2) for i in range(n)])
    chain = lattice(lambda n: functools.reduce(lambda x, _: add(x, 1), range(n), 0))
    assert min(seconds(wide, 10_000) for _ in range(3)) < 0.4
    assert min(seconds(chain, 10_000) for _ in range(3)) < 0.4


def test_random_nested_calls_equal_plain_python() -> None:
    rng = random.Random(5)

    def flow(depth: int, rng: random.Random) -> Any:
        if depth == 0:
            return rng.randrange(10)
        choice = rng.randrange(4)
        if choice == 0:
            return add(flow(depth - 1, rng), flow(depth - 1, rng))
        if choice == 1:
            return total([flow(depth - 1, rng) for _ in range(3)])
        if choice == 2:
            return give({"a": (flow(depth - 1, rng), [1])})["a"][0]
        return flow(depth - 1, rng) + flow(depth - 1, rng)

    for _ in range(20):
        seed = rng.randrange(10**6)
        start = lattice(lambda seed=seed: flow(4, random.Random(seed)))
        assert run(start) == start()


def test_importing_is_light() -> None:
    code = (
        "import sys, covalent_jupyter.workflow\n"
        "print(sorted({n.partition('.')[0] for n in sys.modules} - set(sys.stdlib_module_names)))"
    )
    out = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("cloudpickle", "numpy", "dask", "distributed", "duckdb", "tornado", "jupyter_core", "IPython"):
        assert repr(heavy) not in out


def test_a_kept_reference_does_not_keep_the_values() -> None:
    kept: list[Any] = []
    array: weakref.WeakSet[Any] = weakref.WeakSet()

    class Data:
        pass

    @lattice
    def flow() -> Any:
        data = Data()
        array.add(data)
        kept.append(give(data))
        return kept[0]

    built = build(flow)
    gc.collect()
    assert len(array) == 0 and "give" in repr(kept[0]) and built.manifest.output == Ref(0)
