"""The result of a dispatch, finished or not."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ..absent import RESULT as ABSENT
from ..errors import NotFinished
from ..model import Composite, DispatchRow, ElectronRow, Hole, Input, Manifest, Part, Produced, Ref, Status, refs_of
from ..model.outputs import place
from ..notebook.panel import Panel, in_notebook
from ..workflow import recorded_call
from ..workflow.lattice import Lattice
from ..workflow.ops import SelectError
from . import drawing
from .display import DISPATCH_HEADER, dispatch_cells, plain, text_table
from .electrons import Electron, Electrons, Source, moment
from .failures import exception_for, failed_electrons, failure_text
from .nodes import find_node
from .rest import Rest, connect
from .values import Values, store_folder
from .waiting import ended, waits_text

#: sublattices inside sublattices that ``partial`` opens
DEPTH = 100


class Lazy(Mapping[str, Any]):
    """A mapping whose values are fetched when they are touched; keys are there at once.

    Printed, a value that was not fetched yet is shown by its text in ``shown`` (a preview made where the value was made).
    """

    def __init__(self, loaders: Mapping[str, Callable[[], Any]], shown: Mapping[str, str] | None = None) -> None:
        self._loaders = loaders
        self._shown = shown or {}
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        if key not in self._loaded:
            self._loaded[key] = self._loaders[key]()
        return self._loaded[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{key!r}: {self._text(key)}" for key in self) + "}"

    def _text(self, key: str) -> str:
        if key in self._loaded or key not in self._shown:
            return repr(self[key])
        return self._shown[key]


class Inputs(dict[str, Any]):
    """Arguments of a dispatch."""

    def get_deserialized(self) -> dict[str, Any]:
        """They, for code that was written for Covalent."""
        return dict(self)


class Result:
    """A dispatch as it was when it was asked for; :meth:`refresh` looks again, ``await result`` waits for its end.

    Values are fetched when they are touched.
    """

    def __init__(self, rest: Rest, row: DispatchRow, *, workflow_output: bool = True, intermediate_outputs: bool = True,
                 sublattice_results: bool = True) -> None:  # fmt: skip
        self._rest = rest
        self._values = Values(rest)
        self._row = row
        self._source = Source(self._values, row.dispatch_id)
        self._workflow_output = workflow_output
        self._intermediate_outputs = intermediate_outputs
        self._sublattice_results = sublattice_results
        self._warned = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, it is its row; values are fetched from the service of the process that loads it."""
        return _loaded, (self._row, self._workflow_output, self._intermediate_outputs, self._sublattice_results)

    def __getattr__(self, name: str) -> Any:
        reason = f", which Covalent's has: {ABSENT[name]}" if name in ABSENT else ""
        raise AttributeError(f"a Result has no attribute {name!r}{reason}")

    # what is known at once

    @property
    def row(self) -> DispatchRow:
        """Everything that lists show of it."""
        return self._row

    @property
    def status(self) -> Status:
        return self._row.status

    @property
    def dispatch_id(self) -> str:
        return self._row.dispatch_id

    @property
    def root_dispatch_id(self) -> str:
        return self._row.root_id

    @property
    def name(self) -> str:
        return self._row.name

    @property
    def start_time(self) -> datetime | None:
        """When its first electron began (UTC)."""
        return moment(self._row.started)

    @property
    def end_time(self) -> datetime | None:
        return moment(self._row.ended)

    @property
    def results_dir(self) -> str:
        """Folder of the store, where that is on this machine."""
        return store_folder(self._rest)

    @property
    def error(self) -> str | None:
        """Which electrons failed and why, readable; None if none did."""
        if self.status is not Status.FAILED:
            return self._row.error or None
        return failure_text(self._row, list(failed_electrons(self._rest, self.dispatch_id)))

    def refresh(self) -> Result:
        """Look again; gives itself."""
        self._row = self._rest.dispatch(self.dispatch_id)
        return self

    def __await__(self) -> Generator[Any, None, Result]:
        return self._ended().__await__()

    async def _ended(self) -> Result:
        if not self.status.ended:
            self._row = await ended(self._rest, self.dispatch_id)
        return self

    # values

    @property
    def value(self) -> Any:
        """What the lattice returned.

        Raises NotFinished while it runs; if it failed, the exception of the electron that failed (its cause being a
        DispatchFailed with the whole story), or DispatchFailed itself; DispatchCancelled if it was cancelled.
        """
        row = self._row
        if not row.status.ended:
            raise NotFinished(
                f"dispatch {row.dispatch_id} ({plain(row.name)}) is {row.status}: {row.counts.completed} of "
                f"{row.counts.total} electrons completed{waits_text(self._rest, row)}. "
                "Wait for it with ct.get_result(..., wait=True), "
                "or read .partial"
            )
        if row.status is not Status.COMPLETED:
            raise exception_for(self._rest, self._values, row)
        if row.output is None:
            return None
        try:
            return self._values.load(row.output)
        except SelectError as error:
            manifest = self._source.manifest
            raise SelectError(f"{_returned(manifest, manifest.output)}: {error}", error.step) from error

    @property
    def result(self) -> Any:
        """What the lattice returned, as in Covalent: None, with one warning, while it runs, if it failed, or if what it
        returns cannot be selected of what its electrons gave."""
        if not self._workflow_output:
            return None
        why = f"is {self.status}"
        if self.status is Status.COMPLETED:
            try:
                return self.value
            except SelectError as error:
                why = f"is {self.status}, but {error}"
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"dispatch {self.dispatch_id} {why}: its result is None. "
                "`value` raises the reason instead; `partial` has what is there.",
                stacklevel=2,
            )
        return None

    def raise_for_status(self) -> Result:
        """Itself if COMPLETED; otherwise raises what ``value`` raises."""
        if self.status is not Status.COMPLETED:
            _ = self.value
        return self

    @property
    def partial(self) -> Any:
        """The return value with :class:`covalent_jupyter.Failed` in the place of everything that has no value."""
        produced = self._row.output if self.status is Status.COMPLETED else self._partial(self._source, 0)
        if produced is None:
            return None
        try:
            return self._values.load(produced)
        except SelectError:
            assert isinstance(produced, Composite)  # nothing is selected of anything else
            return self._values.load(Composite(produced.template, tuple(self._selected(produced.parts))))

    def _selected(self, parts: Sequence[Part]) -> Iterator[Part]:
        """The parts of the return value; those whose selector fails as holes."""
        manifest = self._source.manifest
        for part, ref in zip(parts, refs_of(manifest.output), strict=True):
            try:
                self._values.load(Composite(None, (part,)))
                yield part
            except SelectError as error:
                yield Part(Hole(ref.node, "SelectError", f"{_returned(manifest, ref)}: {error}"))

    def _partial(self, source: Source, depth: int) -> Produced:
        manifest = source.manifest
        wanted = sorted({ref.node for ref in refs_of(manifest.output)})
        outputs: list[Produced | None] = [None] * len(manifest.nodes)
        for node, row in source.rows(wanted).items():
            if row.output is not None:
                outputs[node] = row.output
            elif row.child and depth < DEPTH:
                outputs[node] = self._partial(Source(self._values, row.child), depth + 1)
            else:
                outputs[node] = _hole(row)
        return place(manifest.output, outputs, manifest.blobs)

    @property
    def inputs(self) -> Inputs:
        """``{"args": (...), "kwargs": {...}}`` of the dispatch; loaded now."""
        manifest = self._source.manifest
        args, kwargs = recorded_call(manifest, self._values.blob) if manifest.call is not None else ((), {})
        return Inputs(args=args, kwargs=kwargs)

    @property
    def lattice(self) -> Any:
        """The lattice as it was dispatched (a copy in this process), with its ``transport_graph``."""
        lattice = self._values.function(self._source.manifest.lattice.digest)
        if isinstance(lattice, Lattice):
            lattice.transport_graph = self._source.manifest
        return lattice

    # electrons

    @property
    def electrons(self) -> Electrons:
        """Its electrons: ``electrons[12]``, ``electrons["train"]``, iteration, a table."""
        return Electrons(self._source)

    def get_node_result(self, node_id: int) -> Lazy:
        """One electron as a mapping: ``node_id, node_name, start_time, end_time, status, output, error, stdout, stderr,
        sublattice_result``; ``output`` is None where there is none."""
        found = self.electrons[node_id]
        return self._node_result(
            self.electrons[find_node(self._source.manifest, node_id)] if isinstance(found, list) else found
        )

    def _node_result(self, electron: Electron) -> Lazy:
        row = electron.row
        found: dict[str, Any] = {
            "node_id": row.node, "node_name": row.name,
            # as in Covalent, what was reused took no time
            "start_time": electron.end_time if row.reused else electron.start_time, "end_time": electron.end_time,
            "status": row.status, "error": electron.error,
        }  # fmt: skip
        loaders: dict[str, Callable[[], Any]] = {k: functools.partial(_same, v) for k, v in found.items()}
        loaders["stdout"] = lambda: electron.stdout
        loaders["stderr"] = lambda: electron.stderr
        shown = {"status": str(row.status)}
        if self._intermediate_outputs:
            loaders["output"] = functools.partial(_value_or_none, electron)
            shown.update(_preview("output", electron))
        if self._sublattice_results:
            loaders["sublattice_result"] = lambda: (
                Result(self._rest, self._rest.dispatch(row.child)) if row.child else None
            )
            shown["sublattice_result"] = f"<Result of {row.child}>" if row.child else "None"
        return Lazy(loaders, shown)

    def get_all_node_results(self) -> list[Lazy]:
        """:meth:`get_node_result` of every electron."""
        return [self._node_result(electron) for electron in self.electrons]

    def get_all_node_outputs(self) -> Lazy:
        """``{"name(id)": value}`` of every electron; values are fetched when touched, None where there is none."""
        found: dict[str, Callable[[], Any]] = {}
        shown: dict[str, str] = {}
        for electron in self.electrons if self._intermediate_outputs else ():
            key = f"{electron.name}({electron.node_id})"
            found[key] = functools.partial(_value_or_none, electron)
            shown.update(_preview(key, electron))
        return Lazy(found, shown)

    def logs(self, node: int | str | None = None) -> str:
        """What electrons printed, stdout, then stderr: those that ``node`` addresses (``12``, ``"train[C=0.1]"``), or
        all."""
        found = list(self.electrons) if node is None else self.electrons[node]
        chosen = found if isinstance(found, list) else [found]
        parts = []
        for electron in chosen:
            text = electron.stdout + electron.stderr
            if text or node is not None:
                parts.append((f"--- {electron.name} [{electron.node_id}]\n" if len(chosen) > 1 else "") + text)
        return "".join(parts)

    @property
    def graph(self) -> Any:
        """The transport graph as a ``networkx.MultiDiGraph``: nodes with ``name, kind, status, child``, edges with
        ``parameter``."""
        import networkx

        found = self._rest.graph(self.dispatch_id)
        graph = networkx.MultiDiGraph(dispatch_id=self.dispatch_id, name=self.name)
        for node, name, kind, status, child, *_ in found["nodes"]:
            graph.add_node(node, name=name, kind=kind, status=status, child=child)
        for start, end, parameter, *_ in found["edges"]:
            graph.add_edge(start, end, parameter=parameter)
        return graph

    def draw(
        self,
        find: int | str | None = None,
        open: drawing.Open = (),
        collapse: bool | int = True,
        direction: str = "right",
    ) -> Any:
        """The transport graph as it is now: a ``plotly.graph_objects.Figure``, boxes coloured by state.

        ``find`` zooms to an electron: an id, a name, or ``"train[C=0.1]"``. ``open`` shows the insides of sublattices
        (their ids or names, or True for all). ``collapse`` draws so many equal electrons or more as one box
        (True: 6; False: never). ``direction`` is ``"right"`` or ``"down"``.
        """
        return drawing.draw(
            self._rest, self.refresh().row, find=find, open=open, collapse=collapse, direction=direction
        )

    def timeline(self, sublattices: bool = True) -> Any:
        """Who ran what when, as it is now: a ``plotly.graph_objects.Figure`` with a lane for each worker.

        Every attempt is a bar: the user's function, then what it took beside that (values in and out). Above, how many
        were waiting for a place and under way. ``sublattices`` includes their electrons.
        """
        return drawing.timeline(self._rest, [self.refresh().row], sublattices=sublattices)

    # display

    def __repr__(self) -> str:
        table = text_table(DISPATCH_HEADER, [dispatch_cells(self._row)])
        return f"{table}\n{plain(self._row.error, lines=True)}" if self._row.error else table

    def _ipython_display_(self) -> None:
        if not (in_notebook() and Panel(self._rest, self.dispatch_id).show(text=repr(self), only_running=True)):
            raise NotImplementedError  # IPython goes on with the next

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any] | None:
        return Panel(self._rest, self.dispatch_id).data(repr(self)) if in_notebook() else None

    def _repr_html_(self) -> str | None:
        return Panel(self._rest, self.dispatch_id).html()


