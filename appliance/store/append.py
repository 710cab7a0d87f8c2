"""One letter into several mailboxes inside one transaction; what it touches is counted in pages.

One delivered message writes its leaf of `message`, of `message_modseq`, of `fact`, its body and its mailbox's row, no
more. All or nothing: a mailbox that is not there or a person without space fails the request as a whole.
"""

from collections.abc import Callable, Sequence

from appliance.database.writer import Transaction
from appliance.mail.description import Description
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import DELETED, SEEN
from appliance.mail.ids import BodyId, MessageId, ModSeq, PersonId, Uid, UidValidity

from .keywords import bits_for
from .quota import Quota
from .values import Filed, Filing

LAST_UID = 2**32 - 1

COUNT = """UPDATE mailbox SET uid_next = uid_next + 1, modseq = modseq + 1, messages = messages + 1, unseen = unseen + ?,
    deleted = deleted + ?, octets = octets + ? WHERE id = ? AND selectable RETURNING person, uid_validity, uid_next - 1, modseq"""
FACT = """INSERT INTO fact(id, described_by, sent_at, prefix, envelope, bodystructure, parts, preview)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
MESSAGE = "INSERT INTO message(mailbox, uid, modseq, flags, internal_at, octets, body, fact) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def file(
    transaction: Transaction,
    body: BodyId,
    octets: int,
    filings: Sequence[Filing],
    describe: Callable[[bytes], Description],
    quota: Quota,
) -> list[Filed]:
    """`octets` of the body; `describe(prefix)` gives the facts. Raises NO_MAILBOX, OVER_QUOTA, TOO_MANY (UIDs)."""
    filed = []
    first = transaction.next_id("message", len(filings)) if filings else 0
    for message, filing in enumerate(filings, first):
        flags = bits_for(transaction, filing.mailbox, filing.flags, spare=True)
        size = octets + len(filing.prefix)
        found = transaction.execute(COUNT, (int(not flags & SEEN), int(bool(flags & DELETED)), size, filing.mailbox)).fetchall()
        if not found:
            raise StoreError(Trouble.NO_MAILBOX)
        person, uid_validity, uid, modseq = found[0]
        if uid > LAST_UID:
            raise StoreError(Trouble.TOO_MANY, "the mailbox has used up its UIDs")
        facts = describe(filing.prefix)
        transaction.execute(
            FACT,
            (message, facts.described_by, facts.sent_at, filing.prefix, facts.envelope, facts.bodystructure, facts.parts, facts.preview),
        )
        transaction.execute(MESSAGE, (filing.mailbox, uid, modseq, flags, filing.internal_at, size, body, message))
        quota.took(transaction, PersonId(person), size, beyond=filing.beyond)
        transaction.touched(filing.mailbox, ModSeq(modseq))
        filed.append(Filed(filing.mailbox, UidValidity(uid_validity), Uid(uid), ModSeq(modseq), MessageId(message)))
    return filed
