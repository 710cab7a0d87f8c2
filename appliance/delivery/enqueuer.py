"""Enqueue: a plan's groups become queue rows, in the commit that stores the message.

A message with a release time (FUTURERELEASE, RFC 4865) is queued whole: remote recipients for their destinations, local ones for the
destination LOCAL, from which `local_transport` delivers at the release time. A message for a full mailbox is queued there as well.
"""

from collections.abc import Callable
from typing import Any

from appliance.mail.address import Address, ascii_domain
from appliance.mail.description import DescriptionOf
from appliance.mail.envelope import Recipient
from appliance.mail.ids import BodyId
from appliance.queue.entry import NewEntry, QueueEntry
from appliance.queue.queue import Queue

from .executor import MessageFacts
from .plan import OutboundGroup
from .route import LOCAL, DestinationFinder


class Enqueuer:
    """The PlanQueue of `executor` and `generated`."""

    def __init__(self, *, queue: Queue, routes: DestinationFinder, is_local: Callable[[str], bool]) -> None:
        self._queue = queue
        self._routes = routes
        self._is_local = is_local

    def add(self, transaction: Any, body: BodyId, facts: MessageFacts, group: OutboundGroup, describe: DescriptionOf) -> None:
        """See `PlanQueue`."""
        new_entry = NewEntry(
            message=facts.message,
            sender=group.sender,
            origin=facts.origin,
            recipients=group.recipients,
            prefix=group.prefix,
            octets=len(group.prefix) + facts.octets,
            header_octets=len(group.prefix) + facts.header_octets if facts.header_octets else 0,
            account=facts.account,
            options=facts.options,
            author=group.author,
        )
        self._queue.add(transaction, body, new_entry, lambda recipient: self.destination(group.sender, recipient), describe)

    def destination(self, sender: Address | None, recipient: Recipient) -> str:
        """Where a recipient queues. One without a route queues for its own domain, where the attempt reports it."""
        address = recipient.address
        if address is None or self._is_local(address.domain):
            return LOCAL
        domain = ascii_domain(address.domain)
        return self._routes.destination(sender, domain) or domain

    def destination_of(self, entry: QueueEntry, recipient: Recipient) -> str:
        """The same for a queued row."""
        return self.destination(entry.sender, recipient)
