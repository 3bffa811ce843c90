"""Tables of pandas and Arrow are kept as Arrow streams, and come back as they were."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from covalent_jupyter import codec

DAYS = pd.date_range("2024-01-01", periods=3, freq="D", tz="Europe/Berlin", name="day")

KEPT: dict[str, Any] = {
    "numbers": pd.DataFrame({"a": [1, 2, 3], "b": [1.5, np.nan, -0.0], "c": [True, False, True]}),
    "small numbers": pd.DataFrame({"h": np.array([1, 2], "f2"), "i": np.array([1, 2], "i1"), "u": np.array([1, 2], "u8")}),
    "infinite": pd.DataFrame({"x": [np.inf, -np.inf, np.nan]}),
    "numbered columns": pd.DataFrame(np.arange(12.0).reshape(4, 3)),
    "texts": pd.DataFrame({"s": ["x", "ü", ""]}),
    "times": pd.DataFrame({"t": pd.to_datetime(["2024-01-01", None]), "d": pd.to_timedelta([1, None], unit="s")}),
    "units of time": pd.DataFrame({"us": np.array(["2024-01-01T00:00:00.123456"], "M8[us]"), "s": np.array(["2024"], "M8[s]")}),
    "index of days": pd.DataFrame({"x": range(3)}, index=DAYS),
    "categories": pd.DataFrame({"c": pd.Categorical(["a", "b", None], categories=["b", "a", "z"], ordered=True)}),
    "nullable": pd.DataFrame({
        "i": pd.array([1, None, 3], dtype="Int64"), "b": pd.array([True, None, False], dtype="boolean"),
        "f": pd.array([1.5, None, 3], dtype="Float32"), "s": pd.array(["a", None, "c"], dtype="string"),
    }),
    "named index": pd.DataFrame({"x": [1, 2]}, index=pd.Index(["p", "q"], name="who")),
    "named columns": pd.DataFrame([[1, 2]], columns=pd.Index(["a", "b"], name="what")),
    "no rows": pd.DataFrame({"a": pd.Series([], dtype="float64")}),
    "nothing": pd.DataFrame(),
    "series": pd.Series([1.5, 2], index=DAYS[:2], name="n"),
    "series without a name": pd.Series(["a", "b"]),
}  # fmt: skip

if int(pd.__version__.partition(".")[0]) >= 3:  # before, texts are objects, and so are their gaps
    KEPT["texts with gaps"] = pd.DataFrame({"s": ["x", None]})

PICKLED: dict[str, Any] = {
    "mixed objects": pd.DataFrame({"x": [1, "y", None]}),
    "texts as objects": pd.DataFrame({"x": pd.Series(["x", None], dtype=object)}),
    "complex": pd.DataFrame({"z": [1j]}),
    "several levels": pd.DataFrame({"x": range(4)}, index=pd.MultiIndex.from_product([["a", "b"], [1, 2]])),
    "labels that are no texts": pd.DataFrame([[1, 2]], columns=[("a", 1), ("a", 2)]),
    "one label twice": pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "intervals": pd.DataFrame({"x": pd.interval_range(0, 2)}),
}  # fmt: skip


def through(value: Any) -> tuple[Any, int]:
    """The value of its frame, and how many Arrow streams that holds."""
    data = bytearray(b"".join(codec.encode(value)))
    return codec.decode(data), len(codec.arrow_streams(data))


def assert_same(one: Any, other: Any) -> None:
    compare: Any = pd.testing.assert_series_equal if isinstance(other, pd.Series) else pd.testing.assert_frame_equal
    compare(one, other, check_freq=True, check_index_type="exact")
    if isinstance(other, pd.DataFrame):
        assert type(one.columns) is type(other.columns) and one.columns.equals(other.columns)


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_as_arrow_comes_back_as_it_was(name: str) -> None:
    back, streams = through(KEPT[name])
    assert streams == 1
    assert_same(back, KEPT[name])
    if back.size:
        at: Any = (0, 0) if back.ndim == 2 else 0
        back.iloc[at] = back.iloc[(-1, 0) if back.ndim == 2 else -1]  # it can be changed, and nobody else sees it
    assert_same(through(KEPT[name])[0], KEPT[name])


@pytest.mark.parametrize("name", PICKLED)
def test_what_arrow_would_change_is_pickled(name: str) -> None:
    back, streams = through(PICKLED[name])
    assert streams == 0
    assert_same(back, PICKLED[name])


def test_attributes_and_flags_stay() -> None:
    frame = pd.DataFrame({"a": [1]})
    frame.attrs["unit"] = {"a": "m"}
    frame = frame.set_flags(allows_duplicate_labels=False)
    back, streams = through(frame)
    assert streams == 1 and back.attrs == {"unit": {"a": "m"}} and not back.flags.allows_duplicate_labels


def test_a_subclass_stays_what_it_is() -> None:
    class Mine(pd.DataFrame):
        pass

    back, streams = through(Mine({"a": [1]}))
    assert streams == 0 and type(back).__name__ == "Mine"


def test_the_streams_are_plain_arrow_inside_any_value() -> None:
    value = {"train": KEPT["numbers"], "more": [pa.table({"x": [1, 2]}), np.arange(3), pa.record_batch({"y": ["a"]})]}
    data = b"".join(codec.encode(value))
    tables = [pa.ipc.open_stream(stream).read_all() for stream in codec.arrow_streams(data)]
    assert [t.column_names for t in tables] == [["a", "b", "c"], ["x"], ["y"]]
    back = codec.decode(data)
    assert back["more"][0].equals(value["more"][0]) and back["more"][2].equals(value["more"][2])
    assert list(back["more"][1]) == [0, 1, 2]


def test_equal_tables_have_one_digest() -> None:
    one, other = (pd.DataFrame({"a": [1, 2], "s": ["x", "y"]}) for _ in range(2))
    assert codec.digest_of(codec.encode(one)) == codec.digest_of(codec.encode(other))


def test_without_pyarrow_tables_are_pickled_and_streams_are_refused_clearly() -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from covalent_jupyter import codec, errors\nimport pandas as pd\n"
        "frame = pd.DataFrame({'a': [1, 2]})\n"
        "data = b''.join(codec.encode(frame))\n"
        "assert codec.arrow_streams(data) == [] and codec.decode(data).equals(frame)\n"
        "try: codec.decode(sys.stdin.buffer.read())\n"
        "except errors.DecodeError as error: print(error)\n"
    )
    data = b"".join(codec.encode(pd.DataFrame({"a": [1, 2]})))
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert f"the value needs the module 'pyarrow', which cannot be imported here (recorded with pyarrow {pa.__version__})" in done.stdout.decode()  # fmt: skip
