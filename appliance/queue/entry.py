"""One message queued for one destination: its row, its recipients, its states.

A *destination* is what messages queue by: a domain as an A-label ("example.org"), an address literal ("[192.0.2.1]"), "@NAME" for
the relay of that name, or "." for local delivery. A message has one row for each of its destinations; its body is stored once
for all of them.

| state    | stored as             | leaves it by                                                                  |
|----------|-----------------------|-------------------------------------------------------------------------------|
| waiting  | row, `held` 0, `due_at` | attempt starts -> active; `hold` -> held; `cancel` -> cancelled               |
| active   | in memory only        | every recipient final -> done; some deferred -> waiting; crash -> waiting     |
| held     | row, `held` 1         | `release` -> waiting; `cancel` -> cancelled                                   |
| done     | no row; history       | -                                                                             |
| bounced, expired, cancelled | no row; history; bounced and expired send a DSN in the same commit | - |

Invariants
  - A recipient is in exactly one row until an outcome other than DEFERRED is committed for it; after that it is in none.
  - The row holds a reference to its body: a queued message cannot lose its octets.
  - Outcomes, history, the Outbox and the DSN change in ONE commit; nothing about a recipient is reported before it.
  - A message may arrive twice only where SMTP itself cannot know: when the server or the connection dies between sending the
    final dot and committing the reply to it (RFC 5321 §4.5.3.2.6, RFC 1047).
  - A message's age is the time its own schedule made it wait (`waited_s`), never a difference of clock readings: neither a
    stepped clock nor a server that was switched off for a month makes a message expire.
"""

from dataclasses import dataclass

from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.ids import AccountId, BodyId, MailboxId, QueueId, Uid
from appliance.mail.options import NO_OPTIONS, EnvelopeOptions


@dataclass(frozen=True, slots=True)
class LastAttempt:
    """The outcome of a recipient's last attempt, for lists and for the DSN when it expires."""

    status: str = ""
    reason: str = ""
    text: str = ""
    host: str = ""
    reply: str = ""
    """The other server's reply on one line, "550 5.1.1 No such user", or ""."""


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """One recipient of a row."""

    recipient: Recipient
    last: LastAttempt = LastAttempt()


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One row. `sender` is the envelope sender on the way out, `origin` the one DSNs go to; None for the null sender.

    `accepted_at` UTC seconds; `due_at` seconds of the queue's own clock (`schedule`). `outbox` is the message's place in the account's
    Outbox, if it has one.
    """

    id: QueueId
    message: str
    destination: str
    held: bool
    due_at: int
    tries: int
    waited_s: int
    interval_s: int
    refusals: int
    delay_sent: bool
    accepted_at: int
    account: AccountId | None
    sender: Address | None
    origin: Address | None
    body: BodyId
    prefix: bytes
    octets: int
    header_octets: int
    options: EnvelopeOptions
    author: str
    outbox: tuple[MailboxId, Uid] | None
    waiting: tuple[QueuedRecipient, ...]


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A message to be queued: recipients with the same envelope and prefix, before they are sorted into destinations."""

    message: str
    sender: Address | None
    origin: Address | None
    recipients: tuple[Recipient, ...]
    prefix: bytes
    octets: int
    """Of prefix and body."""
    header_octets: int
    account: AccountId | None = None
    options: EnvelopeOptions = NO_OPTIONS
    author: str = ""
