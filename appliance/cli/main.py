"""Parse words, do what they ask, print for people or as JSON.

A command speaks to the running house over its local socket; when none runs it opens the data directory itself, under
the lock that keeps two writers apart. Exit status: 0 done, 1 the house could not, 2 wrong input, 3 not running; those of
`status --check` are its own: 0 well, 1 warning, 2 critical, 3 not running or no answer.
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
from appliance.system.control import NobodyHome, RemoteControls
from appliance.system.identity import refuse_lost_database
from appliance.system.settings import example
from appliance.system.settings_file import SettingsError, read

from .serve_words import data_of
from .words import parser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Offline = Callable[[Path], "AbstractAsyncContextManager[controls.Controls]"]
"""Open a data directory that nobody runs on."""

SEVERITIES = {"warning": 1, "critical": 2}
NOT_RUNNING = 3
"""Exit statuses of `status --check`; what is only a notice is 0."""
STATUS_S = 20.0
"""A server that says nothing about itself for so long does not work."""

MAKING = (controls.AddPerson, controls.AddDomain)
"""Requests that may make a data directory where there is none."""

KEEPS_ROOT = ("import", "export")
"""Commands that read or write an archive with the caller's rights; the data directory is its owner's all the same."""


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
    checking = words.verb == "status" and words.check
    try:
        keeps_root = getattr(words, "special", "") in KEEPS_ROOT or bool(getattr(words, "card", ""))
        if os.geteuid() == 0 and hasattr(words, "data") and not keeps_root:
            from appliance.system.privileges import become_owner

            become_owner(words.data)
        return _run(words, offline)
    except SetupError as error:
        print(f"pillarbox: {error}", file=sys.stderr)
        return NOT_RUNNING if checking or (words.verb == "status" and isinstance(error, NobodyHome)) else 2
    except HouseError as error:
        print(f"pillarbox: {error}", file=sys.stderr)
        return NOT_RUNNING if checking else 1
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
        return _move(words, offline)
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


def _move(words: Any, offline: Offline) -> int:
    from appliance.system.privileges import hands_as_owner, other_owner

    from .moving import give_out, take_in

    run = take_in if words.special == "import" else give_out
    owner = other_owner(words.data)
    if owner is None or RemoteControls(words.data).present() or not (words.data / "house.db").exists():
        return trio.run(run, words, lambda request: _house(words.data, request, offline))
    with hands_as_owner(words.data, owner, offline) as controls:
        return trio.run(run, words, lambda request: controls.lent())


def _request(words: Any, offline: Offline) -> int:
    if words.row.question and not words.yes:
        _make_sure(words.row.question)
    if words.row.password:
        words.password = _password(words)
    request = words.row.request(words)
    if isinstance(request, controls.AddAppPassword):
        _terminal()
    answer = _ask(words.data, request, offline)
    if getattr(words, "check", False):
        return _checked(answer.facts, as_json=words.json)
    if words.json:
        print(json.dumps(answer.facts, indent=2, ensure_ascii=False))
    else:
        print(answer.text)
    return NOT_RUNNING if isinstance(request, controls.Status) and not answer.facts.get("running", True) else 0


def _checked(facts: dict[str, Any], *, as_json: bool) -> int:
    """`status --check`: the conditions, and the worst of them as exit status."""
    if not facts.get("running", True):
        found, status = [], NOT_RUNNING
    else:
        found = facts["conditions"]
        status = max((SEVERITIES.get(one["severity"], 0) for one in found), default=0)
    if as_json:
        print(json.dumps({"running": status != NOT_RUNNING, "conditions": found}, indent=2, ensure_ascii=False))
    elif status == NOT_RUNNING:
        print("Pillarbox is not running.")
    else:
        print("\n".join(f"{one['severity'].upper()}: {one['sentence']} {one['remedy']}" for one in found) or "All is well.")
    return status


def _make_sure(question: str) -> None:
    """Ask on the terminal; raises SetupError unless the answer is yes."""
    if not sys.stdin.isatty():
        raise SetupError(f"{question} Nothing was done.", "To do it without being asked, add --yes.")
    print(f"{question} Type yes: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("yes", "y"):
        raise SetupError("Nothing was done.")


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
        patience_s = STATUS_S if isinstance(request, controls.Status) else float("inf")
        with trio.move_on_after(patience_s):
            async with _house(data, request, offline) as house:
                return await house.ask(request)
        raise HouseError(f"The server has not answered for {STATUS_S:.0f} seconds. Look at its log, or start it again.")

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
        raise NobodyHome(f"There is no house at {data}.", "Name its data directory with --data.")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise SetupError(f"{path} cannot be written: {error.strerror}.", "Choose another place.") from error
