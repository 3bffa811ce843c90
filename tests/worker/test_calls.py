"""What is round an electron's function: inputs, dependencies, context, previews, sublattices, portable calls."""

from __future__ import annotations

import base64
import collections.abc
import dataclasses
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from covalent_jupyter import codec
from covalent_jupyter.errors import ConfigError
from covalent_jupyter.model import CallDep, Composite, Deps, Hole, Lit, Options, Output, Part, Ref, Reported, Tpl
from covalent_jupyter.model.wire import unpack_body
from covalent_jupyter.worker import context, portable
from covalent_jupyter.worker.deps import is_here
from covalent_jupyter.worker.limits import parse_memory
from covalent_jupyter.worker.pool import RunnerPool
from covalent_jupyter.worker.preview import preview_of
from covalent_jupyter.workflow import electron, lattice
from covalent_jupyter.workflow.failed import Failed

from .packs import PackMaker, fine, run, start


class Slot:
    """A place in a template."""

    def __init__(self, number: int) -> None:
        self.number = number


def template(maker: PackMaker, value: Any) -> str:
    return maker.blob(codec.encode(value, slot_of=lambda obj: obj.number if isinstance(obj, Slot) else None))


def output(value: Any) -> Output:
    data = b"".join(codec.encode(value))
    return Output(codec.digest_of([data]), len(data), data)


