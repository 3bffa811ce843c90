"""What a picture is of: a manifest, the rows of its electrons where it was dispatched, and sublattices' insides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from ...model import ElectronRow, Input, Lit, Manifest, Node, Ref, Tpl, dependencies, refs_of

#: characters of an input's text
SHORT = 60
#: before the names of electrons whose values are taken
_FROM = "←"


class Subject(NamedTuple):
    """``rows`` is empty before the dispatch; ``inner`` has the sublattices whose insides are known, by node."""

    manifest: Manifest
    rows: Mapping[int, ElectronRow] = {}
    inner: Mapping[int, Subject] = {}

    @property
    def dispatched(self) -> bool:
        return bool(self.rows)

    def inputs(self, node: Node) -> dict[str, str]:
        """Parameter -> short text of what it is given."""
        names = [*node.params, *(f"[{i}]" for i in range(len(node.params), len(node.args)))]
        given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
        return {name: self._text(value) for name, value in given.items()}

    def _text(self, value: Input) -> str:
        if isinstance(value, Lit):
            return _cut(repr(value.value))
        if isinstance(value, Ref):
            return f"{_FROM} {self.manifest.nodes[value.node].name}"
        if isinstance(value, Tpl):
            names = dict.fromkeys(self.manifest.nodes[ref.node].name for ref in value.refs)
            return _cut(f"{_FROM} {len(value.refs)} of {', '.join(names)}")
        return _cut(value.hint or "a value")

    def edges(self) -> dict[tuple[int, int], list[str]]:
        """(from, to) -> parameters that take the value; none for ``ct.wait``."""
        found: dict[tuple[int, int], list[str]] = {}
        for end, node in enumerate(self.manifest.nodes):
            names = [*node.params, *[""] * (len(node.args) - len(node.params))]
            for name, value in [*zip(names, node.args, strict=False), *node.kwargs.items()]:
                for ref in refs_of(value):
                    parameters = found.setdefault((ref.node, end), [])
                    if name and name not in parameters:
                        parameters.append(name)
            for start in node.after:
                found.setdefault((start, end), [])
        return found

    def telling(self) -> dict[int, str]:
        """What tells an electron from the others of its name: an input of its own, or of the one electron it follows."""
        texts = [self.inputs(node) for node in self.manifest.nodes]
        counts = Counter(node.name for node in self.manifest.nodes)
        seen: dict[str, dict[str, Counter[str]]] = {}
        for node, inputs in zip(self.manifest.nodes, texts, strict=True):
            for parameter, text in inputs.items():
                seen.setdefault(node.name, {}).setdefault(parameter, Counter())[text] += 1
        differ = {
            name: sorted((p for p, c in parameters.items() if len(c) > 1), key=lambda p, n=name: -len(seen[n][p]))  # type: ignore[misc]
            for name, parameters in seen.items()
        }
        found: dict[int, str] = {}
        for number, (node, inputs) in enumerate(zip(self.manifest.nodes, texts, strict=True)):
            plain = [p for p in differ.get(node.name, ()) if not inputs.get(p, _FROM).startswith(_FROM)]
            if plain:
                found[number] = ", ".join(f"{p}={inputs[p]}" for p in plain[:2])
            elif counts[node.name] > 1:
                known = {found[parent] for parent in dependencies(node) if parent in found}
                if len(known) == 1:  # of score(train(C=0.1)): C=0.1
                    found[number] = known.pop()
        return found


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= SHORT else flat[: SHORT - 1] + "…"
