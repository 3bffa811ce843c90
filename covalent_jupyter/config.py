"""The settings: what there is, where they come from, and how they are changed.

Later ones win: default, ``covalent_config.json`` and ``covalent_config.py`` in Jupyter's configuration folders,
environment variables (``COVALENT_IDLE_TIMEOUT``...), :func:`set_config`. In these files, in
``jupyter_server_config.py`` and on Jupyter's command line the section is ``c.Covalent``.

Importing this module loads neither traitlets nor any configuration.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
import secrets
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from jupyter_core.paths import jupyter_config_dir, jupyter_config_path

from .absent import setting as of_covalent
from .errors import ConfigError
from .executor_names import is_installed, problem_with_scheduler
from .model.notify import problem_with_target
from .parts import part

SECTION = "Covalent"
#: short names of executors
_NAME = re.compile(r"\w[\w .+-]{0,199}")
FILE = "covalent_config"


class Option(NamedTuple):
    """One setting. ``kind`` is the Python type that its value has."""

    kind: Any
    default: Any
    help: str
    variables: tuple[str, ...] = ()  # environment variables besides COVALENT_<NAME>
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    secret: bool = False


#: Every setting by name.
OPTIONS: dict[str, Option] = {
    "store_dir": Option(str, "", "Folder of the store; empty: `covalent` in Jupyter's data directory."),
    "blob_root": Option(str, "", "Where large values are kept; empty: `blobs` in the store."),
    "url": Option(
        str, "", "Address of the Jupyter server whose service is used; empty: the one of this machine.",
        variables=("COVALENT_JUPYTER_URL",),
    ),
    "token": Option(
        str, "", "Token of the Jupyter server at `url`.", variables=("COVALENT_JUPYTER_TOKEN",), secret=True
    ),
    "idle_timeout": Option(
        float, 1800.0, "Seconds without runs and viewers after which the service goes; 0: never.", minimum=0
    ),
    "executor": Option(str, "dask", "Executor of electrons that name none: `dask`, `local`, or an entry point."),
    "dask_address": Option(str, "", "Address of a running Dask scheduler; empty: a cluster is started on demand."),
    "dask_cluster_class": Option(
        str, "", "Dask cluster class to start, such as `dask_jobqueue.SLURMCluster`; empty: a LocalCluster."
    ),
    "dask_cluster_kwargs": Option(dict[str, Any], {}, "Arguments of the Dask cluster class."),
    "dask_n_workers": Option(int | None, None, "Slots of the cluster; none: one per core.", minimum=1),
    "dask_threads_per_worker": Option(int | None, None, "Threads per Dask worker; none: chosen.", minimum=1),
    "dask_memory_limit": Option(
        str, "", "Memory of all electrons on one Dask worker, such as `4GB`, or `0` for no limit; empty: what is free."
    ),
    "dask_lost_after": Option(
        float | None, None, "Seconds of silence after which a Dask worker or scheduler is given up; none: 30.", minimum=1
    ),
    "body_cap": Option(int, 512 << 20, "Bytes that one request to the service may have.", minimum=1 << 20),
    "value_cap": Option(int, 64 << 30, "Bytes that one uploaded value may have.", minimum=1 << 20),
    "max_nodes": Option(int, 1_000_000, "Nodes that one root dispatch may have, sublattices included.", minimum=1),
    "max_depth": Option(int, 100, "How deep sublattices may be nested.", minimum=1),
    "nice": Option(
        int, 5, "By how much electrons on this machine step back behind notebooks (their niceness); 0: not at all.",
        minimum=0,
    ),
    "collect_every": Option(
        float, 3600.0, "Seconds between two collections of values that nothing refers to; 0: never.", minimum=0
    ),
    "restart": Option(
        str, "always", "Whether the Jupyter server restarts a service that died.", choices=("always", "never")
    ),
    "start_at_load": Option(
        str, "unfinished",
        "When the Jupyter server starts the service: with `unfinished` runs, `always`, or `never` by itself.",
        choices=("unfinished", "always", "never"),
    ),
    "hub_activity": Option(bool, True, "Whether running dispatches count as activity of the Jupyter server."),
    "panel": Option(
        str, "auto",
        "What a notebook shows of a dispatch: the labextension's panel (`page`), one that goes over the kernel (`widget`), "
        "a `still` table, or `auto`: what the front end has.",
        choices=("auto", "page", "widget", "still"),
    ),
    "on_finish": Option(
        str, "", "Command or address (`https://...`) that is told when a dispatch ends, and when its first electron fails."
    ),
    "notify_timeout": Option(float, 30.0, "Seconds that such a command or address is given.", minimum=0.1),
    "service_log_level": Option(str, "INFO", "Of the service's log.", choices=("DEBUG", "INFO", "WARNING", "ERROR")),
}  # fmt: skip

#: Names that Covalent's users know.
ALIASES = {
    "dask_num_workers": "dask_n_workers",
    "dask_mem_per_worker": "dask_memory_limit",
    "dispatcher_address": "url",
    "sdk_executor": "executor",
    "sdk_log_level": "service_log_level",
    "log_level": "service_log_level",
    "n_workers": "dask_n_workers",
    "threads_per_worker": "dask_threads_per_worker",
    "memory_limit": "dask_memory_limit",
}


class Settings(Mapping[str, Any]):
    """All settings at one moment: ``settings["name"]`` or ``settings.name``. ``sources`` says where each comes from."""

    def __init__(self, values: dict[str, Any], sources: dict[str, str]) -> None:
        self._values = values
        self.sources = sources

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(_unknown(name)) from None

    def public(self) -> dict[str, Any]:
        """The values, secrets replaced by ``"***"``."""
        return {k: "***" if OPTIONS[k].secret and v else v for k, v in self._values.items()}


class _Sources:
    """What was read, and what was set in this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.files: dict[str, tuple[Any, str]] | None = None
        self.given: dict[str, Any] = {}


