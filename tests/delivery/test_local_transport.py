"""Local delivery from the queue: accounts with room get the message, for the others it stays queued."""

from pathlib import Path
from typing import Any

import pytest

from appliance.delivery.body_chunks import chunks_of
from appliance.delivery.executor import MessageFacts, PlanExecutor
from appliance.delivery.local_transport import LocalTransport
from appliance.delivery.plan import OutboundGroup, PlanRules
from appliance.delivery.route import LOCAL, Route
from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.outcome import DsnAction
from appliance.mail.outgoing import OutgoingMessage
from tests.smtpd.test_session import messages
from tests.support.services import Components, some_components

FRED, MARY = "fred@example.org", "mary@example.org"
ALL = Address("all", "example.org")


async def deliver(components: Components, address: Address, fill: bytes = b"") -> tuple[DsnAction, list[str]]:
    """Deliver a message that Mary has already; Fred's mailbox is filled just before the commit."""
    await components.deliver(b"Subject: a\r\n\r\n" + b"b" * 200, address=MARY)
    newest = "SELECT id FROM body ORDER BY id DESC LIMIT 1"
    ((body,),) = await components.store.database.read(lambda connection: connection.execute(newest).fetchall())
    waits: list[str] = []

    class Queue:
        def add(self, transaction: Any, body: Any, facts: MessageFacts, group: OutboundGroup, describe: Any) -> None:
            waits.extend(str(one) for one in group.recipients)

    directory = components.family.accounts.directory
    executor = PlanExecutor(components.store, Queue(), components.family.clock)
    rules = PlanRules(directory.is_local, address_of=directory.own_address)
    transport = LocalTransport(store=components.store, directory=directory, executor=executor, rules=rules)
    outgoing = OutgoingMessage("abc", None, (Recipient(address),), 214, chunks_of(components.store, body), stored=(body, b""))
    async with transport.session(LOCAL, Route()) as session:
        delivery = await session.deliver(outgoing)
    if fill:
        await components.deliver(fill, address=FRED)
    if delivery.also is not None:
        await components.store.database.write(delivery.also)
    return delivery.outcomes[0].action, waits


@pytest.mark.parametrize("early", [True, False], ids=["full before", "full at the commit"])
async def test_of_several_accounts_only_the_full_one_waits(tmp_path: Path, early: bool) -> None:
    async with some_components(tmp_path, quota_octets=1000) as components:
        if early:
            await components.deliver(b"x" * 900, address=FRED)
        for who in (FRED, MARY):
            await components.family.accounts.add_alias(str(ALL), who)
        action, waits = await deliver(components, ALL, b"" if early else b"x" * 900)
        assert action is DsnAction.DELIVERED and waits == [FRED]
        assert len(await messages(components, MARY)) == 2 and len(await messages(components, FRED)) == 1


async def test_a_single_full_account_is_deferred(tmp_path: Path) -> None:
    async with some_components(tmp_path, quota_octets=1000) as components:
        await components.deliver(b"x" * 900, address=FRED)
        assert await deliver(components, Address("fred", "example.org")) == (DsnAction.DEFERRED, [])
        assert await deliver(components, Address("mary", "example.org")) == (DsnAction.DELIVERED, [])
