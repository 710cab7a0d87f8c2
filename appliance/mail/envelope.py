"""The envelope of a message: sender, recipients and their ESMTP options (RFC 5321 §2.3.1, RFC 3461)."""

from dataclasses import dataclass, field
from typing import TypedDict

from .address import Address, encode_address
from .ids import AccountId


class Options(TypedDict):
    """The ESMTP options of a whole message, under the names that `Envelope`, `OutgoingMessage` and `Subject` give them."""

    body: str
    smtputf8: bool
    ret: str
    envid: str
    require_tls: bool


@dataclass(slots=True)
class Recipient:
    """One accepted RCPT TO. `accounts` are the local accounts it is delivered to (an alias may name several), `outside` the addresses
    on other servers it is relayed to: the address itself, or the targets of an alias (`forwarded`).

    `address` is None for the bare `<postmaster>` (RFC 5321 §4.5.1). `notify` holds NEVER, or some of SUCCESS, FAILURE and
    DELAY; None without the parameter (RFC 3461 §4.1). `orcpt` is "type;address" decoded from xtext, or "" (§4.2).
    """

    address: Address | None
    accounts: tuple[AccountId, ...] = ()
    outside: tuple[Address, ...] = ()
    forwarded: bool = False
    notify: frozenset[str] | None = None
    orcpt: str = ""

    def __str__(self) -> str:
        return str(self.address) if self.address else "postmaster"


@dataclass(slots=True)
class Envelope:
    """`sender` is None for the null reverse-path. `body` is "7BIT", "8BITMIME" or "BINARYMIME" (RFC 6152, RFC 3030).

    `ret` is "FULL", "HDRS" or "" (RFC 3461 §4.3), `envid` decoded from xtext (§4.4), `require_tls` RFC 8689 §2,
    `release_at` the UTC second before which the message is not delivered, 0 for at once (RFC 4865).
    """

    sender: Address | None
    recipients: list[Recipient] = field(default_factory=list)
    body: str = "7BIT"
    smtputf8: bool = False
    declared_octets: int | None = None
    ret: str = ""
    envid: str = ""
    require_tls: bool = False
    release_at: int = 0

    def options(self) -> Options:
        return Options(body=self.body, smtputf8=self.smtputf8, ret=self.ret, envid=self.envid, require_tls=self.require_tls)

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
