"""Options, deps and executors: checked where they are written, inherited key by key, never written back."""

from __future__ import annotations

import copy
import importlib
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from covalent_jupyter import codec
from covalent_jupyter.errors import BuildError, ConfigError
from covalent_jupyter.executors.objects import BaseExecutor, LocalExecutor
from covalent_jupyter.model.graph import Deps, ExecutorSpec, Options
from covalent_jupyter.workflow import DepsBash, DepsCall, DepsModule, DepsPip, build, electron, lattice

from .local_runs import graph_of, run


@electron
def add(x: Any, y: Any = 1) -> Any:
    return x + y


def options_of(flow: Any) -> list[Options]:
    graph = graph_of(flow)
    return [graph.options[node.options] for node in graph.nodes]


def test_defaults() -> None:
    (options,) = options_of(lattice(lambda: add(1)))
    assert options == Options() and graph_of(lattice(lambda: add(1))).executors == [ExecutorSpec("dask")]
    assert build(lattice(lambda: add(1)), executor="local").manifest.executors == [ExecutorSpec("local")]


def test_every_option_arrives() -> None:
    given: dict[str, Any] = {
        "retries": 3, "retry_delay": 1, "timeout": 2.5, "resources": {"cpu": 2, "memory": "1 GB", "license": "x"},
        "on_error": "value", "on_interrupt": "fail", "keep": "never", "deps_bash": "echo", "deps_pip": ["a", "b"],
    }  # fmt: skip
    wanted = Options(
        retries=3, retry_delay=1.0, timeout=2.5, resources={"cpu": 2, "memory": 10**9, "license": "x"},
        on_error="value", on_interrupt="fail", keep="never", deps=Deps(bash=("echo",), pip=("a", "b")),
    )  # fmt: skip
    for made in (
        electron(**given)(lambda x: x),
        electron(lambda x: x, **given),
        electron(lambda x: x).options(**given),
    ):
        assert options_of(lattice(lambda made=made: made(1))) == [wanted]
    assert options_of(lattice(lambda: add(1), **given)) == [wanted]


def test_options_are_inherited_key_by_key_and_never_written_back() -> None:
    own = electron(lambda x: x, retries=1, resources={"gpu": 1}, name="own")
    before = copy.deepcopy(own.given)
    flow = lattice(
        lambda: [own(1), own.options(timeout=None)(2), add(3)], retries=7, timeout=9, resources={"cpu": 4, "gpu": 0}
    )
    kept = copy.deepcopy(flow.given)
    one, two, three = options_of(flow)
    assert (one.retries, one.timeout, one.resources) == (1, 9.0, {"cpu": 4, "gpu": 1})
    assert (two.retries, two.timeout) == (1, None)
    assert (three.retries, three.timeout, three.resources) == (7, 9.0, {"cpu": 4, "gpu": 0})
    assert own.given == before and flow.given == kept and add.given == {}
    assert options_of(lattice(lambda: own(1)))[0].timeout is None


def test_one_electron_under_two_executors() -> None:
    local = lattice(lambda: add(1), executor="local")
    other = lattice(lambda: [add(1), add.options(executor="local")(2), add(3)])
    assert graph_of(local).executors == [ExecutorSpec("local")]
    graph = graph_of(other)
    assert [e.name for e in graph.executors] == ["dask", "local"]
    assert [graph.options[n.options].executor for n in graph.nodes] == [0, 1, 0]
    assert len(graph.functions) == 1
    assert graph_of(local).executors == [ExecutorSpec("local")]


