"""Generated messages: the DSN to the sender, in the same commit that records the outcome.

Promise: `send` is ONE durable commit of the queue's own change and the DSN. A DSN to a local sender goes into INBOX; to any other it
is queued with the null sender, NOTIFY=NEVER, and never the whole message in it, so that a forged sender gets nobody's mail. At most
OUTSIDE_PER_HOUR are sent to remote addresses, which bounds backscatter; above that the outcome is in the history only.
Never a DSN about a DSN (`dsn.policy`).
A full mailbox loses no DSN (RFC 5321 §6.1): DSNs may exceed the quota by BEYOND_OCTETS; beyond that they are queued for room, as any
message is, in the same commit.
Failures: StoreError FULL, BUSY, BROKEN; nothing was changed then and the caller retries. Where a local sender does not exist any
more, the change is committed without a DSN.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from appliance.accounts.directory import Directory
from appliance.accounts.send_quota import Bucket
from appliance.dsn.compose import EXCERPT_OCTETS, DsnIdentity, ReportingServer, compose, read_original
from appliance.dsn.policy import dsn_kind, most_severe
from appliance.dsn.report import Kind, RecipientReport, Record, Subject
from appliance.languages.catalogues import catalogue
from appliance.mail.address import Address, ascii_domain, encode_address
from appliance.mail.clock import Clock
from appliance.mail.envelope import Recipient
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId, BodyId
from appliance.mail.options import RecipientOptions, dsn_options
from appliance.store.store import Store
from appliance.store.values import Placement

from .arrival import BEYOND_OCTETS
from .executor import MessageFacts, PlanQueue
from .plan import NEVER, OutboundGroup

OUTSIDE_PER_HOUR = 60
LARGEST_OCTETS = 4 * 2**20
"""A DSN about a thousand recipients with the longest replies."""
_CANNOT = frozenset({Trouble.OVER_QUOTA, Trouble.NO_MAILBOX, Trouble.TOO_MANY, Trouble.TOO_BIG})
"""Errors of the DSN alone, which a retry does not end."""


class DsnGenerator:
    """The DsnSender of `dsn.report`. `original(address)` undoes a sender rewritten for forwarding; `queue` is None without
    outbound mail; `has_route(address)`: can a message be sent there?"""

    def __init__(
        self,
        *,
        store: Store,
        directory: Directory,
        clock: Clock,
        host_name: str,
        queue: PlanQueue | None = None,
        has_route: Callable[[Address], bool] = lambda address: True,
        original: Callable[[Address], Address | None] = lambda address: None,
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._host = ascii_domain(host_name)
        self._queue = queue
        self._has_route = has_route
        self._original = original
        self._outside = Bucket(OUTSIDE_PER_HOUR, 3600.0, clock.mono_s())

    async def send(self, subject: Subject, reports: Sequence[RecipientReport], record: Record) -> bool:
        """See `DsnSender`."""
        sender = subject.sender
        if sender is not None and self._directory.is_local(sender.domain):
            sender = self._original(sender) or sender
        due = [report for report in reports if dsn_kind(sender, report) is not None]
        accounts, outside = self._destinations(sender) if due and sender is not None else ((), ())
        if not accounts and not outside:
            await self._store.database.write(lambda transaction: record(transaction))
            return False
        about = replace(subject, sender=sender)
        if outside:
            about = replace(about, options=replace(about.options, ret="HDRS"))
        try:
            await self._store_dsn(about, due, accounts, outside, record)
        except StoreError as error:
            if error.trouble not in _CANNOT:
                raise
            await self._store.database.write(lambda transaction: record(transaction))
            return False
        return True

    async def report_success(self, subject: Subject, reports: Sequence[RecipientReport]) -> bool:
        """Send the success DSN of a message that was just stored (delivered, expanded); False, and no work, when none was requested."""
        due = [report for report in reports if dsn_kind(subject.sender, report) is Kind.SUCCESS]
        return bool(due) and await self.send(subject, due, lambda transaction: None)

    def _destinations(self, sender: Address) -> tuple[tuple[AccountId, ...], tuple[Address, ...]]:
        """The local accounts and the remote addresses a DSN to this sender goes to."""
        outside: tuple[Address, ...]
        if self._directory.is_local(sender.domain):
            resolution = self._directory.resolve(sender)
            accounts, outside = resolution.accounts, resolution.outside
        else:
            accounts, outside = (), (sender,)
        if accounts or self._queue is None:
            return accounts, ()  # a local account reads it here: it is not forwarded as well
        outside = tuple(address for address in outside if self._has_route(address))
        now = self._clock.mono_s()
        if outside and self._outside.wait_s(len(outside), now):
            return accounts, ()
        self._outside.take(len(outside), now)
        return accounts, outside

    async def _store_dsn(
        self,
        subject: Subject,
        reports: Sequence[RecipientReport],
        accounts: Sequence[AccountId],
        outside: Sequence[Address],
        record: Record,
    ) -> None:
        """Compose the DSN, then one commit for it and `record`."""
        sender = subject.sender
        assert sender is not None  # noqa: S101 - a null sender gets no DSN
        identity = DsnIdentity(os.urandom(8).hex(), int(self._clock.wall_s()), self._clock.utc_offset_s())
        original = await read_original(subject, most_severe(reports))
        language = catalogue(self._directory.language_of(accounts[0] if accounts else None))
        server = ReportingServer(self._host, self._domain(sender), language)
        async with self._store.receive(LARGEST_OCTETS + EXCERPT_OCTETS) as incoming:
            async for chunk in compose(server, identity, subject, reports, original):
                await incoming.write(chunk)
            staged = await incoming.finish()
            prefix = b"Return-Path: <>\r\nDelivered-To: " + encode_address(sender) + b"\r\n"
            inboxes = [await self._store.inbox_of(account) for account in accounts]
            placements = [Placement(mailbox=inbox, prefix=prefix, internal_at=identity.at, beyond=BEYOND_OCTETS) for inbox in inboxes]
            facts = MessageFacts(identity.id, None, staged.octets, staged.description.header_octets, dsn_options(subject.options))
            passed: list[int] = []

            def also(transaction: Any, body: BodyId) -> None:
                record(transaction)
                full = (self._directory.own_address(accounts[number]) for number in passed)
                to = [*outside, *(address for address in full if address is not None)]
                recipients = tuple(Recipient(address, outside=(address,), options=RecipientOptions(notify=NEVER)) for address in to)
                if recipients and self._queue is not None:
                    group = OutboundGroup(None, recipients, b"", self._domain(sender))
                    self._queue.add(transaction, body, facts, group, staged.describe)

            await self._store.file(staged, placements, also=also, passed=passed)

    def _domain(self, sender: Address) -> str:
        """The domain of the MAILER-DAEMON: the sender's own when it is local, else the first."""
        domains = self._directory.domains()
        domain = sender.domain if sender.domain in domains else next(iter(domains), "")
        return ascii_domain(domain) if domain else self._host
