"""Options in the line of a magic: ``--retries 3 --executor local -o run``; mistakes are answered with what was meant."""

from __future__ import annotations

import argparse
import ast
import difflib
import keyword
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from IPython.core.error import UsageError

from ..errors import ConfigError
from ..executors.registry import by_name
from ..executors.registry import names as short_names
from ..workflow.electron import Electron
from ..workflow.lattice import Lattice
from ..workflow.options import ELECTRON_OPTIONS, LATTICE_OPTIONS, checked

Names = Mapping[str, Any]


class Option(NamedTuple):
    """One option: its flag, what is said of it, and how its text becomes a value (None: a switch)."""

    flag: str
    value: str
    help: str
    convert: Callable[[str, Names], Any] | None = None
    many: bool = False
    short: str = ""

    @property
    def name(self) -> str:
        return self.flag.lstrip("-").replace("-", "_")


class Parser(argparse.ArgumentParser):
    """Parses one line; every mistake is a UsageError."""

    def __init__(self, magic: str, options: Iterable[Option], words: Sequence[tuple[str, str, str]] = ()) -> None:
        super().__init__(prog=magic, add_help=False, allow_abbrev=False)
        self.magic = magic
        self.known = tuple(options)
        for word, nargs, said in words:
            self.add_argument(word, nargs=nargs, help=said)
        for option in self.known:
            flags = [option.flag, *([option.short] if option.short else [])]
            if option.convert is None:
                self.add_argument(*flags, dest=option.name, action="store_true", help=option.help)
            else:
                action = "append" if option.many else "store"
                self.add_argument(*flags, dest=option.name, action=action, metavar=option.value, help=option.help)

    @property
    def flags(self) -> list[str]:
        return [flag for option in self.known for flag in (option.flag, option.short) if flag]

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.magic}: {message}")

    def parse(self, text: str, names: Names) -> dict[str, Any]:
        """Values by name, of what was given; words are lists or texts as declared."""
        try:
            parts = shlex.split(without_comment(text))
        except ValueError as error:
            raise UsageError(f"{self.magic}: {text.strip()!r}: {error} (is a quotation mark missing?)") from None
        found = vars(self.parse_args([self._spelt(part) for part in parts]))
        options = {option.name: option for option in self.known}
        return {
            name: self._converted(options[name], value, names) if name in options else value
            for name, value in found.items()
            if value is not None and value is not False
        }

    def _spelt(self, part: str) -> str:
        """An option as we write it; UsageError with the nearest one if there is none such."""
        if not part.startswith("-") or re.fullmatch(r"-[\d.].*|-", part):
            return part
        flag, equals, value = part.partition("=")
        name = flag if len(flag) == 2 else "--" + flag.lstrip("-").replace("_", "-")
        if name not in self.flags:
            near = difflib.get_close_matches(name, self.flags, 1, 0.5)
            meant = f" Did you mean {near[0]}?" if near else ""
            raise UsageError(f"{self.magic}: there is no option {flag}.{meant} Options are {', '.join(self.flags)}")
        return name + equals + value

    def _converted(self, option: Option, value: Any, names: Names) -> Any:
        if option.convert is None:
            return True
        try:
            if option.many:
                return [option.convert(item, names) for item in value]
            return option.convert(value, names)
        except (ConfigError, ValueError) as error:
            raise UsageError(f"{self.magic}: {option.flag}: {error}") from None

    def help_text(self) -> str:
        """The options as lines of text."""
        rows = []
        for option in self.known:
            flag = f"{option.flag}, {option.short}" if option.short else option.flag
            rows.append((f"{flag} {option.value}".strip(), option.help))
        width = max((len(flag) for flag, _ in rows), default=0)
        return "\n".join(f"    {flag:<{width}}  {said}" for flag, said in rows)


def without_comment(line: str) -> str:
    """A magic's line without the ``# comment`` at its end."""
    quote = ""
    for at, char in enumerate(line):
        if quote:
            quote = "" if char == quote and line[at - 1] != "\\" else quote
        elif char in "'\"":
            quote = char
        elif char == "#" and (at == 0 or line[at - 1].isspace() or line[at - 1] in "):"):
            return line[:at]
    return line


# How texts become values


def text_of(text: str, names: Names) -> str:
    return text


