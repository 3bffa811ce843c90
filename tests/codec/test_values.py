"""The table of values: what arrives as it was, and to whom it belongs."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import re
import subprocess
import sys
import textwrap
import types
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from covalent_jupyter import blobs, codec


def through(value: Any) -> Any:
    return codec.decode(b"".join(codec.encode(value)))


@dataclasses.dataclass
class Point:
    x: int
    y: list[int]


class Color(enum.Enum):
    RED = 1


class Slotted:
    __slots__ = ("a",)

    def __init__(self, a: int) -> None:
        self.a = a

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slotted) and other.a == self.a


Pair = collections.namedtuple("Pair", "a b")

VALUES = [
    *(
        None,
        True,
        False,
        0,
        -1,
        2**200,
        1.5,
        -0.0,
        1j,
        "",
        "ä\U0001f600",
        "\ud800",
        b"",
        b"x" * 100_000,
        bytearray(b"a"),
    ),
    *([], [1, [2, "a"]], (), (1, (2,)), {}, {"a": {1: None}}, {(1, 2): [3]}, set(), {1, 2.5}, frozenset({1}), range(3)),
    *(Point(1, [2]), Color.RED, Slotted(3), Pair(1, 2), types.SimpleNamespace(a=1), collections.OrderedDict(a=1)),
    *(collections.defaultdict(list, a=[1]), collections.deque([1], 3), collections.Counter("aab"), slice(1, 2)),
    *(datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), datetime.timedelta(1), decimal.Decimal("1.10")),
    *(fractions.Fraction(1, 3), uuid.UUID(int=1), pathlib.PurePosixPath("/a"), re.compile("a+"), int, len, Point, ...),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}-{str(value)[:10]!a}")
def test_plain_values_arrive_as_the_type_they_were(value: Any) -> None:
    back = through(value)
    assert back == value and type(back) is type(value)


def test_what_is_one_object_stays_one_and_cycles_work() -> None:
    shared: list[Any] = [1]
    one, other = through([shared, shared])
    assert one is other
    cycle: list[Any] = []
    cycle.append(cycle)
    back = through(cycle)
    assert back[0] is back


ARRAYS = {
    "plain": np.arange(12.0),
    "large": np.arange(100_000),
    "two_dimensions": np.arange(12).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(12).reshape(3, 4)),
    "strided": np.arange(24)[::3],
    "empty": np.zeros((0, 3)),
    "scalar_array": np.array(3.5),
    "structured": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "objects": np.array([{"a": 1}, None], dtype=object),
    "strings": np.array(["a", "bcd"]),
    "dates": np.array(["2026-01-01"], dtype="datetime64[D]"),
    "big_endian": np.arange(3, dtype=">i4"),
    "broadcast": np.broadcast_to(np.arange(3), (2, 3)),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("mapped", [False, True])
def test_arrays_arrive_equal_and_writable(name: str, mapped: bool, tmp_path: Path) -> None:
    array = ARRAYS[name]
    chunks = codec.encode({"a": array})
    if mapped:
        digest, _ = blobs.write_blob(tmp_path, chunks)
        back = codec.decode(blobs.map_blob(tmp_path, digest))["a"]
    else:
        back = codec.decode(b"".join(chunks))["a"]
    assert back.dtype == array.dtype and back.shape == array.shape
    assert back.tobytes() == array.tobytes() if name != "objects" else list(back) == list(array)
    assert back.flags.writeable and back.flags.aligned


def test_large_arrays_are_neither_copied_when_encoded_nor_when_mapped(tmp_path: Path) -> None:
    array = np.arange(1_000_000)
    chunks = codec.encode(array)
    assert any(np.shares_memory(np.frombuffer(chunk, "u1"), array) for chunk in chunks if len(chunk) == array.nbytes)
    digest, _ = blobs.write_blob(tmp_path, chunks)
    mapped = blobs.map_blob(tmp_path, digest)
    back = codec.decode(mapped)
    assert np.shares_memory(back, np.frombuffer(mapped, "u1"))
    assert back.ctypes.data % codec.ALIGN == 0


def test_an_electron_owns_its_inputs(tmp_path: Path) -> None:
    value = {"a": np.arange(100_000.0), "b": [1], "s": np.arange(3)}
    chunks = codec.encode(value)
    digest, _ = blobs.write_blob(tmp_path, chunks)
    data = b"".join(chunks)
    for load in (lambda: codec.decode(data), lambda: codec.decode(blobs.map_blob(tmp_path, digest))):
        one, other = load(), load()
        one["a"] += 1
        one["s"][:] = 9
        one["b"].append(2)
        for untouched in (value, other, load()):
            assert untouched["a"][0] == 0 and untouched["b"] == [1] and untouched["s"][2] == 2
    assert blobs.read_blob(tmp_path, digest) == data


def test_pandas() -> None:
    frame = pd.DataFrame(
        {"i": range(5_000), "f": np.arange(5_000.0), "s": ["x", "y"] * 2_500, "c": pd.Categorical(["p", "q"] * 2_500)},
        index=pd.date_range("2026-01-01", periods=5_000, freq="h"),
    )
    back = through({"frame": frame, "series": frame.f, "index": frame.index})
    pd.testing.assert_frame_equal(back["frame"], frame)
    pd.testing.assert_series_equal(back["series"], frame.f)
    back["frame"].loc[:, "f"] = 0.0
    back["frame"]["new"] = 1
    back["series"] += 1
    assert frame.f.iloc[1] == 1.0


def test_arrow() -> None:
    table = pa.table({"a": list(range(1_000)), "s": ["x"] * 1_000, "l": [[1], []] * 500})
    assert through(table).equals(table)
    assert through(table.column("s")).equals(table.column("s"))


def test_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    model = through(LogisticRegression().fit(x, y))
    assert list(model.predict(x)) == [0, 0, 1, 1]


def test_figures() -> None:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

    assert through(go.Figure(go.Scatter(y=[1, 2]))).to_dict() == go.Figure(go.Scatter(y=[1, 2])).to_dict()
    figure = Figure()
    figure.subplots().plot([1, 2])
    assert list(through(figure).axes[0].lines[0].get_ydata()) == [1, 2]


def test_a_tensor_of_a_gpu_comes_back_on_the_cpu_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = types.ModuleType("torch")
    source = textwrap.dedent(
        """
        class Tensor:
            def __init__(self, data, device="cpu", requires_grad=False):
                self.data, self.device, self.requires_grad = data, device, requires_grad
            def detach(self): return Tensor(self.data, self.device)
            def cpu(self): return Tensor(self.data, "cpu")
            def to(self, device): return Tensor(self.data, device + ":0")
            def requires_grad_(self, on): self.requires_grad = on; return self
            def __reduce__(self):
                assert self.device == "cpu", "memory of a GPU was written"
                return Tensor, (self.data, "cpu", self.requires_grad)
        class cuda:
            there = False
            def is_available(): return cuda.there
        """
    )
    exec(source, vars(torch))
    monkeypatch.setitem(sys.modules, "torch", torch)
    data = b"".join(codec.encode([torch.Tensor([1, 2], "cuda:0", True), torch.Tensor([3])]))
    gpu, cpu = codec.decode(data)
    assert (gpu.device, gpu.data, gpu.requires_grad, cpu.device) == ("cpu", [1, 2], True, "cpu")
    torch.cuda.there = True
    gpu, cpu = codec.decode(data)
    assert (gpu.device, cpu.device) == ("cuda:0", "cpu")


def test_equal_values_have_equal_digests() -> None:
    for make in (lambda: {"a": [1, 2.5, "x"]}, lambda: np.arange(1_000), lambda: Point(1, [2])):
        assert codec.digest_of(codec.encode(make())) == codec.digest_of(codec.encode(make()))


def test_slots_stand_for_what_is_not_there_yet() -> None:
    hole = object()
    chunks = codec.encode({"a": [1, hole], "b": (hole,)}, slot_of=lambda obj: 0 if obj is hole else None)
    assert codec.decode(b"".join(chunks), slots=["filled"]) == {"a": [1, "filled"], "b": ("filled",)}


def test_importing_the_codec_is_light() -> None:
    code = (
        "import sys, covalent_jupyter.codec as codec; codec.decode(codec.encode(5)[0])\n"
        "heavy = {'numpy', 'pandas', 'cloudpickle', 'duckdb', 'dask', 'tornado'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
