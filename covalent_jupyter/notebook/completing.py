"""Tab in the line of a magic: options, commands, ids of dispatches, electrons, names of lattices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.error import UsageError

from ..client.nodes import addresses
from ..client.rest import connect
from ..errors import CovalentError
from .commands import COMMANDS
from .magics import PARSERS
from .session import chosen

#: first words of a line that we complete
OURS = ("%covalent", "covalent", "%%electron", "%%lattice", "%%dispatch", "%%covalent_sql", "%covalent_sql")
#: newest dispatches that are offered, and electrons of one
OFFERED = 50
_EXECUTORS = ("dask", "local")
_CHOICES = {
    "--on-error": ("fail", "value"),
    "--on-interrupt": ("run_again", "fail"),
    "--keep": ("always", "until_done", "never"),
    "--status": ("running", "completed", "failed", "cancelled"),
}


def completer_for(shell: Any) -> Callable[[CompletionContext], SimpleMatcherResult]:
    """A matcher for IPython's completer. Where it has something to offer, nothing else is offered: what Python knows of
    such a line makes no sense in it."""

    @context_matcher(priority=1000, identifier="covalent_jupyter")
    def complete(context: CompletionContext) -> SimpleMatcherResult:
        before = context.text_until_cursor
        first, *rest = before.split() or [""]
        if first not in OURS or not (rest or before[-1:].isspace()):
            return SimpleMatcherResult(completions=[])
        word = "" if before[-1:].isspace() else rest[-1]
        try:
            found = _candidates(shell, first.lstrip("%"), rest, word)
        except (CovalentError, UsageError):  # no service, no dispatch: nothing to offer
            found = []
        fitting = [SimpleCompletion(text) for text in dict.fromkeys(found) if text.startswith(word)]
        return SimpleMatcherResult(completions=fitting, matched_fragment=word, ordered=True, suppress=True)

    return complete


def _candidates(shell: Any, magic: str, words: list[str], word: str) -> Iterable[str]:
    given = words[: len(words) - 1] if word and words else words
    if magic == "covalent":
        if not given:
            return list(COMMANDS)
        command = COMMANDS.get(given[0])
        if command is None:
            return []
        if word.startswith("-"):
            return command.parser.flags
        return [*_values(shell, given[-1]), *_words(shell, given[0], given[1:])]
    if word.startswith("-"):
        return PARSERS[magic].flags
    return _values(shell, given[-1] if given else "")


def _values(shell: Any, flag: str) -> list[str]:
    """What may follow a flag."""
    if flag == "--executor":
        return [*_EXECUTORS, *(n for n, v in shell.user_ns.items() if callable(getattr(v, "to_spec", None)))]
    return list(_CHOICES.get(flag, ()))


def _words(shell: Any, command: str, given: list[str]) -> list[str]:
    """Ids, and electrons of the dispatch that is named, or of the newest one."""
    if command == "cluster":
        return ["restart", "scale", "close"]
    rest = connect()
    if command in ("disk", "config", "list") or rest.connector.find() is None:  # a Tab starts no service
        return []
    given = [w for w in given if not w.startswith("-")]
    found: list[str] = []
    if not given:
        rows = rest.dispatches(limit=OFFERED, parent="none").dispatches
        found = [row.dispatch_id[:8] for row in rows]
        if command == "cancel":
            found = [row.dispatch_id[:8] for row in rows if not row.status.ended]
    if command in ("logs", "debug", "cancel"):
        row = chosen(rest, given[0] if given else None, shell.user_ns)
        found += addresses(rest.manifest(row.dispatch_id), OFFERED)
    return found
