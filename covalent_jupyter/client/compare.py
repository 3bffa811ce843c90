"""``ct.compare``: what differs between runs, in inputs, code, packages, results and durations."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from ..errors import InvalidRequest
from ..model import DispatchRow, ElectronRow, FunctionDef, Input, Lit, Manifest, Val
from .brief import brief
from .display import COLOURS, duration_text, html_table, html_text, plain, sign_of, text_table, took
from .drawing import electron_rows
from .fetching import check_id
from .rest import Rest, connect

#: electrons whose durations are shown, those that differ most first
SHOWN = 12
#: lines of context in a diff
CONTEXT = 3
VAGUE = "something that it calls or captures"


class _Run(NamedTuple):
    row: DispatchRow
    manifest: Manifest
    electrons: dict[int, ElectronRow]

    @property
    def short(self) -> str:
        return self.row.dispatch_id[:8]


@brief
def compare(*dispatch_ids: str) -> Comparison:
    """What differs between two or more dispatches (ids, or the beginnings of ids), ended or not.

    Shown as text or HTML; its attributes hold the parts. NotFound for an unknown id.
    """
    if len(dispatch_ids) < 2:
        raise InvalidRequest("ct.compare takes two or more dispatch ids")
    rest = connect()
    return Comparison([_fetched(rest, dispatch_id) for dispatch_id in dispatch_ids])


def _fetched(rest: Rest, dispatch_id: str) -> _Run:
    row = rest.dispatch(check_id(dispatch_id))
    return _Run(row, rest.manifest(row.dispatch_id), electron_rows(rest, row.dispatch_id))


class Comparison:
    """What differs between dispatches; each attribute has one value per dispatch, in their order, None where it has none.

    ``ids``; ``inputs``, ``settings``, ``packages`` and ``results``: name -> values, of what differs only; ``code``: name of
    an electron or lattice -> unified diff, or a sentence; ``durations``: ``"total"`` and names of electrons -> seconds.
    """

    def __init__(self, runs: Sequence[_Run]) -> None:
        self._runs = list(runs)
        self.ids = [run.row.dispatch_id for run in runs]
        self.inputs = _differing([_inputs(run) for run in runs], shown=[_shown_inputs(run) for run in runs])
        self.settings = _differing([_settings(run) for run in runs])
        self.code = _code(self._runs)
        self.packages = _differing([_packages(run) for run in runs])
        self.results = _differing([_results(run) for run in runs], shown=[_shown_results(run) for run in runs])
        if len(self.results.keys() - {"status", "result"}):
            self.results.pop("result", None)  # the parts that differ say more than the whole
        self.durations = _durations(self._runs)

    @property
    def same(self) -> bool:
        """Whether inputs, code, packages and settings are the same, so that the results should be."""
        return not (self.inputs or self.code or self.packages or self.settings)

    def _tables(self) -> list[tuple[str, Mapping[str, list[Any]], Callable[[Any], Any]]]:
        return [
            ("inputs", self.inputs, _text),
            ("settings", self.settings, _text),
            ("packages", self.packages, lambda v: "" if v is None else v),
            ("results", self.results, _text),
            ("durations", dict(list(self.durations.items())[:SHOWN]), duration_text),
        ]

    def _head(self) -> list[str]:
        return [f"{run.short} {sign_of(run.row.status)[0]}" for run in self._runs]

    def _first(self) -> str:
        names = list(dict.fromkeys(plain(run.row.name) for run in self._runs))
        what = "Nothing differs in inputs, code, packages and settings." if self.same else ""
        return f"{' and '.join(names)}: {len(self._runs)} runs. {what}".strip()

    def __repr__(self) -> str:
        parts = [self._first()]
        for name, table, show in self._tables():
            if table:
                rows = [[key, *(show(v) for v in values)] for key, values in table.items()]
                parts.append(text_table([name, *self._head()], rows))
        for name, diff in self.code.items():
            parts.append(f"code of {plain(name)}\n{plain(diff, lines=True)}")
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        parts = [f"<div><b>{html_text(self._first())}</b></div>"]
        for name, table, show in self._tables():
            if table:
                rows = [[key, *(show(v) for v in values)] for key, values in table.items()]
                parts.append(html_table([name, *self._head()], rows))
        for name, diff in self.code.items():
            lines = "\n".join(map(_html_line, plain(diff, lines=True).split("\n")))
            parts.append(
                f"<details open><summary>code of <b>{html_text(name)}</b></summary>"
                f'<pre style="font-size:12px;line-height:1.35;margin:4px 0">{lines}</pre></details>'
            )
        return (
            '<div style="display:flex;flex-direction:column;align-items:flex-start;gap:10px">'
            + "".join(parts)
            + "</div>"
        )


def _html_line(line: str) -> str:
    colours = {"+": COLOURS["ok"], "-": COLOURS["err"]}
    shown = escape(line)
    if line[:1] in colours and line[:3] not in ("+++", "---"):
        return f'<span style="color:{colours[line[0]]}">{shown}</span>'
    return f'<span style="color:{COLOURS["mute"]}">{shown}</span>' if line[:1] == "@" else shown


def _differing(
    found: Sequence[Mapping[str, Any]], shown: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, list[Any]]:
    """Names whose values are not the same everywhere, with what is ``shown`` for them."""
    names = dict.fromkeys(name for one in found for name in one)
    differ = [n for n in names if any(one.get(n, _NONE) != found[0].get(n, _NONE) for one in found)]
    return {n: [one.get(n) for one in shown or found] for n in differ}


class _Nothing:
    """In the place of what is not there."""


_NONE = _Nothing()


# what is compared


def _inputs(run: _Run) -> dict[str, Any]:
    return {name: _identity(value) for name, value in run.manifest.inputs.items()}


def _identity(value: Input) -> Any:
    return (type(value.value), value.value) if isinstance(value, Lit) else value


def _shown_inputs(run: _Run) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in run.manifest.inputs.items():
        if isinstance(value, Lit):
            found[name] = value.value
        elif isinstance(value, Val):
            found[name] = _Shown(f"{value.hint or 'a value'} (#{value.digest[:6]})")
    return found


class _Shown(str):
    """Text that stands for a value."""

    __slots__ = ()


def _settings(run: _Run) -> dict[str, Any]:
    environment = run.manifest.environment
    executors = sorted({run.manifest.executors[o.executor].name for o in run.manifest.options})
    return {
        "lattice": run.row.lattice,
        "python": environment.python if environment else None,
        "machine": environment.host if environment else None,
        "interpreter": environment.interpreter if environment else None,
        "executors": ", ".join(executors),
        "electrons": len(run.manifest.nodes),
        "seed": run.manifest.seed,
    }


def _packages(run: _Run) -> dict[str, str]:
    return dict(run.manifest.environment.packages) if run.manifest.environment else {}


def _results(run: _Run) -> dict[str, Any]:
    row = run.row
    found: dict[str, Any] = {"status": str(row.status), **row.results}
    if row.output is not None and "result" not in row.results:
        found["result"] = row.output
    return found


def _shown_results(run: _Run) -> dict[str, Any]:
    row = run.row
    found: dict[str, Any] = {"status": _Shown(sign_of(row.status)[1]), **row.results}
    if row.output is not None and "result" not in row.results:
        text = (row.preview.shape or row.preview.repr) if row.preview is not None else "a value"
        found["result"] = _Shown(text)
    return found


def _durations(runs: Sequence[_Run]) -> dict[str, list[float | None]]:
    """``total`` first, then the electrons by how much they differ; of several of one name the sum."""
    sums: dict[str, list[float | None]] = {}
    for at, run in enumerate(runs):
        for row in run.electrons.values():
            spent = took(row.started, row.ended) if row.child else row.duration
            if spent is not None:
                total = sums.setdefault(row.name, [None] * len(runs))
                total[at] = (total[at] or 0.0) + spent
    total = [took(run.row.started, run.row.ended) for run in runs]
    order = sorted(sums, key=lambda name: -_spread(sums[name]))
    return {"total": total, **{name: sums[name] for name in order}}


def _spread(values: Sequence[float | None]) -> float:
    known = [v or 0.0 for v in values]
    return max(known) - min(known)


def _code(runs: Sequence[_Run]) -> dict[str, str]:
    """Per name of a function how it differs from the first run's."""
    found: dict[str, str] = {}
    tables = [_functions(run.manifest) for run in runs]
    first = tables[0]
    for run, table in zip(runs[1:], tables[1:], strict=True):
        said = {n: _difference(first.get(n), table.get(n), runs[0].short, run.short) for n in [*first, *table]}
        own = {name: text for name, text in said.items() if text and VAGUE not in text}
        for name, text in (own or {n: t for n, t in said.items() if t}).items():  # a caller differs with what it calls
            found[name] = f"{found[name]}\n{text}" if name in found else text
    return found


def _functions(manifest: Manifest) -> dict[str, FunctionDef]:
    used = {node.function for node in manifest.nodes if node.kind != "operator"}
    found = {manifest.lattice.name: manifest.lattice}
    found.update((f.name, f) for i, f in enumerate(manifest.functions) if i in used)
    return found


def _difference(one: FunctionDef | None, two: FunctionDef | None, first: str, second: str) -> str:
    if one is None or two is None:
        return f"only in {second if one is None else first}"
    if one.code == two.code:
        return ""
    if one.source != two.source:
        lines = difflib.unified_diff(
            one.source.splitlines(), two.source.splitlines(), first, second, lineterm="", n=CONTEXT
        )
        return "\n".join(lines)
    captured = _differing([one.captured, two.captured])
    changes = [f"{name}: {old or 'none'} -> {new or 'none'}" for name, (old, new) in captured.items()]
    if changes:
        return f"the same source in {first} and {second}, but it captures " + ", ".join(changes)
    where = "a local module" if one.modules != two.modules else VAGUE
    return f"the same source in {first} and {second}, but {where} differs"


def _text(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, _Shown):
        return str(value)
    return f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, (int, str)) else repr(value)
