"""Recipients outside the server: rights, aliases, bounces of forwarded messages, and the send quota."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appliance.accounts.directory import Forward
from appliance.accounts.send_quota import SendQuota
from appliance.delivery.rights import LEADS_NOWHERE, NO_RELAY, NO_SUCH_DOMAIN, NOBODY, ROUTED_ADDRESS, judge_recipient
from appliance.mail.address import Address, parse_address
from appliance.mail.envelope import Recipient
from appliance.mail.reply import Reply
from appliance.protocol.smtp.grammar import Path as ForwardPath
from appliance.protocol.smtp.grammar import parse_forward_path
from appliance.smtpd.service import SmtpOptions
from tests.smtpd.test_session import a_client
from tests.support.routes import BOUNCE, FRED, SET_A_RELAY, STRANGER, SomeRemoteAddresses
from tests.support.services import Components, some_components

COUSIN = parse_address("cousin@x.example")


@pytest.fixture
async def components(tmp_path: Path) -> AsyncIterator[Components]:
    async with some_components(tmp_path, relay_check=SomeRemoteAddresses()) as components:
        accounts = components.family.accounts
        await accounts.add_alias("cousin@example.org", "cousin@x.example")
        for target in ("fred@example.org", "cousin@x.example", "aunt@y.example"):
            await accounts.add_alias("all@example.org", target)
        await accounts.add_alias("stuck@example.org", "fred@example.org")
        await accounts.add_alias("stuck@example.org", "uncle@blocked.example")
        yield components


def judge(components: Components, to: str, sender: Address | None = STRANGER, *, signed_in: bool = False) -> Recipient | Reply:
    identity: Any = None
    if signed_in:
        identity = type("Identity", (), {"account": components.account(), "address": str(FRED)})()
    path = parse_forward_path(f"TO:<{to}>".encode())
    assert isinstance(path, ForwardPath)
    return judge_recipient(components.family.accounts.directory, SomeRemoteAddresses(), identity, sender, path)


async def test_authenticated_users_reach_other_servers_and_others_do_not(components: Components) -> None:
    assert judge(components, "cousin@x.example", FRED, signed_in=True) == Recipient(COUSIN, outside=(COUSIN,))
    assert judge(components, "cousin@x.example") is NO_RELAY
    assert judge(components, "uncle@blocked.example", FRED, signed_in=True) is SET_A_RELAY
    literal = judge(components, "x@[192.0.2.1]", FRED, signed_in=True)
    assert isinstance(literal, Recipient) and literal.outside == (Address("x", "[192.0.2.1]"),)


@pytest.mark.parametrize("domain", ["localhost", "x.localhost", "intranet", "192.0.2.1", "x.invalid", "printer.local", "abc.onion"])
async def test_domains_that_cannot_exist(components: Components, domain: str) -> None:
    assert judge(components, f"x@{domain}", FRED, signed_in=True) is NO_SUCH_DOMAIN


@pytest.mark.parametrize("signed_in", [False, True])
async def test_aliases_lead_outside_for_every_sender(components: Components, signed_in: bool) -> None:
    sender = FRED if signed_in else STRANGER
    found = judge(components, "cousin@example.org", sender, signed_in=signed_in)
    assert found == Recipient(parse_address("cousin@example.org"), (), (COUSIN,), forwarded=True)
    found = judge(components, "all@example.org", None)
    assert isinstance(found, Recipient) and found.accounts == (components.account(),) and len(found.outside) == 2 and found.forwarded
    assert judge(components, "stuck@example.org", sender, signed_in=signed_in) is LEADS_NOWHERE
    assert judge(components, "cousin%x.example@example.org", sender, signed_in=signed_in) is ROUTED_ADDRESS


@pytest.mark.parametrize("signed_in", [False, True])
async def test_what_a_user_forwards_to(components: Components, signed_in: bool) -> None:
    """Outside for every sender; what cannot be reached is passed over, and the message stays."""
    sender, directory, account = FRED if signed_in else STRANGER, components.family.accounts.directory, components.account()
    directory.tables.forwards[account] = Forward(COUSIN, keep=True)
    assert judge(components, str(FRED), sender, signed_in=signed_in) == Recipient(FRED, (account,), (COUSIN,), forwarded=True)
    directory.tables.forwards[account] = Forward(COUSIN, keep=False)
    assert judge(components, str(FRED), sender, signed_in=signed_in) == Recipient(FRED, (), (COUSIN,), forwarded=True)
    directory.tables.forwards[account] = Forward(parse_address("uncle@blocked.example"), keep=False)
    assert judge(components, str(FRED), sender, signed_in=signed_in) == Recipient(FRED, (account,))


@pytest.mark.parametrize("catch_all", [False, True])
async def test_bounces_go_back_to_the_original_sender(components: Components, catch_all: bool) -> None:
    """Only bounces: with a sender, a rewritten address is unknown, or the catch-all's."""
    if catch_all:
        await components.family.accounts.set_catch_all("example.org", "mary@example.org")
    assert judge(components, str(BOUNCE), None) == Recipient(BOUNCE, outside=(STRANGER,), forwarded=True)
    assert judge(components, "srs0=ours@example.org", None) == Recipient(parse_address("srs0=ours@example.org"), (components.account(),))
    for to, sender in ((str(BOUNCE), STRANGER), (str(BOUNCE), COUSIN), ("SRS0=forged=Xy=outside.example=smith@example.org", None)):
        found = judge(components, to, sender)
        assert isinstance(found, Recipient) and not found.outside if catch_all else found is NOBODY


