"""Rows of the table `queue` to and from `QueueEntry`; recipients and options are JSON text."""

import json
from collections.abc import Sequence
from typing import Any

from appliance.mail.address import Address, encode_address, parse_address
from appliance.mail.envelope import Recipient
from appliance.mail.ids import AccountId, BodyId, MailboxId, QueueId, Uid
from appliance.mail.options import EnvelopeOptions, RecipientOptions, encode_options, parse_options

from .entry import LastAttempt, NewEntry, QueuedRecipient, QueueEntry

COLUMNS = """id, message, destination, held, due_at, tries, waited_s, interval_s, refusals, delay_sent, accepted_at, release_at, account,
sender,
    origin, body, prefix, octets, header_octets, options, outbox_mailbox, outbox_uid, recipients"""
INSERT = """INSERT INTO queue(id, destination, due_at, recipients, message, accepted_at, release_at, account, sender, origin, body, prefix,
    octets, header_octets, options, outbox_mailbox, outbox_uid) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"""
COPY = """INSERT INTO queue SELECT ?1, destination, held, due_at, tries, waited_s, interval_s, refusals, delay_sent, recipients, message,
    accepted_at, release_at, account, sender, origin, body, prefix, octets, header_octets, options, outbox_mailbox, outbox_uid
    FROM queue WHERE id = ?2"""
AT_ONCE = "interval_s = max(0, interval_s - max(0, due_at - :now)), due_at = :now"
"""Due now: the part of the interval that is cut off does not count as waiting."""


def parse_row(row: tuple[Any, ...], kind: type[EnvelopeOptions] = EnvelopeOptions) -> QueueEntry:
    """A row of COLUMNS."""
    stored = json.loads(row[19]) if row[19] else {}
    return QueueEntry(
        id=QueueId(row[0]), message=row[1], destination=row[2], held=bool(row[3]), due_at=row[4], tries=row[5], waited_s=row[6],
        interval_s=row[7], refusals=row[8], delay_sent=bool(row[9]), accepted_at=row[10],
        account=AccountId(row[12]) if row[12] is not None else None,
        sender=parse_address(row[13]) if row[13] is not None else None,
        origin=parse_address(row[14]) if row[14] is not None else None,
        body=BodyId(row[15]), prefix=row[16], octets=row[17], header_octets=row[18],
        options=parse_options(stored, kind, release_at=row[11]), author=stored.get("author", ""),
        outbox=(MailboxId(row[20]), Uid(row[21])) if row[20] is not None else None, waiting=parse_recipients(row[22]),
    )  # fmt: skip


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
                [one.last.status, one.last.reason, one.last.text, one.last.host, one.last.reply] if one.last.status else None,
            ]
            for one in waiting
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )


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
        found.append(QueuedRecipient(recipient, LastAttempt(*last) if last else LastAttempt()))
    return tuple(found)
