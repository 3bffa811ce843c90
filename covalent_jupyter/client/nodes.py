"""How people address an electron: ``12``, ``train``, ``train[C=0.1]``, ``train[2]``; one function for everybody."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable

from ..errors import InvalidRequest, NotFound
from ..model import Input, Lit, Manifest, Node, Val
from .brief import brief
from .display import plain
from .rest import Rest

#: names that a message lists
LISTED = 30
_ADDRESS = re.compile(r"(?P<name>.*?)\[(?P<inside>.*)\]", re.S)


@brief
def find_nodes(manifest: Manifest, address: str | int) -> list[int]:
    """The electrons that are meant: by number, by name, or by name and literal inputs.

    ``train[C=0.1, kernel=rbf]`` are those called so with these inputs, ``train[2]`` the third of its name. NotFound
    names what may have been meant.
    """
    text = str(address).strip()
    if re.fullmatch(r"-?\d+", text):
        return [_number(manifest, int(text))]
    named = _called(manifest, text)
    if named:
        return named
    found = _ADDRESS.fullmatch(text)
    name = found["name"].strip() if found else text
    named = _called(manifest, name)
    if not named or found is None:
        raise _unknown(manifest, name)
    inside = found["inside"].strip()
    if re.fullmatch(r"\d+", inside):
        if int(inside) < len(named):
            return [named[int(inside)]]
        raise NotFound(
            f"there are {len(named)} electrons called {plain(name)!r}: {name}[0] to {name}[{len(named) - 1}]"
        )
    return _with_inputs(manifest, name, named, inside)


@brief
def find_node(manifest: Manifest, address: str | int) -> int:
    """The one electron that is meant. InvalidRequest lists the addresses of several."""
    found = find_nodes(manifest, address)
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{address_of(manifest, n)} ({n})" for n in found[:LISTED])
    raise InvalidRequest(f"{len(found)} electrons are meant by {plain(str(address))!r}; say which: {plain(listed)}")


def chosen_nodes(rest: Rest, dispatch_id: str, wanted: Iterable[int | str] | int | str | None) -> list[int] | None:
    """Numbers of the electrons that are meant, by number or address; None, which means all, stays None."""
    if wanted is None:
        return None
    chosen = [wanted] if isinstance(wanted, (int, str)) else list(wanted)
    if all(type(each) is int and each >= 0 for each in chosen):
        return [int(each) for each in chosen]
    manifest = rest.manifest(rest.dispatch(dispatch_id).dispatch_id)
    return sorted({node for each in chosen for node in find_nodes(manifest, each)})


def address_of(manifest: Manifest, node: int) -> str:
    """The shortest address of an electron: its name, with the inputs that tell it from others of this name."""
    name = manifest.nodes[node].name
    same = _called(manifest, name)
    if len(same) == 1:
        return name
    own = _shown_inputs(manifest.nodes[node])
    others = [_shown_inputs(manifest.nodes[n]) for n in same if n != node]
    telling = [key for key, text in own.items() if any(other.get(key) != text for other in others)]
    for count in range(1, len(telling) + 1):
        chosen = telling[:count]
        if all(any(other.get(key) != own[key] for key in chosen) for other in others):
            return f"{name}[{', '.join(f'{key}={own[key]}' for key in chosen)}]"
    return f"{name}[{same.index(node)}]"


def addresses(manifest: Manifest, limit: int) -> list[str]:
    """What addresses electrons of this dispatch: the names, and, where there are at most ``limit`` electrons, one for
    each."""
    names = list(dict.fromkeys(node.name for node in manifest.nodes if node.kind != "operator"))
    if len(manifest.nodes) > limit:
        return names
    return list(dict.fromkeys([*names, *(address_of(manifest, n) for n in range(len(manifest.nodes)))]))


def inputs_of(node: Node) -> Iterable[tuple[str, Input]]:
    """Inputs of a node by the name of their parameter."""
    yield from zip(node.params, node.args, strict=False)
    yield from node.kwargs.items()


def _number(manifest: Manifest, number: int) -> int:
    count = len(manifest.nodes)
    if -count <= number < count:
        return number % count
    has = f"{count}, from 0 to {count - 1}" if count > 1 else "one, 0" if count else "none"
    raise NotFound(f"there is no electron {number}: this dispatch has {has}")


def _called(manifest: Manifest, name: str) -> list[int]:
    return [i for i, node in enumerate(manifest.nodes) if node.name == name]


def _unknown(manifest: Manifest, name: str) -> NotFound:
    known = list(dict.fromkeys(node.name for node in manifest.nodes))
    if not known:
        return NotFound(f"no electron is called {plain(name)!r}. The dispatch has none")
    near = difflib.get_close_matches(name, known, 1)
    guess = f"; did you mean {plain(near[0])!r}?" if near else "."
    listed = ", ".join(plain(n) for n in known[:LISTED])
    return NotFound(f"no electron is called {plain(name)!r}{guess} {_numbered(len(manifest.nodes))}, called {listed}")


def _numbered(count: int) -> str:
    return "Its only electron is 0" if count == 1 else f"Its electrons are 0 to {count - 1}"


def _with_inputs(manifest: Manifest, name: str, named: list[int], inside: str) -> list[int]:
    wanted: dict[str, str] = {}
    for part in re.split(r",\s*(?=[^\W\d]\w*\s*=)", inside):
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidRequest(
                f"{plain(part)!r}: write {name}[parameter=value], for example {_example(manifest, named)}"
            )
        wanted[key.strip()] = value.strip()
    first = dict(inputs_of(manifest.nodes[named[0]]))
    for key in wanted:
        if not any(key in dict(inputs_of(manifest.nodes[n])) for n in named):
            lower = {name.lower(): name for name in first}
            near = difflib.get_close_matches(key.lower(), lower, 1)
            guess = f" (did you mean {lower[near[0]]!r}?)" if near else ""
            raise NotFound(f"{name} has no input {plain(key)!r}{guess}; it has {', '.join(first) or 'none'}")
    found = [n for n in named if _fits(manifest.nodes[n], wanted)]
    if found:
        return found
    listed = ", ".join(address_of(manifest, n) for n in named[:LISTED])
    raise NotFound(f"no {plain(name)} has {plain(inside)}; there are {plain(listed)}")


def _example(manifest: Manifest, named: list[int]) -> str:
    return plain(address_of(manifest, named[0]))


def _fits(node: Node, wanted: dict[str, str]) -> bool:
    given = dict(inputs_of(node))
    return all(key in given and _same(given[key], text) for key, text in wanted.items())


def _same(value: Input, text: str) -> bool:
    if isinstance(value, Val):
        return bool(value.hint) and value.hint == text
    if not isinstance(value, Lit):
        return False
    if text in (str(value.value), repr(value.value)):
        return True
    try:
        read = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return False
    return isinstance(read, (bool, int, float, str, type(None))) and bool(read == value.value)


def _shown_inputs(node: Node) -> dict[str, str]:
    """Inputs that can be written in an address."""
    found = {}
    for key, value in inputs_of(node):
        if isinstance(value, Lit):
            found[key] = str(value.value)
        elif isinstance(value, Val) and value.hint and len(value.hint) <= 40:
            found[key] = value.hint
    return found
