"""Hostile strings in names, docstrings, reprs, errors, tags: nothing is executed, passed through to a terminal, or forged."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import covalent_jupyter as ct
from covalent_jupyter.client.rest import connect
from covalent_jupyter.errors import CovalentError

from .conftest import World

pytestmark = pytest.mark.timeout(600)

SCRIPT = "<script>alert(1)</script>"
HOSTILE = [
    SCRIPT, "<img src=x onerror=alert(1)>", "\"><svg onload=alert(1)>", "</pre></div><iframe src=javascript:alert(1)>",
    "\x1b[2J\x1b]0;title\x07\x1b[31m", "\x9b31mC1", "one\n2026-01-01 00:00:00 1 ERROR forged: a line\rtwo", "/etc/hostname",
    "../../../../etc/passwd", "\u202egnp.exe", "%s%n{0.__class__}{{}}", "$\\href{javascript:alert(1)}{x}$", "`x` [a](javascript:alert(1))",
    "\0null", "é" * 5000,
]  # fmt: skip
ALLOWED = set("div span table tbody thead tr td th pre code details summary b i em strong p ul ol li a svg g path rect circle line text "
              "title style h1 h2 h3 h4 small br hr progress defs marker polygon polyline button input label img section".split())  # fmt: skip
ACTIVE = re.compile(r"^on", re.I)


class Shown:
    """A value whose repr, HTML and text are hostile."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def __reduce__(self) -> Any:
        return Shown, (self.text,)


class Strict(HTMLParser):
    """Collects what a browser would act upon."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ALLOWED:
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            if ACTIVE.match(name) or re.match(r"\s*(javascript|data|vbscript):", value or "", re.I):
                self.wrong.append(f"<{tag} {name}={value!r:.100}>")


def check_html(text: str) -> None:
    parser = Strict()
    parser.feed(text)
    assert not parser.wrong, parser.wrong
    assert SCRIPT not in text


def check_text(text: str) -> None:
    """No escape sequence reaches a terminal, raw; no line is broken by a carriage return."""
    found = re.findall(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]", text)
    assert not found, (found, text[:300])


def make(text: str) -> Any:
    """A lattice full of it: name, docstring, value, printed text, error, tag, label, note."""
    name = "".join(c for c in text if c.isprintable())[:80] or "x"

    def value(n: int) -> Shown:
        print(text)
        return Shown(text)

    def fails(n: int) -> None:
        raise ValueError(text)

    value.__doc__ = fails.__doc__ = text
    value.__name__ = value.__qualname__ = name
    fails.__name__ = fails.__qualname__ = name

    def both(arg: Any) -> Any:
        return ct.electron(value, executor="local")(1), ct.electron(fails, executor="local")(2)

    both.__doc__, both.__name__, both.__qualname__ = text, name, name
    return ct.lattice(both)


def test_hostile_text_is_shown_as_text(world: World) -> None:
    sent: list[tuple[str, str]] = []
    wrong: list[str] = []
    for text in HOSTILE:
        try:
            sent.append((text, str(ct.dispatch(make(text), name=text[:200], tags=[text[:200]])(Shown(text)))))
        except CovalentError as error:  # refused with a sentence is as good
            _try(wrong, text, check_text, str(error))
    assert len(sent) > len(HOSTILE) / 2
    for text, dispatch_id in sent:
        connect().annotate(dispatch_id, note=text)
        result = ct.get_result(dispatch_id, wait=True, timeout=280)
        assert str(result.status) == "FAILED", text
        for thing in (result, result.electrons, result.electrons[0], result.electrons[1]):
            shown = getattr(thing, "_repr_html_", None)
            if shown is not None:
                _try(wrong, text, check_html, shown() or "")
            _try(wrong, text, check_text, repr(thing))
        _try(wrong, text, check_text, str(result.error))
    assert not wrong, "\n".join(wrong)


def _try(wrong: list[str], text: str, check: Callable[[str], None], shown: str) -> None:
    try:
        check(shown)
    except AssertionError as error:
        wrong.append(f"{text[:60]!r}: {str(error)[:400]}")


def test_nothing_forges_a_line_in_a_log(world: World) -> None:
    forged = "x\n2026-01-01 00:00:00,000 1 ERROR covalent_jupyter: forged by a request"
    token = {"Authorization": f"token {world.connection.token}"}
    from urllib.parse import quote

    for path in (f"dispatches/{quote(forged)}", f"values/{quote(forged)}", f"nowhere/{quote(forged)}"):
        assert 400 <= world.direct("GET", path, headers=token).status < 500
    body = b'{"query": "SELECT \'x\\n2026-01-01 00:00:00,000 1 ERROR covalent_jupyter: forged\' FROM nothing"}'
    assert 400 <= world.direct("POST", "sql", body, token).status < 500
    log = (world.here.store / "service.log").read_text()
    assert not [line for line in log.splitlines() if re.match(r"\S+ \S+ 1 ERROR covalent_jupyter: forged", line)]
    assert "\x1b" not in log


def test_no_path_is_left(world: World, tmp_path: Path) -> None:
    token = {"Authorization": f"token {world.connection.token}"}
    for part in (
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "../../../etc/passwd",
        "%2fetc%2fpasswd",
        "%00",
        "a" * 64 + "%2f..",
    ):
        for where in (
            "values/{}",
            "dispatches/{}",
            "dispatches/{}/electrons/0/stdout",
            "dispatches/x/electrons/{}/stdout",
        ):
            answer = world.direct("GET", where.format(part), headers=token)
            assert 400 <= answer.status < 500 and b"root:" not in answer.data, (where, part, answer.status)
            answer = world.through("GET", where.format(part), headers={"Authorization": "token wrong"})
            assert 400 <= answer.status < 500 and b"root:" not in answer.data
