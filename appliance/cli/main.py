"""The commands except `serve` and `run`: parse, ask the server, print text or JSON.

A command speaks to the running server over its local socket; when none runs it opens the data directory itself, under
the lock that keeps two writers apart. Exit status: 0 done, 1 failed, 2 wrong input, 3 not running; `status --check` has
its own: 0 all is well, 1 warning, 2 critical or a directory that cannot be used, 3 not running or no answer.
"""

import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from appliance.config.settings import example
from appliance.config.settings_file import SettingsError
from appliance.control import requests as controls
from appliance.control.client import NotRunning, RemoteControl
from appliance.database.migrations import is_outdated, refuse_before_release
from appliance.mail.errors import NotRunningError, PillarboxError, SetupError
from appliance.mail.sentence import Sentence
from appliance.runtime.data_directory import InUse
from appliance.runtime.identity import DATABASE, database_is_there, refuse_lost_database
from appliance.runtime.standard_streams import OutputError, drop_output
from appliance.status.plain import decode_plain
from appliance.status.snapshot import Condition

from .asking import expect_terminal, make_sure, password_of
from .commands import parser
from .serve import data_of, is_named
from .wording import in_words, words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Offline = Callable[[Path, bool], "AbstractAsyncContextManager[controls.Control]"]
"""Open a data directory that no server runs on; True: for a request that changes nothing."""

READ_ONLY = (
    controls.Status, controls.ListAccounts, controls.ListAppPasswords, controls.ListAliases, controls.ListDomains, controls.ListMailboxes,
    controls.ListShares, controls.ListQueue, controls.ShowMessage, controls.TrackMessage, controls.ShowCertificate,
    controls.ExportCertificate, controls.Export,
)  # fmt: skip
"""Requests that change nothing: answered from read-only storage too."""

SEVERITIES = {"warning": 1, "critical": 2}
NOT_RUNNING = 3
"""Exit statuses of `status --check`; a condition of any other severity counts as 0."""
STATUS_S = 20.0
"""A server that has not answered for so long does not work."""

CREATING = (controls.AddAccount, controls.AddDomain)
"""Requests that may create a data directory."""

OWN_NAMES = ("lock", "control.sock", "bodies", "search", "certificates", "dkim", "lost+found", "pillarbox.db-wal", "pillarbox.db-shm")
"""What a directory without a database may hold: what the start of a server checks by itself, and the file system's own."""

PATHS = ("data", "source", "target", "file", "out", "card", "password_file")
"""Arguments that may be any octets: names of files. All others are UTF-8."""

KEEPS_ROOT = ("import", "export")
"""Commands that read or write an archive with the caller's rights; the data directory is opened as its owner all the same."""


def main(arguments: list[str], *, version: str, offline: Offline) -> int:
    """Run one command; the exit status: never 0 where its output did not arrive."""
    status = 0
    try:
        try:
            status = _command(arguments, version, offline)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
        return status or 1
    except OutputError as error:
        drop_output()
        return _failed(error, status or 1, as_json=False)
    return status


def _command(arguments: list[str], version: str, offline: Offline) -> int:
    grammar = parser()
    as_json = "--json" in arguments
    try:
        args = grammar.parse_args(arguments)
    except SetupError as error:
        return _failed(error, 2, as_json=as_json)
    if args.version:
        print(f"pillarbox {version}")
        return 0
    if not args.verb:
        grammar.print_help()
        return 2
    if hasattr(args, "data"):
        args.named = is_named(args.data)
        args.data = data_of(args.data)
    checking = args.verb == "status" and args.check
    try:
        _expect_text(args)
        if hasattr(args, "data"):
            database_is_there(args.data)  # raises where nobody can tell
        keeps_root = getattr(args, "special", "") in KEEPS_ROOT or bool(getattr(args, "card", ""))
        if os.geteuid() == 0 and hasattr(args, "data") and not keeps_root:
            from appliance.runtime.privileges import become_owner

            become_owner(args.data)
        return _run(args, offline)
    except OutputError:
        raise
    except SetupError as error:
        not_running = isinstance(error, NotRunningError) or (args.verb == "status" and isinstance(error, NotRunning))
        not_running = not_running or (checking and isinstance(error, InUse))  # it is starting or ending
        return _failed(error, NOT_RUNNING if not_running else 2, as_json=as_json)
    except PillarboxError as error:
        return _failed(error, NOT_RUNNING if checking else 1, as_json=as_json)


