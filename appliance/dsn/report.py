"""What a notice is about: the message, what became of each recipient, and the port by which the runner has people told.

A notice is a message from the server to the sender of another message: it failed, it is late, it arrived (RFC 3461, RFC 3464).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.outcome import Outcome
from appliance.mail.outgoing import Chunks


class Kind(Enum):
    """What a notice says, the gravest first: one about several recipients is called after the gravest of them."""

    FAILURE = "failed"
    DELAY = "delayed"
    SUCCESS = "arrived"


@dataclass(frozen=True, slots=True)
class Subject:
    """The message a notice is about. `letter` is the name told to its sender, `sender` the one the envelope named when it came in
    (one rewritten for forwarding is undone; None is never told anything), `ret`, `envid`, `body`, `smtputf8` and `require_tls`
    as in Envelope, `octets` and `header_octets` (0: not known) of what `pieces` reads, `arrived_at` UTC seconds."""

    message: str
    sender: Address | None
    octets: int
    chunks: Chunks
    arrived_at: int
    header_octets: int = 0
    ret: str = ""
    envid: str = ""
    body: str = "7BIT"
    smtputf8: bool = False
    require_tls: bool = False


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What became of one recipient: `recipient` as in the envelope, `outside` holding the one address this is about.

    `attempted_at` is when it was last tried, in UTC seconds, 0 for never. `gives_up_at` until when it will be tried (a delay),
    0 when nobody knows. `passed_on`: the next server speaks DSN and took over the promise to tell (RFC 3461 §5.2.2).
    """

    recipient: Recipient
    outcome: Outcome
    attempted_at: int = 0
    gives_up_at: int = 0
    passed_on: bool = False


Settle = Callable[[Any], object]
"""`settle(transaction)`: the queue's own changes, made inside the commit that files the notice. It may run again."""


class DsnSender(Protocol):
    """Who tells the sender. `delivery/generated.py` implements it."""

    async def tell(self, subject: Subject, entries: Sequence[RecipientReport], settle: Settle) -> bool:
        """ONE durable commit: `settle` and, where the rules ask for one, the notice about these entries. True when one was due.

        Entries that nobody wants to hear of (NOTIFY=NEVER, success not asked for) are passed over; the caller decides only
        *when* a delay is told, by handing in DEFERRED entries then. Where the sender has no room for the notice or is nobody,
        `settle` is committed all the same: the queue never hangs on a notice. Raises StoreError FULL, BUSY or BROKEN when the
        server cannot write just now; nothing was changed then, and the caller comes back later.
        """
        ...
