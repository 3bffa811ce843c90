"""Executors as users write them: ``@ct.electron(executor=ct.executor.LocalExecutor())``, and the classes to derive from.

Imported by the kernel: nothing heavy here. An object is a description; what runs packs lives in the executor host.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from ..errors import ConfigError
from ..executor_names import problem_with_scheduler
from ..model.graph import Digest, ExecutorSpec


class Executor:
    """Anything that ``executor=`` takes as an object."""

    @property
    def short_name(self) -> str:
        """What it is called in tables."""
        return type(self).__name__

    def to_spec(self, encode: Callable[[Any], Digest]) -> ExecutorSpec:
        """The executor as data. ``encode`` stores a pickled object among the dispatch's blobs and gives its digest."""
        raise NotImplementedError


class _BuiltIn(Executor):
    """An executor of this package: its options are plain data, and, as in Covalent, attributes that can be set."""

    _name = ""
    _attributes: dict[str, str] = {}  # of the object -> option

    def __init__(self, options: dict[str, Any]) -> None:
        self.options: dict[str, Any] = {}
        for name, value in options.items():
            self._set(name, value)

    def _set(self, option: str, value: Any) -> None:
        self.options.pop(option, None)
        if value is not None and value != "":
            self.options[option] = value

    def __getattr__(self, name: str) -> Any:
        if name in self._attributes:
            return self.options.get(self._attributes[name])
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._attributes:
            self._set(self._attributes[name], str(value) if name == "workdir" and value else value)
        else:
            super().__setattr__(name, value)

    @property
    def short_name(self) -> str:
        return self._name

    def to_spec(self, encode: Callable[[Any], Digest]) -> ExecutorSpec:
        return ExecutorSpec(self._name, dict(self.options))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.options == other.options

    def __hash__(self) -> int:
        return hash((type(self), repr(sorted(self.options.items()))))

    def __repr__(self) -> str:
        names = {option: name for name, option in self._attributes.items()}
        return f"{type(self).__name__}({', '.join(f'{names.get(k, k)}={v!r}' for k, v in self.options.items())})"


class LocalExecutor(_BuiltIn):
    """Runs electrons on this machine, in runners of the executor host, without Dask.

    ``workdir`` is their working directory; with ``create_unique_workdir`` each gets ``<workdir>/<dispatch>/node_<n>``.
    ``max_workers`` is how many run at once (default: one per CPU).
    """

    _name = "local"
    _attributes = {name: name for name in ("workdir", "create_unique_workdir", "max_workers")}

    def __init__(
        self,
        workdir: str = "",
        create_unique_workdir: bool | None = None,
        *,
        max_workers: int | None = None,
        **ignored: Any,
    ) -> None:
        _check_ignored(self, ignored)
        super().__init__(
            {"workdir": str(workdir), "create_unique_workdir": create_unique_workdir, "max_workers": max_workers}
        )


#: Options of the Dask executor besides the folders.
DASK_OPTIONS = (
    "address",
    "cluster_class",
    "cluster_kwargs",
    "n_workers",
    "threads_per_worker",
    "memory_limit",
    "security",
    "lost_after",
)


class DaskExecutor(_BuiltIn):
    """Runs electrons on Dask: on a cluster that starts on demand, or on the one at ``scheduler_address``.

    Options: ``n_workers``, ``threads_per_worker`` of the cluster that is started; ``memory_limit``: what all electrons on one
    worker may use together (``"4GB"``, a part of the machine's memory such as ``0.5``, ``0`` for no limit); ``cluster_class`` (a
    dotted name, ``"dask_jobqueue.SLURMCluster"``) with ``cluster_kwargs`` for another kind of cluster; ``security`` for an
    existing one: a dict with ``tls_ca_file``, ``tls_client_cert``, ``tls_client_key``, ``require_encryption``; ``lost_after``: seconds
    for which a worker, or the scheduler, may say nothing before what runs there counts as cut off (30).
    ``workdir`` and ``create_unique_workdir`` as for LocalExecutor.
    """

    _name = "dask"
    _attributes = {
        "scheduler_address": "address",
        **{name: name for name in ("workdir", "create_unique_workdir", *DASK_OPTIONS) if name != "address"},
    }

    def __init__(
        self,
        scheduler_address: str | None = None,
        workdir: str = "",
        create_unique_workdir: bool | None = None,
        **options: Any,
    ) -> None:
        plain = {k: options.pop(k, None) for k in DASK_OPTIONS if k != "address"}
        _check_ignored(self, options)
        super().__init__(
            {
                "address": scheduler_address,
                "workdir": str(workdir),
                "create_unique_workdir": create_unique_workdir,
                **plain,
            }
        )

    def _set(self, option: str, value: Any) -> None:
        if option == "address" and value is not None and not isinstance(value, str):
            raise ConfigError(f"scheduler_address is a text such as 'tcp://host:8786', not {value!r}")
        if option == "address" and value and (problem := problem_with_scheduler(value)):
            raise ConfigError(f"scheduler_address: {problem}")
        super()._set(option, value)


#: Options that Covalent's executors take: ``time_limit`` and ``retries`` count for electrons that say nothing of it themselves,
#: the others mean nothing here.
_OF_COVALENT = ("log_stdout", "log_stderr", "cache_dir", "time_limit", "retries", "poll_freq")


def _check_ignored(executor: Executor, options: dict[str, Any]) -> None:
    """Keeps Covalent's common options as attributes; ConfigError for anything else."""
    unknown = [name for name in options if name not in _OF_COVALENT]
    if unknown:
        raise ConfigError(f"{type(executor).__name__} has no option {unknown[0]!r}")
    for name, wanted in (("time_limit", (int, float)), ("retries", (int,))):
        if options.get(name) is not None and type(options[name]) not in wanted:
            unit = "a number of seconds" if name == "time_limit" else "a whole number"
            raise ConfigError(f"{name} of {type(executor).__name__} is {unit}, not {options[name]!r}")
    for name, value in options.items():
        setattr(executor, name, value)


