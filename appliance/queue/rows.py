"""Rows of the table `queue` to and from `QueueEntry`; recipients and options are JSON text."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from appliance.mail.address import Address, encode_address, parse_address
from appliance.mail.envelope import Recipient
from appliance.mail.ids import AccountId, BodyId, MailboxId, QueueId, Uid
from appliance.mail.options import EnvelopeOptions, RecipientOptions, encode_options, parse_options
from appliance.mail.sentence import parts_of, with_parts

from .entry import LastAttempt, NewEntry, QueuedRecipient, QueueEntry


class QueueRow(NamedTuple):
    """The columns as they are stored; what they mean: `entry.QueueEntry`."""

    id: int
    message: str
    destination: str
    held: int
    due_at: int
    tries: int
    waited_s: int
    interval_s: int
    refusals: int
    delay_sent: int
    accepted_at: int
    release_at: int
    account: int | None
    sender: str | None
    origin: str | None
    body: int
    prefix: bytes
    octets: int
    header_octets: int
    options: str
    outbox_mailbox: int | None
    outbox_uid: int | None
    recipients: str


COLUMNS = ", ".join(QueueRow._fields)
INSERT = """INSERT INTO queue(id, destination, due_at, recipients, message, accepted_at, release_at, account, sender, origin, body, prefix,
    octets, header_octets, options, outbox_mailbox, outbox_uid) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"""
COPY = """INSERT INTO queue SELECT ?1, destination, held, due_at, tries, waited_s, interval_s, refusals, delay_sent, recipients, message,
    accepted_at, release_at, account, sender, origin, body, prefix, octets, header_octets, options, outbox_mailbox, outbox_uid
    FROM queue WHERE id = ?2"""
AT_ONCE = "interval_s = max(0, interval_s - max(0, due_at - :now)), due_at = :now"
"""Due now: the part of the interval that is cut off does not count as waiting."""


def parse_row(columns: tuple[Any, ...], kind: type[EnvelopeOptions] = EnvelopeOptions) -> QueueEntry:
    """A row of COLUMNS."""
    row = QueueRow._make(columns)
    stored = json.loads(row.options) if row.options else {}
    return QueueEntry(
        id=QueueId(row.id),
        message=row.message,
        destination=row.destination,
        held=bool(row.held),
        due_at=row.due_at,
        tries=row.tries,
        waited_s=row.waited_s,
        interval_s=row.interval_s,
        refusals=row.refusals,
        delay_sent=bool(row.delay_sent),
        accepted_at=row.accepted_at,
        account=AccountId(row.account) if row.account is not None else None,
        sender=parse_address(row.sender) if row.sender is not None else None,
        origin=parse_address(row.origin) if row.origin is not None else None,
        body=BodyId(row.body),
        prefix=row.prefix,
        octets=row.octets,
        header_octets=row.header_octets,
        options=parse_options(stored, kind, release_at=row.release_at),
        author=stored.get("author", ""),
        outbox=_outbox(row.outbox_mailbox, row.outbox_uid),
        waiting=parse_recipients(row.recipients),
    )


def _outbox(mailbox: int | None, uid: int | None) -> tuple[MailboxId, Uid] | None:
    return None if mailbox is None or uid is None else (MailboxId(mailbox), Uid(uid))


def encode_sender(address: Address | None) -> str | None:
    return None if address is None else encode_address(address).decode()


def encode_new_options(new_entry: NewEntry) -> str:
    """The options column: the envelope's options and the author, as JSON; "" when all are defaults."""
    stored = encode_options(new_entry.options) | ({"author": new_entry.author} if new_entry.author else {})
    return json.dumps(stored, separators=(",", ":")) if stored else ""


def encode_recipients(waiting: Sequence[QueuedRecipient]) -> str:
    """The recipients of a row as JSON text."""
    return json.dumps(
        [
            [
                encode_address(one.recipient.address).decode() if one.recipient.address else "",
                encode_options(one.recipient.options),
                one.recipient.forwarded,
                _encode_last(one.last) if one.last.status else None,
            ]
            for one in waiting
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _encode_last(last: LastAttempt) -> list[Any]:
    """With the parts of its sentence, where it has some."""
    parts = parts_of(last.text)
    return [last.status, last.reason, last.text, last.host, last.reply, *([parts] if parts else [])]


def _parse_last(status: str, reason: str, text: str, host: str, reply: str, parts: Any = None) -> LastAttempt:
    return LastAttempt(status, reason, with_parts(text, parts), host, reply)


def parse_recipients(text: str) -> tuple[QueuedRecipient, ...]:
    """The recipients as `encode_recipients` wrote them."""
    found = []
    for address, options, forwarded, last in json.loads(text):
        parsed = parse_address(address) if address else None
        recipient = Recipient(
            parsed,
            outside=(parsed,) if parsed else (),
            forwarded=forwarded,
            options=parse_options(options, RecipientOptions),
        )
        found.append(QueuedRecipient(recipient, _parse_last(*last) if last else LastAttempt()))
    return tuple(found)
