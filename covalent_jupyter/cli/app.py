"""The command line: parsing, and errors as one line with the way out."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from .. import config
from .._version import __version__
from ..errors import CovalentError
from . import demo as demo_command
from . import doctor as doctor_command
from . import notes, runs, service
from .output import Out, complain

Command = Callable[[argparse.Namespace, Out], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code: 0 done, 1 failed, 2 mistyped, 3 no service (``status``)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser, commands = build_parser()
    mistyped = next((word for word in given[:1] if not word.startswith("-") and word not in commands), None)
    if mistyped is not None:
        near = difflib.get_close_matches(mistyped, commands, 1, 0.5)
        meant = f" Did you mean `jupyter covalent {near[0]}`?" if near else ""
        return _mistyped(given, f"there is no command {mistyped!r}.{meant} The commands are: {', '.join(commands)}")
    try:
        options = parser.parse_args(given)
        if options.command is None and options.json:
            raise Mistyped(f"which command? The commands are: {', '.join(commands)}", parser.format_usage())
    except SystemExit as end:
        return int(end.code or 0)
    except Mistyped as error:
        return _mistyped(given, str(error), error.usage)
    if options.command is None:
        parser.print_help()
        return 2
    return run(options)


class Mistyped(Exception):
    """The command line is not one that there is; ``usage`` is how it goes."""

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message)
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """Raises :class:`Mistyped` instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise Mistyped(message, self.format_usage())


def _mistyped(given: Sequence[str], message: str, usage: str = "") -> int:
    """Says so, as JSON too where that was asked for; the exit code."""
    Out(json="--json" in given).data({"error": "Mistyped", "message": message})
    print(usage, end="", file=sys.stderr)
    complain(message)
    return 2


def run(options: argparse.Namespace) -> int:
    """The chosen command, with its errors as text."""
    out = Out(json=options.json)
    command: Command = options.run
    try:
        if options.store:
            config.set_config(store_dir=os.path.abspath(options.store), persist=False)
        return command(options, out)
    except CovalentError as error:
        out.data({"error": type(error).__name__, "message": str(error)})
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def build_parser() -> tuple[argparse.ArgumentParser, list[str]]:
    """The parser, and the names of its commands."""
    common = Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="answer as JSON")
    common.add_argument("--store", metavar="DIR", default="", help="folder of the store, instead of the configured one")
    parser = Parser(prog="jupyter covalent", description="Lattices of electrons: the service, its runs and its store.")
    parser.add_argument("--version", action="version", version=f"covalent-jupyter {__version__}")
    parser.set_defaults(json=False, store="")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", parents=[common])
        made.set_defaults(run=command)
        return made

    _add_service(add)
    _add_runs(add)
    _add_rest(add)
    return parser, list(commands.choices)


