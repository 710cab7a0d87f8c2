"""Expunge: messages removed by EXPUNGE, by POP3's DELE or with their mailbox; inside one transaction.

Expunged UIDs are kept as runs (table `expunged`), the newest KEPT of a mailbox. `expunged_horizon` is the MODSEQ up to which
runs were dropped: a request for changes since an earlier one is answered with every UID that is not there, which is right for
a client that removes those it knows (VANISHED (EARLIER) of QRESYNC may say the same, RFC 7162 §3.2.5.2).
A row of `message_data` goes with its last message, and `Bodies` gets a body's reference back with it. How many messages share a row
is counted in a narrow table (`shared_data`), so that letting one of several go does not rewrite the wide row.
"""

# ruff: noqa: S608 - conditions and columns are words of ours, values are always parameters

from collections import Counter
from collections.abc import Sequence

from appliance.database.writer import Transaction
from appliance.mail.ids import AccountId, BodyId, MailboxId, ModSeq

from . import departures, shared_members
from .messages import among, listed, numbers, uids_where
from .modseq import next_modseq
from .observers import Effects, Release
from .view import runs

KEPT = 10_000
"""Runs of expunged UIDs kept in a mailbox; 20 octets each."""
SLACK = 2_000
"""Dropped in batches of this many, so that few expunges pay for it."""


def expunge(transaction: Transaction, mailbox: MailboxId, uids: Sequence[int] | None, effects: Effects, *, marked: bool) -> list[int]:
    """Expunge messages: of `uids` or of all, only those with \\Deleted when `marked`. The UIDs removed, ascending."""
    condition, parameters = among(uids) if uids is not None else ("uid > 0", ())
    if marked:
        condition += " AND flags & 8"
    gone = uids_where(transaction, mailbox, condition, parameters)
    if gone:
        condition, parameters = among(gone)
        left = shared_members.members_at(transaction, mailbox, condition, parameters)
        departed, remaining = _release_data(transaction, mailbox, condition, parameters, effects.release)
        account, modseq = expunge_rows(transaction, mailbox, gone, condition, parameters, effects)
        departures.keep(transaction, account, modseq, departed, remaining)
        shared_members.keep(transaction, mailbox, modseq, gone=left)
    return gone


def expunge_rows(
    transaction: Transaction, mailbox: MailboxId, gone: Sequence[int], condition: str, parameters: Sequence[int | str], effects: Effects
) -> tuple[AccountId, ModSeq]:
    """Delete the rows of `message`, subtract them from the mailbox, keep their UIDs. `message_data`, bodies, departures and members are
    the caller's, who gets the account and the MODSEQ of the change."""
    messages, octets, unseen, deleted = transaction.execute(
        "SELECT count(*), sum(octets), sum(flags & 1 = 0), sum(flags & 8 <> 0) FROM message WHERE mailbox = ? AND " + condition,
        (mailbox, *parameters),
    ).fetchone()
    transaction.execute("DELETE FROM message WHERE mailbox = ? AND " + condition, (mailbox, *parameters))
    uid_runs = runs(gone)
    account = transaction.execute("SELECT account FROM mailbox WHERE id = ?", (mailbox,)).fetchone()[0]
    modseq = next_modseq(transaction, account)
    (count,) = transaction.execute(
        """UPDATE mailbox SET modseq = ?, messages = messages - ?, octets = octets - ?, unseen = unseen - ?,
            deleted = deleted - ?, expunged_runs = expunged_runs + ? WHERE id = ? RETURNING expunged_runs""",
        (modseq, messages, octets, unseen, deleted, len(uid_runs), mailbox),
    ).fetchall()[0]
    if len(uid_runs) == 1:
        transaction.execute(
            "INSERT INTO expunged(mailbox, modseq, first_uid, last_uid) VALUES (?, ?, ?, ?)", (mailbox, modseq, *uid_runs[0])
        )
    else:
        pairs = f"[{','.join([f'[{first},{last}]' for first, last in uid_runs])}]"
        transaction.execute(
            "INSERT INTO expunged(mailbox, modseq, first_uid, last_uid) SELECT ?, ?, value ->> 0, value ->> 1 FROM json_each(?)",
            (mailbox, modseq, pairs),
        )
    if count > KEPT + SLACK:
        _drop_old(transaction, mailbox, modseq)
    effects.quota.took(transaction, AccountId(account), -octets, -messages)
    transaction.touched(mailbox, modseq)
    effects.expunged(transaction, mailbox, gone)
    return AccountId(account), modseq


def _drop_old(transaction: Transaction, mailbox: MailboxId, newest: int) -> None:
    """Keep the newest KEPT and, whatever their number, those of the newest MODSEQ: sessions do not know of them yet."""
    horizon = transaction.execute(
        "SELECT modseq FROM expunged WHERE mailbox = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?", (mailbox, KEPT)
    ).fetchone()[0]
    horizon = min(horizon, newest - 1)
    transaction.execute("DELETE FROM expunged WHERE mailbox = ? AND modseq <= ?", (mailbox, horizon))
    transaction.execute(
        "UPDATE mailbox SET expunged_horizon = ?2, expunged_runs = (SELECT count(*) FROM expunged WHERE mailbox = ?1) WHERE id = ?1",
        (mailbox, horizon),
    )


def _release_data(
    transaction: Transaction, mailbox: MailboxId, condition: str, parameters: Sequence[int | str], release: Release
) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Give back what the messages share: (id, thread, created MODSEQ) of those that are gone, ids of those that are elsewhere still.

    (With the counter in `message_data` five changes of 5,000 messages wrote 22.7 MB, not 2.6.)
    """
    shared_by = f"SELECT message_data, body, count(*) AS n FROM message WHERE mailbox = ? AND {condition} GROUP BY message_data"
    arguments = (mailbox, *parameters)
    data, bodies, shared, single, several = transaction.execute(
        f"""SELECT group_concat(CASE WHEN coalesce(refcount, 1) <= n THEN l.message_data END),
            group_concat(CASE WHEN coalesce(refcount, 1) <= n THEN body END), group_concat(shared_data.message_data),
            group_concat(CASE WHEN refcount <= n + 1 THEN l.message_data END), sum(refcount > n + 1)
            FROM ({shared_by}) AS l LEFT JOIN shared_data ON shared_data.message_data = l.message_data""",
        arguments,
    ).fetchone()
    if single:  # of two one is left, or none
        transaction.execute("DELETE FROM shared_data WHERE message_data IN (SELECT value FROM json_each(?))", (listed(numbers(single)),))
    if several:
        transaction.execute(
            f"UPDATE shared_data SET refcount = refcount - n FROM ({shared_by}) AS l WHERE shared_data.message_data = l.message_data",
            arguments,
        )
    gone: list[tuple[int, int, int]] = []
    if data:
        gone = transaction.execute(
            "DELETE FROM message_data WHERE id IN (SELECT value FROM json_each(?)) RETURNING id, thread, created_modseq",
            (listed(numbers(data)),),
        ).fetchall()
        release(transaction, [(BodyId(body), refcount) for body, refcount in Counter(numbers(bodies)).items()])
    ended = {message for message, _, _ in gone}
    return gone, [one for one in numbers(shared) if one not in ended]
