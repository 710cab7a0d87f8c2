"""What commands print in another language: every line of every listing comes out of the catalogue, also over the control socket."""

import json
import re
from pathlib import Path

from appliance.control import requests as c
from appliance.control.requests import Request, Response
from appliance.mail.sentence import Sentence, parts_of
from appliance.status import events as e
from appliance.status.plain import decode_plain, encode_plain
from appliance.status.text import readable
from tests.support.admin import ADA, admin_server
from tests.support.catalogues import foreign_characters, left_in_english
from tests.support.console import busy_board

FOREIGN = re.compile(
    r'"[^"]*"|\b[A-Z]+ ADDRESS\b|'
    r"`?pillarbox [a-z -]+`?|\b[0-9a-f]{16}\b|\b(MX|TXT|SRV|PTR|CNAME|AAAA?|UTC|SHA-256|NAME@DOMAIN|FILE|MB|kB|TLS|DKIM)\b"
    r"|\b(CRITICAL|WARNING|NOTICE|imaps?|smtp|pop3s?|submissions?|bytes|friend|mx|mail|read|all|phone)\b|Nobody here has that address"
    r"|the address is in use|v=\S+|p=\S+|-all|ip[46]:\S+|rsa\b.*|([0-9A-F]{2}:)+[0-9A-F]{2}|TLSv[\d.]+|M7A\d|->|/\S+|[\w-]+\._\w+|_\w+\b"
    r"|\b(INBOX|Drafts|Sent|Junk|Trash|Archive|Outbox)\b"
)
"""What other servers said, names, and words of the DNS and of the command line."""
LISTINGS: tuple[Request, ...] = (
    c.ListAccounts(), c.ListAppPasswords(ADA), c.ListAliases(), c.ListDomains(), c.ListQueue(), c.ListMailboxes(ADA), c.ListShares(ADA),
    c.ShowForwarding(ADA), c.SetAccount(ADA, 100), c.SetAdmin("ben@home.example", True), c.FlushQueue(), c.Status(),
    c.TrackMessage(""), c.DomainRecords("home.example"),
)  # fmt: skip


def untranslated(response: Response) -> list[str]:
    said = foreign_characters()(decode_plain(Response, json.loads(json.dumps(encode_plain(response)))).text)
    return [row for row in said.splitlines() if left_in_english(FOREIGN.sub("", row))]


async def test_every_listing_comes_out_of_the_catalogue(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        ask = one.running.ask
        await ask(c.AddAccount("ben@home.example", "Correct-Horse-7"))
        await ask(c.AddAppPassword(ADA, "phone"))
        await ask(c.AddAlias("info@home.example", (ADA,)))
        await ask(c.ShareMailbox(ADA, "INBOX", "ben@home.example", "read"))
        await ask(c.SendServerMessage(ADA, "1", "1", "bob@far.example"))
        (row,) = (await ask(c.ListQueue())).facts["messages"]
        for request in (
            *LISTINGS,
            c.ShowMessage(row["message"]),
            c.TrackMessage(row["message"]),
            c.HoldMessage(row["message"]),
            c.ListQueue(),
        ):
            assert not (found := untranslated(await ask(request))), (request, found)


def test_the_status_of_a_busy_server_does() -> None:
    board = busy_board()
    board.publish(e.StorageTrouble("broken", "12"))
    text = readable(board.snapshot())
    assert isinstance(text, Sentence) and parts_of(text)
    assert not (found := untranslated(Response(text))), found
    assert "listening    smtp         0.0.0.0:25" in text and "\n  failed     " in text
