"""This house is no relay: strangers reach its own people only, however an address is dressed up (RFC 5321 §7.1, PROMISES)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.smtpd.service import Options
from tests.support.rooms import Rooms, some_rooms
from tests.support.smtp import Client

OURS, OUT = "example.org", "outside.example"
SENDERS = (
    "", "stranger@outside.example", "fred@example.org.outside.example", "postmaster@[192.0.2.7]",
    '"fred@example.org"@outside.example', "a@b",
)  # fmt: skip
FORMS = (
    f"user@{OUT}",
    f'"user@{OUT}"',
    f'"user@{OUT}"@{OURS}',
    f"user%{OUT}@{OURS}",
    f"user%{OUT}@mail.{OURS}",
    f"user%{OUT}",
    f"user%{OUT}%{OURS}@{OURS}",
    f'"user%{OUT}"@{OURS}',
    f"{OUT}!user@{OURS}",
    f"{OUT}!user",
    f"{OURS}!{OUT}!user@{OURS}",
    f'"{OUT}!user"@{OURS}',
    f"@{OURS}:user@{OUT}",
    f"@{OURS},@{OUT}:fred@{OURS}",
    f"@{OUT}:fred@{OURS}",
    f"@{OURS}:user%{OUT}@{OURS}",
    f"user@{OUT}@{OURS}",
    f"user@[{OUT}]",
    "user@[127.0.0.1]",
    "user@[192.0.2.1]",
    "user@[IPv6:::1]",
    "fred@192.0.2.1",
    f"fred@{OURS}.",
    f"user@{OUT}.",
    f"fred@{OURS}.{OUT}",
    f"fred@x{OURS}",
    f"fred@mail.{OURS}",
    "fred@exarnple.org",
    "fred@examplе.org",  # a Cyrillic letter
    f"fred@{OURS}\x00.{OUT}",
    f"fred@{OURS} @{OUT}",
    f"fred+{OUT}!user@{OURS}",
    f"user=40{OUT}@{OURS}",
    f"user:{OUT}@{OURS}",
    f"user@{OUT}>, <fred@{OURS}",
)  # fmt: skip


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    async with some_rooms(tmp_path, smtp=Options(errors=1_000_000)) as rooms:
        yield rooms


@pytest.mark.parametrize("catch_all", [False, True])
async def test_every_form_from_every_sender(rooms: Rooms, catch_all: bool) -> None:
    """With a catch-all too: what carries a route is not caught. Names without one then are, and stay in the house."""
    assert len(FORMS) >= 32
    if catch_all:
        await rooms.family.accounts.set_catch_all(OURS, "mary@example.org")
    for sender in SENDERS:
        client = Client(rooms.connect("smtp"))
        await client.greet()
        for form in FORMS:
            assert (await client.ask(f"MAIL FROM:<{sender}>{'' if form.isascii() else ' SMTPUTF8'}")).code == 250, sender
            reply = await client.ask(f"RCPT TO:<{form}>")
            if catch_all and form == f"user=40{OUT}@{OURS}":
                assert reply.code == 250
            else:
                assert reply.permanent, (sender, form, reply)
            assert (await client.ask("RSET")).code == 250


async def test_plain_recipients_of_ours_are_taken(rooms: Rooms) -> None:
    client = Client(rooms.connect("smtp"))
    await client.greet()
    ours = (f"fred@{OURS}", f"FRED+tag=x@{OURS}", f"postmaster@{OURS}", f'"fred"@{OURS}', "postmaster")
    await client.envelope("stranger@outside.example", *ours)
