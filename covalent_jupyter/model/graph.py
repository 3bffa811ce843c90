"""The transport graph as data: what the kernel builds and the service runs.

A :class:`Manifest` is plain JSON. Functions and values are in it by digest (sha256, hex) only; their
bytes are *blobs* that travel beside it (see :mod:`covalent_jupyter.model.wire`).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

Digest = str  # 64 lower-case hex digits of a sha256

#: One step of a selector: ``["item", key]`` for ``e[key]``, ``["attr", name]`` for ``e.name``,
#: ``["pick", digest]`` for ``e[key]`` where key is no JSON literal (digest of the pickled key).
Step = tuple[str, int | str | float | bool | None]


class Lit(Struct, tag="l", array_like=True, frozen=True):
    """A JSON literal: None, bool, int of 64 bits, finite float, str of at most 1 kB."""

    value: bool | int | float | str | None


class Val(Struct, tag="v", array_like=True, frozen=True):
    """A value, as the digest of its blob. ``hint`` is a short repr for people, made in the kernel."""

    digest: Digest
    hint: str = ""


class Ref(Struct, tag="r", array_like=True, frozen=True):
    """The output of a node, or the part of it that ``path`` selects."""

    node: int
    path: tuple[Step, ...] = ()


class Tpl(Struct, tag="t", array_like=True, frozen=True):
    """A container with references in it: the pickle of a template whose slot ``i`` (a pickle
    persistent id) is ``refs[i]``."""

    digest: Digest
    refs: tuple[Ref, ...]


Input = Lit | Val | Ref | Tpl


def refs_of(value: Input) -> tuple[Ref, ...]:
    """The references inside one input."""
    if isinstance(value, Ref):
        return (value,)
    return value.refs if isinstance(value, Tpl) else ()


def keys_of(path: tuple[Step, ...]) -> list[Digest]:
    """The blobs of the keys in a selector."""
    return [str(key) for kind, key in path if kind == "pick"]


def digests_in(value: Input) -> list[Digest]:
    """The blobs that one input names itself; those of the nodes that it refers to are not its own."""
    own = [value.digest] if isinstance(value, (Val, Tpl)) else []
    return own + [digest for ref in refs_of(value) for digest in keys_of(ref.path)]


class FunctionDef(Struct, omit_defaults=True):
    """A user's function: its pickle, its code, and what people want to read about it."""

    digest: Digest  # blob: cloudpickle of the function
    code: str  # code digest: changes if and only if what the function does may change
    name: str
    source: str = ""
    file: str = ""
    line: int = 0
    place: str = ""  # what people call the file, where that is a notebook's cell: "Cell In[5]"
    signature: str = ""
    doc: str = ""
    captured: dict[str, str] = {}  # name of a captured global or closure variable -> short repr
    globals: dict[str, Digest] = {}  # captured values kept as blobs of their own
    modules: tuple[Digest, ...] = ()  # local modules that it reaches


class CallDep(Struct, array_like=True, frozen=True):
    """A ``DepsCall``: blob of the pickled ``(function, args, kwargs)``."""

    digest: Digest
    name: str = ""
    retval_keyword: str = ""


class Deps(Struct, omit_defaults=True, frozen=True):
    """What is prepared in the electron's environment, in the order bash, pip, before, (function), after."""

    bash: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    before: tuple[CallDep, ...] = ()
    after: tuple[CallDep, ...] = ()


#: options of executors that count for the electrons of a pack, which brings them along: they make no other executor
FOLDERS = frozenset(("workdir", "create_unique_workdir"))


class ExecutorSpec(Struct, omit_defaults=True, frozen=True):
    """An executor as data.

    ``name`` is a short name (``"dask"``, ``"local"``, an entry point). ``options`` are its JSON options.
    ``instance`` is the blob of a pickled instance of the user's own class: then a plug-in host runs it.
    """

    name: str = "dask"
    options: dict[str, Any] = {}
    instance: Digest | None = None

    @property
    def key(self) -> str:
        """One text per executor, whatever the order of its options, and whatever the folders of its electrons. Not the struct's
        own encoding: that leaves out a default only where it is the very object, which a text from the wire is not."""
        options = {name: value for name, value in self.options.items() if name not in FOLDERS}
        return msgspec.json.encode([self.name, options, self.instance], order="sorted").decode()


class Options(Struct, omit_defaults=True, frozen=True):
    """The resolved options of an electron; see ``docs/electrons.md``. Seconds and bytes."""

    executor: int = 0  # index into Manifest.executors
    retries: int = 0
    retry_delay: float = 0.0
    timeout: float | None = None
    on_interrupt: Literal["run_again", "fail"] = "run_again"
    on_error: Literal["fail", "value"] = "fail"
    resources: dict[str, Any] = {}
    keep: Literal["always", "until_done", "never"] = "always"
    deps: Deps = Deps()


