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
from typing import TypedDict

from appliance.mail.address import Address
from appliance.mail.envelope import Options, Recipient
from appliance.mail.ids import AccountId, BodyId, MailboxId, QueueId, Uid


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

    `accepted_at` UTC seconds; `due_at` seconds of the queue's own clock (`schedule`); `release_at` the UTC second before which
    the message is not sent (RFC 4865), or 0. `outbox` is the message's place in the account's Outbox, if it has one.
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
    release_at: int
    account: AccountId | None
    sender: Address | None
    origin: Address | None
    body: BodyId
    prefix: bytes
    octets: int
    header_octets: int
    body_kind: str
    smtputf8: bool
    ret: str
    envid: str
    require_tls: bool
    author: str
    outbox: tuple[MailboxId, Uid] | None
    waiting: tuple[QueuedRecipient, ...]

    def options(self) -> Options:
        return Options(body=self.body_kind, smtputf8=self.smtputf8, ret=self.ret, envid=self.envid, require_tls=self.require_tls)


class Kept(TypedDict):
    """`Options` under the names a row has for them: its `body` is where the octets are."""

    body_kind: str
    smtputf8: bool
    ret: str
    envid: str
    require_tls: bool


def kept(options: Options) -> Kept:
    return Kept(
        body_kind=options["body"], smtputf8=options["smtputf8"], ret=options["ret"], envid=options["envid"],
        require_tls=options["require_tls"],
    )  # fmt: skip


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
    body_kind: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    require_tls: bool = False
    author: str = ""
    release_at: int = 0