def limits_of(executor: Any) -> dict[str, Any]:
    """``timeout`` and ``retries`` of electrons on an executor that was made with ``time_limit`` and ``retries``, as in Covalent."""
    found: dict[str, Any] = {}
    limit, retries = getattr(executor, "time_limit", None), getattr(executor, "retries", None)
    if isinstance(limit, (int, float)) and not isinstance(limit, bool) and limit > 0:
        found["timeout"] = float(limit)
    if isinstance(retries, int) and not isinstance(retries, bool) and retries > 0:
        found["retries"] = retries
    return found


#: Attributes that only a running instance has.
_OF_RUNTIME = frozenset(("_runtime", "task_stdout", "task_stderr", "_task_stdout", "_task_stderr"))


class Runtime(Protocol):
    """What the plug-in host puts behind a running instance."""

    def cancel_requested(self) -> bool: ...
    def set_job_handle(self, handle: Any) -> None: ...
    def get_job_handle(self) -> Any: ...


class _UserExecutor(Executor):
    """What both base classes have in common. Arguments are kept as attributes, as in Covalent."""

    _runtime: Runtime | None = None

    def __init__(
        self, log_stdout: str = "", log_stderr: str = "", cache_dir: str | None = None, time_limit: int = -1, retries: int = 0,
        *args: Any, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.log_stdout = log_stdout
        self.log_stderr = log_stderr
        self.cache_dir = cache_dir or ""
        self.time_limit = time_limit
        self.retries = retries

    def to_spec(self, encode: Callable[[Any], Digest]) -> ExecutorSpec:
        if "run" not in _overridden(type(self)):
            raise ConfigError(
                f"executor class {type(self).__name__} does not override run(self, function, args, kwargs, task_metadata)"
            )
        return ExecutorSpec(self.short_name, {}, encode(self))

    @contextmanager
    def get_dispatch_context(self, dispatch_info: Any = None) -> Iterator[Any]:
        """For classes written for Covalent: a context in which the function may be called (nothing is needed here)."""
        yield dispatch_info

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in _OF_RUNTIME}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class BaseExecutor(_UserExecutor):
    """Derive from it and override :meth:`run`: it is called once per electron, in a thread, in a process of its own kind.

    ``run(function, args, kwargs, task_metadata)`` gives what ``function(*args, **kwargs)`` gives, however it gets there.
    ``task_metadata`` has ``dispatch_id``, ``node_id``, ``results_dir``. Where they are overridden, ``setup(task_metadata)``
    and ``teardown(task_metadata)`` are called before and after it, and ``cancel(task_metadata, job_handle)`` when the electron is
    cancelled (truthy: it is stopped).
    """

    def run(
        self, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], task_metadata: dict[str, Any]
    ) -> Any:
        raise NotImplementedError

    def setup(self, task_metadata: dict[str, Any]) -> Any:
        return None

    def teardown(self, task_metadata: dict[str, Any]) -> Any:
        return None

    def cancel(self, task_metadata: dict[str, Any], job_handle: Any) -> Any:
        return False

    def get_cancel_requested(self) -> bool:
        """Whether the electron is to be cancelled: long waits in ``run`` ask now and then, and then return or raise, whichever:
        after a True the electron is cancelled whatever ``run`` gives."""
        return self._runtime is not None and self._runtime.cancel_requested()

    def set_job_handle(self, handle: Any) -> None:
        """Note by what name the job is known elsewhere; ``cancel`` gets it."""
        if self._runtime is not None:
            self._runtime.set_job_handle(handle)


class AsyncBaseExecutor(_UserExecutor):
    """As :class:`BaseExecutor`, with coroutines: ``async def run(...)`` and so on, on a loop of the plug-in host.

    ``poll_freq`` is kept for ``run`` to use: seconds between two looks at a job elsewhere.
    """

    def __init__(
        self, log_stdout: str = "", log_stderr: str = "", cache_dir: str | None = None, time_limit: int = -1, retries: int = 0,
        poll_freq: int = 10, *args: Any, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(log_stdout, log_stderr, cache_dir, time_limit, retries, *args, **kwargs)
        self.poll_freq = poll_freq

    async def run(
        self, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], task_metadata: dict[str, Any]
    ) -> Any:
        raise NotImplementedError

    async def setup(self, task_metadata: dict[str, Any]) -> Any:
        return None

    async def teardown(self, task_metadata: dict[str, Any]) -> Any:
        return None

    async def cancel(self, task_metadata: dict[str, Any], job_handle: Any) -> Any:
        return False

    async def get_cancel_requested(self) -> bool:
        """Whether the electron is to be cancelled; see :meth:`BaseExecutor.get_cancel_requested`."""
        return self._runtime is not None and self._runtime.cancel_requested()

    async def set_job_handle(self, handle: Any) -> None:
        """Note by what name the job is known elsewhere; ``cancel`` gets it."""
        if self._runtime is not None:
            self._runtime.set_job_handle(handle)


def overrides(executor: Executor, method: str) -> bool:
    """Whether the user's class has its own ``method``."""
    return method in _overridden(type(executor))


def _overridden(cls: type) -> set[str]:
    names: set[str] = set()
    for base in inspect.getmro(cls):
        if base in (BaseExecutor, AsyncBaseExecutor, _UserExecutor, Executor):
            break
        names.update(vars(base))
    return names