@functools.cache
def _sources() -> _Sources:
    return _Sources()


def load() -> Settings:
    """The present settings."""
    state = _sources()
    with state.lock:
        if state.files is None:
            state.files = _read_files()
        values = {name: _copy(option.default) for name, option in OPTIONS.items()}
        sources = dict.fromkeys(OPTIONS, "default")
        for name, (value, source) in state.files.items():
            values[name], sources[name] = _copy(value), source
        for name, option in OPTIONS.items():
            for variable in (f"COVALENT_{name.upper()}", *option.variables):
                if os.environ.get(variable):
                    values[name], sources[name] = _from_text(name, os.environ[variable], variable), variable
        for name, value in state.given.items():
            values[name], sources[name] = _copy(value), "set_config"
    return Settings(values, sources)


def get_config(key: str | Iterable[str] | None = None) -> Any:
    """One setting, or several (of a list of names) or all of them as a dict. ConfigError if there is no such setting."""
    settings = load()
    if key is None:
        return dict(settings)
    return settings[name_of(key)] if isinstance(key, str) else {name: settings[name_of(name)] for name in key}


def set_config(
    new_config: str | Mapping[str, Any] | None = None, new_value: Any = None, *, persist: bool = True, **settings: Any
) -> None:
    """Change settings: ``set_config(executor="local")``, also as a dict, or as ``set_config("executor", "local")``.

    They count at once in this process and, with ``persist``, are written to ``covalent_config.json`` in Jupyter's
    configuration folder (mode 0600), where processes that start later find them. The value None removes a setting:
    what it was by default counts again.
    Raises ConfigError for an unknown name or a wrong value, or an executor that this process does not know; nothing is
    changed then.
    """
    checked = _checked(new_config, new_value, settings)
    if checked.get("executor") is not None:
        try:
            part("executors.registry").check_name(checked["executor"])
        except ConfigError as error:
            raise ConfigError(
                f"{error}. One that only other environments have is set there, or by COVALENT_EXECUTOR"
            ) from None
    _change(checked, persist)


