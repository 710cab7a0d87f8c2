"""`pillarbox check`: verifies everything stored. Reads only, in this process, whether or not the server runs.

Exit status: 0 no damage, 1 something is damaged, 2 there is nothing to check or it cannot be read.
"""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import trio

from appliance.control.requests import Control, Export, ListAccounts, Request
from appliance.database.check import Report
from appliance.database.check import check as look
from appliance.mail.errors import PillarboxError, SetupError
from appliance.mail.limits import MB
from appliance.mail.sentence import Sentence
from appliance.runtime.identity import BODIES, DATABASE, KEPT, database_is_there, refuse_lost_database

from .wording import words

Server = Callable[[Request], AbstractAsyncContextManager[Control]]
INDEXES_ONLY = Sentence("What to do: restart the server; it rebuilds damaged indexes.")
REMEDY = Sentence("""What to do:
  1. Save what can be read: pillarbox export --all TARGET (the rest is skipped and counted).
  2. Restore the data directory from a backup; or start with an empty one and import what was saved.
  3. Consider a new SD card or disk: this one has lost data.""")


def check(args: Any, server: Server) -> int:
    """The exit status."""
    data: Path = args.data
    if not database_is_there(data):
        refuse_lost_database(data)
        raise SetupError(Sentence("There is no server at %(data)s.", data=data), "Name its data directory with --data.")
    kept = data / BODIES / KEPT
    try:
        names = [file.name for file in kept.iterdir()] if kept.exists() else []
    except OSError as error:
        raise SetupError(
            Sentence("%(kept)s cannot be read: %(strerror)s.", kept=kept, strerror=error.strerror), "Check who owns it, or use sudo."
        ) from error
    report = look(data / DATABASE, names, is_there=lambda name: (kept / name).exists())
    readable = trio.run(_readable, server) if report.faults and not report.only_indexes else None
    if args.json:
        print(json.dumps(_facts(report, readable), indent=2))
    else:
        print(_text(report, readable))
    return 1 if report.faults else 0


def _facts(report: Report, readable: tuple[int, int] | None) -> dict[str, Any]:
    facts = {"octets": report.octets, "free_octets": report.free_octets, "rows": report.rows, "faults": report.faults}
    facts |= {"notes": report.notes, "details": report.details}
    facts |= {"readable": readable[0], "unreadable": readable[1]} if readable else {}
    return {**facts, "body_octets": report.body_octets, "stored_octets": report.stored_octets}


def _text(report: Report, readable: tuple[int, int] | None) -> str:
    count, mailboxes = report.rows.get("message", 0), report.rows.get("mailbox", 0)
    _ = words()
    messages = _.counted("%(number)s message", "%(number)s messages", count)
    mail, stored, database = (_.number(round(octets / MB, 1)) for octets in (report.body_octets, report.stored_octets, report.octets))
    lines = [_("%(messages)s in %(mailboxes)s mailboxes, %(mail)s MB of mail", messages=messages, mailboxes=mailboxes, mail=mail)]
    if count or not report.faults:
        lines.append(_("stored in %(stored)s MB; the database has %(database)s MB", stored=stored, database=database))
    else:
        lines = [_("The messages cannot be counted.")]
    lines += [_("Note: %(note)s.", note=_(note)) for note in report.notes]
    lines += [_("DAMAGED: %(fault)s.", fault=_(fault)) for fault in report.faults]
    if readable:
        good, lost = map(_.number, readable)
        lines.append(_("%(good)s messages can be read, %(lost)s cannot.", good=good, lost=lost))
    lines.append(_((INDEXES_ONLY if report.only_indexes else REMEDY) if report.faults else "All is well."))
    return "\n".join(lines)


async def _readable(server: Server) -> tuple[int, int] | None:
    """How many messages an export could read, and how many not; None when no account can be read."""
    good = lost = 0
    try:
        async with server(Export("")) as admin_api:
            for row in (await admin_api.ask(ListAccounts())).facts["accounts"]:
                async for message, chunks in admin_api.export_messages(Export(str(row["address"]))):
                    async for _ in chunks:
                        pass
                    good, lost = good + (not message.unreadable), lost + message.unreadable
    except PillarboxError:
        return None
    return good, lost
