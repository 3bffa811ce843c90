"""What cannot be pickled is named with the path to it and the way out; what cannot be loaded says why."""

from __future__ import annotations

import copyreg
import io
import queue
import socket
import sqlite3
import sys
import tempfile
import threading
import types
from collections.abc import Callable
from typing import Any

import pytest
import tblib.pickling_support
from hypothesis import given, settings
from hypothesis import strategies as st

from covalent_jupyter import codec
from covalent_jupyter.errors import DecodeError, ElectronCrashed, EncodeError, NotFound, RefError


def message(value: Any, name: str = "result") -> str:
    with pytest.raises(EncodeError) as caught:
        codec.encode(value, name=name)
    return str(caught.value)


class Holder:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def test_the_path_to_the_culprit() -> None:
    with sqlite3.connect(":memory:") as conn:
        assert message({"model": Holder(a=1, conn=conn)}) == (
            "result -> ['model'] -> .conn: sqlite3.Connection cannot be pickled; "
            "create it inside the electron, or return what you need from it"
        )
        assert message([0, ({"k": [conn]},)]).startswith("result -> [1] -> [0] -> ['k'] -> [0]: sqlite3.Connection")
        assert message(lambda: conn, "f").startswith("f -> conn: sqlite3.Connection")
        assert message(lambda c=conn: c, "f").startswith("f -> default of c: sqlite3.Connection")
    conn.close()


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "generator": (lambda: (i for i in range(3)), "generator cannot be pickled; return a list of its items instead"),
    "text file": (lambda: open(__file__), "ct.File(path)"),
    "binary file": (lambda: open(__file__, "rb"), "ct.File(path)"),
    "raw file": (lambda: open(__file__, "rb", buffering=0), "ct.File(path)"),
    "temporary file": (lambda: tempfile.NamedTemporaryFile(), "ct.File(path)"),
    "lock": (threading.Lock, "create it inside the electron"),
    "rlock": (threading.RLock, "create it inside the electron"),
    "event": (threading.Event, "threading.Event cannot be pickled"),
    "thread": (lambda: threading.Thread(target=print), "threading.Thread cannot be pickled"),
    "queue": (queue.Queue, "queue.Queue cannot be pickled"),
    "socket": (socket.socket, "open it inside the electron"),
    "frame": (sys._getframe, "frame cannot be pickled"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_by_name_with_advice(kind: str) -> None:
    make, advice = REFUSED[kind]
    value = make()
    try:
        text = message({"x": value})
        assert text.startswith("result -> ['x']: ") and advice in text
    finally:
        close = getattr(value, "close", None)
        if close is not None:
            close()


def test_files_in_memory_are_values() -> None:
    assert codec.decode(b"".join(codec.encode(io.BytesIO(b"abc")))).read() == b"abc"
    assert codec.decode(b"".join(codec.encode(io.StringIO("abc")))).read() == "abc"


def test_too_deep() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert "nested too deeply" in message(value)


class Bad:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __reduce__(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [5, (), (1, 2), "no such name", ValueError("mine"), (print,), None])
def test_a_bad_reduce_is_an_encode_error(answer: Any) -> None:
    assert message([Bad(answer)]).startswith("result -> [0]")


def test_a_reference_inside_an_object_is_reported_with_the_path() -> None:
    value = Holder(inner=Bad(RefError("the output of train is no value yet")))
    with pytest.raises(RefError, match=r"result -> \.inner: the output of train"):
        codec.encode(value, name="result")


# Loading


def test_a_value_that_fails_to_load() -> None:
    with pytest.raises(DecodeError, match="ZeroDivisionError"):
        codec.decode(b"".join(codec.encode(Bad((divmod, (1, 0))))))


def test_a_missing_module_is_named_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("rarelib")
    exec("class Thing: pass", vars(module))
    module.__version__ = "1.2.3"  # type: ignore[attr-defined]
    module.__spec__ = types.SimpleNamespace(name="rarelib")  # type: ignore[assignment]
    finder = types.SimpleNamespace(
        find_spec=lambda name, path, target=None: module.__spec__ if name == "rarelib" else None
    )
    monkeypatch.setitem(sys.modules, "rarelib", module)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    data = b"".join(codec.encode(module.Thing()))
    monkeypatch.delitem(sys.modules, "rarelib")
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:-1])
    with pytest.raises(DecodeError, match=r"'rarelib'.*recorded with rarelib 1\.2\.3"):
        codec.decode(data)


def with_python(data: bytes, major: int, minor: int) -> bytes:
    changed = bytearray(data)
    changed[5:7] = major, minor
    return bytes(changed)


def test_code_of_another_python_is_refused_naming_both() -> None:
    data = with_python(b"".join(codec.encode(lambda: 5)), 3, 99)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(DecodeError, match=rf"Python 3\.99 with cloudpickle .*Python {here} with cloudpickle"):
        codec.decode(data)


def test_plain_data_of_another_python_loads() -> None:
    data = with_python(b"".join(codec.encode({"a": [1]})), 3, 99)
    assert codec.decode(data) == {"a": [1]}


def test_a_template_without_its_slots() -> None:
    data = b"".join(codec.encode([1], slot_of=lambda obj: None))
    with pytest.raises(DecodeError, match="template"):
        codec.decode(data)
    one = b"".join(codec.encode(["x"], slot_of=lambda obj: 7 if obj == "x" else None))
    with pytest.raises(DecodeError, match="IndexError"):
        codec.decode(one, slots=[])


