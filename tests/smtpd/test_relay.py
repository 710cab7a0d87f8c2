"""This server is no open relay: unauthenticated clients reach local accounts only, whatever the form of the address (RFC 5321 §7.1)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.smtpd.service import SmtpOptions
from tests.support.services import Components, some_components
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
    f"@{OURS},@{OUT}:fred@{OUT}",
    f"@[192.0.2.1]:user@{OUT}",
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
    "fred@examplе.org",  # a Cyrillic character
    f"fred@{OURS}\x00.{OUT}",
    f"fred@{OURS} @{OUT}",
    f"fred+{OUT}!user@{OURS}",
    f"user=40{OUT}@{OURS}",
    f"user:{OUT}@{OURS}",
    f"user@{OUT}>, <fred@{OURS}",
)  # fmt: skip


@pytest.fixture
async def components(tmp_path: Path) -> AsyncIterator[Components]:
    async with some_components(tmp_path, smtp=SmtpOptions(errors=1_000_000)) as components:
        yield components


@pytest.mark.parametrize("catch_all", [False, True])
async def test_every_form_from_every_sender(components: Components, catch_all: bool) -> None:
    """With a catch-all too: what carries a route is not caught. Names without one then are, and stay in the server."""
    assert len(FORMS) >= 32
    if catch_all:
        await components.family.accounts.set_catch_all(OURS, "mary@example.org")
    for sender in SENDERS:
        client = Client(components.connect("smtp"))
        await client.greet()
        for form in FORMS:
            assert (await client.ask(f"MAIL FROM:<{sender}>{'' if form.isascii() else ' SMTPUTF8'}")).code == 250, sender
            reply = await client.ask(f"RCPT TO:<{form}>")
            if catch_all and form == f"user=40{OUT}@{OURS}":
                assert reply.code == 250
            else:
                assert reply.permanent, (sender, form, reply)
            assert (await client.ask("RSET")).code == 250


async def test_plain_recipients_of_ours_are_taken(components: Components) -> None:
    client = Client(components.connect("smtp"))
    await client.greet()
    routed = (f"@{OURS},@{OUT}:fred@{OURS}", f"@{OUT}:fred@{OURS}")  # the route is ignored: RFC 5321 §4.1.2
    ours = (*routed, f"fred@{OURS}", f"FRED+tag=x@{OURS}", f"postmaster@{OURS}", f'"fred"@{OURS}', "postmaster")
    await client.envelope("stranger@outside.example", *ours)


# --- addresses at the server itself --------------------------------------------------------------


@pytest.fixture
async def named(tmp_path: Path) -> AsyncIterator[Components]:
    """Its host name is no mail domain; two addresses on its interfaces, and the connection's own end."""
    async with some_components(
        tmp_path, smtp=SmtpOptions(host_name="Mail.Example.Org", errors=1_000_000), own_addresses=lambda: ["192.0.2.25", "2001:db8::25"]
    ) as components:
        yield components


AT_THE_SERVER = (
    "postmaster@[192.0.2.25]", "PostMaster@[192.0.2.25]", "fred@[192.0.2.25]", "fred+tag@[192.0.2.25]", "abuse@[IPv6:2001:db8::25]",
    "mary@[IPv6:2001:0db8:0:0::25]", "fred@[IPv6:::ffff:192.0.2.25]", "postmaster@mail.example.org", "Postmaster@MAIL.example.ORG",
    "abuse@mail.example.org", "postmaster@[198.51.100.1]",
)  # fmt: skip
NOT_AT_THE_SERVER = (
    "fred@[192.0.2.26]", "postmaster@[192.0.2.26]", "postmaster@[IPv6:2001:db8::26]", "fred@mail.example.org", "nobody@[192.0.2.25]",
    f"fred%{OUT}@[192.0.2.25]", f"{OUT}!fred@[192.0.2.25]", f'"fred@{OUT}"@[192.0.2.25]', f"postmaster%{OUT}@mail.example.org",
    "postmaster@192.0.2.25", "postmaster@other.example", "postmaster@mail.example.org.other.example",
)  # fmt: skip


@pytest.mark.parametrize("catch_all", [False, True])
async def test_the_server_knows_its_own_addresses(named: Components, catch_all: bool) -> None:
    """RFC 1123 §5.2.17, RFC 5321 §4.5.1: postmaster and local users there; a catch-all catches nothing there."""
    if catch_all:
        await named.family.accounts.set_catch_all(OURS, "mary@example.org")
    client = Client(named.connect("smtp"))
    named.streams[0].local_host = "::ffff:198.51.100.1"
    await client.greet()
    await client.ask("MAIL FROM:<stranger@outside.example>")
    for form in AT_THE_SERVER:
        assert (await client.ask(f"RCPT TO:<{form}>")).code == 250, form
    for form in NOT_AT_THE_SERVER:
        assert (await client.ask(f"RCPT TO:<{form}>")).permanent, form
    assert (await client.data(b"Subject: a\r\n\r\nb\r\n")).code == 250
    for address in ("fred@example.org", "mary@example.org"):
        opened = await named.store.open(named.account(address), "INBOX", read_only=True)
        assert len(opened.uids) == 1
        opened.close()
