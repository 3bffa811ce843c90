"""Commands about the service: start, stop, restart, status, disk, cluster, config."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .. import config, launch
from .._version import __version__
from ..client.connection import Endpoint, server_endpoint, settings
from ..client.display import ago_text, plain, size_text
from ..client.rest import Rest, connect
from ..client.tables import largest
from ..errors import ConfigError, InvalidRequest, ServiceUnavailable
from ..model import ConnectionFile
from ..place import network_warning
from .output import Out, complain

NOT_RUNNING = 3  # exit code of ``status``, as of systemd's


def start(options: argparse.Namespace, out: Out) -> int:
    chosen = settings()
    if chosen.url:
        raise ServiceUnavailable(
            f"the configured service is behind {server_endpoint(chosen.url, '').url}: its Jupyter server starts it"
        )
    before = launch.find(chosen.store_dir)
    file = launch.ensure_running(chosen.store_dir, variables=config.environment(config.load()))
    fresh = before is None or before.pid != file.pid
    out.data({**_public(file), "started": fresh, "running": True})
    out.say(f"{'Started' if fresh else 'It runs already'}: process {file.pid}, {file.url}, store {plain(file.store)}")
    warning = network_warning(Path(file.store), Path(config.load().blob_root or file.store))
    if warning:
        out.say(plain(warning), "err")
    return 0


def stop(options: argparse.Namespace, out: Out) -> int:
    stopped = launch.stop(settings().store_dir, reason="jupyter covalent stop", if_idle=options.if_idle)
    still = launch.find(settings().store_dir) is not None
    out.data({"stopped": stopped, "running": still})
    if still:
        out.say("Runs are under way, so it was left alone; without --if-idle it is suspended.")
        return 1
    out.say("Stopped; unfinished runs go on when it is started again." if stopped else "No service runs.")
    return 0


def restart(options: argparse.Namespace, out: Out) -> int:
    store = settings().store_dir
    launch.stop(store, reason="jupyter covalent restart")
    file = launch.ensure_running(store, variables=config.environment(config.load()))
    out.data({**_public(file), "running": True})
    out.say(f"Restarted: process {file.pid}, {file.url}, store {plain(file.store)}")
    return 0


def _public(file: ConnectionFile) -> dict[str, Any]:
    """What may be printed of a connection file: all but the token."""
    return {"url": file.url, "pid": file.pid, "version": file.version, "protocol": file.protocol, "store": file.store,
            "store_id": file.store_id, "host": file.host, "since": file.started}  # fmt: skip


def status(options: argparse.Namespace, out: Out) -> int:
    """Whether the service runs, where, and how it is; never starts it."""
    found = state_of_service()
    out.data(found)
    if not found["running"]:
        out.say(f"○ No service runs for {plain(found['store'])}; `jupyter covalent start` (or any dispatch) starts it.")
        return NOT_RUNNING
    sign, tone = ("✓", "ok") if found["ok"] else ("✕", "err")
    out.say(f"{sign} covalent-jupyter {found['version']} runs on {found['host']}", tone)
    out.facts([
        ("process", found["pid"]), ("url", found["url"]), ("store", found["store"]),
        ("since", ago_text(found["since"])),
        ("runs", f"{found['dispatches']} under way"),
        ("place", found["place_text"]),
        ("store answers", f"write {found['write_ms']:.1f} ms, read {found['read_ms']:.1f} ms"),
    ])  # fmt: skip
    if found["problem"]:
        out.say(plain(found["problem"]), "err")
    for warning in found["warnings"]:
        out.say(plain(warning), "err")
    return 0 if found["ok"] else 1


def state_of_service() -> dict[str, Any]:
    """Keys: ``running`` (bool), ``ok, url, pid, version, protocol, store, store_id, host, since``, ``dispatches``
    (under way), ``write_ms, read_ms, problem, warnings, place, place_text, client``; None where there is no service."""
    chosen = settings()
    empty: dict[str, Any] = {"running": False, "ok": False, "url": None, "pid": None, "version": None, "protocol": None,
             "store": str(chosen.store_dir), "store_id": None, "host": None, "since": None, "dispatches": 0,
             "write_ms": None, "read_ms": None, "problem": "", "warnings": [], "place": "", "place_text": "", "client": __version__}  # fmt: skip
    rest = connect()
    found: Endpoint | None = rest.connector.find()
    if found is None:
        return empty
    health = rest.health(timeout=10.0)
    return {
        **empty, "running": True, "ok": bool(health.get("ok")), "url": found.url, "since": health.get("started"),
        "dispatches": health.get("running", 0), "warnings": health.get("warnings", []),
        "place": health.get("place", ""), "place_text": health.get("place_text", ""),
        **{k: health.get(k) for k in ("pid", "version", "protocol", "store", "store_id", "host", "problem")},
        **{k: health.get(k) for k in ("write_ms", "read_ms")},
    }  # fmt: skip


def disk(options: argparse.Namespace, out: Out) -> int:
    found = connect().get("disk")
    out.data(found)
    out.say(plain(found.get("store", "")))
    parts = sorted(dict(found.get("parts", {})).items(), key=lambda item: -item[1])
    out.facts([*((name, size_text(size)) for name, size in parts if size), ("all", size_text(found["total"])),
               ("free", size_text(found["free"])), ("budget", size_text(found["budget"]))])  # fmt: skip
    for header, rows in largest(found):
        out.say()
        out.table(header, rows)
    if found["total"] > 0.8 * found["budget"]:
        out.say("More than 80% of the budget are used: `jupyter covalent purge --older-than 30d` frees some.", "err")
    return 0


def cluster(options: argparse.Namespace, out: Out) -> int:
    rest = connect()
    if options.action is not None:
        body: dict[str, Any] = {"action": options.action, "name": options.executor}
        if options.action == "scale":
            if options.n is None:
                raise InvalidRequest("how many slots? For example: jupyter covalent cluster scale 4")
            body["n"] = options.n
        answer = rest.post("cluster", repeat=False, timeout=120.0, **body)
        out.data(answer)
        if options.action == "scale":
            for made in answer.get("executors", []):
                out.say(plain(f"{made['name']}: {made['slots']} slots, {made['workers']} workers"))
        else:
            out.facts((k, v) for k, v in answer.items())
        return 0
    executors = list(rest.get("executors").get("executors", []))
    out.data({"executors": executors})
    if not executors:
        out.say("No executor runs: they start with the first dispatch that needs them.")
        return 0
    rows = [[e.get("name"), e.get("state"), e.get("slots"), e.get("workers"), e.get("packs"),
             (e.get("info") or {}).get("address", ""), e.get("message")] for e in executors]  # fmt: skip
    out.table(("executor", "state", "slots", "workers", "packs", "address", "message"), rows)
    return 0


def configure(options: argparse.Namespace, out: Out) -> int:
    """Show settings, or change one (for the service that runs, too)."""
    if options.key is None:
        found = config.load()
        public = found.public()
        out.data({"settings": public, "sources": found.sources})
        out.table(("setting", "value", "from", "what it is"),
                  [[k, _shown(v), found.sources[k], config.OPTIONS[k].help] for k, v in public.items()],
                  limit=90)  # fmt: skip
        return 0
    name = config.name_of(options.key)
    if options.value is None and not options.unset:
        value = config.load().public()[name]
        out.data({name: value})
        out.say(plain(_shown(value)))
        return 0
    value = None if options.unset else _typed(name, options.value)
    config.set_config({name: value})
    live = not config.OPTIONS[name].secret and name not in ("url", "store_dir") and _tell(connect(), name, value)
    shown = config.load().public()[name]
    out.data({name: shown})
    out.say(f"{name} = {plain(_shown(shown))}" + ("; the running service knows it" if live else ""))
    return 0


def _tell(rest: Rest, name: str, value: Any) -> bool:
    """Whether a service ran and has been told."""
    if rest.connector.find() is None:
        return False
    for text in rest.patch("config", **{name: value}).get("warnings", ()):
        complain(text)
    return True


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _typed(name: str, text: str) -> Any:
    """The text as the setting's type: JSON, or as it stands where the setting is text."""
    if config.OPTIONS[name].kind is str:
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise ConfigError(
            f"{name}: {text!r} is written as in JSON, for example {json.dumps(config.OPTIONS[name].default)}"
        ) from None
