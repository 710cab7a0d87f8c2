"""`pillarbox check`: is all that is stored whole? Reads only, in this process, whether or not the house runs."""

import json
from typing import Any

from appliance.database.check import check as look
from appliance.mail.errors import SetupError
from appliance.mail.limits import MB
from appliance.system.identity import refuse_lost_database


def check(words: Any) -> int:
    """The exit status: 0 all is well, 1 something is damaged."""
    path = words.data / "house.db"
    if not path.exists():
        refuse_lost_database(words.data)
        raise SetupError(f"There is no house at {words.data}.", "Name its data directory with --data.")
    kept = words.data / "bodies" / "kept"
    report = look(path, [file.name for file in kept.iterdir()] if kept.exists() else [])
    if words.json:
        facts = {"octets": report.octets, "free_octets": report.free_octets, "rows": report.rows, "faults": report.faults}
        print(json.dumps({**facts, "body_octets": report.body_octets, "stored_octets": report.stored_octets}, indent=2))
    else:
        count, mailboxes = report.rows.get("message", 0), report.rows.get("mailbox", 0)
        print(f"{count:,} letter{'s' * (count != 1)} in {mailboxes} mailboxes, {report.body_octets / MB:,.1f} MB of mail")
        print(f"kept in {report.stored_octets / MB:,.1f} MB; the database has {report.octets / MB:,.1f} MB")
        print("\n".join(f"DAMAGED: {fault}" for fault in report.faults) or "All is well.")
    return 1 if report.faults else 0
