"""The service about itself: health, metrics, configuration, executors, disk, SQL, the end."""

from __future__ import annotations

import os
import socket
from http import HTTPStatus
from typing import Any

from .. import config
from .._version import __version__
from ..errors import Conflict, InvalidRequest, StoreError
from ..launch import proof
from ..model import PROTOCOL
from . import queries as q
from .disk import usage
from .web import Handler, Refusal


class Challenge(Handler):
    """Proves that this service holds the token, to whoever asks, without telling it."""

    is_open = True

    def get(self) -> None:
        query = self.query(q.Nonce)
        connection = self.context.connection
        authority = connection.url.split("/")[2]
        self.reply(
            {"proof": proof(connection.token, authority, query.nonce), "version": __version__, "protocol": PROTOCOL}
        )


class Health(Handler):
    """Really writes and reads."""

    counts_as_activity = False

    async def get(self) -> None:
        self.query(q.Nothing)
        context, connection = self.context, self.context.connection
        problem, write_ms, read_ms = "", 0.0, 0.0
        try:
            write_ms, read_ms = await context.file(context.store.check)
        except StoreError as error:
            problem = str(error)
        self.reply(
            q.Health(
                ok=not problem, version=__version__, protocol=PROTOCOL, pid=os.getpid(),
                store=str(context.store.folder),
                store_id=context.store.store_id, host=socket.gethostname(), started=connection.started,
                running=context.dispatcher.running(), seq=context.dispatcher.bus.seq, write_ms=write_ms,
                read_ms=read_ms, problem=problem, idle_timeout=context.idle_timeout,
                warnings=[*context.warnings, *filter(None, [context.disk_warning()])],
                place=context.place.kind, place_text=context.place.text,
            )
        )  # fmt: skip


class Metrics(Handler):
    """Prometheus text."""

    counts_as_activity = False

    def get(self) -> None:
        self.query(q.Nothing)
        context, executors = self.context, self.context.dispatcher.executors()
        activity, dispatcher = context.activity, context.dispatcher
        plain = [
            ("covalent_start_time_seconds", "gauge", "When it started.", context.connection.started),
            ("covalent_dispatches_running", "gauge", "Dispatches that have not ended.", dispatcher.running()),
            ("covalent_events_total", "counter", "Last sequence number of the log.", dispatcher.bus.seq),
            ("covalent_requests_total", "counter", "Requests that came in.", activity.requests),
            ("covalent_requests_refused_total", "counter", "Requests without the token.", activity.refused),
            ("covalent_requests_open", "gauge", "Requests that are being answered.", activity.open),
            ("covalent_store_writable", "gauge", "Whether the store takes writes.", int(not context.store.problem)),
        ]
        lines = _metric("covalent_info", "gauge", "Version of the service.", [({"version": __version__}, 1)])
        for name, kind, text, value in plain:
            lines += _metric(name, kind, text, [({}, value)])
        for name, text, key in (
            ("covalent_executor_slots", "Slots of an executor.", "slots"),
            ("covalent_executor_packs", "Packs that an executor holds.", "packs"),
        ):
            lines += _metric(name, "gauge", text, [(_labels(e), e[key]) for e in executors])
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish("\n".join(lines) + "\n")


class OpenApi(Handler):
    counts_as_activity = False

    def get(self) -> None:
        self.query(q.Nothing)
        self.set_header("Content-Type", "application/json")
        self.finish(self.settings["openapi"])


class Config(Handler):
    def get(self) -> None:
        self.query(q.Nothing)
        self.reply(self._answer())

    async def patch(self) -> None:
        changes = self.json_body(dict[str, Any])
        warnings = await self.context.file(_set, changes)
        self.context.settings = config.load()
        self.context.configure(self.context.settings)
        self.reply({**self._answer(), "warnings": warnings})

    def _answer(self) -> dict[str, Any]:
        settings = self.context.settings
        return {
            "settings": settings.public(),
            "sources": settings.sources,
            "help": {k: o.help for k, o in config.OPTIONS.items()},
        }


class Executors(Handler):
    def get(self) -> None:
        self.query(q.Nothing)
        self.reply({"executors": self.context.dispatcher.executors()})


class Cluster(Handler):
    def get(self) -> None:
        self.query(q.Nothing)
        clusters = [e for e in self.context.dispatcher.executors() if e["name"] == "dask"]
        self.reply({"clusters": clusters})

    async def post(self) -> None:
        body = self.json_body(q.ClusterAction)
        if body.action not in ("restart", "scale", "close"):
            raise InvalidRequest(f"action: {body.action[:80]!r}; it is restart, scale or close")
        if body.action == "scale" and not body.n:
            raise InvalidRequest("scale needs n, the number of slots")
        self.reply(await self.context.cluster(body.action, name=body.name, host=body.host, n=body.n))


class Sql(Handler):
    async def post(self) -> None:
        body = self.json_body(q.Sql)
        self.reply(await self.context.query(self.context.store.sql, body.query, max_rows=body.max_rows))


class Disk(Handler):
    async def get(self) -> None:
        self.query(q.Nothing)
        self.reply(await self.context.file(usage, self.context.store))


class Purge(Handler):
    async def post(self) -> None:
        """Delete dispatches that ended long ago, or those that are named, and values that nothing refers to."""
        body = self.json_body(q.Purge)
        if body.dispatch_ids is not None:
            ids = list(dict.fromkeys(body.dispatch_ids))
            dispatcher = self.context.dispatcher
            self.reply(await (dispatcher.would_free(ids) if body.dry_run else dispatcher.delete(ids)))
            return
        states = [s.upper() for s in body.states]
        self.reply(await self.context.dispatcher.purge(older_than=body.older_than, states=states, dry_run=body.dry_run))


class Shutdown(Handler):
    counts_as_activity = False

    async def post(self) -> None:
        body = self.json_body(q.Shutdown)
        running = self.context.dispatcher.running()
        if body.if_idle and running:
            raise Conflict(f"{running} dispatches are running", running=running)
        self.context.stopping = True
        self.reply({"stopping": True, "running": running}, HTTPStatus.ACCEPTED)
        self.context.shutdown(body.reason or "asked to", body.stop_hosts)


def _set(changes: dict[str, Any]) -> list[str]:
    if any(config.OPTIONS[config.name_of(key)].secret for key in changes):
        raise Refusal(
            HTTPStatus.FORBIDDEN, "secrets are not set from here: use ct.set_config in the process that needs them"
        )
    return config.change_for_others(changes)


def _labels(executor: dict[str, Any]) -> dict[str, str]:
    return {"host": str(executor["host"]), "executor": str(executor["name"])}


def _metric(name: str, kind: str, text: str, samples: list[tuple[dict[str, str], float]]) -> list[str]:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        inner = ",".join(f'{key}="{_escape(label)}"' for key, label in labels.items())
        lines.append(f"{name}{{{inner}}} {value}" if inner else f"{name} {value}")
    return lines


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
