"""Intake: one commit for all recipients, or none."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appliance.delivery.arrival import Arrival
from appliance.delivery.executor import MessageFacts
from appliance.delivery.generated import DsnGenerator
from appliance.delivery.intake import Intake
from appliance.delivery.plan import OutboundGroup
from appliance.mail.address import Address
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId, BodyId
from appliance.mail.options import EnvelopeOptions, RecipientOptions
from appliance.status.events import MessageAccepted
from appliance.store.values import Placed
from tests.smtpd.test_session import messages
from tests.support.services import Components, some_components

FRED, MARY = "fred@example.org", "mary@example.org"
MESSAGE = b"Subject: a\r\n\r\nb\r\n"


@pytest.fixture
async def components(tmp_path: Path) -> AsyncIterator[Components]:
    async with some_components(tmp_path) as components:
        yield components


def make_intake(components: Components) -> Intake:
    return Intake(store=components.store, board=components.family.board, clock=components.family.clock)  # type: ignore[arg-type]


def to(*recipients: Recipient, sender: Address | None = None) -> Arrival:
    return Arrival("abc", Envelope(sender, list(recipients)), b"Received: x\r\n", "smtp", "192.0.2.7", 0.0)


async def take(intake: Intake, arrival: Arrival) -> list[Placed]:
    async with intake.receive(1000) as incoming:
        await incoming.write(MESSAGE)
        return await intake.accept(arrival, await incoming.finish())


async def kept(components: Components, address: str) -> list[bytes]:
    inbox = await components.store.open(components.account(address), "INBOX", read_only=True)
    return [await (await inbox.open_message(uid)).read(0, 4096) for uid in inbox.uids]


async def test_each_account_gets_one_copy_with_its_own_delivered_to(components: Components) -> None:
    fred, mary = components.account(FRED), components.account(MARY)
    both = Recipient(Address("all", "example.org"), (fred, mary))
    secret = Recipient(Address("mary+x", "example.org"), (mary,))
    filed = await take(make_intake(components), to(secret, both, both, sender=Address("a b", "bücher.example")))
    assert len(filed) == 2 and len({one.message for one in filed}) == 2
    path = b'Return-Path: <"a b"@xn--bcher-kva.example>\r\n'
    assert await kept(components, FRED) == [path + b"Delivered-To: all@example.org\r\nReceived: x\r\n" + MESSAGE]
    assert await kept(components, MARY) == [path + b"Delivered-To: mary+x@example.org\r\nReceived: x\r\n" + MESSAGE]
    (event,) = [event for event in components.family.board.heard if isinstance(event, MessageAccepted)]
    assert (event.recipients, event.octets, event.message) == (2, len(MESSAGE), "abc")
    assert event.to == ("mary+x@example.org", "all@example.org")


async def test_the_bare_postmaster_and_the_null_path(components: Components) -> None:
    await take(make_intake(components), to(Recipient(None, (components.account(FRED),))))
    assert await kept(components, FRED) == [b"Return-Path: <>\r\nDelivered-To: postmaster\r\nReceived: x\r\n" + MESSAGE]


async def test_one_missing_mailbox_stores_nothing(components: Components) -> None:
    nobody = Recipient(Address("x", "example.org"), (AccountId(999),))
    with pytest.raises(StoreError) as fault:
        await take(make_intake(components), to(Recipient(Address("fred", "example.org"), (components.account(FRED),)), nobody))
    assert fault.value.trouble is Trouble.NO_MAILBOX
    assert await kept(components, FRED) == []
    assert not [event for event in components.family.board.heard if isinstance(event, MessageAccepted)]


async def test_room(tmp_path: Path) -> None:
    async with some_components(tmp_path, quota_octets=100) as components:
        intake, fred = make_intake(components), components.account(FRED)
        assert intake.has_room(fred, 0) and intake.has_room(fred, 100) and not intake.has_room(fred, 101)
    (tmp_path / "unlimited").mkdir()
    async with some_components(tmp_path / "unlimited") as components:
        assert make_intake(components).has_room(components.account(FRED), 10**12)


async def test_success_dsns(components: Components) -> None:
    """RFC 3461 §4.1, §5.2.7.3: delivered to one, expanded to several; none where not requested."""
    family = components.family
    generator = DsnGenerator(store=components.store, directory=family.accounts.directory, clock=family.clock, host_name="mail.example.org")
    intake = Intake(store=components.store, board=family.board, clock=family.clock, dsn=lambda: generator)  # type: ignore[arg-type]
    fred, mary = components.account(FRED), components.account(MARY)
    asked = frozenset({"SUCCESS"})
    envelope = Envelope(
        Address("fred", "example.org"),
        [
            Recipient(Address("mary", "example.org"), (mary,), options=RecipientOptions(notify=asked)),
            Recipient(Address("all", "example.org"), (fred, mary), options=RecipientOptions(notify=asked, orcpt="rfc822;all@example.org")),
            Recipient(Address("postmaster", "example.org"), (fred,)),
        ],
        options=EnvelopeOptions(envid="mine"),
    )
    async with intake.receive(10_000) as incoming:
        await incoming.write(MESSAGE)
        arrival = Arrival("abc", envelope, b"", "submission", "192.0.2.7", 0.0)
        assert len(await intake.accept(arrival, await incoming.finish())) == 2
    assert len(await messages(components, MARY)) == 1
    dsn = (await messages(components, FRED))[-1]
    assert b"Action: delivered\r\n" in dsn and b"Action: expanded\r\n" in dsn and dsn.count(b"Final-Recipient") == 2
    assert b"Original-Envelope-Id: mine\r\n" in dsn and b"Subject: a\r\n" in dsn and b"Queue ID on this server: abc" in dsn


async def test_nothing_is_relayed_without_a_queue(components: Components) -> None:
    outside = Address("friend", "x.example")
    envelope = Envelope(
        None, [Recipient(outside, outside=(outside,)), Recipient(Address("fred", "example.org"), (components.account(FRED),))]
    )
    intake = Intake(store=components.store, board=components.family.board, clock=components.family.clock)  # type: ignore[arg-type]
    async with intake.receive(10_000) as incoming:
        await incoming.write(MESSAGE)
        with pytest.raises(StoreError):
            await intake.accept(Arrival("abc", envelope, b"", "submission", "192.0.2.7", 0.0), await incoming.finish())
    assert not await messages(components, FRED)


# --- mailboxes without room ------------------------------------------------------------------------------------


class FakeQueue:
    """A PlanQueue that keeps which recipients are relayed and which wait for room."""

    def __init__(self) -> None:
        self.relayed: list[str] = []
        self.waiting_for_room: list[tuple[AccountId, Recipient]] = []

    def add(self, transaction: Any, body: BodyId, facts: MessageFacts, group: OutboundGroup, describe: Any) -> None:
        for one in group.recipients:
            if one.accounts:
                self.waiting_for_room.append((one.accounts[0], one))
            else:
                self.relayed.append(str(one))


@pytest.fixture
async def one_full(tmp_path: Path) -> AsyncIterator[Components]:
    """Mary has room, Fred 40 octets: less than any message takes."""
    async with some_components(tmp_path, quota_octets=1000) as components:
        await components.deliver(b"x" * 960, address=FRED)
        yield components


async def test_a_full_mailbox_does_not_delay_the_others(one_full: Components) -> None:
    queue, (fred, mary) = FakeQueue(), (one_full.account(FRED), one_full.account(MARY))
    intake = Intake(store=one_full.store, board=one_full.family.board, clock=one_full.family.clock, queue=queue)  # type: ignore[arg-type]
    to_fred, to_mary = Recipient(Address("fred", "example.org"), (fred,)), Recipient(Address("mary", "example.org"), (mary,))
    assert len(await take(intake, to(to_fred, to_mary))) == 1
    assert len(await kept(one_full, MARY)) == 1 and len(await kept(one_full, FRED)) == 1
    assert queue.waiting_for_room == [(fred, to_fred)]
    (event,) = [event for event in one_full.family.board.heard if isinstance(event, MessageAccepted)]
    assert (event.recipients, event.mailboxes) == (2, 1)


async def test_of_a_group_only_the_full_one_waits(one_full: Components) -> None:
    queue, (fred, mary) = FakeQueue(), (one_full.account(FRED), one_full.account(MARY))
    intake = Intake(store=one_full.store, board=one_full.family.board, clock=one_full.family.clock, queue=queue)  # type: ignore[arg-type]
    await take(intake, to(Recipient(Address("all", "example.org"), (fred, mary))))
    assert len(await kept(one_full, MARY)) == 1 and [account for account, _ in queue.waiting_for_room] == [fred]


async def test_when_all_mailboxes_are_full_the_client_keeps_the_message(one_full: Components) -> None:
    queue = FakeQueue()
    intake = Intake(store=one_full.store, board=one_full.family.board, clock=one_full.family.clock, queue=queue)  # type: ignore[arg-type]
    with pytest.raises(StoreError) as refused:
        await take(intake, to(Recipient(Address("fred", "example.org"), (one_full.account(FRED),))))
    assert refused.value.trouble is Trouble.OVER_QUOTA and not queue.waiting_for_room and len(await kept(one_full, FRED)) == 1


async def test_relaying_does_not_wait_for_a_full_mailbox(one_full: Components) -> None:
    queue, outside = FakeQueue(), Address("friend", "x.example")
    intake = Intake(store=one_full.store, board=one_full.family.board, clock=one_full.family.clock, queue=queue)  # type: ignore[arg-type]
    fred = Recipient(Address("fred", "example.org"), (one_full.account(FRED),))
    assert await take(intake, to(fred, Recipient(outside, outside=(outside,)))) == []
    assert queue.relayed == ["friend@x.example"] and queue.waiting_for_room == [(one_full.account(FRED), fred)]