def _expect_text(args: Any) -> None:
    """Raises SetupError for an argument that the shell passed on as other octets than UTF-8: no name or text of ours has them."""
    paths = (*PATHS, "address") if getattr(args, "all", False) else PATHS
    for name, value in vars(args).items():
        for text in (value if isinstance(value, list) else [value]) if name not in paths else ():
            if isinstance(text, str) and any("\ud800" <= character <= "\udfff" for character in text):
                given = os.fsencode(text).decode(errors="backslashreplace")
                raise SetupError(Sentence("“%(given)s” is not UTF-8 text.", given=given), "Type it on a terminal that is set to UTF-8.")


def _failed(error: PillarboxError, status: int, *, as_json: bool) -> int:
    """Every failure of a command: its sentence on stderr, and with --json as an object on stdout too."""
    print(f"pillarbox: {in_words(error)}", file=sys.stderr)
    if as_json:
        problem, remedy = (error.problem, error.remedy) if isinstance(error, SetupError) else (str(error), "")
        faults = [asdict(one) for one in error.faults] if isinstance(error, SettingsError) else []
        facts = {"error": problem, "remedy": remedy, "exit_status": status, **({"faults": faults} if faults else {})}
        print(json.dumps(facts, indent=2))
    return status


def _worded(condition: dict[str, Any]) -> str:
    """A condition of the snapshot's JSON as a line in the language of whoever asks."""
    _, one = words(), decode_plain(Condition, condition)
    return f"{one.severity.upper()}: {_(one.sentence)} {_(one.remedy)}"


def _run(args: Any, offline: Offline) -> int:
    special = getattr(args, "special", "")
    if special == "settings example":
        print(example(), end="")
        return 0
    if special == "settings check":
        from .settings_check import check_settings

        check_settings(Path(args.file), boot=args.boot)
        print(json.dumps({"file": args.file, "faults": []}, indent=2) if args.json else words()("%(file)s has no faults.", file=args.file))
        return 0
    if special in ("first-boot", "install", "uninstall"):
        from . import system

        return system.run(args)
    if special in ("import", "export"):
        return _move(args, offline)
    if special == "check":
        from .check import check

        return check(args, lambda request: _server(args.data, request, offline))
    if special in ("console", "panel"):
        from .console import console, panel

        return console(args) if special == "console" else panel(args)
    if special == "certificate export":
        answer = _ask(args.data, controls.ExportCertificate(), offline)
        if args.out == "-":
            print(answer.text, end="")
        else:
            _write(Path(args.out), answer.text)
            print(words()("Written to %(file)s. Install it on each device as a trusted authority.", file=args.out))
        return 0
    return _request(args, offline)


def _move(args: Any, offline: Offline) -> int:
    from appliance.runtime.privileges import other_owner

    from .owner_process import control_as_owner
    from .transfer import export_messages, import_messages

    run = import_messages if args.special == "import" else export_messages
    owner = other_owner(args.data)
    if owner is None or RemoteControl(args.data).present() or not database_is_there(args.data):
        return trio.run(run, args, lambda request: _server(args.data, request, offline))
    only_reading = args.special == "export" and not is_outdated(args.data / DATABASE)
    with control_as_owner(args.data, owner, lambda data: offline(data, only_reading)) as control:
        return trio.run(run, args, lambda request: control.opened())