FRAMES = [
    b"".join(codec.encode(value))
    for value in (5, "text", [1, {"a": (2.5, None)}], Holder(a=1), bytearray(b"x" * 50), lambda: 1, ValueError("x"))
]


@given(st.binary(max_size=300))
def test_garbage_is_a_decode_error(data: bytes) -> None:
    for candidate in (data, codec.MAGIC + data, codec.MAGIC + b"\x01" + data):
        with pytest.raises(DecodeError):
            codec.decode(candidate)


@settings(max_examples=300)
@given(st.sampled_from(FRAMES), st.integers(0), st.integers(1, 255))
def test_a_flipped_byte_is_a_decode_error_or_the_same_value(frame: bytes, at: int, flip: int) -> None:
    changed = bytearray(frame)
    changed[at % len(frame)] ^= flip
    try:
        value = codec.decode(bytes(changed))
    except DecodeError:
        return
    assert at % len(frame) in (5, 6, 7)  # Python's version and the flags, which do not matter to plain data
    assert type(value) is type(codec.decode(frame))


@given(st.sampled_from(FRAMES), st.integers(0), st.binary(min_size=1, max_size=20))
def test_cut_or_longer_is_a_decode_error(frame: bytes, at: int, more: bytes) -> None:
    for candidate in (frame[: at % len(frame)], frame + more):
        with pytest.raises(DecodeError):
            codec.decode(candidate)


def test_a_cut_array_is_a_decode_error() -> None:
    import numpy as np

    data = b"".join(codec.encode(np.arange(1_000)))
    with pytest.raises(DecodeError, match="cut"):
        codec.decode(data[:-1])


# Exceptions


class TwoArguments(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")
        self.a = a


class Keeps(OSError):
    """Loads as it was made: what it keeps is nowhere else."""

    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def carried(exception: BaseException) -> BaseException | None:
    chunks = codec.encode_exception(exception)
    return None if chunks is None else codec.decode(b"".join(chunks))


def test_exceptions_come_back_with_their_cause_and_without_traceback() -> None:
    def fail() -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ElectronCrashed("outer", "SIGSEGV") from error

    with pytest.raises(ElectronCrashed) as caught:
        fail()
    back = carried(caught.value)
    assert isinstance(back, ElectronCrashed) and str(back) == "outer" and back.signal == "SIGSEGV"
    assert isinstance(back.__cause__, KeyError) and back.__traceback__ is None


def test_exceptions_with_an_init_of_their_own() -> None:
    class Here(KeyError):
        """Of a notebook: goes by value."""

        def __init__(self, table: str, *, row: int) -> None:
            super().__init__(f"no row {row} in {table}")
            self.row = row

    class Told(ValueError):
        def __init__(self, text: str) -> None:
            super().__init__(f"told: {text}")

    made = (TwoArguments(1, 2), Here("t", row=3), Told("x"), ExceptionGroup("g", [TwoArguments(3, 4)]))
    for exception in made:
        back = carried(exception)
        assert type(back) is type(exception) and str(back) == str(exception)
        [again] = codec.decode(b"".join(codec.encode([exception])))
        assert type(again) is type(exception) and again.args == exception.args or isinstance(again, ExceptionGroup)
    assert (carried(made[1]).row, carried(made[0]).a) == (3, 1)  # type: ignore[union-attr]
    assert str(carried(made[3]).exceptions[0]) == "3 and 4"  # type: ignore[union-attr]
    kept = carried(Keeps(7))
    assert isinstance(kept, Keeps) and kept.code == 7


def test_a_cause_that_cannot_be_pickled_is_left_out() -> None:
    error = ValueError("outer")
    error.__cause__ = ValueError(threading.Lock())
    back = carried(error)
    assert isinstance(back, ValueError) and back.__cause__ is None


def test_an_import_of_distributed_changes_nothing() -> None:
    known = dict(copyreg.dispatch_table)
    try:
        tblib.pickling_support.install()  # as it does, for all exceptions of the process
        assert ValueError in copyreg.dispatch_table
        test_exceptions_come_back_with_their_cause_and_without_traceback()
        test_a_cause_that_cannot_be_pickled_is_left_out()
        test_exceptions_that_would_not_come_back_the_same(Silent())
        test_exceptions_with_an_init_of_their_own()
        test_more_exceptions()
    finally:
        copyreg.dispatch_table.clear()
        copyreg.dispatch_table.update(known)


@pytest.mark.parametrize("exception", [Silent(), ValueError(threading.Lock())])
def test_exceptions_that_would_not_come_back_the_same(exception: Exception) -> None:
    assert codec.encode_exception(exception) is None


def test_more_exceptions() -> None:
    noted = ValueError("x")
    noted.__notes__ = ["a note"]  # type: ignore[attr-defined]
    back = carried(noted)
    assert back is not None and back.__notes__ == ["a note"]  # type: ignore[attr-defined]
    assert str(carried(NotFound("no such", id=3))) == "no such"
    assert isinstance(carried(SystemExit(3)), SystemExit)
    circle = ValueError("a")
    circle.__cause__ = circle
    assert isinstance(carried(circle), ValueError)
