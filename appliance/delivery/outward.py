"""From intake and notices into the queue: what of a letter leaves becomes rows of the queue in the commit that keeps the letter.

A letter with an hour (FUTURERELEASE, RFC 4865) waits whole: its recipients outside in their lanes, those of the house in the lane
HOUSE, from which `held` delivers when the hour has come.
"""

from collections.abc import Callable
from typing import Any

from appliance.mail.address import Address, ascii_domain
from appliance.mail.clock import Clock
from appliance.mail.envelope import Recipient
from appliance.mail.ids import BodyId
from appliance.mail.srs import rewrite
from appliance.queue.item import Item, Leaving, kept
from appliance.queue.queue import Queue
from appliance.store.mailbox import StagedBody

from .held import HOUSE
from .intake import Arrival
from .leaving import Group, groups
from .notice import Subject
from .route import Routes

DAY_S = 86_400


class Rewriting:
    """Senders of forwarded letters, rewritten with the house's secret (`mail/srs`); the Rewritten of `ways`."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def rewrite(self, sender: Address, domain: str) -> Address:
        return rewrite(sender, domain, secret=self._secret, day=int(self._clock.wall_s()) // DAY_S)

    def reverse(self, address: Address) -> Address | None:
        from appliance.mail.srs import reverse

        return reverse(address, secret=self._secret, day=int(self._clock.wall_s()) // DAY_S if self._clock.trusted() else None)


class Outward:
    """The queue behind `intake` and `notices`."""

    def __init__(self, *, queue: Queue, routes: Routes, rewriting: Rewriting, is_local: Callable[[str], bool]) -> None:
        self._queue = queue
        self._routes = routes
        self._rewriting = rewriting
        self._is_local = is_local

    def leaving(self, arrival: Arrival, body: StagedBody, *, held: bool) -> Callable[[Any, BodyId], object] | None:
        """See `intake.Outward`."""
        envelope = arrival.envelope
        parts = groups(
            envelope, trace=arrival.trace, author=arrival.author, is_local=self._is_local, rewrite=self._rewriting.rewrite
        )
        here = tuple(one for one in envelope.recipients if one.people) if held else ()
        if here:
            parts += (Group(envelope.sender, here, arrival.trace),)
        if not parts:
            return None
        leavings = [
            Leaving(
                letter=arrival.letter,
                sender=part.sender,
                origin=envelope.sender,
                recipients=part.recipients,
                prefix=part.prefix,
                octets=len(part.prefix) + body.octets,
                header_octets=len(part.prefix) + body.description.header_octets,
                person=arrival.person,
                **kept(envelope.options()),
                author=part.author,
                release_at=envelope.release_at if held else 0,
            )
            for part in parts
        ]

        def add(transaction: Any, number: BodyId) -> None:
            for one in leavings:
                self._queue.add(transaction, number, one, lambda recipient, one=one: self.lane(one.sender, recipient))  # type: ignore[misc]

        return add

    def notice(self, transaction: Any, body: BodyId, letter: str, group: Group, staged: StagedBody, about: Subject) -> None:
        """See `notices.Outward`: a notice for somebody outside leaves with the null sender."""
        leaving = Leaving(
            letter=letter,
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
        self._queue.add(transaction, body, leaving, lambda recipient: self.lane(None, recipient))

    def lane(self, sender: Address | None, recipient: Recipient) -> str:
        """Where a recipient queues. One for whom no way leads out any more waits in its own domain's lane, and says so there."""
        address = recipient.address
        if address is None or self._is_local(address.domain):
            return HOUSE
        domain = ascii_domain(address.domain)
        return self._routes.lane(sender, domain) or domain

    def lane_of(self, item: Item, recipient: Recipient) -> str:
        """The same for a row that waits already."""
        return self.lane(item.sender, recipient)
