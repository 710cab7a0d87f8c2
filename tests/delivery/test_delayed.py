"""Delivery here from the queue: whoever has room gets the message, for the others it waits on."""

from pathlib import Path
from typing import Any

import pytest

from appliance.delivery.body_chunks import pieces_of
from appliance.delivery.delayed import HOUSE, AtHome
from appliance.delivery.route import Way
from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.outcome import Fate
from appliance.mail.outgoing import Parcel
from tests.smtpd.test_session import letters
from tests.support.services import Rooms, some_rooms

FRED, MARY = "fred@example.org", "mary@example.org"
ALL = Address("all", "example.org")


async def deliver(rooms: Rooms, address: Address, fill: bytes = b"") -> tuple[Fate, list[str]]:
    """Deliver a message that Mary has already; Fred's mailbox is filled just before the commit."""
    await rooms.deliver(b"Subject: a\r\n\r\n" + b"b" * 200, address=MARY)
    newest = "SELECT id FROM body ORDER BY id DESC LIMIT 1"
    ((body,),) = await rooms.store.database.read(lambda connection: connection.execute(newest).fetchall())
    waits: list[str] = []

    def wait(transaction: Any, parcel: Parcel, full: Any) -> None:
        waits.extend(str(rooms.family.accounts.directory.own_address(person)) for person, _ in full)

    home = AtHome(store=rooms.store, directory=rooms.family.accounts.directory, clock=rooms.family.clock, wait=wait)
    parcel = Parcel("abc", None, (Recipient(address),), 214, pieces_of(rooms.store, body), kept=(body, b""))
    async with home.trip(HOUSE, Way()) as trip:
        delivery = await trip.deliver(parcel, lambda: None)
    if fill:
        await rooms.deliver(fill, address=FRED)
    if delivery.also is not None:
        await rooms.store.database.write(delivery.also)
    return delivery.outcomes[0].fate, waits


@pytest.mark.parametrize("early", [True, False], ids=["full before", "full at the commit"])
async def test_of_several_behind_an_address_the_full_one_waits_alone(tmp_path: Path, early: bool) -> None:
    async with some_rooms(tmp_path, quota_octets=1000) as rooms:
        if early:
            await rooms.deliver(b"x" * 900, address=FRED)
        for who in (FRED, MARY):
            await rooms.family.accounts.add_alias(str(ALL), who)
        fate, waits = await deliver(rooms, ALL, b"" if early else b"x" * 900)
        assert fate is Fate.DELIVERED and waits == [FRED]
        assert len(await letters(rooms, MARY)) == 2 and len(await letters(rooms, FRED)) == 1


async def test_the_only_one_waits_for_room(tmp_path: Path) -> None:
    async with some_rooms(tmp_path, quota_octets=1000) as rooms:
        await rooms.deliver(b"x" * 900, address=FRED)
        assert await deliver(rooms, Address("fred", "example.org")) == (Fate.DEFERRED, [])
        assert await deliver(rooms, Address("mary", "example.org")) == (Fate.DELIVERED, [])
