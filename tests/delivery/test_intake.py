"""The one door in: one commit for everybody, or nothing for anybody."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from appliance.delivery.generated import TellSender
from appliance.delivery.intake import Arrival, Intake
from appliance.mail.address import Address
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import BodyId, PersonId
from appliance.status.events import LetterAccepted
from appliance.store.mailbox import Filed, StagedBody
from tests.smtpd.test_session import letters
from tests.support.services import Rooms, some_rooms

FRED, MARY = "fred@example.org", "mary@example.org"
LETTER = b"Subject: a\r\n\r\nb\r\n"


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    async with some_rooms(tmp_path) as rooms:
        yield rooms


def door(rooms: Rooms) -> Intake:
    return Intake(store=rooms.store, board=rooms.family.board, clock=rooms.family.clock)  # type: ignore[arg-type]


def to(*recipients: Recipient, sender: Address | None = None) -> Arrival:
    return Arrival("abc", Envelope(sender, list(recipients)), b"Received: x\r\n", "smtp", "192.0.2.7", 0.0)


async def take(intake: Intake, arrival: Arrival) -> list[Filed]:
    async with intake.receive(1000) as incoming:
        await incoming.write(LETTER)
        return await intake.accept(arrival, await incoming.finish())


async def kept(rooms: Rooms, address: str) -> list[bytes]:
    inbox = await rooms.store.open(rooms.person(address), "INBOX", read_only=True)
    return [await (await inbox.open_message(uid)).read(0, 4096) for uid in inbox.uids]


async def test_each_gets_one_copy_with_their_own_address_in_front(rooms: Rooms) -> None:
    fred, mary = rooms.person(FRED), rooms.person(MARY)
    both = Recipient(Address("all", "example.org"), (fred, mary))
    secret = Recipient(Address("mary+x", "example.org"), (mary,))
    filed = await take(door(rooms), to(secret, both, both, sender=Address("a b", "bücher.example")))
    assert len(filed) == 2 and len({one.message for one in filed}) == 2
    path = b'Return-Path: <"a b"@xn--bcher-kva.example>\r\n'
    assert await kept(rooms, FRED) == [path + b"Delivered-To: all@example.org\r\nReceived: x\r\n" + LETTER]
    assert await kept(rooms, MARY) == [path + b"Delivered-To: mary+x@example.org\r\nReceived: x\r\n" + LETTER]
    (event,) = [event for event in rooms.family.board.heard if isinstance(event, LetterAccepted)]
    assert (event.recipients, event.octets, event.letter) == (2, len(LETTER), "abc")


async def test_the_bare_postmaster_and_the_null_path(rooms: Rooms) -> None:
    await take(door(rooms), to(Recipient(None, (rooms.person(FRED),))))
    assert await kept(rooms, FRED) == [b"Return-Path: <>\r\nDelivered-To: postmaster\r\nReceived: x\r\n" + LETTER]


async def test_nothing_for_anybody_when_one_cannot(rooms: Rooms) -> None:
    nobody = Recipient(Address("x", "example.org"), (PersonId(999),))
    with pytest.raises(StoreError) as fault:
        await take(door(rooms), to(Recipient(Address("fred", "example.org"), (rooms.person(FRED),)), nobody))
    assert fault.value.trouble is Trouble.NO_MAILBOX
    assert await kept(rooms, FRED) == []
    assert not [event for event in rooms.family.board.heard if isinstance(event, LetterAccepted)]


async def test_room(tmp_path: Path) -> None:
    async with some_rooms(tmp_path, quota_octets=100) as rooms:
        intake, fred = door(rooms), rooms.person(FRED)
        assert intake.has_room(fred, 0) and intake.has_room(fred, 100) and not intake.has_room(fred, 101)
    (tmp_path / "unlimited").mkdir()
    async with some_rooms(tmp_path / "unlimited") as rooms:
        assert door(rooms).has_room(rooms.person(FRED), 10**12)


async def test_who_asked_is_told_that_it_arrived(rooms: Rooms) -> None:
    """RFC 3461 §4.1, §5.2.7.3: delivered to one, expanded to several; nobody is told who did not ask."""
    family = rooms.family
    teller = TellSender(store=rooms.store, directory=family.accounts.directory, clock=family.clock, host_name="mail.example.org")
    intake = Intake(store=rooms.store, board=family.board, clock=family.clock, notices=lambda: teller)  # type: ignore[arg-type]
    fred, mary = rooms.person(FRED), rooms.person(MARY)
    asked = frozenset({"SUCCESS"})
    envelope = Envelope(
        Address("fred", "example.org"),
        [
            Recipient(Address("mary", "example.org"), (mary,), notify=asked),
            Recipient(Address("all", "example.org"), (fred, mary), notify=asked, orcpt="rfc822;all@example.org"),
            Recipient(Address("postmaster", "example.org"), (fred,)),
        ],
        envid="mine",
    )
    async with intake.receive(10_000) as incoming:
        await incoming.write(LETTER)
        arrival = Arrival("abc", envelope, b"", "submission", "192.0.2.7", 0.0)
        assert len(await intake.accept(arrival, await incoming.finish())) == 2
    assert len(await letters(rooms, MARY)) == 1
    notice = (await letters(rooms, FRED))[-1]
    assert b"Action: delivered\r\n" in notice and b"Action: expanded\r\n" in notice and notice.count(b"Final-Recipient") == 2
    assert b"Original-Envelope-Id: mine\r\n" in notice and b"Subject: a\r\n" in notice and b"Name in this house: abc" in notice


async def test_nothing_leaves_without_a_queue(rooms: Rooms) -> None:
    outside = Address("friend", "x.example")
    envelope = Envelope(None, [Recipient(outside, outside=(outside,)), Recipient(Address("fred", "example.org"), (rooms.person(FRED),))])
    intake = Intake(store=rooms.store, board=rooms.family.board, clock=rooms.family.clock)  # type: ignore[arg-type]
    async with intake.receive(10_000) as incoming:
        await incoming.write(LETTER)
        with pytest.raises(StoreError):
            await intake.accept(Arrival("abc", envelope, b"", "submission", "192.0.2.7", 0.0), await incoming.finish())
    assert not await letters(rooms, FRED)


# --- mailboxes without room ------------------------------------------------------------------------------------


class Outward:
    """What leaves and what waits is noted."""

    def __init__(self) -> None:
        self.left: list[str] = []
        self.waits: list[tuple[PersonId, Recipient]] = []

    def leaving(self, arrival: Arrival, body: StagedBody, *, held: bool) -> Callable[[Any, BodyId], object] | None:
        outside = [str(address) for one in arrival.envelope.recipients for address in one.outside]
        return (lambda transaction, number: self.left.extend(outside)) if outside else None

    def waiting(
        self, arrival: Arrival, body: StagedBody, full: Sequence[tuple[PersonId, Recipient]]
    ) -> Callable[[Any, BodyId], object]:
        return lambda transaction, number: self.waits.extend(full)


@pytest.fixture
async def one_full(tmp_path: Path) -> AsyncIterator[Rooms]:
    """Mary has room, Fred 40 octets: less than any message takes."""
    async with some_rooms(tmp_path, quota_octets=1000) as rooms:
        await rooms.deliver(b"x" * 960, address=FRED)
        yield rooms


async def test_one_full_mailbox_does_not_make_the_others_wait(one_full: Rooms) -> None:
    outward, (fred, mary) = Outward(), (one_full.person(FRED), one_full.person(MARY))
    intake = Intake(store=one_full.store, board=one_full.family.board, clock=one_full.family.clock, outward=outward)  # type: ignore[arg-type]
    to_fred, to_mary = Recipient(Address("fred", "example.org"), (fred,)), Recipient(Address("mary", "example.org"), (mary,))
    assert len(await take(intake, to(to_fred, to_mary))) == 1
    assert len(await kept(one_full, MARY)) == 1 and len(await kept(one_full, FRED)) == 1
    assert outward.waits == [(fred, to_fred)]
    (event,) = [event for event in one_full.family.board.heard if isinstance(event, LetterAccepted)]
    assert (event.recipients, event.mailboxes) == (2, 1)


async def test_of_a_group_only_the_full_one_waits(one_full: Rooms) -> None:
    outward, (fred, mary) = Outward(), (one_full.person(FRED), one_full.person(MARY))
    intake = Intake(store=one_full.store, board=one_full.family.board, clock=one_full.family.clock, outward=outward)  # type: ignore[arg-type]
    await take(intake, to(Recipient(Address("all", "example.org"), (fred, mary))))
    assert len(await kept(one_full, MARY)) == 1 and [person for person, _ in outward.waits] == [fred]


async def test_where_nobody_has_room_the_client_keeps_the_message(one_full: Rooms) -> None:
    outward = Outward()
    intake = Intake(store=one_full.store, board=one_full.family.board, clock=one_full.family.clock, outward=outward)  # type: ignore[arg-type]
    with pytest.raises(StoreError) as refused:
        await take(intake, to(Recipient(Address("fred", "example.org"), (one_full.person(FRED),))))
    assert refused.value.trouble is Trouble.OVER_QUOTA and not outward.waits and len(await kept(one_full, FRED)) == 1


async def test_what_leaves_does_not_wait_for_a_full_mailbox(one_full: Rooms) -> None:
    outward, outside = Outward(), Address("friend", "x.example")
    intake = Intake(store=one_full.store, board=one_full.family.board, clock=one_full.family.clock, outward=outward)  # type: ignore[arg-type]
    fred = Recipient(Address("fred", "example.org"), (one_full.person(FRED),))
    assert await take(intake, to(fred, Recipient(outside, outside=(outside,)))) == []
    assert outward.left == ["friend@x.example"] and outward.waits == [(one_full.person(FRED), fred)]