def literal(text: str, names: Names) -> Any:
    """``60``, ``none``, ``1e3``, or the value of a variable of the notebook."""
    if text.lower() == "none":
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        pass
    if text in names:
        return names[text]
    raise ConfigError(f"{text!r} is neither a number nor a variable of this notebook")


def executor(text: str, names: Names) -> Any:
    """A variable that holds an executor, an expression that makes one, else the short name of one."""
    if callable(getattr(names.get(text), "to_spec", None)):
        return names[text]
    if "(" in text or "." in text:
        try:
            return eval(text, dict(names))
        except Exception as error:  # border: the user's expression
            raise ConfigError(f"{text}: {type(error).__name__}: {error}") from None
    if text not in short_names():
        by_name(text)  # says which there are
    return text


def resources(text: str, names: Names) -> dict[str, Any]:
    """``cpu=2,memory=4GB``"""
    found: dict[str, Any] = {}
    for part in filter(None, re.split(r"[,\s]+", text)):
        key, equals, value = part.partition("=")
        if not equals or not value:
            raise ConfigError(f"{part!r}: write cpu=2,gpu=1,memory=4GB")
        try:
            found[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[key] = names.get(value, value)
    return found


def whole(text: str, names: Names) -> int:
    value = literal(text, names)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"a whole number is expected, not {text!r}")
    return value


# What electrons, lattices and dispatches take

_RUN = (
    Option("--executor", "NAME", "dask, local, another short name, or a variable that holds an executor", executor),
    Option("--retries", "N", "attempts after a failure", literal),
    Option("--retry-delay", "SECONDS", "seconds before the next attempt", literal),
    Option("--timeout", "SECONDS", "seconds of running after which it is stopped", literal),
    Option("--resources", "cpu=2,memory=4GB", "what it needs: cpu, gpu, memory", resources),
    Option("--on-error", "WHAT", "fail, or value: who takes its result gets a ct.Failed", text_of),
    Option("--on-interrupt", "WHAT", "run_again or fail, where a crash or reboot cut it off", text_of),
    Option("--keep", "WHEN", "always, until_done or never: how long its value is kept", text_of),
    Option("--deps-pip", "PACKAGE", "a package that it needs; may be repeated", text_of, many=True),
    Option("--deps-bash", "COMMAND", "a command that runs before it; may be repeated", text_of, many=True),
)
ELECTRON = (*_RUN, Option("--name", "LABEL", "what it is called in tables and figures", text_of))

#: how a dispatch is made
DISPATCHING = (
    Option("--wait", "", "stay here until it has ended"),
    Option("--once", "", "attach to a running or completed dispatch of the same code and inputs, if there is one"),
    Option("--output", "NAME", "the variable that gets the dispatch id", text_of, short="-o"),
    Option("--seed", "N", "fixes the random numbers of its electrons", whole),
    Option("--label", "TEXT", "what the dispatch is called in lists", text_of),
    Option("--tag", "TAG", "a tag of the dispatch; may be repeated", text_of, many=True),
)
LATTICE = (Option("--dispatch", "", "send it off, with the defaults of its parameters"), *DISPATCHING, *_RUN)
CELL = (*DISPATCHING, *ELECTRON[:-1])

_NAMES = {"%%electron": {option.name for option in ELECTRON}}
_RUN_NAMES = {option.name for option in _RUN}


def run_options(found: Mapping[str, Any], magic: str) -> dict[str, Any]:
    """Of what a line gave, the options of the electron or lattice, checked. UsageError names what is wrong."""
    given = {name: value for name, value in found.items() if name in _NAMES.get(magic, _RUN_NAMES)}
    try:
        return checked(given, magic, only=ELECTRON_OPTIONS if magic == "%%electron" else LATTICE_OPTIONS)
    except ConfigError as error:
        raise UsageError(str(error)) from None


def variable_name(text: str, magic: str, names: Names) -> str:
    """``text`` if a variable can be called so, and is no electron or lattice that would be gone."""
    if not text.isidentifier() or keyword.iskeyword(text):
        raise UsageError(f"{magic}: -o takes the name of a variable, not {text!r}")
    held = names.get(text)
    if isinstance(held, (Electron, Lattice)):
        kind = "a lattice" if isinstance(held, Lattice) else "an electron"
        raise UsageError(f"{magic}: {text} is {kind}, which -o {text} would replace. Take another name: -o {text}_run")
    return text