def test_tables_hold_every_entry_once() -> None:
    flow = lattice(lambda: [add.options(retries=i % 3, executor="local")(i) for i in range(30)])
    graph = graph_of(flow)
    assert len(graph.options) == 3 and len(graph.executors) == 1 and len(graph.functions) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"retrys": 1},
            r"electron f: there is no option 'retrys' \(did you mean 'retries'\?\); options are executor, ",
        ),
        ({"retries": -1}, "electron f: retries must be a whole number from 0, not -1"),
        ({"retries": True}, "retries must be a whole number"),
        ({"retries": "3"}, "retries must be a whole number from 0, not '3'"),
        ({"retry_delay": math.nan}, "retry_delay must be a number of seconds"),
        ({"timeout": 0}, "timeout must be more than 0 seconds, or None"),
        ({"timeout": "1h"}, "timeout must be a number of seconds"),
        ({"on_error": "values"}, r"on_error must be 'fail' or 'value', not 'values' \(did you mean 'value'\?\)"),
        ({"on_interrupt": "again"}, "on_interrupt must be 'run_again' or 'fail'"),
        ({"keep": 1}, "keep must be 'always' or 'until_done' or 'never', not 1"),
        ({"resources": 4}, 'resources must be a dict such as {"cpu": 2, "memory": "4 GB"}'),
        ({"resources": {"cpus": 4}}, r"there is no 'cpus' \(did you mean 'cpu'\?\)"),
        ({"resources": {"cpu": -1}}, "cpu must be a number from 0"),
        ({"resources": {"memory": "much"}}, "memory must be bytes or a text such as \"4 GB\", not 'much'"),
        ({"resources": {"x": object()}}, "x must be a number or a string"),
        ({"name": ""}, "name must be a string of 1 to 200"),
        ({"executor": 3}, "executor must be a short name such as 'dask' or 'local', or an executor object"),
        ({"executor": dict}, r"pass an instance: dict\(\), not the class"),
        ({"deps_pip": 3}, "deps_pip: DepsPip: packages must be a string or a list of strings, not 3"),
        ({"deps_bash": [1]}, "deps_bash: DepsBash: commands must be a string"),
        ({"call_before": 4}, "call_before: DepsCall needs a function, not int 4"),
        ({"deps_module": 5}, "deps_module: DepsModule needs a module or its name"),
        ({"files": []}, "there is no option 'files'"),
    ],
    ids=lambda v: str(v)[:40],
)
def test_wrong_options_name_the_option_and_the_choices(given: Any, message: str) -> None:
    def f(x: int) -> int:
        return x

    with pytest.raises(ConfigError, match=message):
        electron(f, **given)
    with pytest.raises(ConfigError, match=message.replace("electron f", "")):
        electron(**given)
    with pytest.raises(ConfigError):
        electron(f).options(**given)
    with pytest.raises(ConfigError):
        lattice(f, **given)


def test_a_wrong_option_in_the_lattice_names_its_line() -> None:
    with pytest.raises(
        ConfigError, match=r"lattice <lambda>, line \d+ of test_building_options.py: add.options: retries"
    ):
        graph_of(lattice(lambda: add.options(retries="x")(1)))


@pytest.mark.parametrize(
    ("text", "size"),
    [("4 GB", 4 * 10**9), ("512MiB", 512 * 2**20), ("1e9", 10**9), ("1.5k", 1500), ("7", 7), ("2 tib", 2**41)],
)
def test_sizes(text: str, size: int) -> None:
    (options,) = options_of(lattice(lambda: add.options(resources={"memory": text})(1)))
    assert options.resources == {"memory": size}


class Mine:
    """An executor object, as far as building knows one."""

    short_name = "mine"

    def __init__(self, **options: Any) -> None:
        self.options = options

    def to_spec(self, encode: Any) -> ExecutorSpec:
        if "instance" in self.options:
            return ExecutorSpec("mine", {}, encode(self.options))
        return ExecutorSpec("mine", self.options)


def test_time_limit_and_retries_of_an_executor_count_where_the_electron_says_nothing() -> None:
    quick = LocalExecutor(time_limit=5, retries=2)
    flow = lattice(lambda: [add(1), add.options(timeout=9, retries=0)(2), add.options(timeout=None)(3)], executor=quick)
    assert [(o.timeout, o.retries) for o in options_of(flow)] == [(5.0, 2), (9.0, 0), (None, 2)]

    class Own(BaseExecutor):
        def run(self, function: Any, args: Any, kwargs: Any, task_metadata: Any) -> Any:
            return function(*args, **kwargs)

    (options,) = options_of(lattice(lambda: add.options(executor=Own(time_limit=3))(1)))
    assert (options.timeout, options.retries) == (3.0, 0)
    (options,) = options_of(lattice(lambda: add.options(executor=Own())(1)))
    assert (options.timeout, options.retries) == (None, 0)


def test_executor_objects() -> None:
    one = Mine(partition="gpu")
    flow = lattice(
        lambda: [add.options(executor=one)(1), add.options(executor=Mine(partition="gpu"))(2), add(3)], executor=one
    )
    graph = graph_of(flow)
    assert graph.executors == [ExecutorSpec("mine", {"partition": "gpu"})]
    built = build(lattice(lambda: add(1), executor=Mine(instance=5)))
    spec = built.manifest.executors[0]
    assert spec.instance is not None and codec.decode(built.blobs[spec.instance][0]) == {"instance": 5}

    class Bad(Mine):
        def to_spec(self, encode: Any) -> Any:
            return "nothing"

    with pytest.raises(ConfigError, match="gave str, not an ExecutorSpec"):
        graph_of(lattice(lambda: add(1), executor=Bad()))