def _loaded(row: DispatchRow, workflow_output: bool, intermediate_outputs: bool, sublattice_results: bool) -> Result:
    return Result(connect(), row, workflow_output=workflow_output, intermediate_outputs=intermediate_outputs,
                  sublattice_results=sublattice_results)  # fmt: skip


def _same(value: Any) -> Any:
    return value


def _value_or_none(electron: Electron) -> Any:
    return electron.value if electron.row.output is not None else None


def _preview(key: str, electron: Electron) -> dict[str, str]:
    """What stands for its value, which stays where it is; nothing where no preview of the whole was made (of
    sublattices that return containers: only their scalars are known)."""
    if electron.row.preview is not None and not electron.row.preview.type:
        return {}
    text = "None" if electron.row.output is None else plain(electron.preview)
    return {key: text} if text else {}


def _returned(manifest: Manifest, ref: Input) -> str:
    """The return value, or what ``ref`` is in it, for a message with the lattice's own line."""
    lattice = manifest.lattice
    text = f"the return value of lattice {manifest.name} ({plain(Path(lattice.file).name)}, line {lattice.line})"
    if isinstance(ref, Ref):
        node = manifest.nodes[ref.node]
        text += f", of what {node.name} (node {ref.node}, called in line {node.line}) gave"
    return text


def _hole(row: ElectronRow) -> Hole:
    if row.error is not None:
        return Hole(row.node, row.error.type, row.error.message)
    if row.status is Status.SKIPPED:
        return Hole(
            row.node, "Skipped", f"{row.name} was skipped, because an electron that it depends on gave no value"
        )
    if row.status.ended:
        return Hole(row.node, str(row.status).capitalize(), f"{row.name} is {row.status}")
    return Hole(row.node, "NotFinished", f"{row.name} has no value yet: it is {row.status}")
