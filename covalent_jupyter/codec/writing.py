"""Values, functions and exceptions into frames."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import BuildError, EncodeError
from . import culprit
from .frame import CODE, SLOTS, Buffer, Notes, make_frame, plain_frame
from .pickler import cloudpickle_version, new_pickler, versions_of
from .reading import decode

IdOf = Callable[[Any], Any]  # a persistent id for some objects, None for the others

_PLAIN = frozenset({int, float, complex, str, bool, type(None)})


def encode(
    obj: Any,
    *,
    slot_of: Callable[[Any], int | None] | None = None,
    name: str = "value",
    modules: set[str] | None = None,
) -> list[Buffer]:
    """The chunks of the value's frame; large ones are the memory of the value itself, so use them at once.

    ``slot_of`` may give a number for an object: then only the number is written, and ``decode`` puts
    ``slots[number]`` there. ``name`` is what an error calls the value. ``modules`` collects the names of the
    modules whose functions and classes the frame names: loading it imports them.

    Raises EncodeError naming the path to what cannot be pickled; a BuildError that an object raises when it is
    pickled (a reference to an electron's output) is passed on with the path.
    """
    if slot_of is None and type(obj) in _PLAIN:
        return [plain_frame(pickle.dumps(obj, 5))]
    return _encode(obj, slot_of, name, modules=modules)


def encode_function(
    function: Any,
    local_modules: Iterable[str] = (),
    *,
    external: Callable[[Any], str | None] | None = None,
    name: str = "",
    modules: set[str] | None = None,
) -> list[Buffer]:
    """The chunks of a function's frame.

    Functions and classes of ``__main__``, and of modules that cannot be imported by name elsewhere, go by value;
    those of ``local_modules`` (names; the runner has their snapshot) and of installed packages by reference.
    ``external`` may give the digest of a captured object's own blob: then only the digest is written.
    """
    name = name or getattr(function, "__name__", "function")
    return _encode(function, external, name, frozenset(local_modules), modules)


def encode_exception(exception: BaseException) -> list[Buffer] | None:
    """The chunks of a frame with the exception and its chain of causes, without tracebacks.

    None if it cannot be pickled, or would not come back as the same type (a custom ``__init__`` does that).
    """
    chain, seen = [exception], {id(exception)}
    while (cause := chain[-1].__cause__) is not None and id(cause) not in seen and len(chain) < 20:
        chain.append(cause)
        seen.add(id(cause))
    for candidate in (chain, chain[:1]) if len(chain) > 1 else (chain,):  # a cause that cannot be pickled is left out
        try:
            chunks = encode(_Chain(candidate), name="exception")
            back = decode(b"".join(chunks))
        except Exception:  # border: any code may run in an exception's __reduce__ and __init__
            continue
        if type(back) is type(exception) and _same_text(back, exception):
            return chunks
    return None


def _same_text(one: BaseException, other: BaseException) -> bool:
    try:
        return str(one) == str(other)
    except Exception:  # border: a user's __str__
        return False


class _Chain:
    """Pickles as its first exception with ``__cause__`` set along the chain."""

    def __init__(self, chain: list[BaseException]) -> None:
        self.chain = chain

    def __reduce__(self) -> Any:
        return _join_chain, (self.chain,)


def _join_chain(chain: list[BaseException]) -> BaseException:
    for exception, cause in zip(chain, chain[1:], strict=False):
        exception.__cause__ = cause
    return chain[0]


def _encode(
    obj: Any,
    id_of: IdOf | None,
    name: str,
    local_modules: frozenset[str] = frozenset(),
    modules: set[str] | None = None,
) -> list[Buffer]:
    file, buffers = io.BytesIO(), list[pickle.PickleBuffer]()
    pickler = new_pickler(file, buffers.append, id_of, local_modules)
    try:
        pickle.Pickler.dump(pickler, obj)
    except BuildError as error:
        raise type(error)(f"{_where(obj, id_of, name, local_modules)}: {error}") from error
    except Exception as error:  # border: pickling runs the value's own code
        raise _encode_error(obj, error, id_of, name, local_modules) from error
    finally:
        if pickler.forced:
            pickler.restore()
    if modules is not None:
        modules |= pickler.modules
    flags = (CODE if pickler.has_code else 0) | (SLOTS if id_of is not None else 0)
    packages = versions_of(pickler.modules) if pickler.modules else {}
    ours = {id(buffer) for buffer in pickler.arrow}
    arrow = [number for number, buffer in enumerate(buffers) if id(buffer) in ours] if ours else []
    notes = None
    if packages or arrow or pickler.has_code:
        notes = Notes(cloudpickle_version() if pickler.has_code else "", packages, arrow)
    return make_frame(file.getbuffer(), buffers, flags, notes)


def _attempt(id_of: IdOf | None, local_modules: frozenset[str]) -> Callable[[Any], Exception | None]:
    """A trial whether one object can be pickled, for the search of the culprit."""

    def attempt(obj: Any) -> Exception | None:
        pickler = new_pickler(io.BytesIO(), lambda _: None, id_of, local_modules)
        try:
            pickle.Pickler.dump(pickler, obj)
        except Exception as error:  # border: pickling runs the value's own code
            return error
        finally:
            pickler.restore()
        return None

    return attempt


def _where(obj: Any, id_of: IdOf | None, name: str, local_modules: frozenset[str]) -> str:
    return culprit.find(obj, name, _attempt(id_of, local_modules)).path


def _encode_error(
    obj: Any, error: Exception, id_of: IdOf | None, name: str, local_modules: frozenset[str]
) -> EncodeError:
    if isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError):
        return EncodeError(
            f"{name}: {culprit.type_name(obj)} is nested too deeply to be pickled (or refers to itself through "
            "its __reduce__); flatten it, or return what you need from it"
        )
    found = culprit.find(obj, name, _attempt(id_of, local_modules))
    return EncodeError(culprit.explain(found, error))
