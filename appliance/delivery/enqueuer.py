"""Enqueue: what of a message is relayed or delivered later becomes queue rows, in the commit that stores the message.

A message with a release time (FUTURERELEASE, RFC 4865) is queued whole: remote recipients for their destinations, local ones for the
destination LOCAL, from which `local_transport` delivers at the release time. A message for a full mailbox is queued there as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from appliance.dsn.report import Subject
from appliance.mail.address import Address, ascii_domain
from appliance.mail.envelope import Recipient
from appliance.mail.ids import AccountId, BodyId
from appliance.mail.options import dsn_options
from appliance.mail.outgoing import OutgoingMessage
from appliance.queue.entry import NewEntry, QueueEntry
from appliance.queue.queue import Queue
from appliance.store.bodies import StagedBody

from .intake import Arrival
from .local_transport import LOCAL
from .plan import NEVER, SUCCESS, OutboundGroup, Rewrite, groups, original_recipient, several
from .route import DestinationFinder


class Enqueuer:
    """The OutboundQueue of `intake` and the DsnQueue of `generated`."""

    def __init__(
        self,
        *,
        queue: Queue,
        routes: DestinationFinder,
        rewrite: Rewrite,
        is_local: Callable[[str], bool],
        address_of: Callable[[AccountId], Address | None] = lambda account: None,
    ) -> None:
        """`address_of(account)`: the account's own address, which is delivered to no other."""
        self._queue = queue
        self._address_of = address_of
        self._routes = routes
        self._rewrite = rewrite
        self._is_local = is_local

    def new_entry(self, arrival: Arrival, body: StagedBody, *, held: bool) -> Callable[[Any, BodyId], object] | None:
        """See `intake.OutboundQueue`."""
        envelope = arrival.envelope
        parts = groups(envelope, trace=arrival.trace, author=arrival.author, is_local=self._is_local, rewrite=self._rewrite)
        here = tuple(one for one in envelope.recipients if one.accounts) if held else ()
        if here:
            parts += (OutboundGroup(envelope.sender, here, arrival.trace),)
        if not parts:
            return None
        new_entries = [self._part(arrival, body, part, held=held) for part in parts]

        def add(transaction: Any, number: BodyId) -> None:
            for one in new_entries:
                self._queue.add(transaction, number, one, lambda recipient, one=one: self.destination(one.sender, recipient))  # type: ignore[misc]

        return add

    def waiting(self, arrival: Arrival, body: StagedBody, full: Sequence[tuple[AccountId, Recipient]]) -> Callable[[Any, BodyId], object]:
        """See `intake.OutboundQueue`. An account that shares its recipient with others is queued by its own address: the others have it."""
        part = self._part(arrival, body, OutboundGroup(arrival.envelope.sender, self._members(full), arrival.trace), held=False)
        return lambda transaction, number: self._queue.add(transaction, number, part, lambda recipient: LOCAL)

    def wait_on(self, transaction: Any, outgoing: OutgoingMessage, full: Sequence[tuple[AccountId, Recipient]]) -> None:
        """See `local_transport.Wait`."""
        assert outgoing.stored is not None  # noqa: S101 - the runner says where its messages lie
        body, prefix = outgoing.stored
        new_entry = NewEntry(
            message=outgoing.message,
            sender=outgoing.sender,
            origin=outgoing.sender,
            recipients=self._members(full),
            prefix=prefix,
            octets=outgoing.octets,
            header_octets=0,
            options=replace(outgoing.options, release_at=0),
        )
        self._queue.add(transaction, body, new_entry, lambda recipient: LOCAL)

    def _members(self, full: Sequence[tuple[AccountId, Recipient]]) -> tuple[Recipient, ...]:
        return tuple(one if not several(one) else self._member(account, one) for account, one in full)

    def _member(self, account: AccountId, recipient: Recipient) -> Recipient:
        """One of several accounts of a recipient; "expanded" is reported when the message is stored (`plan.success_reports`)."""
        notify = None if recipient.options.notify is None else recipient.options.notify - SUCCESS or NEVER
        orcpt = recipient.options.orcpt or (original_recipient(recipient.address) if recipient.address else "")
        return Recipient(self._address_of(account), (account,), forwarded=True, options=replace(recipient.options, notify=notify, orcpt=orcpt))

    @staticmethod
    def _part(arrival: Arrival, body: StagedBody, part: OutboundGroup, *, held: bool) -> NewEntry:
        return NewEntry(
            message=arrival.message,
            sender=part.sender,
            origin=arrival.envelope.sender,
            recipients=part.recipients,
            prefix=part.prefix,
            octets=len(part.prefix) + body.octets,
            header_octets=len(part.prefix) + body.description.header_octets,
            account=arrival.account,
            options=arrival.envelope.options if held else replace(arrival.envelope.options, release_at=0),
            author=part.author,
        )

    def add_dsn(self, transaction: Any, body: BodyId, message: str, group: OutboundGroup, staged: StagedBody, about: Subject) -> None:
        """See `generated.DsnQueue`: a DSN is sent with the null sender."""
        new_entry = NewEntry(
            message=message,
            sender=group.sender,
            origin=None,
            recipients=group.recipients,
            prefix=group.prefix,
            octets=len(group.prefix) + staged.octets,
            header_octets=len(group.prefix) + staged.description.header_octets,
            options=dsn_options(about.options),
            author=group.author,
        )
        self._queue.add(transaction, body, new_entry, lambda recipient: self.destination(None, recipient))

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