class Node(Struct, omit_defaults=True):
    """One thing that runs. Its id is its position in ``Manifest.nodes``."""

    function: int  # index into Manifest.functions
    name: str
    kind: Literal["electron", "sublattice", "operator"] = "electron"
    args: list[Input] = []
    kwargs: dict[str, Input] = {}
    options: int = 0  # index into Manifest.options
    after: tuple[int, ...] = ()  # ct.wait: further nodes to wait for
    key: str = ""  # digest of code, inputs (by the keys of their nodes) and deps: reuse goes by it
    line: int = 0  # of the call, in the lattice's file
    params: tuple[str, ...] = ()  # names of the parameters that ``args`` bind, for display


class Environment(Struct, omit_defaults=True):
    """The kernel's world at the dispatch. Variables' *values* travel outside the manifest."""

    interpreter: str  # sys.executable
    prefix: str
    python: str  # "3.11.7"
    cloudpickle: str
    packages: dict[str, str] = {}
    digest: str = ""  # of interpreter, prefix and packages: one executor host each
    package_path: str = ""  # folder that holds the covalent_jupyter package of the kernel
    cwd: str = ""
    umask: int | None = None  # of the kernel's process, for the files that electrons make
    sys_path: tuple[str, ...] = ()  # additions of the user, in order
    variables: tuple[str, ...] = ()  # names
    modules: dict[str, Digest] = {}  # path relative to the snapshot's root -> blob of the file
    host: str = ""
    as_covalent: bool = False  # whether ``import covalent`` gives this package


class Outline(Struct, array_like=True, frozen=True):
    """What a lattice returned, for people: texts, and in between, for the values of electrons, numbers of ``refs`` of
    the output."""

    type: str
    pieces: tuple[str | int, ...]
    shape: str = ""  # "3 items"


class Manifest(Struct, omit_defaults=True):
    """A whole lattice, ready to run."""

    dispatch_id: str
    name: str
    nodes: list[Node]
    output: Input
    lattice: FunctionDef
    environment: Environment | None  # None in a sublattice: its root's
    functions: list[FunctionDef] = []
    options: list[Options] = []
    executors: list[ExecutorSpec] = []
    blobs: dict[Digest, int] = {}  # every digest that the manifest names -> size in bytes
    inputs: dict[str, Input] = {}  # the lattice's own arguments, for display and redispatch
    call: Digest | None = None  # blob of the pickled (args, kwargs) of the lattice
    key: str = ""  # digest of all node keys and the output: what ``once`` and a repeated POST compare
    seed: int = 0
    tags: tuple[str, ...] = ()
    label: str = ""
    notebook: str = ""
    redispatch_of: str | None = None
    names: tuple[str, ...] = ()  # of the parts of ``output`` where that is a dict or a sequence: keys, numbers
    outline: Outline | None = None  # of what was returned, where that is more than one reference
    notify: bool | str | None = None  # who is told of the end: False nobody, "failure", a command or an address
    reuse: Literal["none", "changed", "failed"] = "none"  # what of ``redispatch_of`` is taken over
    parent: tuple[str, int] | None = None  # (dispatch id, node) of the sublattice's node
    root: str | None = None
    warnings: tuple[str, ...] = ()
    client: dict[str, str] = {}
    created: float = 0.0  # seconds since the epoch
    max_running: int | None = None  # nodes that may be under way at once, sublattices until their end
    group: str = ""  # dispatches of one group (an id) count together for ``max_running``
    version: int = 1

    def __repr__(self) -> str:
        return f"<Manifest of {self.name}: {len(self.nodes)} nodes, dispatch {self.dispatch_id}>"


def dependencies(node: Node) -> set[int]:
    """Ids of the nodes that must have a value before ``node`` may run."""
    found = set(node.after)
    for value in node.args:
        found.update(r.node for r in refs_of(value))
    for value in node.kwargs.values():
        found.update(r.node for r in refs_of(value))
    return found


def selected_of(manifest: Manifest) -> dict[int, tuple[tuple[Step, ...], ...]]:
    """What the lattice returns of values of which it does not return all, by node."""
    found: dict[int, dict[tuple[Step, ...], None]] = {}
    for ref in refs_of(manifest.output):
        if ref.path:
            found.setdefault(ref.node, {})[ref.path] = None
    return {node_id: tuple(paths) for node_id, paths in found.items()}