def test_workflow_executor_builds_the_sublattice() -> None:
    inner = electron(lattice(lambda x: add(x), workflow_executor="local", executor="local"))
    graph = graph_of(lattice(lambda: inner(1)))
    assert graph.executors == [ExecutorSpec("local")]
    with pytest.raises(ConfigError, match="workflow_executor"):
        lattice(lambda: 1, workflow_executor=5)


def test_what_would_be_ignored_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError, match="workflow_executor of lattice .*no executor 'lcal'. Did you mean 'local'"):
        build(lattice(lambda: add(1), workflow_executor="lcal"))
    with pytest.raises(ConfigError, match="triggers are not supported, .*once=True"):
        lattice(triggers=[object()])
    assert lattice(lambda: add(1), triggers=None) is not None
    warnings = build(lattice(lambda: [add(1), add(2)], resources={"cpu": 1, "fpga": 1})).manifest.warnings
    assert [w for w in warnings if "'fpga'" in w] == [
        "add: executor 'dask' knows no resource 'fpga', and does not wait for it; it knows cpu, gpu, memory"
    ]
    assert not build(lattice(lambda: add(1), resources={"fpga": 1}, executor=Mine())).manifest.warnings


# Deps


def test_deps_in_all_their_forms(tmp_path: Path) -> None:
    (tmp_path / "reqs.txt").write_text("# comment\nnumpy>=1 # why\n\n--extra-index-url https://example.org/x\n")
    forms = [
        ({"deps_pip": "numpy"}, Deps(pip=("numpy",))),
        ({"deps_pip": ["numpy", "scipy"]}, Deps(pip=("numpy", "scipy"))),
        ({"deps_pip": DepsPip("numpy")}, Deps(pip=("numpy",))),
        (
            {"deps_pip": DepsPip(["a"], reqs_path=str(tmp_path / "reqs.txt"))},
            Deps(pip=("a", "numpy>=1", "--extra-index-url", "https://example.org/x")),
        ),
        ({"deps_bash": "echo 1"}, Deps(bash=("echo 1",))),
        ({"deps_bash": DepsBash(["echo 1", "echo 2"])}, Deps(bash=("echo 1", "echo 2"))),
    ]
    for given, deps in forms:
        assert options_of(lattice(lambda given=given: add.options(**given)(1)))[0].deps == deps
    with pytest.raises(ConfigError, match="requirements file '/nowhere/r.txt' cannot be read"):
        graph_of(lattice(lambda: add.options(deps_pip=DepsPip(reqs_path="/nowhere/r.txt"))(1)))


def before_call(a: int = 1) -> int:
    return a * 2


def test_calls_before_and_after() -> None:
    calls: Any = [DepsCall(before_call, [5], retval_keyword="y"), before_call, electron(before_call), lambda: 0]
    built = build(lattice(lambda: add.options(call_before=calls, call_after=before_call)(1)))
    deps = built.manifest.options[0].deps
    assert [(c.name, c.retval_keyword) for c in deps.before] == [
        ("before_call", "y"), ("before_call", ""), ("before_call", ""), ("<lambda>", ""),
    ]  # fmt: skip
    assert [c.name for c in deps.after] == ["before_call"]
    function, args, kwargs = codec.decode(built.blobs[deps.before[0].digest][0])
    assert (function(*args, **kwargs), args, kwargs) == (10, (5,), {})
    assert deps.before[1].digest == deps.before[2].digest
    assert run(lattice(lambda: add.options(call_before=calls)(1))) == 11


def test_an_injected_keyword_counts_as_given() -> None:
    @electron
    def needs(x: int, y: int) -> int:
        return x + y

    flow = lattice(lambda: needs(1), call_before=DepsCall(before_call, [4], retval_keyword="y"))
    assert run(flow) == 9
    with pytest.raises(BuildError, match="has no parameter 'z', which the retval_keyword of a DepsCall names"):
        graph_of(lattice(lambda: needs(1), call_before=DepsCall(before_call, retval_keyword="z")))


def test_an_injected_keyword_is_checked_where_every_argument_is_given() -> None:
    @electron
    def whole(x: int, y: int) -> int:
        return x + y

    with pytest.raises(BuildError, match="has no parameter 'z', which the retval_keyword of a DepsCall names"):
        graph_of(lattice(lambda: whole(1, 2), call_before=DepsCall(before_call, retval_keyword="z")))
    with pytest.raises(BuildError, match="got two values for 'y': one by position, one by the retval_keyword"):
        graph_of(lattice(lambda: whole(1, 2), call_before=DepsCall(before_call, retval_keyword="y")))
    assert run(lattice(lambda: whole(1, y=2), call_before=DepsCall(before_call, [4], retval_keyword="y"))) == 9


