"""What a DSN is about: the message, the outcome of each recipient, and the port through which the runner has DSNs generated.

A DSN (delivery status notification) is a message from the server to the sender of another message: it failed, it is delayed, it
was delivered (RFC 3461, RFC 3464).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.options import NO_OPTIONS, EnvelopeOptions
from appliance.mail.outcome import Outcome
from appliance.mail.outgoing import Chunks


class Kind(Enum):
    """What a DSN reports, the most severe first: one about several recipients is named after the most severe of them."""

    FAILURE = "failed"
    DELAY = "delayed"
    SUCCESS = "arrived"


@dataclass(frozen=True, slots=True)
class Subject:
    """The message a DSN is about. `message` is its id, `sender` the envelope sender it came in with (one rewritten for forwarding is
    undone; None never gets a DSN), `octets` and
    `header_octets` (0: not known) of what `chunks` reads, `arrived_at` UTC seconds."""

    message: str
    sender: Address | None
    octets: int
    chunks: Chunks
    arrived_at: int
    header_octets: int = 0
    options: EnvelopeOptions = NO_OPTIONS


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """The outcome of one recipient.

    `attempted_at` is the last attempt in UTC seconds, 0 for none. `gives_up_at`: until when it is retried (a delay), 0 when not
    known. `dsn_relayed`: the next server announced DSN and took over the duty to report (RFC 3461 §5.2.2).
    """

    recipient: Recipient
    outcome: Outcome
    attempted_at: int = 0
    gives_up_at: int = 0
    dsn_relayed: bool = False


Record = Callable[[Any], object]
"""`record(transaction)`: the queue's own changes, made inside the commit that stores the DSN. It may be called again."""


class DsnSender(Protocol):
    """Generates DSNs: `delivery/generated`."""

    async def send(self, subject: Subject, reports: Sequence[RecipientReport], record: Record) -> bool:
        """ONE durable commit: `record` and, where the policy asks for one, the DSN about these reports. True when one was due.

        Reports the sender did not ask for (NOTIFY=NEVER, success not requested) are left out; the caller decides only *when* a
        delay is reported, by passing DEFERRED reports then. Where the DSN cannot be delivered, `record` is committed all the
        same: the queue never waits for a DSN. Raises StoreError FULL, BUSY or BROKEN when nothing can be written now; nothing
        was changed then, and the caller retries.
        """
        ...


class SuccessReporter(Protocol):
    """Sends success DSNs for messages that were just stored: `delivery/generated`."""

    async def report_success(self, subject: Subject, reports: Sequence[RecipientReport]) -> bool:
        """One commit with the DSN; False, and no work, when none was requested. Raises StoreError as `DsnSender.send`."""
        ...
