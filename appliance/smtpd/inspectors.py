"""The inspectors every message passes: limits, forwarding loops, and the rights of its authors. One row each in INSPECTORS."""

from dataclasses import dataclass

from appliance.delivery.authors import Authors
from appliance.delivery.rights import claims_our_accounts, judge_authors, judge_size
from appliance.delivery.trace import WARNING
from appliance.mail.envelope import Envelope, encode_recipient
from appliance.mail.reply import Reply
from appliance.store.incoming import StagedBody

from .inspection import PASSED, Inspector, TransactionSession, Verdict

CAME_BACK = Reply(554, "5.4.6", ("This message was forwarded from here before and has come back; it is in a mail loop.",))


@dataclass(frozen=True, slots=True)
class SizeInspection:
    """Header size, hops and line length, from the description."""

    envelope: Envelope
    scanner: None = None

    async def verdict(self, body: StagedBody) -> Verdict:
        return Verdict(judge_size(body.description, self.envelope.options))


@dataclass(frozen=True, slots=True)
class SizeLimits:
    when_late: Verdict = PASSED

    def begin(self, session: TransactionSession, envelope: Envelope) -> SizeInspection:
        return SizeInspection(envelope)


class AuthorsInspection:
    """Delivered-To for loops of forwarding; From and Sender for the rights of a user, or a warning about an unauthenticated client."""

    __slots__ = ("_envelope", "_session", "scanner")

    def __init__(self, session: TransactionSession, envelope: Envelope) -> None:
        self.scanner = Authors()
        self._session = session
        self._envelope = envelope

    async def verdict(self, body: StagedBody) -> Verdict:
        session, authors = self._session, self.scanner
        forwarded = (encode_recipient(recipient).lower() for recipient in self._envelope.recipients if recipient.forwarded)
        if authors.been_at and not authors.been_at.isdisjoint(forwarded):
            return Verdict(CAME_BACK)
        if session.identity is not None:
            return Verdict(judge_authors(session.directory, session.identity, authors, others=session.options.others_as_sender))
        if session.options.forged_own_sender != "accept" and claims_our_accounts(session.directory, self._envelope.sender, authors):
            return Verdict(fields=WARNING)
        return PASSED


@dataclass(frozen=True, slots=True)
class AuthorRights:
    when_late: Verdict = PASSED

    def begin(self, session: TransactionSession, envelope: Envelope) -> AuthorsInspection:
        return AuthorsInspection(session, envelope)


INSPECTORS: tuple[Inspector, ...] = (SizeLimits(), AuthorRights())
"""In order. Neither of these ever waits, so neither is late."""
