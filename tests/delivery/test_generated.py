"""The sender told: one commit with what settles the letter, into the Inbox or out, and never more than was promised."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock

from appliance.delivery import generated as notices
from appliance.delivery.generated import OUTSIDE_PER_HOUR, TellSender
from appliance.delivery.plan import DELIVERED, Group
from appliance.dsn.report import Entry, Subject
from appliance.mail.address import Address, parse_address
from appliance.mail.envelope import Recipient
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.outcome import Fate, Outcome, Reason
from appliance.mail.reply import Reply
from tests.dsn.test_compose import LETTER, about
from tests.smtpd.test_session import letters
from tests.support.services import Rooms, some_rooms

FRED = "fred@example.org"
REFUSED = Outcome(Fate.FAILED, "5.1.1", Reason.REFUSED, "no", "mx.x.example", Reply(550, "5.1.1", ("Nobody",)))
FAILED = Entry(Recipient(parse_address("friend@x.example")), REFUSED)


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    async with some_rooms(tmp_path) as rooms:
        yield rooms


class Queue:
    """What a notice that leaves is handed to."""

    def __init__(self) -> None:
        self.left: list[tuple[Group, Subject]] = []

    def __call__(self, transaction: Any, body: Any, letter: str, group: Group, staged: Any, about: Subject) -> None:
        self.left.append((group, about))


def tell_sender(rooms: Rooms, **changes: Any) -> TellSender:
    family = rooms.family
    return TellSender(store=rooms.store, directory=family.accounts.directory, clock=family.clock, host_name="mail.example.org", **changes)


def settling(note: str = "settled") -> Callable[[Any], object]:
    return lambda transaction: transaction.execute("INSERT INTO house(key, value) VALUES (?, x'00')", (note,))


async def settled(rooms: Rooms, note: str = "settled") -> bool:
    found = await rooms.store.database.read(
        lambda connection: connection.execute("SELECT count(*) FROM house WHERE key = ?", (note,)).fetchone()
    )
    return bool(found[0])


def subject(sender: "str | None" = FRED, **changes: Any) -> Subject:
    return about(sender=None if sender is None else parse_address(sender), **changes)


async def test_a_failure_comes_into_the_inbox_with_the_change(rooms: Rooms) -> None:
    assert await tell_sender(rooms).tell(subject(), [FAILED], settling())
    assert await settled(rooms)
    (kept,) = await letters(rooms)
    assert kept.startswith(b"Return-Path: <>\r\nDelivered-To: fred@example.org\r\nFrom: \"Mail delivery of example.org\" <MAILER-DAEMON@")
    assert LETTER in kept


@pytest.mark.parametrize(
    ("sender", "entry"),
    [
        (None, FAILED),
        (FRED, Entry(Recipient(FAILED.recipient.address, notify=frozenset({"NEVER"})), REFUSED)),
        (FRED, Entry(FAILED.recipient, DELIVERED)),
        ("nobody@example.org", FAILED),
        ("smith@outside.example", FAILED),
        ("mailer-daemon@outside.example", FAILED),
    ],
)
async def test_where_nobody_is_told_the_change_is_made(rooms: Rooms, sender: "str | None", entry: Entry) -> None:
    assert not await tell_sender(rooms).tell(subject(sender), [entry], settling())
    assert await settled(rooms) and not await letters(rooms)


async def test_a_stranger_gets_headers_only_and_no_notice_about_it(rooms: Rooms) -> None:
    queue = Queue()
    assert await tell_sender(rooms, leave=queue).tell(
        subject("smith@outside.example", ret="FULL", require_tls=True), [FAILED], settling()
    )
    ((group, letter),) = queue.left
    assert group.sender is None and group.author == "example.org" and letter.require_tls
    (recipient,) = group.recipients
    assert str(recipient) == "smith@outside.example" and recipient.notify == {"NEVER"} and recipient.outside == (recipient.address,)
    assert await settled(rooms)
    assert not await tell_sender(rooms, leave=queue, has_way=lambda address: False).tell(
        subject("smith@outside.example"), [FAILED], settling("other")
    )
    assert await settled(rooms, "other") and len(queue.left) == 1


async def test_a_rewritten_sender_is_undone(rooms: Rooms) -> None:
    queue = Queue()
    undo = {parse_address("srs0=x@example.org"): parse_address("smith@outside.example")}.get
    assert await tell_sender(rooms, leave=queue, original=undo).tell(subject("srs0=x@example.org"), [FAILED], settling())
    assert str(queue.left[0][0].recipients[0]) == "smith@outside.example"


async def test_few_notices_leave_in_an_hour(rooms: Rooms, autojump_clock: MockClock) -> None:
    queue = Queue()
    teller = tell_sender(rooms, leave=queue)
    for number in range(OUTSIDE_PER_HOUR + 20):
        await teller.tell(subject(f"s{number}@outside.example"), [FAILED], settling(str(number)))
    assert len(queue.left) == OUTSIDE_PER_HOUR
    assert await settled(rooms, str(OUTSIDE_PER_HOUR + 19))
    assert await teller.tell(subject(), [FAILED], settling()), "our own people are always told"


DELAYED = Entry(FAILED.recipient, Outcome(Fate.DEFERRED, "4.4.1", Reason.UNREACHABLE, "not there"))


@pytest.mark.parametrize("entry", [FAILED, DELAYED], ids=["failed", "delayed"])
async def test_a_full_mailbox_gets_its_notices_all_the_same(tmp_path: Path, entry: Entry) -> None:
    """RFC 5321 §6.1: who was promised delivery or a word gets the word."""
    async with some_rooms(tmp_path, quota_octets=100) as rooms:
        await rooms.deliver(b"x" * 100, address=FRED)
        assert await tell_sender(rooms).tell(subject(), [entry], settling())
        assert await settled(rooms) and len(await letters(rooms)) == 2


async def test_notices_beyond_the_bound_wait_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "BEYOND_OCTETS", 5000)
    queue = Queue()
    async with some_rooms(tmp_path, quota_octets=100) as rooms:
        teller = tell_sender(rooms, leave=queue)
        for number in range(6):
            assert await teller.tell(subject(), [FAILED], settling(str(number)))
            assert await settled(rooms, str(number))
        kept = await letters(rooms)
        assert 0 < len(kept) < 6 and len(queue.left) == 6 - len(kept)
        assert rooms.store.quota(rooms.person(FRED))[0] <= 5100
        assert all(group.sender is None and [str(one) for one in group.recipients] == [FRED] for group, _ in queue.left)


async def test_a_change_that_fails_leaves_no_notice(rooms: Rooms) -> None:
    def fail(transaction: Any) -> None:
        raise StoreError(Trouble.FULL)

    with pytest.raises(StoreError):
        await tell_sender(rooms).tell(subject(), [FAILED], fail)
    assert not await letters(rooms)


async def test_arrived_is_said_to_who_asked(rooms: Rooms) -> None:
    teller = tell_sender(rooms)
    mary = Address("mary", "example.org")
    assert not await teller.say_arrived(subject(), [Entry(Recipient(mary), DELIVERED)])
    assert await teller.say_arrived(subject(), [Entry(Recipient(mary, notify=frozenset({"SUCCESS"})), DELIVERED)])
    (kept,) = await letters(rooms)
    assert b"Subject: Your letter has arrived\r\n" in kept and b"Action: delivered\r\n" in kept and b"Dear friend" not in kept
