"""Append: one message into several mailboxes inside one transaction; what it changes is counted in pages.

One delivered message writes its leaf of `message`, of `message_modseq`, of `message_data`, its body and its mailbox's row, no
more. All or nothing: a mailbox that is not there or an account over its quota fails the request as a whole.
"""

from collections.abc import Callable, Sequence

from appliance.database.writer import Transaction
from appliance.mail.description import Description
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import DELETED, SEEN
from appliance.mail.ids import AccountId, BodyId, MessageId, ModSeq, Uid, UidValidity

from .keywords import bits_for
from .quota import Quota
from .values import Placed, Placement

LAST_UID = 2**32 - 1

COUNT = """UPDATE mailbox SET uid_next = uid_next + 1, modseq = modseq + 1, messages = messages + 1, unseen = unseen + ?,
    deleted = deleted + ?, octets = octets + ? WHERE id = ? AND selectable RETURNING account, uid_validity, uid_next - 1, modseq"""
MESSAGE_DATA = """INSERT INTO message_data(id, described_by, sent_at, prefix, envelope, bodystructure, parts, preview)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
MESSAGE = "INSERT INTO message(mailbox, uid, modseq, flags, internal_at, octets, body, message_data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def append(
    transaction: Transaction,
    body: BodyId,
    octets: int,
    placements: Sequence[Placement],
    describe: Callable[[bytes], Description],
    quota: Quota,
) -> list[Placed]:
    """`octets` of the body; `describe(prefix)` gives the description. Raises NO_MAILBOX, OVER_QUOTA, TOO_MANY (UIDs)."""
    placed = []
    first = transaction.next_id("message", len(placements)) if placements else 0
    for message, placement in enumerate(placements, first):
        flags = bits_for(transaction, placement.mailbox, placement.flags, spare=True)
        size = octets + len(placement.prefix)
        found = transaction.execute(COUNT, (int(not flags & SEEN), int(bool(flags & DELETED)), size, placement.mailbox)).fetchall()
        if not found:
            raise StoreError(Trouble.NO_MAILBOX)
        account, uid_validity, uid, modseq = found[0]
        if uid > LAST_UID:
            raise StoreError(Trouble.TOO_MANY, "the mailbox has used up its UIDs")
        description = describe(placement.prefix)
        transaction.execute(
            MESSAGE_DATA,
            (message, description.described_by, description.sent_at, placement.prefix, description.envelope, description.bodystructure, description.parts, description.preview),
        )
        transaction.execute(MESSAGE, (placement.mailbox, uid, modseq, flags, placement.internal_at, size, body, message))
        quota.took(transaction, AccountId(account), size, beyond=placement.beyond)
        transaction.touched(placement.mailbox, ModSeq(modseq))
        placed.append(Placed(placement.mailbox, UidValidity(uid_validity), Uid(uid), ModSeq(modseq), MessageId(message)))
    return placed