async def test_a_forwarded_message_that_comes_back_is_refused(components: Components) -> None:
    client = await a_client(components)
    for to, message, code in (
        ("cousin@example.org", b"Received: x\r\nDelivered-To: COUSIN@example.org\r\nFrom: a@b\r\n\r\nhi\r\n", 554),
        ("all@example.org", b"delivered-to:\r\n all@example.org\r\n\r\nhi\r\n", 554),
        ("fred@example.org", b"Delivered-To: cousin@example.org\r\nDelivered-To: fred@example.org\r\n\r\nhi\r\n", 250),
    ):
        await client.envelope("smith@outside.example", to)
        reply = await client.data(message)
        assert reply.code == code, (to, reply)
        assert code == 250 or reply.status == "5.4.6"


async def test_too_many_outside(tmp_path: Path) -> None:
    async with some_components(tmp_path, relay_check=SomeRemoteAddresses(), smtp=SmtpOptions(recipients=100)) as components:
        for number in range(60):
            await components.family.accounts.add_alias("big@example.org", f"n{number}@x.example")
            await components.family.accounts.add_alias("bigger@example.org", f"m{number}@x.example")
        client = await a_client(components)
        await client.envelope("smith@outside.example", "big@example.org")
        assert (await client.ask("RCPT TO:<bigger@example.org>")).status == "4.5.3"


async def test_an_account_over_its_send_quota_is_refused(tmp_path: Path) -> None:
    reported: list[tuple[int, bool]] = []
    sending = SendQuota(messages_per_hour=2, recipients_per_day=4, report=lambda who, limited: reported.append((who, limited)))
    async with some_components(tmp_path, relay_check=SomeRemoteAddresses(), sending=sending) as components:
        client = await a_client(components, "submission")
        assert (await client.ask("AUTH PLAIN AGZyZWRAZXhhbXBsZS5vcmcAQmx1cmR5Ymxvb3AtNw==")).code == 235
        await client.envelope("fred@example.org", "a@x.example", "mary@example.org", "b@x.example", "c@x.example", "d@x.example")
        reply = await client.ask("RCPT TO:<e@x.example>")
        assert (reply.code, reply.status) == (450, "4.7.1")
        assert (await client.ask("RCPT TO:<fred@example.org>")).code == 250, "local recipients are never limited"
        assert reported == [(components.account(), True)]
        assert sending.take(components.account(), 4, components.family.clock.mono_s()) == 0
        reply = await client.data(b"From: fred@example.org\r\n\r\nspam\r\n")
        assert (reply.code, reply.status) == (450, "4.7.1"), "counted at the message's end, however many sessions there are"
        await client.envelope("fred@example.org", "mary@example.org")
        assert (await client.data(b"From: fred@example.org\r\n\r\nhi\r\n")).code == 250
