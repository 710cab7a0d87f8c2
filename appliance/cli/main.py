"""Parse words, do what they ask, print for people or as JSON.

A command speaks to the running house over its local socket; when none runs it opens the data directory itself, under
the lock that keeps two writers apart. Exit status: 0 done, 1 the house could not, 2 wrong input, 3 not running.
"""

import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from appliance.mail.errors import HouseError, SetupError
from appliance.status import controls
from appliance.system.control import RemoteControls
from appliance.system.identity import refuse_lost_database
from appliance.system.settings import example
from appliance.system.settings_file import SettingsError, read

from .serve_words import data_of
from .words import parser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Offline = Callable[[Path], "AbstractAsyncContextManager[controls.Controls]"]
"""Open a data directory that nobody runs on."""

MAKING = (controls.AddPerson, controls.AddDomain)
"""Requests that may make a data directory where there is none."""


def main(arguments: list[str], *, version: str, offline: Offline) -> int:
    """Run one command; the exit status."""
    grammar = parser()
    words = grammar.parse_args(arguments)
    if words.version:
        print(f"pillarbox {version}")
        return 0
    if not words.verb:
        grammar.print_help()
        return 2
    if hasattr(words, "data"):
        words.data = data_of(words.data)
    try:
        return _run(words, offline)
    except SetupError as error:
        print(f"pillarbox: {error}", file=sys.stderr)
        return 2
    except HouseError as error:
        print(f"pillarbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def _run(words: Any, offline: Offline) -> int:
    special = getattr(words, "special", "")
    if special == "settings example":
        print(example(), end="")
        return 0
    if special == "settings check":
        try:
            read(Path(words.file))
        except SettingsError as error:
            print(error, file=sys.stderr)
            return 2
        print(f"{words.file} is right.")
        return 0
    if special in ("import", "export"):
        from .moving import give_out, take_in

        return trio.run((take_in if special == "import" else give_out), words, lambda request: _house(words.data, request, offline))
    if special == "check":
        from .checking import check

        return check(words)
    if special in ("console", "panel"):
        from .panels import console, panel

        return console(words) if special == "console" else panel(words)
    if special == "certificate export":
        answer = _ask(words.data, controls.ExportCertificate(), offline)
        if words.out == "-":
            print(answer.text, end="")
        else:
            _write(Path(words.out), answer.text)
            print(f"Written to {words.out}. Install it on each device as a trusted authority.")
        return 0
    return _request(words, offline)


def _request(words: Any, offline: Offline) -> int:
    if words.row.password:
        words.password = _password(words)
    request = words.row.request(words)
    if isinstance(request, controls.AddAppPassword):
        _terminal()
    answer = _ask(words.data, request, offline)
    if words.json:
        print(json.dumps(answer.facts, indent=2, ensure_ascii=False))
    else:
        print(answer.text)
    return 3 if isinstance(request, controls.Status) and not answer.facts.get("running", True) else 0


def _password(words: Any) -> str:
    """The password of --password-file; without one "" (the house generates it), if there is a terminal to show it on."""
    if words.password_file is None:
        _terminal()
        return ""
    try:
        given = sys.stdin.buffer if words.password_file == "-" else Path(words.password_file).open("rb")  # noqa: S105, SIM115
        with given:
            raw = given.readline()
        password = raw.rstrip(b"\r\n").decode()
    except OSError as error:
        raise SetupError(f"The password file {words.password_file} cannot be read: {error.strerror}.", "Check its name.") from error
    except UnicodeDecodeError as error:
        raise SetupError("The password is not UTF-8 text.", "Write it in another way.") from error
    if not password:
        raise SetupError("The password is empty.", "Its first line is the password.")
    return password


def _terminal() -> None:
    if not sys.stdout.isatty():
        raise SetupError("A generated password is shown on a terminal only, never in a file or log.", "Give one with --password-file.")


def _ask(data: Path, request: controls.Request, offline: Offline) -> controls.Answer:
    async def ask() -> controls.Answer:
        async with _house(data, request, offline) as house:
            return await house.ask(request)

    return trio.run(ask)


@asynccontextmanager
async def _house(data: Path, request: controls.Request, offline: Offline) -> "AsyncIterator[controls.Controls]":
    """Whoever can answer: the running house, or this process for a moment."""
    remote = RemoteControls(data)
    if remote.present():
        yield remote
    elif isinstance(request, MAKING) or (data / "house.db").exists():
        async with offline(data) as house:
            yield house
    else:
        refuse_lost_database(data)
        raise SetupError(f"There is no house at {data}.", "Name its data directory with --data.")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise SetupError(f"{path} cannot be written: {error.strerror}.", "Choose another place.") from error
