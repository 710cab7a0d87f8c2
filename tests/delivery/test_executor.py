"""The plan executor: one commit for copies and queue rows, for new and for stored messages alike."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.delivery.arrival import Arrival
from appliance.delivery.executor import Executed, MessageFacts, PlanExecutor
from appliance.delivery.plan import DeliveryPlan, OutboundGroup, PlanRules, plan
from appliance.mail.actions import KEEP, Action, FileInto
from appliance.mail.address import Address
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.options import EnvelopeOptions
from tests.imapd.client import signed_in
from tests.smtpd.test_session import messages
from tests.support.services import Components, some_components

FRED, MARY = "fred@example.org", "mary@example.org"
OUTSIDE = Recipient(Address("anna", "x.example"), outside=(Address("anna", "x.example"),))
MESSAGE = b"Subject: a\r\n\r\nb\r\n"


class FakeQueue:
    """A PlanQueue; `fails`: as a full disk does."""

    def __init__(self, *, fails: bool = False) -> None:
        self.queued: list[str] = []
        self._fails = fails

    def add(self, transaction: Any, body: Any, facts: MessageFacts, group: OutboundGroup, describe: Any) -> None:
        if self._fails:
            raise StoreError(Trouble.FULL)
        self.queued += [str(one) for one in group.recipients]


@pytest.fixture
async def components(tmp_path: Path) -> AsyncIterator[Components]:
    async with some_components(tmp_path, quota_octets=1000) as components:
        yield components


def local(components: Components, address: str) -> Recipient:
    return Recipient(Address(*address.split("@")), (components.account(address),))


def planned(components: Components, *recipients: Recipient, actions: "tuple[Action, ...]" = KEEP) -> DeliveryPlan:
    rules = PlanRules(lambda domain: domain == "example.org", actions_of=lambda account: actions)
    return plan(Arrival("abc", Envelope(None, list(recipients)), b""), rules)


def facts() -> MessageFacts:
    return MessageFacts("abc", None, len(MESSAGE), 0, EnvelopeOptions())


async def store(components: Components, delivery_plan: DeliveryPlan, queue: "FakeQueue | None", octets: bytes = MESSAGE) -> Executed:
    executor = PlanExecutor(components.store, queue, components.family.clock)
    async with components.store.receive(10_000) as incoming:
        await incoming.write(octets)
        return await executor.store_new(delivery_plan, facts(), await incoming.finish())


async def test_copies_and_rows_in_one_commit(components: Components) -> None:
    queue = FakeQueue()
    executed = await store(components, planned(components, local(components, FRED), OUTSIDE), queue)
    assert len(executed.placed) == 1 and queue.queued == ["anna@x.example"] and len(await messages(components)) == 1


@pytest.mark.parametrize(
    ("headers", "sign"),
    [
        (b"Content-Type: text/plain", b"$HasNoAttachment"),
        (b"Content-Type: application/pdf; name=a.pdf", b"$HasAttachment"),
        (b"Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt", b"$HasAttachment"),
    ],
)
async def test_delivery_says_whether_there_is_an_attachment_and_nothing_else_does(
    components: Components, headers: bytes, sign: bytes
) -> None:
    """RFC 9979 §4.1, §4.2: not APPEND, where flags stay what the client stored; a copy keeps what it has."""
    octets = headers + b"\r\n\r\nb\r\n"
    await store(components, planned(components, local(components, FRED)), None, octets)
    client = await signed_in(components, b"INBOX")
    assert (await client.command(b"FETCH 1 FLAGS"))[0] == [b"* 1 FETCH (FLAGS (%b \\Recent))" % sign]
    await client.command(b"APPEND Archive {%d+}\r\n%b" % (len(octets), octets))
    await client.command(b"COPY 1 Archive")
    await client.command(b"SELECT Archive")
    flags = (await client.command(b"FETCH 1:2 FLAGS"))[0]
    assert flags == [b"* 1 FETCH (FLAGS (\\Recent))", b"* 2 FETCH (FLAGS (%b \\Recent))" % sign]


async def test_a_queue_that_fails_leaves_no_copy(components: Components) -> None:
    with pytest.raises(StoreError):
        await store(components, planned(components, local(components, FRED), OUTSIDE), FakeQueue(fails=True))
    assert not await messages(components)


async def test_groups_without_a_queue_are_refused(components: Components) -> None:
    with pytest.raises(StoreError) as refusal:
        await store(components, planned(components, OUTSIDE), None)
    assert refusal.value.trouble is Trouble.NOT_ALLOWED


async def test_a_full_mailbox_is_queued_in_the_same_commit(components: Components) -> None:
    await components.deliver(b"x" * 990, address=FRED)
    queue = FakeQueue()
    executed = await store(components, planned(components, local(components, FRED), local(components, MARY)), queue)
    assert [copy.account for copy in executed.full] == [components.account(FRED)] and queue.queued == [FRED]
    assert len(await messages(components, MARY)) == 1


async def test_mailbox_and_flags_of_the_actions(components: Components) -> None:
    actions = (FileInto("Junk", ("\\Seen",)), FileInto())
    executed = await store(components, planned(components, local(components, FRED), actions=actions), None)
    junk = await components.store.find(components.account(FRED), "Junk")
    assert [one.mailbox == junk.id for one in executed.placed] == [True, False]


@pytest.mark.parametrize("commits", [True, False])
async def test_a_stored_message_is_delivered_in_the_commit_of_its_outcome(components: Components, commits: bool) -> None:
    executed = await store(components, planned(components, local(components, MARY)), None)
    queue = FakeQueue()
    executor = PlanExecutor(components.store, queue, components.family.clock)
    execute = await executor.deliver_stored(planned(components, local(components, FRED)), replace(facts(), message="def"), executed.body)

    def record(transaction: Any) -> None:
        execute(transaction)
        if not commits:
            raise StoreError(Trouble.FULL)

    if commits:
        await components.store.database.write(record)
    else:
        with pytest.raises(StoreError):
            await components.store.database.write(record)
    assert len(await messages(components)) == commits and not queue.queued
