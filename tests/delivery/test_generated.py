"""The sender told: one commit with what settles the message, into the Inbox or out, and never more than was promised."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock

from appliance.delivery import generated as notices
from appliance.delivery.generated import OUTSIDE_PER_HOUR, DsnGenerator
from appliance.delivery.plan import DELIVERED, OutboundGroup
from appliance.dsn.report import RecipientReport, Subject
from appliance.mail.address import Address, parse_address
from appliance.mail.envelope import Recipient
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.outcome import DeliveryStatus, Outcome, Reason
from appliance.mail.reply import Reply
from tests.dsn.test_compose import MESSAGE, about
from tests.smtpd.test_session import messages
from tests.support.services import Components, some_components

FRED = "fred@example.org"
REFUSED = Outcome(DeliveryStatus.FAILED, "5.1.1", Reason.REFUSED, "no", "mx.x.example", Reply(550, "5.1.1", ("Nobody",)))
FAILED = RecipientReport(Recipient(parse_address("friend@x.example")), REFUSED)


@pytest.fixture
async def components(tmp_path: Path) -> AsyncIterator[Components]:
    async with some_components(tmp_path) as components:
        yield components


class Queue:
    """What a notice that leaves is handed to."""

    def __init__(self) -> None:
        self.left: list[tuple[OutboundGroup, Subject]] = []

    def __call__(self, transaction: Any, body: Any, message: str, group: OutboundGroup, staged: Any, about: Subject) -> None:
        self.left.append((group, about))


def tell_sender(components: Components, **changes: Any) -> DsnGenerator:
    family = components.family
    return DsnGenerator(
        store=components.store, directory=family.accounts.directory, clock=family.clock, host_name="mail.example.org", **changes
    )


def settling(note: str = "settled") -> Callable[[Any], object]:
    return lambda transaction: transaction.execute("INSERT INTO meta(key, value) VALUES (?, x'00')", (note,))


async def settled(components: Components, note: str = "settled") -> bool:
    found = await components.store.database.read(
        lambda connection: connection.execute("SELECT count(*) FROM meta WHERE key = ?", (note,)).fetchone()
    )
    return bool(found[0])


def subject(sender: "str | None" = FRED, **changes: Any) -> Subject:
    return about(sender=None if sender is None else parse_address(sender), **changes)


async def test_a_failure_comes_into_the_inbox_with_the_change(components: Components) -> None:
    assert await tell_sender(components).tell(subject(), [FAILED], settling())
    assert await settled(components)
    (kept,) = await messages(components)
    assert kept.startswith(b'Return-Path: <>\r\nDelivered-To: fred@example.org\r\nFrom: "Mail delivery of example.org" <MAILER-DAEMON@')
    assert MESSAGE in kept


@pytest.mark.parametrize(
    ("sender", "entry"),
    [
        (None, FAILED),
        (FRED, RecipientReport(Recipient(FAILED.recipient.address, notify=frozenset({"NEVER"})), REFUSED)),
        (FRED, RecipientReport(FAILED.recipient, DELIVERED)),
        ("nobody@example.org", FAILED),
        ("smith@outside.example", FAILED),
        ("mailer-daemon@outside.example", FAILED),
    ],
)
async def test_where_nobody_is_told_the_change_is_made(components: Components, sender: "str | None", entry: RecipientReport) -> None:
    assert not await tell_sender(components).tell(subject(sender), [entry], settling())
    assert await settled(components) and not await messages(components)


async def test_a_stranger_gets_headers_only_and_no_notice_about_it(components: Components) -> None:
    queue = Queue()
    assert await tell_sender(components, leave=queue).tell(
        subject("smith@outside.example", ret="FULL", require_tls=True), [FAILED], settling()
    )
    ((group, message),) = queue.left
    assert group.sender is None and group.author == "example.org" and message.require_tls
    (recipient,) = group.recipients
    assert str(recipient) == "smith@outside.example" and recipient.notify == {"NEVER"} and recipient.outside == (recipient.address,)
    assert await settled(components)
    assert not await tell_sender(components, leave=queue, has_route=lambda address: False).tell(
        subject("smith@outside.example"), [FAILED], settling("other")
    )
    assert await settled(components, "other") and len(queue.left) == 1


async def test_a_rewritten_sender_is_undone(components: Components) -> None:
    queue = Queue()
    undo = {parse_address("srs0=x@example.org"): parse_address("smith@outside.example")}.get
    assert await tell_sender(components, leave=queue, original=undo).tell(subject("srs0=x@example.org"), [FAILED], settling())
    assert str(queue.left[0][0].recipients[0]) == "smith@outside.example"


async def test_few_notices_leave_in_an_hour(components: Components, autojump_clock: MockClock) -> None:
    queue = Queue()
    teller = tell_sender(components, leave=queue)
    for number in range(OUTSIDE_PER_HOUR + 20):
        await teller.tell(subject(f"s{number}@outside.example"), [FAILED], settling(str(number)))
    assert len(queue.left) == OUTSIDE_PER_HOUR
    assert await settled(components, str(OUTSIDE_PER_HOUR + 19))
    assert await teller.tell(subject(), [FAILED], settling()), "our own people are always told"


DELAYED = RecipientReport(FAILED.recipient, Outcome(DeliveryStatus.DEFERRED, "4.4.1", Reason.UNREACHABLE, "not there"))


@pytest.mark.parametrize("entry", [FAILED, DELAYED], ids=["failed", "delayed"])
async def test_a_full_mailbox_gets_its_notices_all_the_same(tmp_path: Path, entry: RecipientReport) -> None:
    """RFC 5321 §6.1: who was promised delivery or a word gets the word."""
    async with some_components(tmp_path, quota_octets=100) as components:
        await components.deliver(b"x" * 100, address=FRED)
        assert await tell_sender(components).tell(subject(), [entry], settling())
        assert await settled(components) and len(await messages(components)) == 2


async def test_notices_beyond_the_bound_wait_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "BEYOND_OCTETS", 5000)
    queue = Queue()
    async with some_components(tmp_path, quota_octets=100) as components:
        teller = tell_sender(components, leave=queue)
        for number in range(6):
            assert await teller.tell(subject(), [FAILED], settling(str(number)))
            assert await settled(components, str(number))
        kept = await messages(components)
        assert 0 < len(kept) < 6 and len(queue.left) == 6 - len(kept)
        assert components.store.quota(components.account(FRED))[0] <= 5100
        assert all(group.sender is None and [str(one) for one in group.recipients] == [FRED] for group, _ in queue.left)


async def test_a_change_that_fails_leaves_no_notice(components: Components) -> None:
    def fail(transaction: Any) -> None:
        raise StoreError(Trouble.FULL)

    with pytest.raises(StoreError):
        await tell_sender(components).tell(subject(), [FAILED], fail)
    assert not await messages(components)


async def test_arrived_is_said_to_who_asked(components: Components) -> None:
    teller = tell_sender(components)
    mary = Address("mary", "example.org")
    assert not await teller.say_arrived(subject(), [RecipientReport(Recipient(mary), DELIVERED)])
    assert await teller.say_arrived(subject(), [RecipientReport(Recipient(mary, notify=frozenset({"SUCCESS"})), DELIVERED)])
    (kept,) = await messages(components)
    assert b"Subject: Your message has arrived\r\n" in kept and b"Action: delivered\r\n" in kept and b"Dear friend" not in kept
