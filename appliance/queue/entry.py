"""One message on its way to one destination: its row, its recipients, its states.

A *destination* is where messages queue together: a domain as an A-label ("example.org"), an address literal ("[192.0.2.1]"), or
"@NAME" for the relay of that name. One message has one row in each destination it takes; the body is stored once for all of them.

| state   | kept on the card as          | leaves it by                                                              |
|---------|------------------------------|---------------------------------------------------------------------------|
| waiting | row, `held` 0, `due_at`      | attempt begins -> trying; `hold` -> held; `cancel` -> cancelled           |
| trying  | nothing: memory of this run  | every recipient settled -> done; some deferred -> waiting; crash -> waiting |
| held    | row, `held` 1                | `release` -> waiting; `cancel` -> cancelled                               |
| done    | no row; history has a line   | -                                                                         |
| failed, expired, cancelled | no row; history has a line; failed and expired are told to the sender in the same commit | -      |

Invariants
  - A recipient is in exactly one row until an outcome other than DEFERRED is committed for it; then it is in none for ever.
  - The row's body has a holder for it: what waits cannot lose its octets.
  - Outcomes, history, the Outbox and the notice change in ONE commit; nothing about a recipient is told before it.
  - A message may arrive twice only where SMTP itself cannot know: when the server or the line dies between sending the final dot
    and committing the answer to it (RFC 5321 §4.5.3.2.6, RFC 1047).
  - A message's age is the time its own schedule made it wait (`waited_s`), never a difference of clock readings: neither a
    stepped clock nor a server that was switched off for a month makes a message expire.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from appliance.mail.address import Address, encode_address, parse_address
from appliance.mail.envelope import Options, Recipient
from appliance.mail.ids import AccountId, BodyId, MailboxId, QueueId, Uid


@dataclass(frozen=True, slots=True)
class LastAttempt:
    """What the last attempt said about a recipient, for lists and for the notice when time is up."""

    status: str = ""
    reason: str = ""
    text: str = ""
    host: str = ""
    reply: str = ""
    """The other server's own words on one line, "550 5.1.1 No such user", or ""."""


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """One recipient of a row. `recipient.address` is outside the server."""

    recipient: Recipient
    last: LastAttempt = LastAttempt()


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One row. `sender` is the envelope's on the way out, `origin` the one whom notices are for; None for the null path.

    `accepted_at` UTC seconds; `due_at` seconds of the queue's own clock (`schedule`); `release_at` UTC second before which
    nothing leaves, or 0. `outbox` is the place in the person's Outbox that shows the message, if it has one.
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

    def with_waiting(self, waiting: Sequence[QueuedRecipient]) -> "QueueEntry":
        return replace(self, waiting=tuple(waiting))


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
    """What intake asks the queue to take along: recipients that travel alike, before they are sorted into destinations."""

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


def encode_waiting(waiting: Sequence[QueuedRecipient]) -> str:
    """The recipients of a row as JSON text."""
    return json.dumps(
        [
            [
                encode_address(one.recipient.address).decode() if one.recipient.address else "",
                sorted(one.recipient.notify) if one.recipient.notify is not None else None,
                one.recipient.orcpt,
                one.recipient.forwarded,
                [one.last.status, one.last.reason, one.last.text, one.last.host, one.last.reply] if one.last.status else None,
            ]
            for one in waiting
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def parse_waiting(text: str) -> tuple[QueuedRecipient, ...]:
    """The recipients as `encode_waiting` wrote them."""
    found = []
    for address, notify, orcpt, forwarded, last in json.loads(text):
        parsed = parse_address(address) if address else None
        recipient = Recipient(
            parsed,
            outside=(parsed,) if parsed else (),
            forwarded=forwarded,
            notify=frozenset(notify) if notify is not None else None,
            orcpt=orcpt,
        )
        found.append(QueuedRecipient(recipient, LastAttempt(*last) if last else LastAttempt()))
    return tuple(found)
