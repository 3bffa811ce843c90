"""Short names of executors that an environment has: ours, and entry points of installed packages. Loads none of them."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

#: Entry point group: ``name = "package.module:ExecutorClass"``.
GROUP = "covalent_jupyter.executors"
BUILT_IN = ("dask", "local")
#: Protocols of Dask's own whose addresses are a host and a port.
_WITH_PORTS = ("tcp", "tls", "ucx", "ucxx", "ws", "wss")
_SCHEDULERS = "that of a Dask scheduler looks like tcp://host:8786 or tls://host:8786: it says so when it starts"


def plugins() -> dict[str, EntryPoint]:
    """Those of installed packages, by name."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILT_IN}


def is_installed(name: str) -> bool:
    """Whether this environment has an executor of the name."""
    return name in BUILT_IN or name in plugins()


def problem_with_scheduler(address: str) -> str:
    """What is wrong with the address of a Dask scheduler, as far as it shows without asking there; "" if nothing does."""
    protocol, named, rest = address.rpartition("://")
    if protocol.lower() in ("http", "https"):
        return f"{address[:100]!r} is the address of a web page, such as Dask's dashboard; {_SCHEDULERS}"
    if named and protocol not in _WITH_PORTS:
        return ""  # one that an installed package brings
    host, _, port = rest.partition("/")[0].rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536 or any(c.isspace() for c in address):
        return f"{address[:100]!r} is no address; {_SCHEDULERS}"
    return ""
