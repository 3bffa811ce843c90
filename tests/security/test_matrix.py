"""Who may do what: every route with every kind of credential, through Jupyter and directly, exactly as the table says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple

import pytest

from covalent_jupyter.service.routes import ROUTES, Route

from ..reliability.kills import TOKEN
from .conftest import World

EVIL = "https://evil.example"
REFUSED_DIRECTLY, REFUSED_BY_JUPYTER = (401, 403), (403, 404)


class Way(NamedTuple):
    """A kind of credential. ``jupyter`` and ``direct``: whether requests that read, and requests that change something,
    are let in by it."""

    name: str
    headers: Callable[[World], dict[str, str]]
    jupyter: tuple[bool, bool]
    direct: tuple[bool, bool]
    query: Callable[[World], str] = lambda world: ""


def cookie(world: World, **more: str) -> str:
    return "; ".join(f"{k}={v}" for k, v in {**world.cookies, **more}.items())


def xsrf(world: World) -> str:
    return world.cookies.get("_xsrf", "")


NEVER, ALWAYS, READ = (False, False), (True, True), (True, False)
WAYS = [
    Way("no login", lambda w: {}, NEVER, NEVER),
    Way("wrong token", lambda w: {"Authorization": "token wrong"}, NEVER, NEVER),
    Way("empty token", lambda w: {"Authorization": "token "}, NEVER, NEVER),
    Way("the other's token", lambda w: {"Authorization": f"token {w.connection.token}"}, NEVER, ALWAYS),
    Way("Jupyter's token", lambda w: {"Authorization": f"token {TOKEN}"}, ALWAYS, NEVER),
    Way("Bearer", lambda w: {"Authorization": f"Bearer {w.connection.token}"}, NEVER, ALWAYS),
    Way("Basic", lambda w: {"Authorization": f"Basic {w.connection.token}"}, NEVER, NEVER),
    Way("query", lambda w: {}, ALWAYS, NEVER, lambda w: f"token={TOKEN}"),
    Way("the service's token in the query", lambda w: {}, NEVER, NEVER, lambda w: f"token={w.connection.token}"),
    Way("cookie, XSRF missing", lambda w: {"Cookie": cookie(w)}, READ, NEVER),
    Way("cookie, XSRF forged", lambda w: {"Cookie": cookie(w), "X-XSRFToken": "2|forged|1|1"}, READ, NEVER),
    Way(
        "XSRF made by oneself, no login", lambda w: {"Cookie": "_xsrf=mine", "X-XSRFToken": "mine"}, NEVER, NEVER
    ),
    Way("cookie and XSRF", lambda w: {"Cookie": cookie(w), "X-XSRFToken": xsrf(w)}, ALWAYS, NEVER),
    Way(
        "cookie and XSRF, foreign Origin",
        lambda w: {"Cookie": cookie(w), "X-XSRFToken": xsrf(w), "Origin": EVIL}, NEVER, NEVER,
    ),
    Way(
        # a link on another page: what reads has no effect, and the page does not see the answer
        "cookie, foreign Referer", lambda w: {"Cookie": cookie(w), "Referer": f"{EVIL}/page"}, READ, NEVER,
    ),
    Way("foreign Host", lambda w: {"Authorization": f"token {w.connection.token}", "Host": "evil.example"}, NEVER, NEVER),
    Way("foreign Host, Jupyter's token", lambda w: {"Authorization": f"token {TOKEN}", "Host": "evil.example"}, NEVER, NEVER),
    Way(
        "token, foreign Origin",  # a page cannot send this header; a program may call itself what it likes
        lambda w: {"Authorization": f"token {w.connection.token}", "Origin": EVIL}, NEVER, ALWAYS,
    ),
]  # fmt: skip


def path_of(route: Route, world: World) -> str:
    given = {"stream": "stdout", "node": "0", "digest": "a" * 64}
    own = world.running if route.method == "GET" else "0" * 36  # nothing may be changed by being let in
    return re.sub(r"\{(\w+)\}", lambda m: given.get(m.group(1), own), route.path)


def body_of(route: Route) -> bytes | None:
    if route.method == "GET":
        return None
    harmless = {
        "shutdown": {"if_idle": True}, "purge": {"older_than": 1e9, "states": [], "dry_run": True},
        "cluster": {"action": "close"}, "sql": {"query": "SELECT 1"},
    }  # fmt: skip
    return json.dumps(harmless.get(route.path, {})).encode()


def query_of(route: Route) -> list[str]:
    return ["wait=0"] if route.path == "events" else ["nonce=" + "ab" * 16] if route.path == "challenge" else []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_exactly_what_the_table_says(world: World, way: Way) -> None:
    wrong = []
    for route in ROUTES:
        query = "&".join(filter(None, [*query_of(route), way.query(world)]))
        path, body = path_of(route, world) + (f"?{query}" if query else ""), body_of(route)
        changes = route.method != "GET"
        answer = world.through(route.method, path, body, way.headers(world))
        let_in = answer.status not in REFUSED_BY_JUPYTER or b"X-Covalent" in answer.data or _is_ours(answer.data)
        # the proof that is open to everybody is for programs on this machine: Jupyter does not pass it on
        if let_in != (way.jupyter[changes] and not route.handler.is_open):
            wrong.append(f"{route.method} {route.path} through Jupyter: {answer.status} {answer.data[:150]!r}")
        answer = world.direct(route.method, path, body, way.headers(world))
        expected = way.direct[changes] or (route.handler.is_open and "Host" not in way.headers(world))
        if (answer.status not in REFUSED_DIRECTLY) != expected:
            wrong.append(f"{route.method} {route.path} directly: {answer.status} {answer.data[:150]!r}")
        if answer.status >= 500 or world.connection.token.encode() in answer.data:
            wrong.append(f"{route.method} {route.path} directly: {answer.status} {answer.data[:300]!r}")
    assert not wrong, "\n".join(wrong)


def _is_ours(data: bytes) -> bool:
    """Whether a 404 comes from the service behind, which speaks of dispatches and values."""
    try:
        found = json.loads(data)
    except ValueError:
        return False
    return isinstance(found, dict) and any(w in str(found.get("message")) for w in ("dispatch", "value", "electron"))
