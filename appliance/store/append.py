"""Append: one message into several mailboxes inside one transaction; what it changes is counted in pages.

One delivered message writes its leaf of `message`, of `changed`, of `message_data` and of the index of its
Message-ID, its body and its mailbox's row, no more.
All or nothing: a mailbox that is not there or an account over its quota fails the request as a whole.
"""

from collections.abc import Callable, Sequence

from appliance.database.writer import Transaction
from appliance.mail.description import Description
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import DELETED, SEEN
from appliance.mail.ids import AccountId, BodyId, MailboxId, MessageId, ModSeq, Uid, UidValidity
from appliance.mail.rights import changeable

from . import change_runs, shared_members
from .keywords import bits_for
from .modseq import next_modseq
from .observers import Effects
from .sharing import expect_rights
from .threads import thread_columns
from .values import OUTBOX, Placed, Placement

LAST_UID = 2**32 - 1

COUNT = """UPDATE mailbox SET uid_next = uid_next + 1, modseq = ?, messages = messages + 1, unseen = unseen + ?,
    deleted = deleted + ?, octets = octets + ? WHERE id = ? RETURNING uid_validity, uid_next - 1"""
MESSAGE_DATA = """INSERT INTO message_data(id, account, created_modseq, thread, message_id_hash, root_hash, subject_hash, reference_ids,
    own_references, is_reply, described_by, sent_at, prefix, envelope, bodystructure, parts, preview)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
MESSAGE = """INSERT INTO message(mailbox, uid, modseq, flags, internal_at, octets, body, message_data, saved_after_s)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def append(
    transaction: Transaction,
    body: BodyId,
    octets: int,
    placements: Sequence[Placement],
    describe: Callable[[bytes], Description],
    effects: Effects,
    *,
    to_outbox: bool = False,
) -> list[Placed]:
    """`octets` of the body; `describe(prefix)` gives the description. Raises NO_MAILBOX, NOT_ALLOWED (an Outbox,
    unless `to_outbox`), NO_RIGHT, OVER_QUOTA, TOO_MANY (UIDs)."""
    placed = []
    first = transaction.next_id("message", len(placements)) if placements else 0
    for message, placement in enumerate(placements, first):
        account = _account_of(transaction, placement.mailbox, to_outbox)
        names = placement.flags
        if placement.by is not None and placement.by != account:
            names = changeable(names, expect_rights(transaction, placement.mailbox, placement.by, "i"))
        flags = bits_for(transaction, placement.mailbox, names, spare=True)
        size = octets + len(placement.prefix)
        modseq = next_modseq(transaction, account)
        counted = (modseq, int(not flags & SEEN), int(bool(flags & DELETED)), size, placement.mailbox)
        uid_validity, uid = transaction.execute(COUNT, counted).fetchall()[0]
        if uid > LAST_UID:
            raise StoreError(Trouble.TOO_MANY, "the mailbox has used up its UIDs")
        description = describe(placement.prefix)
        _insert_data(transaction, account, MessageId(message), modseq, placement.prefix, description)
        saved_after_s = effects.saved_after_s(placement.internal_at)
        transaction.execute(MESSAGE, (placement.mailbox, uid, modseq, flags, placement.internal_at, size, body, message, saved_after_s))
        change_runs.keep(transaction, placement.mailbox, modseq, (uid,))
        effects.quota.took(transaction, account, size, 1, beyond=placement.beyond)
        transaction.touched(placement.mailbox, modseq)
        shared_members.came(transaction, placement.mailbox, modseq, uid, uid)
        effects.appended(transaction, placement.mailbox, (uid,))
        placed.append(Placed(placement.mailbox, UidValidity(uid_validity), Uid(uid), modseq, MessageId(message)))
    return placed


def _account_of(transaction: Transaction, mailbox: MailboxId, to_outbox: bool) -> AccountId:
    found = transaction.execute("SELECT account, special_use FROM mailbox WHERE id = ? AND selectable", (mailbox,)).fetchone()
    if found is None:
        raise StoreError(Trouble.NO_MAILBOX)
    account, special_use = found
    if not to_outbox:
        expect_no_outbox(special_use)
    return AccountId(account)


def expect_no_outbox(special_use: str) -> None:
    """Raises NOT_ALLOWED for an Outbox: only the queue puts messages in."""
    if special_use == OUTBOX:
        raise StoreError(Trouble.NOT_ALLOWED, "messages get into the Outbox by being sent, not by being put there")


def _insert_data(
    transaction: Transaction, account: AccountId, message: MessageId, modseq: ModSeq, prefix: bytes, description: Description
) -> None:
    thread = thread_columns(transaction, account, message, description.thread)
    made = (description.described_by, description.sent_at, prefix, description.envelope, description.bodystructure, description.parts)
    transaction.execute(MESSAGE_DATA, (message, account, modseq, *thread, *made, description.preview))
