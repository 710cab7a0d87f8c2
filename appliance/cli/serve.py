"""Command lines of what a machine runs when it starts, `serve`, `run` and `first-boot`: it loads nothing of the other commands."""

import argparse
import os
import re
from pathlib import Path
from typing import Any, NoReturn

from appliance.mail.errors import SetupError
from appliance.mail.protocols import PROTOCOL_NAMES
from appliance.mail.sentence import Sentence, enumerated, joined

DATA_HELP = "the data directory (default: ./data, or $PILLARBOX_DATA)"
SERVING = (
    ("serve", "run the mail server in the foreground"),
    ("run", "try the server: serve, with a first account made and a guide printed"),
)


class Parser(argparse.ArgumentParser):
    """Raises SetupError with a sentence and a remedy where argparse would print usage and exit."""

    def error(self, message: str) -> NoReturn:
        raise SetupError(_sentence(message), Sentence("See: %(prog)s --help", prog=self.prog))


def _sentence(message: str) -> str:
    """argparse's message as a sentence or two."""
    if choice := re.fullmatch(r"argument (\S+): invalid choice: (.*) \(choose from (.*)\)", message):
        argument, typed, known = choice[1], choice[2].strip("'"), re.findall(r"[\w-]+", choice[3])
        from difflib import get_close_matches  # what nothing else needs

        near = get_close_matches(typed, known, 1)
        remedy = Sentence('Did you mean "%(near)s"?', near=near[0]) if near else Sentence("Choose from %(known)s.", known=", ".join(known))
        nothing = Sentence('There is no %(kind)s "%(typed)s".', kind=argument.lstrip("-").lower(), typed=typed)
        return joined(nothing, remedy)
    if missing := re.fullmatch(r"the following arguments are required: (.*)", message):
        names = missing[1].split(", ")
        return Sentence.counted("%(words)s is missing.", "%(words)s are missing.", len(names), words=enumerated(*names))
    if number := re.fullmatch(r"argument (\S+): invalid int value: '(.*)'", message):
        return Sentence('%(option)s is a whole number, not "%(typed)s".', option=number[1], typed=number[2])
    return f"{message[:1].upper()}{message[1:]}."


def add_serving(verbs: Any) -> None:
    """`serve` and `run` among the other commands."""
    for name, text in SERVING:
        one = verbs.add_parser(name, help=text, description=text)
        one.add_argument("--data", metavar="DIR", default=None, help=DATA_HELP)
        one.add_argument("--settings", metavar="FILE", help="a settings file (see: pillarbox settings example)")
        one.add_argument("--domain", metavar="NAME", default="", help="the domain of the accounts' addresses")
        one.add_argument(
            "--listen",
            metavar="NAME=HOST:PORT",
            action="append",
            default=[],
            help=f"listen only here; may be repeated; NAME: {', '.join(PROTOCOL_NAMES)}",
        )
        one.add_argument("--certificate", metavar="FILE", default="", help="a certificate of your own (PEM file)")
        one.add_argument("--key", metavar="FILE", default="", help="its private key (PEM file)")
        one.add_argument("--plaintext-login", action="store_true", help="allow sign-in without TLS")
        one.set_defaults(special=name)


def parse_serving(arguments: list[str]) -> Any:
    """A command line that begins with `serve` or `run`, parsed. Raises SetupError."""
    top = Parser(prog="pillarbox")
    add_serving(top.add_subparsers(dest="verb", metavar="COMMAND", parser_class=Parser))
    args = top.parse_args(arguments)
    args.data = data_of(args.data)
    return args


def add_first_boot(verbs: Any) -> None:
    """`first-boot` among the other commands."""
    boot = verbs.add_parser("first-boot", description="Reads the settings on the boot partition; the box does so at every start.")
    boot.add_argument("--boot", metavar="DIR", required=True, help="where the boot partition is mounted")
    boot.add_argument("--state", metavar="DIR", required=True, help="where what follows from the settings is kept")
    boot.set_defaults(special="first-boot")


def parse_first_boot(arguments: list[str]) -> Any:
    """A command line that begins with `first-boot`, parsed without the other commands. Raises SetupError."""
    top = Parser(prog="pillarbox")
    add_first_boot(top.add_subparsers(dest="verb", metavar="COMMAND", parser_class=Parser))
    return top.parse_args(arguments)


def data_of(given: str | None) -> Path:
    """The data directory of a command."""
    return Path(given or os.environ.get("PILLARBOX_DATA") or "data")


def is_named(given: str | None) -> bool:
    """Was the data directory given, by option or environment?"""
    return bool(given or os.environ.get("PILLARBOX_DATA"))
