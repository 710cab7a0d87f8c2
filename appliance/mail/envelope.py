"""The envelope of a letter: who sent it and who is to get it (RFC 5321 §2.3.1, RFC 3461)."""

from dataclasses import dataclass, field

from .address import Address
from .ids import PersonId


@dataclass(slots=True)
class Recipient:
    """One accepted RCPT TO. `people` are the local mailboxes it comes to (an alias may name several).

    `address` is None for the bare `<postmaster>` (RFC 5321 §4.5.1).
    """

    address: Address | None
    people: tuple[PersonId, ...] = ()

    def __str__(self) -> str:
        return str(self.address) if self.address else "postmaster"


@dataclass(slots=True)
class Envelope:
    """`sender` is None for the null path. `body` is "7BIT", "8BITMIME" or "BINARYMIME" (RFC 6152, RFC 3030)."""

    sender: Address | None
    recipients: list[Recipient] = field(default_factory=list)
    body: str = "7BIT"
    smtputf8: bool = False
    declared_octets: int | None = None

    def people(self) -> dict[PersonId, Recipient]:
        """Everybody the letter comes to, once each, with the first recipient that led there."""
        found: dict[PersonId, Recipient] = {}
        for recipient in self.recipients:
            for person in recipient.people:
                found.setdefault(person, recipient)
        return found
