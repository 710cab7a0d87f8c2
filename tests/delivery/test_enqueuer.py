"""delivery/enqueuer: which rows a plan's groups become, in one commit with the message."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.delivery.enqueuer import Enqueuer
from appliance.delivery.executor import MessageFacts
from appliance.delivery.plan import OutboundGroup
from appliance.delivery.route import LOCAL
from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.ids import BodyId
from appliance.mail.options import EnvelopeOptions
from appliance.queue.admin import QueueAdmin
from appliance.queue.entry import QueueEntry
from appliance.queue.queue import Queue
from tests.support.services import Components, some_components

SENDER, ORIGIN = Address("club+bob", "home.example"), Address("bob", "far.example")
PREFIX = b"Received: x\r\n"
BODY = b"Subject: a\r\n\r\nbody\r\n"


class Routes:
    """Domains with a relay, and domains without a route."""

    def __init__(self, **found: str | None) -> None:
        self.found = found
        self.asked: list[tuple[Address | None, str]] = []

    def destination(self, sender: Address | None, domain: str) -> str | None:
        self.asked.append((sender, domain))
        return self.found.get(domain.partition(".")[0], domain)


def to(*addresses: str) -> tuple[Recipient, ...]:
    return tuple(Recipient(Address(*one.split("@"))) for one in addresses)


def enqueuer(queue: Any = None, **found: str | None) -> Enqueuer:
    return Enqueuer(queue=queue, routes=Routes(**found), is_local=lambda domain: domain == "home.example")


@pytest.mark.parametrize(
    ("address", "destination"),
    [
        ("x@far.example", "far.example"), ("x@relayed.example", "@provider"), ("x@nowhere.example", "nowhere.example"),
        ("x@home.example", LOCAL), ("x@straße.example", "xn--strae-oqa.example"), ("x@[192.0.2.1]", "[192.0.2.1]"),
    ],
)  # fmt: skip
def test_where_a_recipient_queues(address: str, destination: str) -> None:
    """One without a route waits at its own domain, where the attempt says why; it is not lost."""
    assert enqueuer(relayed="@provider", nowhere=None).destination(SENDER, *to(address)) == destination


def test_routes_are_asked_for_the_sender_on_the_way_out_and_a_label() -> None:
    one = enqueuer()
    one.destination(SENDER, *to("x@straße.example"))
    one.destination_of(SimpleNamespace(sender=None), *to("x@far.example"))  # type: ignore[arg-type]
    assert one._routes.asked == [(SENDER, "xn--strae-oqa.example"), (None, "far.example")]  # type: ignore[attr-defined]


def test_a_recipient_without_an_address_is_postmaster_here() -> None:
    assert enqueuer().destination(None, Recipient(None)) == LOCAL


async def enqueued(components: Components, group: OutboundGroup, facts: MessageFacts, fail: bool = False) -> list[QueueEntry]:
    """Store a message and queue the group in one transaction; the rows there are then."""
    await components.deliver(BODY)
    ((body,),) = await components.store.database.read(lambda c: c.execute("SELECT id FROM body ORDER BY id DESC LIMIT 1").fetchall())
    family = components.family
    describe = await components.store.scan(BodyId(body))
    queue = Queue(family.writer, components.store.bodies, family.clock)
    await queue.open()
    one = enqueuer(queue, relayed="@provider")

    def work(transaction: Any) -> None:
        one.add(transaction, BodyId(body), facts, group, describe)
        if fail:
            raise RuntimeError("the commit fails")

    if fail:
        with pytest.raises(RuntimeError):
            await components.store.database.write(work)
    else:
        await components.store.database.write(work)
    entries = await QueueAdmin(queue).entries()
    return sorted(entries, key=lambda entry: entry.destination)


def facts(header_octets: int = 14, **options: Any) -> MessageFacts:
    return MessageFacts("M1", ORIGIN, len(BODY), header_octets, EnvelopeOptions(**options))


async def test_a_group_becomes_a_row_for_each_destination_with_all_that_the_message_had(tmp_path: Path) -> None:
    recipients = to("a@far.example", "b@relayed.example", "c@far.example", "d@home.example")
    async with some_components(tmp_path) as components:
        rows = await enqueued(components, OutboundGroup(SENDER, recipients, PREFIX, "home.example"), facts(require_tls=True, smtputf8=True))
    assert [(row.destination, [str(one.recipient.address) for one in row.waiting]) for row in rows] == [
        (LOCAL, ["d@home.example"]),
        ("@provider", ["b@relayed.example"]),
        ("far.example", ["a@far.example", "c@far.example"]),
    ]
    for row in rows:
        assert (row.message, row.sender, row.origin, row.author) == ("M1", SENDER, ORIGIN, "home.example")
        assert row.options == EnvelopeOptions(require_tls=True, smtputf8=True), "carried whole, to a bounce too (RFC 8689 §5)"
        assert row.octets == len(PREFIX) + len(BODY) and row.header_octets == len(PREFIX) + 14


async def test_an_unknown_header_size_stays_unknown(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        (row,) = await enqueued(components, OutboundGroup(None, to("a@far.example"), PREFIX), facts(header_octets=0))
    assert row.header_octets == 0 and row.sender is None and row.author == ""


async def test_nothing_is_queued_when_the_commit_fails(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        assert await enqueued(components, OutboundGroup(SENDER, to("a@far.example"), PREFIX), facts(), fail=True) == []
