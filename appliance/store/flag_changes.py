"""Setting flags on a set of messages inside one transaction (RFC 9051 §6.4.6, RFC 7162 §3.1.3).

A message whose flags do not change keeps its MODSEQ, and a request that changes nothing writes nothing.
"""

# ruff: noqa: S608 - conditions and columns are words of ours, values are always parameters

from collections.abc import Sequence
from itertools import compress

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import DELETED, SEEN, SYSTEM_MASK
from appliance.mail.ids import MailboxId, ModSeq, Uid

from . import shared_members
from .keywords import bits_for, bits_known, keywords_of
from .messages import among, numbers
from .modseq import next_modseq
from .observers import Effects
from .values import FlagChange, FlagsResult, Mode

AFTER = {Mode.ADD: "flags | ?", Mode.REMOVE: "flags & ~?", Mode.REPLACE: "?"}
KEEPING = "((flags & {:d}) | ?)"
"""REPLACE that leaves some bits as they are."""


def set_flags(
    transaction: Transaction,
    mailbox: MailboxId,
    uids: Sequence[int],
    change: FlagChange,
    unchanged_since: ModSeq | None,
    effects: Effects,
) -> FlagsResult:
    """Raises NO_MAILBOX, TOO_MANY (keywords)."""
    mode, names, mask = change
    head = transaction.execute("SELECT account FROM mailbox WHERE id = ? AND selectable", (mailbox,)).fetchone()
    if head is None:
        raise StoreError(Trouble.NO_MAILBOX)
    there, flags, modseqs = _read(transaction, mailbox, uids)
    allowed = [unchanged_since is None or modseq <= unchanged_since for modseq in modseqs]
    modified = [Uid(uid) for uid, may in zip(there, allowed, strict=True) if not may]
    if modified:
        there, flags, modseqs = (list(compress(column, allowed)) for column in (there, flags, modseqs))
    bits, renamed = _bits(transaction, mailbox, there, mode, names)
    sql = KEEPING.format(~mask) if mode is Mode.REPLACE and mask != -1 else AFTER[mode]
    if mode is Mode.REPLACE:
        after = [flag & ~mask | bits for flag in flags]
    else:
        after = [flag | bits for flag in flags] if mode is Mode.ADD else [flag & ~bits for flag in flags]
    differs = [renamed or old != new for old, new in zip(flags, after, strict=True)]
    newest = ModSeq(0)
    if any(differs):
        newest = next_modseq(transaction, head[0])
        unseen = sum(map(_without_seen, after)) - sum(map(_without_seen, flags))
        deleted = sum(map(_with_deleted, after)) - sum(map(_with_deleted, flags))
        hidden = [uid for uid, old, new in zip(there, flags, after, strict=True) if new & DELETED and not old & DELETED]
        left = shared_members.members_at(transaction, mailbox, *among(hidden)) if hidden else ()
        condition, parameters = among(list(compress(there, differs)))
        transaction.execute(
            f"UPDATE message SET flags = {sql}, modseq = ? WHERE mailbox = ? AND {condition} AND flags <> {sql}",
            (bits, newest, mailbox, *parameters, bits),
        )
        if shown := [uid for uid, old, new in zip(there, flags, after, strict=True) if old & DELETED and not new & DELETED]:
            _create_anew(transaction, mailbox, shown, newest)
        arrived = shared_members.members_at(transaction, mailbox, *among(shown)) if shown else ()
        shared_members.keep(transaction, mailbox, newest, came=arrived, gone=left)
        transaction.execute(
            "UPDATE mailbox SET modseq = ?, unseen = unseen + ?, deleted = deleted + ? WHERE id = ?", (newest, unseen, deleted, mailbox)
        )
        transaction.touched(mailbox, newest)
        effects.flags_changed(transaction, mailbox, list(compress(there, differs)))
    changed = [
        (Uid(uid), flag, newest if differ else ModSeq(modseq))
        for uid, flag, modseq, differ in zip(there, after, modseqs, differs, strict=True)
    ]
    gone = sorted(set(uids).difference(there, modified))
    before = list(zip(flags, map(ModSeq, modseqs), strict=True))
    return FlagsResult(changed, modified, [Uid(uid) for uid in gone], before, keywords_of(transaction, mailbox))


def _bits(transaction: Transaction, mailbox: MailboxId, there: Sequence[int], mode: Mode, names: tuple[str, ...]) -> tuple[int, bool]:
    """The flags integer of the names, and whether a bit the messages carry may have another name now.

    REPLACE takes the messages' own keywords off first when there is no room otherwise. Raises TOO_MANY, TOO_BIG.
    """
    if not there or mode is Mode.REMOVE:
        return bits_known(transaction, mailbox, names), False
    try:
        return bits_for(transaction, mailbox, names), False
    except StoreError as trouble:
        if trouble.trouble is not Trouble.TOO_MANY or mode is not Mode.REPLACE:
            raise
    condition, parameters = among(there)
    transaction.execute(f"UPDATE message SET flags = flags & {SYSTEM_MASK:d} WHERE mailbox = ? AND {condition}", (mailbox, *parameters))
    return bits_for(transaction, mailbox, names), True


def _create_anew(transaction: Transaction, mailbox: MailboxId, uids: Sequence[int], modseq: ModSeq) -> None:
    """Messages that lost \\Deleted are there again for JMAP, which took them for destroyed: for it they are made now. Those that have
    another copy without the flag were there all the time."""
    condition, parameters = among(uids)
    transaction.execute(
        "UPDATE message_data SET created_modseq = ? WHERE id IN ("
        f" SELECT message_data FROM message AS m WHERE mailbox = ? AND {condition} AND NOT EXISTS (SELECT 1 FROM message AS o"
        " WHERE o.message_data = m.message_data AND (o.mailbox <> m.mailbox OR o.uid <> m.uid) AND o.flags & 8 = 0))",
        (modseq, mailbox, *parameters),
    )


def _without_seen(flags: int) -> bool:
    return not flags & SEEN


def _with_deleted(flags: int) -> bool:
    return bool(flags & DELETED)


def _read(transaction: Transaction, mailbox: MailboxId, uids: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """UIDs, flags and MODSEQs of those that are there, ascending, in one step."""
    condition, parameters = among(uids)
    uid_text, flags_text, modseq_text = transaction.execute(
        "SELECT group_concat(uid), group_concat(flags), group_concat(modseq)"
        f" FROM (SELECT uid, flags, modseq FROM message WHERE mailbox = ? AND {condition} ORDER BY uid)",
        (mailbox, *parameters),
    ).fetchone()
    return numbers(uid_text), numbers(flags_text), numbers(modseq_text)
