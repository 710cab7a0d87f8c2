"""COPY and MOVE from a mailbox of one account into one of another, inside one transaction (RFC 9051 §6.4.7, RFC 6851).

Accounts share octets (`body`) and nothing else: a copy has a `message_data` of its own, so it is another message with another identity,
in a thread of its new account, and counts against that account's quota. The description is copied as it stands. What was moved is gone
from the old account as any expunged message.
"""

# ruff: noqa: S608 - columns are words of ours, values are always parameters

from collections import Counter
from collections.abc import Sequence
from typing import Any

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId, MailboxId, ModSeq, Uid, UidValidity
from appliance.mail.rights import changeable

from . import change_runs, shared_members
from .account_messages import flag_names
from .append import COUNT, LAST_UID, MESSAGE, expect_no_outbox
from .copy_move import Copying
from .expunge import expunge
from .keywords import bits_for, bits_known, keywords_of
from .messages import among
from .modseq import next_modseq
from .observers import Effects
from .threads import joined_thread
from .values import Copied

KEYS = "message_id_hash, subject_hash, reference_ids"
REST = "own_references, is_reply, described_by, sent_at, prefix, envelope, bodystructure, parts, preview"


def copy_between(
    transaction: Transaction,
    source: MailboxId,
    uids: Sequence[int],
    target: MailboxId,
    effects: Effects,
    how: Copying,
) -> Copied:
    """Raises GONE (when `complete`), NO_MAILBOX, NOT_ALLOWED (into an Outbox), OVER_QUOTA, TOO_MANY (UIDs)."""
    condition, parameters = among(uids)
    rows = transaction.execute(
        f"SELECT uid, flags, internal_at, octets, body, message_data FROM message WHERE mailbox = ? AND {condition} ORDER BY uid",
        (source, *parameters),
    ).fetchall()
    if how.complete and len(rows) < len(set(uids)):
        raise StoreError(Trouble.GONE)
    head = transaction.execute("SELECT account, special_use, uid_validity FROM mailbox WHERE id = ? AND selectable", (target,)).fetchone()
    if head is None:
        raise StoreError(Trouble.NO_MAILBOX)
    account, special_use, uid_validity = AccountId(head[0]), head[1], UidValidity(head[2])
    expect_no_outbox(special_use)
    if not rows:
        return Copied(uid_validity, [], [])
    names = keywords_of(transaction, source)
    kept = {flags: changeable(flag_names(flags, names), how.rights) for flags in {row[1] for row in rows}}
    every = tuple({name for some in kept.values() for name in some})
    bits_for(transaction, target, every, spare=True)  # all at once: none displaces another
    bits = {flags: bits_known(transaction, target, some) for flags, some in kept.items()}
    modseq, first = next_modseq(transaction, account), transaction.next_id("message", len(rows))
    copies = [
        _copy_row(transaction, (account, target, modseq), message, row, bits[row[1]], effects) for message, row in enumerate(rows, first)
    ]
    for body, count in Counter(row[4] for row in rows).items():
        transaction.execute("UPDATE body SET refcount = refcount + ? WHERE id = ?", (count, body))
    effects.quota.took(transaction, account, sum(row[3] for row in rows), len(rows))
    change_runs.keep(transaction, target, modseq, copies)
    transaction.touched(target, modseq)
    shared_members.came(transaction, target, modseq, copies[0], copies[-1])
    effects.appended(transaction, target, copies)
    sources = [Uid(row[0]) for row in rows]
    if how.move:
        expunge(transaction, source, sources, effects, marked=False)
    return Copied(uid_validity, sources, copies)


def _copy_row(
    transaction: Transaction, where: tuple[AccountId, MailboxId, ModSeq], message: int, row: tuple[Any, ...], flags: int, effects: Effects
) -> Uid:
    """One message under a new identity; its UID."""
    account, target, modseq = where
    _, _, internal_at, octets, body, data = row
    own, subject, references = transaction.execute(f"SELECT {KEYS} FROM message_data WHERE id = ?", (data,)).fetchone()
    thread, root = joined_thread(transaction, account, message, own, subject, references.encode().split())
    transaction.execute(
        f"INSERT INTO message_data(id, account, created_modseq, thread, root_hash, {KEYS}, {REST})"
        f" SELECT ?, ?, ?, ?, ?, {KEYS}, {REST} FROM message_data WHERE id = ?",
        (message, account, modseq, thread, root, data),
    )
    counted = (modseq, int(not flags & 1), int(bool(flags & 8)), octets, target)
    uid: int = transaction.execute(COUNT, counted).fetchall()[0][1]
    if uid > LAST_UID:
        raise StoreError(Trouble.TOO_MANY, "the mailbox has used up its UIDs")
    transaction.execute(MESSAGE, (target, uid, modseq, flags, internal_at, octets, body, message, effects.saved_after_s(internal_at)))
    return Uid(uid)
