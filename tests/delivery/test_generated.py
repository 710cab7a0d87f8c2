"""Generated DSNs: one commit with the recorded outcome, into INBOX or the queue, within the limits."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock

from appliance.delivery import generated
from appliance.delivery.executor import MessageFacts
from appliance.delivery.generated import OUTSIDE_PER_HOUR, DsnGenerator
from appliance.delivery.plan import DELIVERED, OutboundGroup
from appliance.dsn.report import RecipientReport, Subject
from appliance.mail.address import Address, parse_address
from appliance.mail.envelope import Recipient
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.options import RecipientOptions
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.reply import Reply
from tests.dsn.test_compose import MESSAGE, about
from tests.smtpd.test_session import messages
from tests.support.catalogues import compile_checkout
from tests.support.services import Components, some_components

FRED = "fred@example.org"
REFUSED = Outcome(DsnAction.FAILED, "5.1.1", Reason.REFUSED, "no", "mx.x.example", Reply(550, "5.1.1", ("Nobody",)))
FAILED = RecipientReport(Recipient(parse_address("friend@x.example")), REFUSED)


@pytest.fixture
async def components(tmp_path: Path) -> AsyncIterator[Components]:
    async with some_components(tmp_path) as components:
        yield components


class FakeQueue:
    """A PlanQueue that keeps what is queued."""

    def __init__(self) -> None:
        self.queued: list[tuple[OutboundGroup, MessageFacts]] = []

    def add(self, transaction: Any, body: Any, facts: MessageFacts, group: OutboundGroup, describe: Any) -> None:
        self.queued.append((group, facts))


def generator(components: Components, **changes: Any) -> DsnGenerator:
    family = components.family
    return DsnGenerator(
        store=components.store, directory=family.accounts.directory, clock=family.clock, host_name="mail.example.org", **changes
    )


def recording(note: str = "recorded") -> Callable[[Any], object]:
    return lambda transaction: transaction.execute("INSERT INTO meta(key, value) VALUES (?, x'00')", (note,))


async def recorded(components: Components, note: str = "recorded") -> bool:
    found = await components.store.database.read(
        lambda connection: connection.execute("SELECT count(*) FROM meta WHERE key = ?", (note,)).fetchone()
    )
    return bool(found[0])


def subject(sender: "str | None" = FRED, **changes: Any) -> Subject:
    return about(sender=None if sender is None else parse_address(sender), **changes)


async def test_a_failure_dsn_goes_into_inbox_with_the_change(components: Components) -> None:
    assert await generator(components).send(subject(), [FAILED], recording())
    assert await recorded(components)
    (kept,) = await messages(components)
    assert kept.startswith(b'Return-Path: <>\r\nDelivered-To: fred@example.org\r\nFrom: "Mail delivery of example.org" <MAILER-DAEMON@')
    assert MESSAGE in kept


async def test_a_dsn_is_in_the_language_of_who_gets_it_or_of_the_server(components: Components) -> None:
    compile_checkout()
    accounts = components.family.accounts
    await accounts.set_language(FRED, "de")
    await generator(components).send(subject(), [FAILED], recording())
    assert b"Content-Language: de\r\n" in (await messages(components))[0]
    directory = accounts.directory
    (other,) = [one.id for one in directory.accounts() if one.address != FRED][:1] or [None]
    assert directory.language_of(other) == directory.language_of() == "de", "of the first administrator"
    await accounts.set_language(FRED, "")
    assert directory.language_of() == ""


@pytest.mark.parametrize(
    ("sender", "entry"),
    [
        (None, FAILED),
        (FRED, RecipientReport(Recipient(FAILED.recipient.address, options=RecipientOptions(notify=frozenset({"NEVER"}))), REFUSED)),
        (FRED, RecipientReport(FAILED.recipient, DELIVERED)),
        ("nobody@example.org", FAILED),
        ("smith@outside.example", FAILED),
        ("mailer-daemon@outside.example", FAILED),
    ],
)
async def test_without_a_dsn_the_change_is_made(components: Components, sender: "str | None", entry: RecipientReport) -> None:
    assert not await generator(components).send(subject(sender), [entry], recording())
    assert await recorded(components) and not await messages(components)


async def test_a_remote_sender_gets_headers_only_with_the_null_sender(components: Components) -> None:
    queue = FakeQueue()
    assert await generator(components, queue=queue).send(
        subject("smith@outside.example", ret="FULL", require_tls=True), [FAILED], recording()
    )
    ((group, facts),) = queue.queued
    assert group.sender is None and group.author == "example.org" and facts.options.require_tls
    (recipient,) = group.recipients
    assert str(recipient) == "smith@outside.example" and recipient.options.notify == {"NEVER"} and recipient.outside == (recipient.address,)
    assert await recorded(components)
    assert not await generator(components, queue=queue, has_route=lambda address: False).send(
        subject("smith@outside.example"), [FAILED], recording("other")
    )
    assert await recorded(components, "other") and len(queue.queued) == 1


async def test_a_rewritten_sender_is_undone(components: Components) -> None:
    queue = FakeQueue()
    undo = {parse_address("srs0=x@example.org"): parse_address("smith@outside.example")}.get
    assert await generator(components, queue=queue, original=undo).send(subject("srs0=x@example.org"), [FAILED], recording())
    assert str(queue.queued[0][0].recipients[0]) == "smith@outside.example"


async def test_dsns_to_remote_senders_are_rate_limited(components: Components, autojump_clock: MockClock) -> None:
    queue = FakeQueue()
    dsn = generator(components, queue=queue)
    for number in range(OUTSIDE_PER_HOUR + 20):
        await dsn.send(subject(f"s{number}@outside.example"), [FAILED], recording(str(number)))
    assert len(queue.queued) == OUTSIDE_PER_HOUR
    assert await recorded(components, str(OUTSIDE_PER_HOUR + 19))
    assert await dsn.send(subject(), [FAILED], recording()), "local senders are not limited"


DELAYED = RecipientReport(FAILED.recipient, Outcome(DsnAction.DEFERRED, "4.4.1", Reason.UNREACHABLE, "not there"))


@pytest.mark.parametrize("entry", [FAILED, DELAYED], ids=["failed", "delayed"])
async def test_a_full_mailbox_still_gets_dsns(tmp_path: Path, entry: RecipientReport) -> None:
    """RFC 5321 §6.1: an accepted message is delivered or reported."""
    async with some_components(tmp_path, quota_octets=100) as components:
        await components.deliver(b"x" * 100, address=FRED)
        assert await generator(components).send(subject(), [entry], recording())
        assert await recorded(components) and len(await messages(components)) == 2


async def test_dsns_beyond_the_bound_are_queued_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "BEYOND_OCTETS", 5000)
    queue = FakeQueue()
    async with some_components(tmp_path, quota_octets=100) as components:
        dsn = generator(components, queue=queue)
        for number in range(6):
            assert await dsn.send(subject(), [FAILED], recording(str(number)))
            assert await recorded(components, str(number))
        kept = await messages(components)
        assert 0 < len(kept) < 6 and len(queue.queued) == 6 - len(kept)
        assert components.store.quota(components.account(FRED))[0] <= 5100
        assert all(group.sender is None and [str(one) for one in group.recipients] == [FRED] for group, _ in queue.queued)


async def test_a_change_that_fails_leaves_no_dsn(components: Components) -> None:
    def fail(transaction: Any) -> None:
        raise StoreError(Trouble.FULL)

    with pytest.raises(StoreError):
        await generator(components).send(subject(), [FAILED], fail)
    assert not await messages(components)


async def test_success_is_reported_where_requested(components: Components) -> None:
    dsn = generator(components)
    mary = Address("mary", "example.org")
    assert not await dsn.report_success(subject(), [RecipientReport(Recipient(mary), DELIVERED)])
    assert await dsn.report_success(
        subject(), [RecipientReport(Recipient(mary, options=RecipientOptions(notify=frozenset({"SUCCESS"}))), DELIVERED)]
    )
    (kept,) = await messages(components)
    assert b"Subject: Your message has arrived\r\n" in kept and b"Action: delivered\r\n" in kept and b"Dear friend" not in kept
