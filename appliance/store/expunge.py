"""Messages leave: expunge, POP3's deletes, a mailbox deleted; inside one transaction.

An expunge leaves tombuid_runs as runs of UIDs, the newest KEPT of a mailbox. `horizon` is the MODSEQ up to which they
were dropped: who asks for changes since before it is answered with every UID that is not there, which is right for
whoever removes what he holds of them (QRESYNC will say the same as VANISHED (EARLIER), RFC 7162 §3.2.5.2).
A message_data leaves with its last message, a body is given back to `Bodies` with its last message_data.
"""

# ruff: noqa: S608 - conditions and columns are words of ours, values are always parameters

from collections import Counter
from collections.abc import Callable, Sequence

from appliance.database.writer import Transaction
from appliance.mail.ids import AccountId, BodyId, MailboxId, ModSeq

from .messages import among, listed, numbers, uids_where
from .quota import Quota
from .view import runs

KEPT = 10_000
"""Runs of tombuid_runs kept a mailbox; 20 octets each."""
SLACK = 2_000
"""Dropped in batches of this many, so that few expunges pay for it."""

Release = Callable[[Transaction, Sequence[tuple[BodyId, int]]], None]
"""Gives back that many holders of each body."""


def expunge(
    transaction: Transaction, mailbox: MailboxId, uids: Sequence[int] | None, release: Release, quota: Quota, *, marked: bool
) -> list[int]:
    """Take messages out: of `uids` or of all, only those with \\Deleted when `marked`. The UIDs removed, ascending."""
    condition, parameters = among(uids) if uids is not None else ("uid > 0", ())
    if marked:
        condition += " AND flags & 8"
    gone = uids_where(transaction, mailbox, condition, parameters)
    if gone:
        condition, parameters = among(gone)
        _release_facts(transaction, mailbox, condition, parameters, release)
        expunge_rows(transaction, mailbox, gone, condition, parameters, quota)
    return gone


def expunge_rows(
    transaction: Transaction, mailbox: MailboxId, gone: Sequence[int], condition: str, parameters: Sequence[int | str], quota: Quota
) -> ModSeq:
    """Drop the message rows, count them out, leave tombuid_runs. Facts and bodies are the caller's matter."""
    messages, octets, unseen, deleted = transaction.execute(
        "SELECT count(*), sum(octets), sum(flags & 1 = 0), sum(flags & 8 <> 0) FROM message WHERE mailbox = ? AND " + condition,
        (mailbox, *parameters),
    ).fetchone()
    transaction.execute("DELETE FROM message WHERE mailbox = ? AND " + condition, (mailbox, *parameters))
    uid_runs = runs(gone)
    account, modseq, count = transaction.execute(
        """UPDATE mailbox SET modseq = modseq + 1, messages = messages - ?, octets = octets - ?, unseen = unseen - ?,
            deleted = deleted - ?, expunged_runs = expunged_runs + ? WHERE id = ? RETURNING account, modseq, expunged_runs""",
        (messages, octets, unseen, deleted, len(uid_runs), mailbox),
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
    quota.took(transaction, AccountId(account), -octets)
    transaction.touched(mailbox, ModSeq(modseq))
    return ModSeq(modseq)


def _drop_old(transaction: Transaction, mailbox: MailboxId, newest: int) -> None:
    """Keep the newest KEPT and, whatever their number, those of the newest MODSEQ: sessions have yet to hear of them."""
    horizon = transaction.execute(
        "SELECT modseq FROM expunged WHERE mailbox = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?", (mailbox, KEPT)
    ).fetchone()[0]
    horizon = min(horizon, newest - 1)
    transaction.execute("DELETE FROM expunged WHERE mailbox = ? AND modseq <= ?", (mailbox, horizon))
    transaction.execute(
        "UPDATE mailbox SET expunged_horizon = ?2, expunged_runs = (SELECT count(*) FROM expunged WHERE mailbox = ?1) WHERE id = ?1",
        (mailbox, horizon),
    )


def _release_facts(transaction: Transaction, mailbox: MailboxId, condition: str, parameters: Sequence[int | str], release: Release) -> None:
    new_entry = f"SELECT message_data, body, count(*) AS n FROM message WHERE mailbox = ? AND {condition} GROUP BY message_data"
    arguments = (mailbox, *parameters)
    facts, bodies, shared = transaction.execute(
        f"""SELECT group_concat(CASE WHEN refcount <= n THEN message_data END), group_concat(CASE WHEN refcount <= n THEN body END),
            sum(refcount > n) FROM ({new_entry}) JOIN message_data ON message_data.id = message_data""",
        arguments,
    ).fetchone()
    if shared:
        transaction.execute(
            f"UPDATE message_data SET refcount = refcount - n FROM ({new_entry}) AS l WHERE message_data.id = l.message_data AND refcount > n",
            arguments,
        )
    if facts:
        transaction.execute("DELETE FROM message_data WHERE id IN (SELECT value FROM json_each(?))", (listed(numbers(facts)),))
        release(transaction, [(BodyId(body), refcount) for body, refcount in Counter(numbers(bodies)).items()])