def test_options_cannot_be_set_in_place() -> None:
    @lattice
    def flow() -> Any:
        return add(1)

    for thing, way_out in (
        (add, r"add\.options\(executor=\.\.\.\)"),
        (flow, r"ct\.lattice\(flow\.function, executor=\.\.\.\)"),
    ):
        with pytest.raises(AttributeError, match=way_out):
            thing.executor = "local"
        thing.seen = True  # what is no option is the user's own
        assert thing.seen and not hasattr(thing, "metadata")
    with pytest.raises(
        AttributeError, match=r"'electron_object', which Covalent's have: .*f\.options\(executor=\.\.\.\)"
    ):
        add.electron_object.executor = "local"
    with pytest.raises(AttributeError, match="'workflow_function', which Covalent's have: it is called function"):
        _ = flow.workflow_function
    with pytest.raises(ConfigError, match="no option 'backend', which Covalent has: it is called executor"):
        electron(backend="local")


def test_deps_are_inherited_key_by_key() -> None:
    flow = lattice(
        lambda: [add(1), add.options(deps_pip="own", call_before=[])(2)],
        deps_pip="outer", deps_bash="echo", call_before=before_call,
    )  # fmt: skip
    one, two = options_of(flow)
    assert (one.deps.pip, one.deps.bash, len(one.deps.before)) == (("outer",), ("echo",), 1)
    assert (two.deps.pip, two.deps.bash, len(two.deps.before)) == (("own",), ("echo",), 0)


def test_operators_have_the_lattices_environment_but_not_its_calls() -> None:
    flow = lattice(lambda: add(1) + 1, deps_pip="outer", call_before=before_call, executor="local")
    graph = graph_of(flow)
    operator = graph.options[graph.nodes[1].options]
    assert operator.deps == Deps(pip=("outer",)) and graph.executors == [ExecutorSpec("local")]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DepsCall(5), "DepsCall needs a function, not int 5"),
        (lambda: DepsCall(before_call, "text"), r"write args=\['text'\]"),
        (lambda: DepsCall(before_call, retval_keyword="a b"), "no parameter name"),
        (lambda: DepsCall(before_call, retval_keyword="files"), "kept for file transfers"),
        (lambda: DepsModule(""), "needs a module or its name"),
        (lambda: DepsPip([""]), "must be a string or a list"),
    ],
)
def test_wrong_deps(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
    DepsCall(before_call, retval_keyword="files", override_reserved_retval_keys=True)


def test_a_reference_in_a_call_dep_is_refused() -> None:
    with pytest.raises(BuildError, match="call_before of add"):
        graph_of(lattice(lambda: add.options(call_before=DepsCall(before_call, [add(1)]))(2)))


def test_deps_module_takes_a_local_module_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sidecar_of_mine.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    flow = lattice(lambda: add.options(deps_module="sidecar_of_mine")(1))
    graph = graph_of(flow)
    assert graph.environment is not None and "sidecar_of_mine.py" in graph.environment.modules
    (tmp_path / "sidecar_of_mine.py").write_text("VALUE = 2\n")
    assert graph_of(flow).nodes[0].key != graph.nodes[0].key
    with pytest.raises(BuildError, match="deps_module of add: there is no local module 'sidecar_of_nobody'"):
        graph_of(lattice(lambda: add.options(deps_module=["sidecar_of_nobody"])(1)))


def test_a_local_module_named_like_one_of_the_standard_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "antigravity.py").write_text("VALUE = 1\n")
    (tmp_path / "this.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "this", raising=False)
    importlib.import_module("this")
    graph = graph_of(lattice(lambda: add.options(deps_module=["this", "antigravity"])(1)))
    assert graph.environment is not None and {"this.py", "antigravity.py"} <= set(graph.environment.modules)
    monkeypatch.delitem(sys.modules, "this")


def test_a_class_method_below_the_decorator() -> None:
    with pytest.raises(ConfigError, match="flow: write @classmethod above @ct.lattice, not below it"):

        class Model:
            @lattice
            @classmethod
            def flow(cls) -> None: ...

    with pytest.raises(ConfigError, match="step: write @classmethod above @ct.electron, not below it"):

        class Other:
            @electron
            @classmethod
            def step(cls) -> None: ...