def _request(args: Any, offline: Offline) -> int:
    if args.row.question and not args.yes:
        make_sure(words()(str(args.row.question), **vars(args)), getattr(args, args.row.typed) if args.row.typed else "yes")
    if args.row.password:
        args.password = password_of(args.password_file)
    request = args.row.request(args)
    fresh = isinstance(request, CREATING) and _is_new(args)
    if isinstance(request, controls.AddAppPassword):
        expect_terminal("Run this command on a terminal, without a pipe or file for its output.")
    answer = _ask(args.data, request, offline)
    if fresh:
        print(words()("Created a new data directory: %(directory)s", directory=args.data.resolve()), file=sys.stderr)
    if getattr(args, "check", False):
        return _checked(answer.facts, as_json=args.json)
    if args.json:
        print(json.dumps(answer.facts, indent=2))
    else:
        print(words()(answer.text))
    return NOT_RUNNING if isinstance(request, controls.Status) and not answer.facts.get("running", True) else 0


def _is_new(args: Any) -> bool:
    """Would this request create a data directory? Raises SetupError where the wrong directory is more likely."""
    data: Path = args.data
    if database_is_there(data):
        return False
    refuse_before_release(data / DATABASE)
    if not args.named:
        remedy = Sentence("Name the data directory with --data; to create a new one here: --data %(data)s.", data=data)
        raise SetupError(Sentence("There is no server in the directory %(resolve)s.", resolve=data.resolve()), remedy)
    try:
        names = [one.name for one in data.iterdir()]
    except OSError:
        return True
    others = [name for name in names if not name.startswith(".") and name not in OWN_NAMES and not name.endswith(".toml")]
    if others:
        fault = Sentence(
            "There is no server in %(resolve)s, and the directory holds other files, such as %(others)s.",
            resolve=data.resolve(),
            others=sorted(others)[0],
        )
        raise SetupError(fault, "Name the server's data directory, or an empty one for a new server.")
    return True


def _checked(facts: dict[str, Any], *, as_json: bool) -> int:
    """`status --check`: the conditions, and the worst of them as exit status."""
    _ = words()
    if not facts.get("running", True):
        found, status = [], NOT_RUNNING
    else:
        found = facts["conditions"]
        status = max((SEVERITIES.get(one["severity"], 0) for one in found), default=0)
    if as_json:
        print(json.dumps({"running": status != NOT_RUNNING, "conditions": found}, indent=2))
    elif status == NOT_RUNNING:
        print(_("Pillarbox is not running."))
    else:
        print("\n".join(_worded(one) for one in found) or _("All is well."))
    return status


def _ask(data: Path, request: controls.Request, offline: Offline) -> controls.Response:
    async def ask() -> controls.Response:
        patience_s = STATUS_S if isinstance(request, controls.Status) else float("inf")
        with trio.move_on_after(patience_s):
            async with _server(data, request, offline) as server:
                return await server.ask(request)
        silent = Sentence("The server has not answered for %(seconds)s seconds. Check its log, or restart it.", seconds=f"{STATUS_S:.0f}")
        raise PillarboxError(silent)

    return trio.run(ask)


@asynccontextmanager
async def _server(data: Path, request: controls.Request, offline: Offline) -> "AsyncIterator[controls.Control]":
    """The running server, or the data directory opened by this process."""
    remote = RemoteControl(data)
    if remote.present():
        yield remote
    elif isinstance(request, CREATING) or database_is_there(data):
        # an earlier version's database is brought up to date first, which writes
        async with offline(data, isinstance(request, READ_ONLY) and not is_outdated(data / DATABASE)) as server:
            yield server
    else:
        refuse_lost_database(data)
        raise NotRunning(Sentence("There is no server at %(data)s.", data=data), "Name its data directory with --data.")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise SetupError(
            Sentence("%(path)s cannot be written: %(strerror)s.", path=path, strerror=error.strerror), "Choose another place."
        ) from error
