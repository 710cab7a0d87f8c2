"""From intake and notices into the queue: what of a message leaves becomes rows of the queue in the commit that keeps the message.

A message with an hour (FUTURERELEASE, RFC 4865) waits whole: its recipients outside in their destinations, those of the server in the destination
SERVER, from which `held` delivers when the hour has come. So does what found a mailbox full, until it has room.
"""

from collections.abc import Callable, Sequence
from typing import Any

from appliance.dsn.report import Subject
from appliance.mail.address import Address, ascii_domain
from appliance.mail.clock import Clock
from appliance.mail.envelope import Recipient
from appliance.mail.ids import AccountId, BodyId
from appliance.mail.outgoing import OutgoingMessage
from appliance.mail.srs import rewrite
from appliance.outbound.routing import Routes
from appliance.queue.entry import NewEntry, QueueEntry, kept
from appliance.queue.queue import Queue
from appliance.store.bodies import StagedBody

from .delayed import SERVER
from .intake import Arrival
from .plan import NEVER, SUCCESS, OutboundGroup, groups, original_recipient, several

DAY_S = 86_400


class Rewriting:
    """Senders of forwarded messages, rewritten with the server's secret (`mail/srs`); the Rewritten of `ways`."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def rewrite(self, sender: Address, domain: str) -> Address:
        return rewrite(sender, domain, secret=self._secret, day=int(self._clock.wall_s()) // DAY_S)

    def reverse(self, address: Address) -> Address | None:
        from appliance.mail.srs import reverse

        return reverse(address, secret=self._secret, day=int(self._clock.wall_s()) // DAY_S if self._clock.trusted() else None)


class Enqueue:
    """The queue behind `intake` and `notices`."""

    def __init__(
        self,
        *,
        queue: Queue,
        routes: Routes,
        rewriting: Rewriting,
        is_local: Callable[[str], bool],
        address_of: Callable[[AccountId], Address | None] = lambda account: None,
    ) -> None:
        """`address_of` is a person's own address, which leads to nobody else."""
        self._queue = queue
        self._address_of = address_of
        self._routes = routes
        self._rewriting = rewriting
        self._is_local = is_local

    def new_entry(self, arrival: Arrival, body: StagedBody, *, held: bool) -> Callable[[Any, BodyId], object] | None:
        """See `intake.Outward`."""
        envelope = arrival.envelope
        parts = groups(envelope, trace=arrival.trace, author=arrival.author, is_local=self._is_local, rewrite=self._rewriting.rewrite)
        here = tuple(one for one in envelope.recipients if one.accounts) if held else ()
        if here:
            parts += (OutboundGroup(envelope.sender, here, arrival.trace),)
        if not parts:
            return None
        new_entries = [self._part(arrival, body, part, envelope.release_at if held else 0) for part in parts]

        def add(transaction: Any, number: BodyId) -> None:
            for one in new_entries:
                self._queue.add(transaction, number, one, lambda recipient, one=one: self.destination(one.sender, recipient))  # type: ignore[misc]

        return add

    def waiting(self, arrival: Arrival, body: StagedBody, full: Sequence[tuple[AccountId, Recipient]]) -> Callable[[Any, BodyId], object]:
        """See `intake.Outward`. One who shares the recipient with others waits under an address of their own: the others have it."""
        part = self._part(arrival, body, OutboundGroup(arrival.envelope.sender, self._members(full), arrival.trace), 0)
        return lambda transaction, number: self._queue.add(transaction, number, part, lambda recipient: SERVER)

    def wait_on(self, transaction: Any, outgoing: OutgoingMessage, full: Sequence[tuple[AccountId, Recipient]]) -> None:
        """See `held.Wait`."""
        assert outgoing.kept is not None  # noqa: S101 - the runner says where its messages lie
        body, prefix = outgoing.kept
        new_entry = NewEntry(
            message=outgoing.message,
            sender=outgoing.sender,
            origin=outgoing.sender,
            recipients=self._members(full),
            prefix=prefix,
            octets=outgoing.octets,
            header_octets=0,
            **kept(outgoing.options()),
        )
        self._queue.add(transaction, body, new_entry, lambda recipient: SERVER)

    def _members(self, full: Sequence[tuple[AccountId, Recipient]]) -> tuple[Recipient, ...]:
        return tuple(one if not several(one) else self._member(account, one) for account, one in full)

    def _member(self, account: AccountId, recipient: Recipient) -> Recipient:
        """One of several behind a recipient; that it was passed on to them is told when the message is kept (`leaving.arrived`)."""
        notify = None if recipient.notify is None else recipient.notify - SUCCESS or NEVER
        orcpt = recipient.orcpt or (original_recipient(recipient.address) if recipient.address else "")
        return Recipient(self._address_of(account), (account,), forwarded=True, notify=notify, orcpt=orcpt)

    @staticmethod
    def _part(arrival: Arrival, body: StagedBody, part: OutboundGroup, release_at: int) -> NewEntry:
        return NewEntry(
            message=arrival.message,
            sender=part.sender,
            origin=arrival.envelope.sender,
            recipients=part.recipients,
            prefix=part.prefix,
            octets=len(part.prefix) + body.octets,
            header_octets=len(part.prefix) + body.description.header_octets,
            account=arrival.account,
            **kept(arrival.envelope.options()),
            author=part.author,
            release_at=release_at,
        )

    def notice(self, transaction: Any, body: BodyId, message: str, group: OutboundGroup, staged: StagedBody, about: Subject) -> None:
        """See `notices.Outward`: a notice for somebody outside leaves with the null sender."""
        new_entry = NewEntry(
            message=message,
            sender=group.sender,
            origin=None,
            recipients=group.recipients,
            prefix=group.prefix,
            octets=len(group.prefix) + staged.octets,
            header_octets=len(group.prefix) + staged.description.header_octets,
            smtputf8=about.smtputf8,
            require_tls=about.require_tls,
            author=group.author,
        )
        self._queue.add(transaction, body, new_entry, lambda recipient: self.destination(None, recipient))

    def destination(self, sender: Address | None, recipient: Recipient) -> str:
        """Where a recipient queues. One for whom no way leads out any more waits in its own domain's destination, and says so there."""
        address = recipient.address
        if address is None or self._is_local(address.domain):
            return SERVER
        domain = ascii_domain(address.domain)
        return self._routes.destination(sender, domain) or domain

    def destination_of(self, entry: QueueEntry, recipient: Recipient) -> str:
        """The same for a row that waits already."""
        return self.destination(entry.sender, recipient)
