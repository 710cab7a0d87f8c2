"""Setting flags on a set of messages inside one transaction (RFC 9051 §6.4.6, RFC 7162 §3.1.3).

A message whose flags do not change keeps its MODSEQ, and a request that changes nothing writes nothing. Messages that have the same
flags are one group here: what a change makes of them is worked out once, and SQLite has the rows.
"""

# ruff: noqa: S608 - conditions and columns are words of ours, values are always parameters

from collections.abc import Iterable, Sequence
from itertools import chain

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import DELETED, SEEN, SYSTEM_MASK
from appliance.mail.ids import MailboxId, ModSeq

from . import change_runs, shared_members
from .keywords import bits_for, bits_known, keywords_of
from .messages import among, numbers, uids_where
from .modseq import next_modseq
from .observers import Effects
from .values import FlagChange, FlagGroup, FlagsResult, Mode

AFTER = {Mode.ADD: "flags | ?", Mode.REMOVE: "flags & ~?", Mode.REPLACE: "?"}
KEEPING = "((flags & {:d}) | ?)"
"""REPLACE that leaves some bits as they are."""
Found = list[tuple[int, list[int], str]]
"""Messages by their flags: flags, UIDs, MODSEQs as text."""


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
    head = transaction.execute("SELECT account, modseq, uid_next FROM mailbox WHERE id = ? AND selectable", (mailbox,)).fetchone()
    if head is None:
        raise StoreError(Trouble.NO_MAILBOX)
    account, since, uid_next = head
    condition, parameters = among(uids)
    modified: list[int] = []
    if unchanged_since is not None:
        modified = uids_where(transaction, mailbox, f"{condition} AND modseq > ?", (*parameters, unchanged_since))
        condition, parameters = f"{condition} AND modseq <= ?", (*parameters, unchanged_since)
    found = _read(transaction, mailbox, condition, parameters)
    bits, renamed = _bits(transaction, mailbox, [uid for _, some, _ in found for uid in some], mode, names)
    groups = []
    for before, some, modseqs in found:
        after = _after(before, mode, bits, mask)
        groups.append(FlagGroup(before, after, renamed or before != after, some, modseqs))
    modseq, changing = since, [group for group in groups if group.changed]
    if changing:
        hidden = _uids([group for group in changing if group.after & DELETED and not group.before & DELETED])
        left = shared_members.members_at(transaction, mailbox, *among(hidden)) if hidden else ()
        modseq = next_modseq(transaction, account)
        sql = KEEPING.format(~mask) if mode is Mode.REPLACE and mask != -1 else AFTER[mode]
        transaction.execute(
            f"UPDATE message SET flags = {sql}, modseq = ? WHERE mailbox = ? AND {condition} AND flags <> {sql}",
            (bits, modseq, mailbox, *parameters, bits),
        )
        shown = _uids([group for group in changing if group.before & DELETED and not group.after & DELETED])
        if shown:
            _create_anew(transaction, mailbox, shown, modseq)
        arrived = shared_members.members_at(transaction, mailbox, *among(shown)) if shown else ()
        shared_members.keep(transaction, mailbox, modseq, came=arrived, gone=left)
        _count(transaction, mailbox, modseq, changing)
        effects.flags_changed(transaction, mailbox, _uids(changing))
    there = sum(len(group.uids) for group in groups) + len(modified)
    gone = sorted(set(uids).difference(modified, *[group.uids for group in groups])) if there < len(uids) else []
    return FlagsResult(groups, modified, gone, keywords_of(transaction, mailbox), since, modseq, uid_next)


def _after(before: int, mode: Mode, bits: int, mask: int) -> int:
    if mode is Mode.REPLACE:
        return before & ~mask | bits
    return before | bits if mode is Mode.ADD else before & ~bits


def _count(transaction: Transaction, mailbox: MailboxId, modseq: ModSeq, groups: Sequence[FlagGroup]) -> None:
    """What changed rows are to their mailbox."""
    unseen = sum(len(group.uids) * ((not group.after & SEEN) - (not group.before & SEEN)) for group in groups)
    deleted = sum(len(group.uids) * (bool(group.after & DELETED) - bool(group.before & DELETED)) for group in groups)
    transaction.execute(
        "UPDATE mailbox SET modseq = ?, unseen = unseen + ?, deleted = deleted + ? WHERE id = ?", (modseq, unseen, deleted, mailbox)
    )
    change_runs.keep(transaction, mailbox, modseq, _uids(groups))
    transaction.touched(mailbox, modseq)


def _uids(groups: Iterable[FlagGroup]) -> list[int]:
    """Ascending."""
    return sorted(chain.from_iterable([group.uids for group in groups]))


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


def _read(transaction: Transaction, mailbox: MailboxId, condition: str, parameters: Sequence[int | str]) -> Found:
    """The messages that meet the condition, in a step for each combination of flags."""
    rows = transaction.execute(
        f"SELECT flags, group_concat(uid), group_concat(modseq) FROM message WHERE mailbox = ? AND {condition} GROUP BY flags",
        (mailbox, *parameters),
    )
    return [(flags, numbers(uids), modseqs) for flags, uids, modseqs in rows.fetchall()]
