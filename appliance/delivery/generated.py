"""Telling the sender what became of their message, in the very commit that settles it.

Promise: `tell` is ONE durable commit of the queue's own change and the notice. A notice goes into the sender's Inbox when
they live here, else it leaves the server with the null sender, NOTIFY=NEVER, and never a whole message in it: whoever forged
a sender does not get to send a stranger our people's mail. At most OUTSIDE_PER_HOUR leave, so that nobody is flooded by
what others forged in their name (backscatter); what is over that is in the history only.
No notice about a notice, whatever becomes of it (`notice_rules`).
A sender's full mailbox loses no notice (RFC 5321 §6.1): notices pass the limit by up to BEYOND_OCTETS, and beyond that they
wait in the queue for room, as any message does, in the same commit.
How it fails: StoreError FULL, BUSY, BROKEN; nothing was changed then and the queue comes back. Where the sender no longer
lives here, the change is committed without a notice.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from appliance.accounts.send_quota import Bucket
from appliance.dsn.compose import EXCERPT_OCTETS, Sender, Stamp, compose, read_original
from appliance.dsn.policy import gravest, which
from appliance.dsn.report import Kind, RecipientReport, Settle, Subject
from appliance.mail.address import Address, ascii_domain, encode_address
from appliance.mail.clock import Clock
from appliance.mail.envelope import Recipient
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId, BodyId
from appliance.store.bodies import StagedBody
from appliance.store.store import Store
from appliance.store.values import Placement

from .plan import NEVER, OutboundGroup

if TYPE_CHECKING:
    from appliance.accounts.directory import Directory

OUTSIDE_PER_HOUR = 60
LARGEST_OCTETS = 4 * 2**20
"""A thousand recipients with the longest words each, and the excerpt."""
BEYOND_OCTETS = 2 * 2**20
"""Some hundred notices, whose own headers they are for the most part; a mailbox is meant to hold a thousand times that."""
_CANNOT = frozenset({Trouble.OVER_QUOTA, Trouble.NO_MAILBOX, Trouble.TOO_MANY, Trouble.TOO_BIG})
"""Troubles of the notice alone, which waiting does not end."""


class DsnQueue(Protocol):
    """The queue, as far as a notice needs it."""

    def __call__(self, transaction: Any, body: BodyId, message: str, group: OutboundGroup, staged: StagedBody, about: Subject) -> object:
        """Let the group leave, inside the transaction that holds `body`, with the options of the message it is `about` (SMTPUTF8,
        RFC 6533 §4; REQUIRETLS, RFC 8689 §5)."""
        ...


class DsnGenerator:
    """The Notices of `dsn/report`. `original(address)` undoes a sender rewritten for forwarding; `leave` is the queue,
    None where nothing leaves the server; `has_way(address)` says whether a message could."""

    def __init__(
        self,
        *,
        store: Store,
        directory: "Directory",
        clock: Clock,
        host_name: str,
        leave: DsnQueue | None = None,
        has_route: Callable[[Address], bool] = lambda address: True,
        original: Callable[[Address], Address | None] = lambda address: None,
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._host = ascii_domain(host_name)
        self._leave = leave
        self._has_route = has_route
        self._original = original
        self._outside = Bucket(OUTSIDE_PER_HOUR, 3600.0, clock.mono_s())

    async def tell(self, subject: Subject, entries: Sequence[RecipientReport], settle: Settle) -> bool:
        """See `Notices.tell`."""
        sender = subject.sender
        if sender is not None and self._directory.is_local(sender.domain):
            sender = self._original(sender) or sender
        told = [entry for entry in entries if which(sender, entry) is not None]
        accounts, outside = self._where(sender) if told and sender is not None else ((), ())
        if not accounts and not outside:
            await self._store.database.write(lambda transaction: settle(transaction))
            return False
        about = replace(subject, sender=sender)
        if outside:
            about = replace(about, ret="HDRS")
        try:
            await self._file(about, told, accounts, outside, settle)
        except StoreError as error:
            if error.trouble not in _CANNOT:
                raise
            await self._store.database.write(lambda transaction: settle(transaction))
            return False
        return True

    async def say_arrived(self, subject: Subject, entries: Sequence[RecipientReport]) -> bool:
        """Tell at once what is known when a message was kept (delivered, expanded); False, and no work, when nobody asked."""
        asked = [entry for entry in entries if which(subject.sender, entry) is Kind.SUCCESS]
        return bool(asked) and await self.tell(subject, asked, lambda transaction: None)

    def _where(self, sender: Address) -> tuple[tuple[AccountId, ...], tuple[Address, ...]]:
        """The people and the addresses outside a notice to this sender goes to."""
        outside: tuple[Address, ...]
        if self._directory.is_local(sender.domain):
            resolution = self._directory.resolve(sender)
            accounts, outside = resolution.accounts, resolution.outside
        else:
            accounts, outside = (), (sender,)
        if accounts or self._leave is None:
            return accounts, ()  # who lives here reads it here: an alias does not send it round the world as well
        outside = tuple(address for address in outside if self._has_route(address))
        now = self._clock.mono_s()
        if outside and self._outside.wait_s(len(outside), now):
            return accounts, ()
        self._outside.take(len(outside), now)
        return accounts, outside

    async def _file(
        self, subject: Subject, told: Sequence[RecipientReport], accounts: Sequence[AccountId], outside: Sequence[Address], settle: Settle
    ) -> None:
        """Compose the notice, then one commit for it and `settle`."""
        sender = subject.sender
        assert sender is not None  # noqa: S101 - `which` told nobody else
        stamp = Stamp(os.urandom(8).hex(), int(self._clock.wall_s()), self._clock.utc_offset_s())
        left = await read_original(subject, gravest(told))
        async with self._store.receive(LARGEST_OCTETS + EXCERPT_OCTETS) as incoming:
            async for chunk in compose(Sender(self._host, self._domain(sender)), stamp, subject, told, left):
                await incoming.write(chunk)
            staged = await incoming.finish()
            prefix = b"Return-Path: <>\r\nDelivered-To: " + encode_address(sender) + b"\r\n"
            inboxes = [await self._store.inbox_of(account) for account in accounts]
            placements = [Placement(mailbox=inbox, prefix=prefix, internal_at=stamp.at, beyond=BEYOND_OCTETS) for inbox in inboxes]
            passed: list[int] = []

            def also(transaction: Any, body: BodyId) -> None:
                settle(transaction)
                full = (self._directory.own_address(accounts[number]) for number in passed)
                to = [*outside, *(address for address in full if address is not None)]
                recipients = tuple(Recipient(address, outside=(address,), notify=NEVER) for address in to)
                if recipients and self._leave is not None:
                    self._leave(transaction, body, stamp.name, OutboundGroup(None, recipients, b"", self._domain(sender)), staged, subject)

            await self._store.file(staged, placements, also=also, passed=passed)

    def _domain(self, sender: Address) -> str:
        """Whose MAILER-DAEMON writes: the sender's own domain when it is one of the server's, else the first."""
        domains = self._directory.domains()
        domain = sender.domain if sender.domain in domains else next(iter(domains), "")
        return ascii_domain(domain) if domain else self._host