def change_for_others(changes: Mapping[str, Any]) -> list[str]:
    """:func:`set_config` by a process in which no electrons are dispatched: what it finds strange, but others may know."""
    checked = _checked(changes, None, {})
    _change(checked, True)
    name = checked.get("executor")
    if name is None or is_installed(name):
        return []
    return [
        f"the environment {sys.prefix} has no executor {name!r}: dispatches from environments without it will fail, if they "
        "name no executor of their own"
    ]


def _checked(new_config: str | Mapping[str, Any] | None, new_value: Any, settings: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = dict(settings)
    if isinstance(new_config, str):
        changes[new_config] = new_value
    elif new_config is not None:
        changes.update(_flat(new_config))
    checked = {name_of(key): value for key, value in changes.items()}
    return {name: None if value is None else check(name, value) for name, value in checked.items()}


def _change(checked: dict[str, Any], persist: bool) -> None:
    state = _sources()
    with state.lock:
        if persist:
            _write_file(checked)
            state.files = None
        for name, value in checked.items():
            if value is None:
                state.given.pop(name, None)
            else:
                state.given[name] = value


def reload_config() -> None:
    """Forget what was set in this process, and read the files again."""
    state = _sources()
    with state.lock:
        state.files = None
        state.given.clear()
    load()


def name_of(key: str) -> str:
    """The setting that ``key`` means: its own name, Covalent's dotted one, or an alias."""
    name = str(key).strip().lower().replace(".", "_").replace("-", "_")
    name = ALIASES.get(name, name)
    if name not in OPTIONS:
        raise ConfigError(_unknown(str(key)))
    return name


def check(name: str, value: Any, source: str = "") -> Any:
    """``value`` as the setting keeps it; ConfigError says what is wrong with it."""
    option = OPTIONS[name]
    where = f" (from {source})" if source else ""
    if isinstance(value, Path):
        value = str(value)
    try:
        value = msgspec.convert(value, option.kind, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name} cannot be {value!r}{where}: {error}. {option.help}") from None
    if option.choices:
        found = {c.lower(): c for c in option.choices}.get(str(value).lower())
        if found is None:
            raise ConfigError(f"{name} cannot be {value!r}{where}: it is one of {', '.join(option.choices)}")
        return found
    if name == "executor" and not _NAME.fullmatch(value):
        raise ConfigError(f"{name} cannot be {value!r}{where}: that is no name. {option.help}")
    if name == "on_finish" and value and (problem := problem_with_target(value, name)):
        raise ConfigError(f"{problem}{where}")
    if name == "dask_address" and value and (problem := problem_with_scheduler(value)):
        raise ConfigError(f"{name}: {problem}{where}")
    if option.minimum is not None and value is not None and value < option.minimum:
        raise ConfigError(f"{name} cannot be {value!r}{where}: it is at least {option.minimum:g}")
    return value


def environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Environment variables that carry these settings to another process; secrets stay here."""
    found = {}
    for name, value in settings.items():
        if not OPTIONS[name].secret and value is not None and value != OPTIONS[name].default:
            found[f"COVALENT_{name.upper()}"] = value if isinstance(value, str) else json.dumps(value)
    return found


def traits() -> dict[str, Any]:
    """A traitlets trait per setting, for a ``Configurable`` (see :func:`configurable`)."""
    from traitlets import Bool, Dict, Enum, Float, Int, Unicode

    made: dict[str, Any] = {}
    for name, option in OPTIONS.items():
        if option.choices:
            trait: Any = Enum(option.choices, default_value=option.default)
        elif option.kind is bool:
            trait = Bool(option.default)
        elif option.kind is float or option.kind == float | None:
            trait = Float(option.default, allow_none=True) if option.default is None else Float(option.default)
        elif option.kind is str:
            trait = Unicode(option.default)
        elif option.kind is int or option.kind == int | None:
            trait = Int(option.default, allow_none=True) if option.default is None else Int(option.default)
        else:
            trait = Dict(option.default)
        made[name] = trait.tag(config=True)
        made[name].help = option.help
    return made


@functools.cache
def configurable() -> Any:
    """The traitlets class ``Covalent``: the settings as ``c.Covalent.name = value``."""
    from traitlets.config import Configurable

    body = {"__module__": __name__, "__doc__": "Settings of covalent-jupyter.", **traits()}
    return type(SECTION, (Configurable,), body)


def from_traitlets(config: Any) -> dict[str, Any]:
    """The settings that a traitlets ``Config`` gives in its section ``Covalent``, checked."""
    section = config.get(SECTION, {})
    found = {}
    for key, value in section.items():
        value = value.get_value(None) if hasattr(value, "get_value") else value
        name = name_of(key)
        found[name] = (
            _from_text(name, value, f"c.{SECTION}") if isinstance(value, str) else check(name, value, f"c.{SECTION}")
        )
    return found


def _unknown(key: str) -> str:
    if reason := of_covalent(key):
        return f"there is no setting {key!r}, which Covalent has: {reason}"
    close = difflib.get_close_matches(key.lower().replace(".", "_"), [*OPTIONS, *ALIASES], n=1, cutoff=0.5)
    meant = f" Did you mean {ALIASES.get(close[0], close[0])!r}?" if close else ""
    return f"there is no setting {key!r}.{meant} The settings are: {', '.join(OPTIONS)}"


def _flat(given: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Covalent's nested form ``{"dask": {"n_workers": 4}}`` as dotted names."""
    flat: dict[str, Any] = {}
    for key, value in given.items():
        name = f"{prefix}{key}"
        known = name.lower().replace(".", "_")
        if isinstance(value, Mapping) and known not in OPTIONS and known not in ALIASES:
            flat.update(_flat(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def _copy(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value


def _from_text(name: str, text: str, source: str) -> Any:
    """A value that was given as text: an environment variable, a command line."""
    kind = OPTIONS[name].kind
    if kind is str:
        return check(name, text, source)
    if kind is bool and text.strip().lower() in ("yes", "on", "no", "off"):
        return text.strip().lower() in ("yes", "on")
    try:
        return check(name, json.loads(text.strip().lower() if kind is bool else text), source)
    except json.JSONDecodeError:
        raise ConfigError(
            f"{name} cannot be {text!r} (from {source}): it is written as in JSON. {OPTIONS[name].help}"
        ) from None


def _file() -> Path:
    return Path(jupyter_config_dir()) / f"{FILE}.json"


def _read_files() -> dict[str, tuple[Any, str]]:
    """Settings of all files, with the file that each comes from; the user's own file wins over the system's."""
    found: dict[str, tuple[Any, str]] = {}
    for folder in reversed(jupyter_config_path()):
        for path in (Path(folder) / f"{FILE}.py", Path(folder) / f"{FILE}.json"):
            if path.is_file():
                section = _read_python(path) if path.suffix == ".py" else _read_json(path)
                for key, value in section.items():
                    name = name_of(key)
                    found[name] = (check(name, value, str(path)), str(path))
    return found


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    section = data.get(SECTION, {}) if isinstance(data, dict) else None
    if not isinstance(section, dict):
        raise ConfigError(f'{path} must look like {{"{SECTION}": {{"executor": "local"}}}}')
    return section


def _read_python(path: Path) -> dict[str, Any]:
    from traitlets.config.loader import PyFileConfigLoader

    try:
        config = PyFileConfigLoader(path.name, path=str(path.parent)).load_config()
    except Exception as error:  # the user's own code
        raise ConfigError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    return from_traitlets(config)


def _write_file(changes: dict[str, Any]) -> None:
    path = _file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    data: dict[str, Any] = {}
    if path.is_file():
        data = {**json.loads(path.read_bytes()), SECTION: _read_json(path)}
    section = data.setdefault(SECTION, {})
    for name, value in changes.items():
        if value is None:
            section.pop(name, None)
        else:
            section[name] = value
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w") as file:
            json.dump(data, file, indent=2)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise ConfigError(
            f"{path} cannot be written: {error}. set_config(..., persist=False) counts in this process alone."
        ) from error