def echo() -> Any:
    def show(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    return show


def test_every_kind_of_input(pool: RunnerPool, tmp_path: Path) -> None:
    maker = PackMaker()
    big = np.arange(50_000)
    outputs = {
        100: output({"rows": [10, 20]}),
        101: Composite(None, (Part(output([1, 2, 3]), (("item", 1),)),)),
        102: Composite(output_template := output(None), (Part(output(1)), Part(Hole(7, "ValueError", "bad")))),
        103: Hole(9, "KeyError", "'x'"),
    }
    data = b"".join(
        codec.encode(
            {"a": Slot(0), "b": (Slot(1), 5)}, slot_of=lambda obj: obj.number if isinstance(obj, Slot) else None
        )
    )
    outputs[102] = Composite(
        msgspec.structs.replace(output_template, digest=codec.digest_of([data]), size=len(data), data=data),
        outputs[102].parts,
    )  # type: ignore[union-attr]
    made = maker.add(lambda: np.arange(50_000), name="made")
    refs = (Ref(100, (("item", "rows"), ("item", 1))), Ref(103), made)
    maker.add(
        echo(), Lit(None), big, Ref(100), Ref(101), Ref(102), Ref(103, (("attr", "anything"),)),
        Tpl(template(maker, {"x": [Slot(0), {Slot(1)}], "y": (Slot(2),)}), refs), key=Lit("word"), name="echo",
    )  # fmt: skip
    heard = run(pool, maker, outputs=outputs, blob_root=str(tmp_path))
    assert heard.outcomes[1].status == "completed", heard.outcomes[1].error
    kept = heard.outcomes[1].output
    assert kept is not None and kept.data is None
    from covalent_jupyter.blobs import map_blob

    args, kwargs = codec.decode(map_blob(str(tmp_path), kept.digest))
    assert args[0] is None and (args[1] == big).all()
    assert args[2:6] == (
        {"rows": [10, 20]},
        2,
        {"a": 1, "b": (Failed("ValueError", "bad", 7), 5)},
        Failed("KeyError", "'x'", 9),
    )
    assert args[6]["x"] == [20, {Failed("KeyError", "'x'", 9)}] and (args[6]["y"][0] == big).all()
    assert kwargs == {"key": "word"}


def test_classes_with_slots_come_back(pool: RunnerPool) -> None:
    """Those of a notebook go to the runner by value, and what comes back is of the kernel's class."""

    @dataclasses.dataclass(slots=True)
    class Plain:
        a: int

    @dataclasses.dataclass(slots=True, frozen=True)
    class Frozen:
        a: int
        b: str = "b"

    @dataclasses.dataclass(slots=True, weakref_slot=True)
    class Derived(Plain):
        b: int = 2

    class Both:
        __slots__ = ("__dict__", "__hidden", "a")

        def __init__(self, a: int, b: int) -> None:
            self.a, self.b, self.__hidden = a, b, a + b

        def all(self) -> tuple[int, int, int]:
            return self.a, self.b, self.__hidden

    class Named(NamedTuple):
        a: int

    class Tidy(collections.abc.Sized):
        __slots__ = {"a": "a number"}

        def __len__(self) -> int:
            return 1

    def work(given: Any) -> Any:
        tidy = Tidy()
        tidy.a = 7  # type: ignore[attr-defined]
        made = [Plain(1), Frozen(2), Derived(3, 4), Both(5, 6), tidy, Named(1)]
        with_dict = [type(value).__name__ for value in made[:5] if hasattr(value, "__dict__")]
        return made, given, with_dict

    given = [Plain(8), Frozen(9, "c"), Derived(10)]
    maker = PackMaker()
    maker.add(work, given)
    maker.add(work, given)
    heard = run(pool, maker)
    for node in (0, 1):
        (plain, frozen, derived, both, tidy, named), back, with_dict = heard.value(node)
        assert (plain, frozen, derived, back) == (Plain(1), Frozen(2), Derived(3, 4), given)
        assert type(named) is Named and named == (1,)
        assert [type(v) for v in (plain, frozen, derived, both, tidy)] == [Plain, Frozen, Derived, Both, Tidy]
        assert both.all() == (5, 6, 11) and tidy.a == 7
        assert with_dict == ["Both"]


def test_large_results_without_a_blob_root_come_inside(pool: RunnerPool) -> None:
    maker = PackMaker()
    first = maker.add(lambda: np.ones(100_000), name="ones")
    maker.add(lambda x: float(x.sum()), first, name="total")
    heard = run(pool, maker)
    assert heard.value(0).sum() == 100_000 and heard.value(1) == 100_000.0


def test_deps_run_in_order(pool: RunnerPool, tmp_path: Path) -> None:
    path = str(tmp_path / "order")

    def note(text: str) -> str:
        with open(path, "a") as file:
            file.write(text + "\n")
        return text

    def main(x: int, given: Any = None, alone: Any = None) -> Any:
        note("function")
        return x, given, alone

    maker = PackMaker()
    call = lambda *args: maker.blob(codec.encode((note, args, {})))  # noqa: E731
    deps = Deps(
        bash=(f"echo bash >> {path}", "echo printed"),
        before=(
            CallDep(call("before 1"), "note", "given"),
            CallDep(call("before 2"), "note", "given"),
            CallDep(call("b3"), "", "alone"),
        ),
        after=(CallDep(call("after"), "note"),),
    )
    maker.add(main, Lit(1), options=Options(deps=deps))
    heard = run(pool, maker)
    assert heard.value(0) == (1, ["before 1", "before 2"], "b3")
    assert Path(path).read_text().split("\n") == ["bash", "before 1", "before 2", "b3", "function", "after", ""]
    assert heard.outcomes[0].stdout.text == "printed\n"


def test_failing_deps(pool: RunnerPool) -> None:
    def bad() -> None:
        raise ValueError("not today")

    maker = PackMaker()
    call = CallDep(maker.blob(codec.encode((bad, (), {}))), "bad")
    for deps in (
        Deps(bash=("echo why; exit 3",)),
        Deps(before=(call,)),
        Deps(after=(call,)),
        Deps(bash=("kill -9 $$",)),
    ):
        maker.add(fine, Lit(1), options=Options(deps=deps))
    maker.add(fine, Lit(1), options=Options(deps=Deps(pip=("no-such-package @ file:///nonexistent.whl",))))
    heard = run(pool, maker)
    errors = [heard.outcomes[node].error for node in range(5)]
    assert all(error is not None and error.cause == "deps" for error in errors)
    texts = [error.message for error in errors if error]
    assert texts[0] == "the command 'echo why; exit 3' ended with status 3:\nwhy"
    assert texts[1] == "call_before bad failed: ValueError: not today"
    assert texts[2] == "call_after bad failed: ValueError: not today"
    assert "killed by signal 9" in texts[3]
    assert texts[4].startswith("pip install no-such-package") and "nonexistent" in texts[4]


def test_packages_that_are_there_are_not_installed(pool: RunnerPool, tmp_path: Path) -> None:
    maker = PackMaker()
    there = ("numpy", f"NumPy=={np.__version__}", 'no-such-package; python_version < "3"')
    maker.add(fine, Lit(1), options=Options(deps=Deps(pip=there)))
    assert run(pool, maker, work_root=str(tmp_path / "work")).outcomes[0].status == "completed"
    assert not (tmp_path / "work" / "pip").exists()
    for absent in ("no-such-package", "numpy<0.1", "numpy[extra]", "numpy @ file:///x.whl", "-r file.txt", "?"):
        assert not is_here(absent)


def test_pip_installs_beside_the_environment(pool: RunnerPool, tmp_path: Path) -> None:
    source = tmp_path / "src" / "tiny_thing"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("answer = 42")
    wheel = make_wheel(tmp_path, source)

    def use() -> Any:
        import tiny_thing  # type: ignore[import-not-found]

        return tiny_thing.answer, tiny_thing.__file__

    def without() -> Any:
        import importlib.util

        return importlib.util.find_spec("tiny_thing") is None

    for _ in range(2):
        maker = PackMaker()
        maker.add(use, options=Options(deps=Deps(pip=(str(wheel),))))
        heard = run(pool, maker, work_root=str(tmp_path / "work"))
        answer, file = heard.value(0)
        assert answer == 42 and file.startswith(str(tmp_path / "work"))
        wheel.unlink(missing_ok=True)  # the second time it is there already
    other = PackMaker(maker.root)
    other.add(without)
    assert run(pool, other).value(0) is True
    assert subprocess.run([sys.executable, "-c", "import tiny_thing"], capture_output=True).returncode == 1


def make_wheel(folder: Path, source: Path) -> Path:
    import zipfile

    wheel = folder / "tiny_thing-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(source / "__init__.py", "tiny_thing/__init__.py")
        archive.writestr("tiny_thing-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1\n")
        archive.writestr(
            "tiny_thing-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_thing-1.dist-info/RECORD", "")
    return wheel


def test_context(pool: RunnerPool, tmp_path: Path) -> None:
    def ask() -> Any:
        import threading

        from covalent_jupyter.worker.context import get_context

        here = get_context()
        with open(here.checkpoint_dir / "state", "a") as file:
            file.write("x")
        seen: list[Any] = []
        thread = threading.Thread(target=lambda: seen.append(get_context().node_id))
        thread.start()
        thread.join()
        return (
            here.dispatch_id,
            here.node_id,
            here.attempt,
            here.seed,
            str(here.workdir),
            (here.checkpoint_dir / "state").read_text(),
            seen,
        )

    maker = PackMaker()
    maker.add(ask, seed=99, node=4)
    heard = run(pool, maker, work_root=str(tmp_path))
    dispatch_id, node, attempt, seed, workdir, state, seen = heard.value(4)
    assert (dispatch_id, node, attempt, seed, state, seen) == (maker.dispatch_id, 4, 1, 99, "x", [4])
    assert Path(workdir).is_dir() and Path(workdir).is_relative_to(tmp_path)
    maker.tasks[0].attempt = 2
    again = run(pool, maker, work_root=str(tmp_path)).value(4)
    assert again[5] == "xx" and again[4] != workdir


def test_context_outside_of_an_electron() -> None:
    here = context.get_context()
    assert (here.dispatch_id, here.node_id, here.workdir, here.checkpoint_dir) == ("", -1, Path.cwd(), Path.cwd())
    assert list(context.progress([1, 2])) == [1, 2]
    context.report(loss=1)


def test_progress_and_reports(pool: RunnerPool, tmp_path: Path) -> None:
    def train(path: str) -> None:
        import os
        import time

        import numpy

        from covalent_jupyter.worker.context import progress, report

        for step in progress(range(4)):
            report(step=step, loss=numpy.float64(0.5), what=[1], wide=2**70)
            time.sleep(0.15)
        while not os.path.exists(path):
            time.sleep(0.01)

    maker = PackMaker()
    maker.add(train, str(tmp_path / "go"))
    heard, thread = start(pool, maker.pack())
    heard.wait_for(lambda heard: any(fact.progress.get("done") == 4 for fact in heard.grown))
    (tmp_path / "go").touch()
    thread.join(60)
    assert heard.grown[-1].progress["total"] == 4
    points = heard.reports(0)
    assert [values["step"] for _, values in points] == [0, 1, 2, 3]
    last = {"step": 3, "loss": 0.5, "what": "[1]", "wide": str(2**70)}
    assert points[3][1] == last and points[0][0] < points[3][0]
    end = heard.outcomes[0].progress
    assert (end["done"], end["total"], end["report"]) == (4, 4, last) and end["elapsed"] >= 0.6
    assert any(fact.points[0][1]["step"] < 3 for fact in heard.facts if isinstance(fact, Reported)), "told meanwhile"


def test_imported_packages_are_named(pool: RunnerPool) -> None:
    def use() -> None:
        import json.tool

        import pandas

        assert json.tool and pandas

    maker = PackMaker()
    maker.add(use)
    maker.add(use)
    heard = run(pool, maker)
    assert "pandas" in heard.outcomes[0].imported and "json" not in heard.outcomes[0].imported
    assert heard.outcomes[1].imported == ()


def test_sublattice(pool: RunnerPool, tmp_path: Path) -> None:
    @electron
    def add(a: int, b: Any) -> Any:
        return a + b

    @lattice
    def inner(count: int, data: Any) -> Any:
        total = 0
        for number in range(count):
            total = add(number, total)
        return add(total, data)

    maker = PackMaker()
    digest = maker.blob(codec.encode(inner))
    maker.add(fine, Lit(2), np.ones(10_000), kind="sublattice", name="inner", seed=5)
    maker.tasks[0].function = digest
    outcome = run(pool, maker, blob_root=str(tmp_path)).outcomes[0]
    assert outcome.status == "completed", outcome.error
    assert outcome.child is not None and outcome.output is None
    head, blobs = unpack_body(outcome.child)
    manifest = head.manifest
    assert len(manifest.nodes) == 3 and manifest.parent == (maker.dispatch_id, 0) and manifest.root == maker.root
    assert manifest.environment is None
    large = [digest for digest, size in manifest.blobs.items() if size > 16_384]
    assert large and all(digest not in blobs for digest in large)


def test_a_sublattice_that_does_not_build(pool: RunnerPool) -> None:
    @lattice
    def broken() -> Any:
        raise ValueError("in the lattice")

    maker = PackMaker()
    maker.add(fine, kind="sublattice", name="broken")
    maker.tasks[0].function = maker.blob(codec.encode(broken))
    error = run(pool, maker).outcomes[0].error
    assert error is not None and "in the lattice" in error.message


def test_portable_calls(tmp_path: Path) -> None:
    def noisy(x: Any, extra: Any) -> Any:
        import random

        from covalent_jupyter.worker.context import get_context

        return x * 2, extra, random.random(), get_context().node_id

    maker = PackMaker()
    note = CallDep(maker.blob(codec.encode((len, ("four",), {}))), "len", "extra")
    maker.add(noisy, [1, 2], options=Options(deps=Deps(before=(note,))), seed=11)
    pack = maker.pack(log_root=str(tmp_path))
    call, args, kwargs = portable.make_call(pack.tasks[0], pack)
    code = (
        "import pickle, sys; call, args, kwargs = pickle.load(sys.stdin.buffer)\n"
        "sys.stdout.buffer.write(pickle.dumps(call(*args, **kwargs)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps((call, args, kwargs)),
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    result = pickle.loads(done.stdout)
    import random

    random.seed(11)
    assert result == ([1, 2, 1, 2], 4, random.random(), 0)
    assert context.get_context().node_id == -1
    outcome = portable.finish(
        pack.tasks[0], pack, time.time() - 1, result=result, stdout="long\n" * 1000, stderr="short"
    )
    assert outcome.status == "completed" and outcome.output is not None and outcome.preview is not None
    assert (tmp_path / outcome.stdout.file).read_text() == "long\n" * 1000 and outcome.stderr.text == "short"
    outcome = portable.finish(pack.tasks[0], pack, time.time(), error=ValueError("no"))
    assert outcome.status == "failed" and outcome.error is not None and outcome.error.message == "no"
    with open("/dev/null") as file:
        outcome = portable.finish(pack.tasks[0], pack, time.time(), result=file)
    assert outcome.error is not None and outcome.error.cause == "encode"


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    @property
    def shape(self) -> Any:
        raise RuntimeError("no")


class Slow:
    def __repr__(self) -> str:
        time.sleep(60)
        return ""


class Wide:
    def __repr__(self) -> str:
        return "x" * 10_000_000


@pytest.mark.parametrize(
    "value, kind, text, shape",
    [
        (1, "int", "1", ""),
        (None, "NoneType", "None", ""),
        (1.5, "float", "1.5", ""),
        (1 << 5000, "int", "<an integer of 5001 bits>", ""),
        ("text", "str", "'text'", "4 characters"),
        ([1, "a"], "list", "[1, 'a']", "2 items"),
        ({"a": (1,)}, "dict", "{'a': (1,)}", "1 item"),
        (np.zeros((100, 4)), "numpy.ndarray", None, "100×4 float64"),
        (
            Hostile(),
            "tests.worker.test_calls.Hostile",
            "<tests.worker.test_calls.Hostile: its repr raised RuntimeError>",
            "",
        ),
    ],
)
def test_previews(value: Any, kind: str, text: str | None, shape: str) -> None:
    preview = preview_of(value, 100)
    assert (preview.type, preview.shape) == (kind, shape)
    assert text is None or preview.repr == text


def test_previews_are_bounded() -> None:
    begun = time.monotonic()
    for value in (
        Slow(),
        Wide(),
        [Wide()] * 100,
        list(range(3_000_000)),
        dict.fromkeys(range(10000), "x" * 1000),
        "x" * 10_000_000,
        "€" * 5000,
    ):
        preview = preview_of(value, 100)
        assert 0 < len(preview.repr.encode()) <= 2000
    assert time.monotonic() - begun < 30
    assert "takes too long" in preview_of(Slow(), 10).repr
    loop: list[Any] = []
    loop.append(loop)
    assert preview_of(loop, 10).repr


def test_rich_previews() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"name": ["<script>alert(1)</script>"] * 5000, "n": range(5000)})
    preview = preview_of(frame, 10**6)
    assert preview.shape == "5000 rows × 2 columns"
    assert preview_of(frame[["n"]].head(1), 100).shape == "1 row × 1 column"
    assert "<script>" not in preview.mime["text/html"] and len(preview.mime["text/html"]) < 60_000
    assert preview_of(np.float64(2.5), 10).scalar == 2.5
    assert preview_of(np.array(3), 10).scalar == 3

    class Pictured:
        def _repr_png_(self) -> bytes:
            return b"\x89PNG" + b"x" * 10

        def _repr_html_(self) -> str:
            raise RuntimeError("no")

    assert base64.b64decode(preview_of(Pictured(), 10).mime["image/png"]).startswith(b"\x89PNG")


