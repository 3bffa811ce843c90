"""``%covalent <command> [id] ...``: each command is parsing and a call of a plain function of ``ct``."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from IPython.core.error import StdinNotImplementedError, UsageError

from .. import config
from ..client.dispatching import cancel, find_definition, redispatch
from ..client.display import counted, plain, progress_line, size_text
from ..client.failures import failed_electrons, failure_text
from ..client.handle import DispatchId
from ..client.nodes import find_nodes
from ..client.rest import Rest, connect
from ..client.result import Result
from ..client.tables import Facts, Table, disk, dispatches
from ..client.waiting import waits_text
from ..errors import ConfigError, CovalentError
from ..front import notebook_path
from ..model import DispatchRow, Status
from ..workflow.digest import code_digest
from . import debugging
from .fetching import fetch
from .line import Option, Parser, literal, text_of, variable_name, whole
from .outside import TAG
from .plainly import raised
from .session import bind, chosen, chosen_first, newest, stay

Found = Mapping[str, Any]
_ID = ("id", "?", "an id, the start of one, or a variable that holds one; without: the newest of this notebook")
_NODE = ("node", "?", "an electron: 12, train, train[C=0.1]")
_OUTPUT = Option("--output", "NAME", "the variable that gets it", text_of, short="-o")


class Command(NamedTuple):
    """One command: its parser, what is said of it, its function, its twin in Python."""

    run: Callable[[Any, Rest, Found], Any]
    parser: Parser
    help: str
    twin: str


def run(shell: Any, line: str) -> Any:
    """What the command gives, which the notebook shows. UsageError says what was meant."""
    name, _, rest = line.strip().partition(" ")
    if not name or name in ("help", "--help", "-h", "?"):
        print(help_text())
        return None
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1, 0.5)
        meant = f" Did you mean %covalent {near[0]}?" if near else ""
        raise UsageError(f"%covalent: there is no command {name!r}.{meant} Commands are {', '.join(COMMANDS)}")
    command = COMMANDS[name]
    return command.run(shell, connect(), command.parser.parse(rest, shell.user_ns))


def help_text() -> str:
    """Everything that ``%covalent`` can do, with the Python for it."""
    width = max(map(len, COMMANDS))
    lines = [
        "Dispatches from the notebook: %covalent <command> [id] [options]",
        "",
        "An id may be shortened to its beginning (7e05) or be a variable that holds it; without one the newest",
        "dispatch of this notebook is meant. Electrons are called by number or name: 12, train, train[C=0.1].",
        "",
    ]
    for name, command in COMMANDS.items():
        lines.append(f"    {name:<{width}}  {command.help}  ({command.twin})")
    lines += [
        "",
        "For example:",
        "    %covalent status",
        "    %covalent logs 7e05 train[C=0.1]",
        "    %covalent redispatch --failed",
    ]
    for name, command in COMMANDS.items():
        if command.parser.known:
            lines += ["", f"Options of {name}:", command.parser.help_text()]
    return "\n".join(lines)


def _dispatch_of(shell: Any, rest: Rest, found: Found) -> DispatchId:
    return DispatchId(chosen(rest, found.get("id"), shell.user_ns).dispatch_id, rest)


def _row_of(shell: Any, rest: Rest, found: Found) -> DispatchRow:
    return chosen(rest, found.get("id"), shell.user_ns)


def _status(shell: Any, rest: Rest, found: Found) -> None:
    row = _row_of(shell, rest, found)
    print(f"{progress_line(row)}{waits_text(rest, row)}  {row.dispatch_id}")
    if row.status is Status.FAILED:
        print(failure_text(row, list(failed_electrons(rest, row.dispatch_id))))


def _list(shell: Any, rest: Rest, found: Found) -> Any:
    here = notebook_path() if "here" in found else None
    if "here" in found and not here:
        raise UsageError("%covalent list --here: the front end does not say which notebook this is")
    return dispatches(
        found.get("limit", 20), status=found.get("status"), text=found.get("text"), lattice=found.get("lattice"),
        tag=found.get("tag"), notebook=here,
    )  # fmt: skip


def _show(shell: Any, rest: Rest, found: Found) -> DispatchId:
    return _dispatch_of(shell, rest, found)


def _cancel(shell: Any, rest: Rest, found: Found) -> Any:
    row, electrons = _row_and_electrons(shell, rest, found)
    if row.status.ended:
        running = list(rest.dispatches(status="RUNNING", limit=5).dispatches)
        listed = ", ".join(f"{r.dispatch_id[:8]} ({plain(r.name)})" for r in running)
        more = f" Running are: {listed}" if listed else ""
        raise UsageError(f"nothing to cancel: {plain(row.name)} {row.dispatch_id[:8]} is {row.status}.{more}")
    nodes = None
    if electrons:
        manifest = rest.manifest(row.dispatch_id)
        nodes = sorted({n for address in electrons for n in find_nodes(manifest, address)})
    return cancel(row.dispatch_id, nodes)


def _result(shell: Any, rest: Rest, found: Found) -> Any:
    row = _row_of(shell, rest, found)
    name = variable_name(found["output"], "%covalent result", shell.user_ns) if "output" in found else ""
    value = raised(Result(rest, row)).value
    if not name:
        return value
    shell.user_ns[name] = value
    return None


def _wait(shell: Any, rest: Rest, found: Found) -> None:
    stay(_dispatch_of(shell, rest, found))


def _row_and_electrons(shell: Any, rest: Rest, found: Found) -> tuple[DispatchRow, list[str]]:
    """``%covalent logs train``: a word that is no dispatch is an electron of the newest one."""
    words = [*filter(None, (found.get("id"), found.get("node"))), *found.get("nodes", ())]

    def check(row: DispatchRow, word: str) -> None:
        find_nodes(rest.manifest(row.dispatch_id), word)

    return chosen_first(rest, words, shell.user_ns, lambda: newest(rest), check)


def _logs(shell: Any, rest: Rest, found: Found) -> None:
    row, words = _row_and_electrons(shell, rest, found)
    text = Result(rest, row).logs(_one(words, "logs"))
    print(text or "Nothing was printed.", end="" if text.endswith("\n") else "\n")


def _one(words: list[str], command: str) -> str | None:
    if len(words) > 1:
        raise UsageError(f"%covalent {command}: {words[0]!r} is no dispatch, and one electron is expected after it")
    return words[0] if words else None


def _say_if_mended(rest: Rest, row: DispatchRow) -> None:
    """Point at ``--current`` where the notebook defines the lattice otherwise than it was recorded."""
    recorded = rest.manifest(row.dispatch_id).lattice
    here = find_definition(recorded.name, recorded.file)
    with suppress(CovalentError):  # code of which no digest can be taken: nothing to say
        if here is not None and code_digest(here) != recorded.code:
            print(
                f"The recorded code of {plain(recorded.name)} runs; what is defined here differs: --current takes that.",
                file=sys.stderr,
            )


def _redispatch(shell: Any, rest: Rest, found: Found) -> Any:
    row = _row_of(shell, rest, found)
    name = f"{row.lattice}_run"
    if "output" in found:
        name = variable_name(found["output"], "%covalent redispatch", shell.user_ns)
    if "current" not in found:
        _say_if_mended(rest, row)
    sent = redispatch(
        row.dispatch_id, reuse_previous_results="reuse" in found, code="current" if "current" in found else "recorded",
        rerun="failed" if "failed" in found else "changed", explain="explain" in found, seed=found.get("seed"),
    )()  # fmt: skip
    if "explain" in found:
        return sent
    bind(shell, [name] if name.isidentifier() else [], sent)
    if "wait" not in found:
        return sent
    stay(sent)
    return None


def _debug(shell: Any, rest: Rest, found: Found) -> Any:
    row, words = _row_and_electrons(shell, rest, found)
    prompt = False if "bind" in found else None
    return debugging.debug(row.dispatch_id, _one(words, "debug"), prompt=prompt, namespace=shell.user_ns)


def _delete(shell: Any, rest: Rest, found: Found) -> Any:
    row = _row_of(shell, rest, found)
    if "yes" not in found:
        question = f"Delete {plain(row.name)} {row.dispatch_id[:8]} ({row.status}) with all values and logs? [y/N] "
        try:
            answer = input(question)
        except (EOFError, StdinNotImplementedError):
            raise UsageError("nobody can be asked here: %covalent delete ID --yes deletes at once") from None
        if answer.strip().lower() not in ("y", "yes"):
            print("Nothing was deleted.")
            return None
    answer_of = rest.delete(row.dispatch_id)
    print(
        f"Deleted {counted(len(answer_of.get('deleted', [])), 'dispatch', 'dispatches')}; {size_text(int(answer_of.get('freed', 0)))} are free again."
    )
    return None


def _disk(shell: Any, rest: Rest, found: Found) -> Any:
    return disk()


def _settings() -> list[dict[str, Any]]:
    loaded = config.load()
    return [
        {"setting": name, "value": value, "from": loaded.sources[name], "what it is": config.OPTIONS[name].help}
        for name, value in loaded.public().items()
    ]


def _setting(word: str) -> Any:
    """The value of a setting; of a word that is none, the settings that are about it."""
    try:
        return config.get_config(word)
    except ConfigError as error:
        rows = [row for row in _settings() if word.lower() in f"{row['setting']} {row['what it is']}".lower()]
        if rows:
            return Table(rows)
        raise UsageError(f"there is no setting {word!r}, and none about it; %covalent config lists them") from error


def _config(shell: Any, rest: Rest, found: Found) -> Any:
    changes = {}
    for word in found.get("changes", ()):
        name, equals, value = word.partition("=")
        if not equals:
            return _setting(name)
        option = config.name_of(name)
        changes[option] = value if config.OPTIONS[option].kind is str else literal(value, shell.user_ns)
    if changes:
        config.set_config(changes)
        return Facts({name: config.load().public()[name] for name in changes})
    return Table(_settings())


def _cluster(shell: Any, rest: Rest, found: Found) -> Any:
    action, number = found.get("action"), found.get("n")
    if action is None:
        rows = list(rest.get("executors").get("executors", []))
        if not rows:
            print("No executor runs: they start with the first dispatch that needs them.")
            return None
        return Table(rows, ("name", "state", "slots", "workers", "packs", "message"))
    if action not in ("restart", "scale", "close"):
        raise UsageError(f"%covalent cluster: restart, scale N or close, not {action!r}")
    body: dict[str, Any] = {"action": action}
    if action == "scale":
        if number is None or not str(number).isdigit():
            raise UsageError("%covalent cluster scale: how many slots? For example: %covalent cluster scale 4")
        body["n"] = int(number)
    return Facts(rest.post("cluster", repeat=False, timeout=120.0, **body))


def _fetch(shell: Any, rest: Rest, found: Found) -> None:
    words = [*filter(None, [found.get("id")]), *found.get("names", ())]
    # a word that is no dispatch is a name, which ``fetch`` looks for
    row, names = chosen_first(rest, words, shell.user_ns, lambda: _newest_cell(rest), lambda row, name: None)
    fetch(Result(rest, row), shell.user_ns, names or None)


def _newest_cell(rest: Rest) -> DispatchRow:
    """The newest cell that ran outside; of this notebook, where that is known."""
    notebook = notebook_path()
    page = rest.dispatches(limit=1, parent="none", tag=TAG, **({"notebook": notebook} if notebook else {}))
    if not page.dispatches:
        raise UsageError("%covalent fetch: no cell was run with %%dispatch yet")
    return page.dispatches[0]


def _command(
    name: str, function: Callable[[Any, Rest, Found], Any], words: Any, options: Any, help: str, twin: str
) -> Command:
    return Command(function, Parser(f"%covalent {name}", options, words), help, twin)


COMMANDS: dict[str, Command] = {
    "status": _command("status", _status, [_ID], (), "one line, and why it failed", "ct.get_result(id)"),
    "list": _command(
        "list", _list, [("text", "?", "text in name or id")],
        (Option("--limit", "N", "so many, newest first (20)", whole, short="-n"),
         Option("--status", "STATUS", "running, completed, failed, cancelled", lambda t, _: t.upper()),
         Option("--lattice", "NAME", "of this lattice", text_of), Option("--tag", "TAG", "with this tag", text_of),
         Option("--here", "", "of this notebook only")),
        "past and present runs as a table", "ct.dispatches()",
    ),
    "show": _command("show", _show, [_ID], (), "the panel", "ct.dispatch(...)(...) at the end of a cell"),
    "wait": _command("wait", _wait, [_ID], (), "stay here until it has ended", "id.wait()"),
    "result": _command("result", _result, [_ID], (_OUTPUT,), "what the lattice returned", "ct.get_result(id).value"),
    "logs": _command("logs", _logs, [_ID, _NODE], (), "what electrons printed", "ct.get_result(id).logs(node)"),
    "cancel": _command(
        "cancel", _cancel, [_ID, ("nodes", "*", "electrons")], (), "stop it, or some of its electrons", "ct.cancel(id)"
    ),
    "redispatch": _command(
        "redispatch", _redispatch, [_ID],
        (Option("--failed", "", "run only what has not completed"),
         Option("--reuse", "", "take over every value whose code and inputs are the same"),
         Option("--current", "", "with the definitions that this notebook has now"),
         Option("--explain", "", "start nothing; say what would be reused, and why not"),
         Option("--seed", "N", "other random numbers", whole), Option("--wait", "", "stay here until it has ended"), _OUTPUT),
        "run it again", "ct.redispatch(id)()",
    ),
    "debug": _command(
        "debug", _debug, [_ID, _NODE], (Option("--bind", "", "bind function, inputs and error to names; no prompt"),),
        "bring a failed electron here, stopped at the line that failed", "ct.debug(id, node)",
    ),
    "fetch": _command(
        "fetch", _fetch, [_ID, ("names", "*", "some of the names")], (), "bring back what a %%dispatch cell assigned",
        "globals().update(ct.get_result(id).value)",
    ),
    "delete": _command(
        "delete", _delete, [_ID], (Option("--yes", "", "do not ask", short="-y"),), "delete it, with values and logs",
        "jupyter covalent delete",
    ),
    "disk": _command("disk", _disk, [], (), "what the store takes on the disk", "ct.disk()"),
    "config": _command("config", _config, [("changes", "*", "name=value")], (), "settings", "ct.get_config(), ct.set_config(...)"),
    "cluster": _command(
        "cluster", _cluster, [("action", "?", "restart, scale, close"), ("n", "?", "slots")], (),
        "the executors that run", "jupyter covalent cluster",
    ),
}  # fmt: skip