def _several(text: str) -> int:
    """A whole number from 1."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


Add = Callable[[str, Command, str], argparse.ArgumentParser]


def _add_service(add: Add) -> None:
    add("start", service.start, "start the service if it does not run")
    stop = add("stop", service.stop, "suspend the service; unfinished runs go on when it is started again")
    stop.add_argument("--if-idle", action="store_true", help="only if nothing runs")
    add("restart", service.restart, "suspend the service and start it again; runs go on")
    add("status", service.status, "say whether the service runs, where, and how it is")


def _add_runs(add: Add) -> None:
    listing = add("list", runs.list_runs, "list dispatches, newest first")
    listing.add_argument("-n", "--limit", type=_several, default=20, help="how many (default 20)")
    listing.add_argument("--status", action="append", metavar="STATE", help="only these states; may be repeated")
    listing.add_argument("--name", metavar="TEXT", help="text in name or id")
    listing.add_argument("--lattice", metavar="NAME", help="of this lattice")
    listing.add_argument("--tag", help="with this tag")
    listing.add_argument("--since", metavar="AGE", help="not older than this, such as 12h or 7d")
    listing.add_argument("--notebook", metavar="PATH", help="from this notebook")
    show = add("show", runs.show, "show a dispatch: state, error, electrons")
    show.add_argument("id", help="id, the start of one, or `latest`")
    show.add_argument("--electrons", type=_several, default=40, metavar="N", help="how many electrons (default 40)")
    show.add_argument("--graph", action="store_true", help="draw the transport graph, too")
    logs = add("logs", runs.logs, "print what electrons printed")
    logs.add_argument("id", help="id, the start of one, or `latest`")
    logs.add_argument("electron", nargs="?", help="number or name of an electron; without it, all")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the dispatch has ended")
    logs.add_argument("--stdout", dest="stream", action="store_const", const="stdout", help="stdout only")
    logs.add_argument("--stderr", dest="stream", action="store_const", const="stderr", help="stderr only")
    cancel = add("cancel", runs.cancel, "stop a dispatch, or some of its electrons")
    cancel.add_argument("id", help="id, the start of one, or `latest`")
    cancel.add_argument(
        "nodes",
        nargs="*",
        metavar="ELECTRON",
        help="numbers or names of electrons, such as train[C=0.1]; without them, all",
    )
    again = add("redispatch", runs.redispatch, "run a dispatch again")
    again.add_argument("id", help="id, the start of one, or `latest`")
    again.add_argument(
        "--reuse",
        choices=("none", "changed", "failed"),
        default="none",
        help="take values over: of what has not changed, or of all but what failed (default none)",
    )
    again.add_argument("--seed", type=int, help="of the random numbers")
    again.add_argument("--wait", action="store_true", help="until it has ended")
    tag = add("tag", notes.tag, "add tags to a dispatch")
    tag.add_argument("id", help="id, the start of one, or `latest`")
    tag.add_argument("tags", nargs="+", metavar="TAG")
    tag.add_argument("--remove", action="store_true", help="remove these tags instead")
    note = add("note", notes.note, "write a note on a dispatch, or show the one that is there")
    note.add_argument("id", help="id, the start of one, or `latest`")
    note.add_argument("text", nargs="?", help="the note; '' removes it")
    rename = add("rename", notes.rename, "give a dispatch another name")
    rename.add_argument("id", help="id, the start of one, or `latest`")
    rename.add_argument("name", help="the name; '' is the lattice's again")
    delete = add("delete", runs.delete, "forget ended dispatches, with their values and logs")
    delete.add_argument("ids", nargs="+", metavar="id", help="ids, or starts of ids")
    delete.add_argument("-y", "--yes", action="store_true", help="do not ask")
    purge = add("purge", runs.purge, "delete dispatches that ended long ago")
    purge.add_argument("--older-than", default="30d", metavar="AGE", help="such as 12h, 30d, 8w (default 30d)")
    purge.add_argument("--state", action="append", metavar="STATE", help="only these states; may be repeated")
    purge.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    purge.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _add_rest(add: Add) -> None:
    sql = add("sql", notes.sql, "answer one SELECT over past runs")
    sql.add_argument("query", nargs="?", help="the query; `-` or nothing: from standard input")
    sql.add_argument("--schema", action="store_true", help="list views and columns")
    sql.add_argument("-n", "--max-rows", type=_several, default=1000, metavar="N", help="rows at most (default 1000)")
    add("disk", service.disk, "say what the store takes on the disk")
    cluster = add("cluster", service.cluster, "list executors, or restart, scale or close the Dask cluster")
    cluster.add_argument("action", nargs="?", choices=("restart", "scale", "close"))
    cluster.add_argument("n", nargs="?", type=int, help="slots, for scale")
    cluster.add_argument("--executor", default="dask", metavar="NAME", help="which executor; dask by default")
    settings = add("config", service.configure, "show or change settings")
    settings.add_argument("key", nargs="?", help="name of a setting")
    settings.add_argument("value", nargs="?", help="its new value")
    settings.add_argument("--unset", action="store_true", help="back to the default")
    doctor = add("doctor", doctor_command.doctor, "say what is installed and switched on, and whether a dispatch works")
    doctor.add_argument("--no-dispatch", action="store_true", help="without the test dispatch")
    demo = add("demo", demo_command.demo, "run a machine-learning lattice and print what happened")
    demo.add_argument("--data-set", choices=("wine", "breast_cancer", "iris", "digits"), default="breast_cancer",
                      help="of scikit-learn (default breast_cancer)")  # fmt: skip
