"""Tables in an open format: frames and series of pandas, and pyarrow's tables, lie in a value frame as Arrow IPC streams.

A pickle of pandas' own depends on its inner classes, which change; an Arrow stream is read by any version of pandas, under any
Python, and by other tools. What Arrow does not give back exactly (columns of mixed objects, labels that are not text) stays
a pickle. Where pyarrow is not installed, everything does.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import import_module
from pickle import PickleBuffer
from typing import Any

#: numpy's kinds of dtypes that Arrow gives back as they were
_KINDS = frozenset("biufMm")


def reduce_table(obj: Any, module: str, buffers: list[PickleBuffer]) -> Any:
    """How to pickle an object of pandas or pyarrow as an Arrow stream, which is added to ``buffers``; NotImplemented if it stays
    what it is."""
    top, kind = module.partition(".")[0], type(obj).__name__
    if top == "pandas" and kind in ("DataFrame", "Series"):
        return _reduce_pandas(obj, kind, buffers) if _has_pyarrow() else NotImplemented
    if top == "pyarrow" and kind in ("Table", "RecordBatch"):
        buffer = _stream(obj)
        buffers.append(buffer)
        return _from_arrow, (buffer, kind)
    return NotImplemented


@cache
def _has_pyarrow() -> bool:
    try:
        import_module("pyarrow")
    except ImportError:
        return False
    return True


def _reduce_pandas(obj: Any, kind: str, buffers: list[PickleBuffer]) -> Any:
    import pyarrow

    if not _labels_are_plain(obj, kind) or not _index_is_plain(obj.index):
        return NotImplemented
    extras = _extras(obj, kind)
    frame = obj.to_frame("value" if obj.name is None else obj.name) if kind == "Series" else obj
    objects = [number for number, dtype in enumerate(frame.dtypes) if _is_object(dtype)]
    plain = all(_dtype_is_plain(dtype) for dtype in frame.dtypes if not _is_object(dtype))
    if not plain or not all(_all_texts(frame.iloc[:, number]) for number in objects):
        return NotImplemented
    try:
        if not _survives(tuple(frame.dtypes), obj.index.dtype):
            return NotImplemented
        table = pyarrow.Table.from_pandas(frame)
        if (objects or _is_object(obj.index.dtype)) and not _same_types(table.slice(0, 1).to_pandas(), frame):
            return NotImplemented  # pandas 3 makes them its own kind of text
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError):
        return NotImplemented
    buffer = _stream(table)
    buffers.append(buffer)
    return _from_arrow, (buffer, kind, extras)


def _stream(table: Any) -> PickleBuffer:
    import pyarrow

    room = pyarrow.MockOutputStream()  # only counts: memory that grows would be copied again and again
    _write(table, room)
    buffer = pyarrow.allocate_buffer(room.size())
    _write(table, pyarrow.FixedSizeBufferWriter(buffer))
    return PickleBuffer(buffer)


def _write(table: Any, sink: Any) -> None:
    import pyarrow

    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)


def _labels_are_plain(obj: Any, kind: str) -> bool:
    if kind == "Series":
        return obj.name is None or type(obj.name) is str
    columns = obj.columns
    if type(columns).__name__ == "RangeIndex":
        return bool(columns.name is None)
    return (
        type(columns).__name__ == "Index"
        and columns.is_unique
        and (columns.name is None or type(columns.name) is str)
        and all(type(label) is str for label in columns)
    )


def _index_is_plain(index: Any) -> bool:
    if not all(name is None or type(name) is str for name in index.names):
        return False
    if type(index).__name__ == "MultiIndex":
        return False
    if type(index).__name__ not in ("RangeIndex", "Index", "DatetimeIndex", "TimedeltaIndex"):
        return False
    return _all_texts(index) if _is_object(index.dtype) else _dtype_is_plain(index.dtype)


def _is_object(dtype: Any) -> bool:
    return str(dtype) == "object"


def _all_texts(column: Any) -> bool:
    """Whether a column of objects holds texts, and no gaps: what stands in those, Arrow does not know."""
    from pandas.api.types import infer_dtype

    return bool(infer_dtype(column, skipna=False) == "string")


def _dtype_is_plain(dtype: Any) -> bool:
    kind, module = type(dtype).__name__, type(dtype).__module__
    if module.startswith("numpy"):
        return dtype.kind in _KINDS and dtype.isnative and dtype.itemsize <= 8
    if kind == "CategoricalDtype":
        found = dtype.categories
        return found is not None and (_all_texts(found) if _is_object(found.dtype) else _dtype_is_plain(found.dtype))
    return module.partition(".")[0] == "pandas" and (
        kind in ("StringDtype", "BooleanDtype", "DatetimeTZDtype", "Float32Dtype", "Float64Dtype")
        or kind.removeprefix("U") in ("Int8Dtype", "Int16Dtype", "Int32Dtype", "Int64Dtype")
    )


def _extras(obj: Any, kind: str) -> dict[str, Any]:
    """What Arrow does not know of it."""
    extras: dict[str, Any] = {}
    if kind == "Series":
        extras["name"] = obj.name
    elif type(obj.columns).__name__ == "RangeIndex":
        extras["columns"] = (obj.columns.start, obj.columns.stop, obj.columns.step)
    freq = getattr(obj.index, "freqstr", None)
    if freq is not None:
        extras["freq"] = freq
    if obj.attrs:
        extras["attrs"] = obj.attrs
    if not obj.flags.allows_duplicate_labels:
        extras["duplicates"] = False
    return extras


@lru_cache(256)
def _survives(dtypes: tuple[Any, ...], index: Any) -> bool:
    """Whether columns and an index of these dtypes come back with them."""
    import pandas
    import pyarrow

    frame = pandas.DataFrame(
        {f"c{number}": pandas.Series([], dtype=dtype) for number, dtype in enumerate(dtypes)},
        index=pandas.Index([], dtype=index),
    )
    back = pyarrow.Table.from_pandas(frame).to_pandas()
    return _same_types(back, frame)


def _same_types(one: Any, other: Any) -> bool:
    return list(one.dtypes) == list(other.dtypes) and bool(one.index.dtype == other.index.dtype)


def _from_arrow(buffer: Any, kind: str, extras: dict[str, Any] | None = None) -> Any:
    """The table of a stream. Its memory is the frame's own."""
    import pyarrow

    reader = pyarrow.ipc.open_stream(pyarrow.py_buffer(buffer))
    if kind == "RecordBatch":
        return reader.read_next_batch()
    table = reader.read_all()
    return table if kind == "Table" else _to_pandas(table, kind, extras or {})


def _to_pandas(table: Any, kind: str, extras: dict[str, Any]) -> Any:
    import pandas

    frame = table.to_pandas()
    if _is_read_only(frame):
        frame = frame.copy()
    if "columns" in extras:
        frame.columns = pandas.RangeIndex(*extras["columns"])
    if "freq" in extras:
        frame.index.freq = extras["freq"]
    made = frame.iloc[:, 0].rename(extras["name"]) if kind == "Series" else frame
    made.attrs.update(extras.get("attrs", {}))
    if not extras.get("duplicates", True):
        made.flags.allows_duplicate_labels = False
    return made


def _is_read_only(frame: Any) -> bool:
    """Whether some column is still Arrow's memory, which pandas does not write to; also when one cannot tell."""
    manager = getattr(frame, "_mgr", None)
    if manager is None or not hasattr(manager, "blocks"):
        return True
    for block in manager.blocks:
        for part in (block.values, *(getattr(block.values, name, None) for name in ("_ndarray", "_data", "_mask"))):
            flags = getattr(part, "flags", None)
            if flags is not None and not getattr(flags, "writeable", True):
                return True
    return False
