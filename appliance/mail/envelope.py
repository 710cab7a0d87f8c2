"""The envelope of a message: sender, recipients and their ESMTP options (RFC 5321 §2.3.1, RFC 3461)."""

from dataclasses import dataclass, field

from .address import Address, encode_address
from .ids import AccountId
from .options import NO_OPTIONS, NO_RECIPIENT_OPTIONS, EnvelopeOptions, RecipientOptions


@dataclass(slots=True)
class Recipient:
    """One accepted RCPT TO. `accounts` are the local accounts it is delivered to (an alias may name several), `outside` the addresses
    on other servers it is relayed to: the address itself, or the targets of an alias (`forwarded`).

    `address` is None for the bare `<postmaster>` (RFC 5321 §4.5.1).
    """

    address: Address | None
    accounts: tuple[AccountId, ...] = ()
    outside: tuple[Address, ...] = ()
    forwarded: bool = False
    options: RecipientOptions = NO_RECIPIENT_OPTIONS

    def __str__(self) -> str:
        return str(self.address) if self.address else "postmaster"


@dataclass(slots=True)
class Envelope:
    """`sender` is None for the null reverse-path. `declared_octets`: the SIZE parameter of MAIL (RFC 1870), which is not relayed."""

    sender: Address | None
    recipients: list[Recipient] = field(default_factory=list)
    options: EnvelopeOptions = NO_OPTIONS
    declared_octets: int | None = None

    def accounts(self) -> dict[AccountId, Recipient]:
        """The local accounts the message is delivered to, once each, with the first recipient that named them."""
        found: dict[AccountId, Recipient] = {}
        for recipient in self.recipients:
            for account in recipient.accounts:
                found.setdefault(account, recipient)
        return found


def encode_recipient(recipient: Recipient) -> bytes:
    """The recipient's address as Delivered-To names it."""
    return encode_address(recipient.address) if recipient.address else b"postmaster"