def test_figures() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(30, 20))
    figure.subplots().plot([1, 2])
    assert base64.b64decode(preview_of(figure, 10).mime["image/png"]).startswith(b"\x89PNG")
    assert "image/png" in preview_of(figure.axes[0], 10).mime
    noise = Figure()
    noise.subplots().imshow(np.random.default_rng(1).random((500, 500, 3)))
    assert "image/png" in preview_of(noise, 10).mime


def test_the_picture_of_a_figure_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    drawn = Figure.savefig

    def slowly(self: Figure, *args: Any, **kwargs: Any) -> None:
        time.sleep(1.2)
        drawn(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", slowly)
    assert "image/png" in preview_of(Figure(), 10).mime
    monkeypatch.setattr("covalent_jupyter.worker.preview._PICTURE_SECONDS", 0.1)
    preview = preview_of(Figure(), 10)
    assert preview.mime == {} and preview.repr.startswith("<Figure")
    assert preview.warnings == ("it is shown without picture or table: making them takes too long",)


def test_a_picture_that_cannot_be_made_is_told() -> None:
    class Broken:
        def _repr_html_(self) -> str:
            raise ValueError("no")

    class Huge:
        def _repr_html_(self) -> str:
            return "x" * 1_000_000

    class Plain:
        def _repr_html_(self) -> str:
            raise NotImplementedError

    told = [preview_of(value(), 10).warnings for value in (Broken, Huge, Plain)]
    assert told == [
        ("it is shown without picture or table: making them raised ValueError",),
        ("it is shown without picture or table: too large (text/html, 1.0 MB)",),
        (),
    ]


def test_memory_in_words() -> None:
    assert [parse_memory(value) for value in (None, 0, 1e9, "2GB", "1.5 GiB", "512mib", "100", "3k")] == [
        None, None, 10**9, 2 * 10**9, 3 * 2**29, 2**29, 100, 3000,
    ]  # fmt: skip
    for value in ("much", "2XB", -1, True, [], "GB"):
        with pytest.raises(ConfigError, match="2GB"):
            parse_memory(value)
