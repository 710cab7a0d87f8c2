"""The envelope of a letter: who sent it and who is to get it (RFC 5321 §2.3.1, RFC 3461)."""

from dataclasses import dataclass, field

from .address import Address
from .ids import PersonId


@dataclass(slots=True)
class Recipient:
    """One accepted RCPT TO. `people` are the local mailboxes it comes to (an alias may name several)."""

    address: Address
    people: tuple[PersonId, ...] = ()


@dataclass(slots=True)
class Envelope:
    """`sender` is None for the null path. `body` is "7BIT", "8BITMIME" or "BINARYMIME" (RFC 6152, RFC 3030)."""

    sender: Address | None
    recipients: list[Recipient] = field(default_factory=list)
    body: str = "7BIT"
    smtputf8: bool = False
    declared_octets: int | None = None
