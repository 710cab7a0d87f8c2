"""Submissions: the record of each message that was submitted by JMAP, and how far it can be undone (RFC 8621 §7).

| `undo`   | means                                                      | leaves it by                                            |
|----------|------------------------------------------------------------|---------------------------------------------------------|
| pending  | nothing of the message was delivered or relayed            | a recipient's final outcome -> final; cancel -> canceled |
| final    | a recipient has it, or was refused                         | -                                                       |
| canceled | it left the queue with nothing sent                        | -                                                       |

A row is made in the commit that accepts the message; every row of the message's history moves it on in the commit that writes that row
(`noted`), so a client hears of each step. What became of each recipient is read from the queue and the history when it is asked for.
Bounds: KEPT rows an account, none older than KEPT_S that is not pending; the oldest are destroyed when one is added.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from appliance.database.writer import Transaction
from appliance.mail.address import parse_address
from appliance.mail.ids import AccountId, MailboxId, MessageId
from appliance.store.object_changes import SUBMISSION, changed, forget_oldest
from appliance.store.reports import reported_messages

KEPT = 1000
KEPT_S = 30 * 86_400
PENDING, FINAL, CANCELED = "pending", "final", "canceled"
_FINAL_EVENTS = frozenset({"sent", "bounced", "expired"})
_COLUMNS = "id, message, identity, email, thread, envelope, recipients, send_at, undo"
_EMPTY = "destroyed = 1, identity = '', envelope = '', recipients = ''"


class SubmissionRecipient(NamedTuple):
    """`address` as the envelope has it; `stored`: a mailbox here has it since the accepting commit; `queued`: the addresses it is queued
    as."""

    address: str
    stored: bool
    queued: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SubmissionRow:
    """`envelope`: JSON as the client gave it, or the server made it. `send_at` UTC seconds."""

    id: int
    message: str
    identity: str
    email: MessageId
    thread: MessageId
    envelope: dict[str, Any]
    recipients: tuple[SubmissionRecipient, ...]
    send_at: int
    undo: str


class ListedSubmission(NamedTuple):
    """What a query needs of a row."""

    id: int
    identity: str
    email: int
    thread: int
    send_at: int
    undo: str
    created_modseq: int
    modseq: int


class RecipientStatus(NamedTuple):
    """`delivered`: queued, yes, no or unknown; `reply` as an SMTP reply on one line."""

    reply: str
    delivered: str


def add_submission(transaction: Transaction, account: AccountId, row: SubmissionRow, now: int) -> int:
    """Inside the commit that accepts the message; the id is made here."""
    _destroy_oldest(transaction, account, now)
    number, modseq = transaction.next_id(SUBMISSION), changed(transaction, account)
    transaction.execute(
        "INSERT INTO submission(id, account, message, identity, email, thread, envelope, recipients, send_at, undo, created_modseq,"
        " modseq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number, account, row.message, row.identity, row.email, row.thread, _encoded(row.envelope), _encoded(row.recipients),
            row.send_at, row.undo, modseq, modseq,
        ),
    )  # fmt: skip
    return number


def submissions(
    connection: sqlite3.Connection, account: AccountId, ids: Iterable[int] | None = None, most: int = KEPT
) -> list[SubmissionRow]:
    """Rows by id, or all, oldest first, at most so many."""
    chosen = "" if ids is None else " AND id IN (SELECT value FROM json_each(?))"
    parameters: tuple[Any, ...] = (account,) if ids is None else (account, json.dumps(list(ids)))
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM submission WHERE account = ? AND NOT destroyed{chosen} ORDER BY id LIMIT ?",  # noqa: S608
        (*parameters, most),
    ).fetchall()
    return [_parsed(row) for row in rows]


def listed_submissions(connection: sqlite3.Connection, account: AccountId) -> list[ListedSubmission]:
    """All of an account, oldest first."""
    rows = connection.execute(
        "SELECT id, identity, email, thread, send_at, undo, created_modseq, modseq FROM submission WHERE account = ? AND NOT destroyed"
        " ORDER BY id",
        (account,),
    )
    return [ListedSubmission(*row) for row in rows.fetchall()]


def destroy_submission(transaction: Transaction, account: AccountId, number: int) -> bool:
    """Forget a submission; its message goes on as before. False when there is none."""
    found = transaction.execute(
        f"UPDATE submission SET {_EMPTY}, modseq = ? WHERE id = ? AND account = ? AND NOT destroyed",  # noqa: S608 - constants of ours
        (changed(transaction, account), number, account),
    ).rowcount
    forget_oldest(transaction, SUBMISSION, account)
    return bool(found)


def is_pending(transaction: Transaction, message: str) -> bool:
    """Was nothing of the submitted message delivered yet?"""
    row = transaction.execute("SELECT undo FROM submission WHERE message = ? AND NOT destroyed", (message,)).fetchone()
    return row is not None and row[0] == PENDING


def noted(transaction: Transaction, message: str, event: str) -> None:
    """The history of a message got a row (`history.add`): its submission, if there is one, is another one now."""
    row = transaction.execute("SELECT id, account, undo FROM submission WHERE message = ? AND NOT destroyed", (message,)).fetchone()
    if row is None:
        return
    number, account, undo = row
    if undo == PENDING and event in _FINAL_EVENTS:
        undo = FINAL
    elif undo == PENDING and event == "cancelled":
        undo = CANCELED
    transaction.execute("UPDATE submission SET undo = ?, modseq = ? WHERE id = ?", (undo, changed(transaction, AccountId(account)), number))


def report_came(transaction: Transaction, mailbox: MailboxId, uids: Sequence[int]) -> None:
    """A store observer: where a message that came is a DSN or MDN on a submitted one, that submission is another one now."""
    account, messages = reported_messages(transaction, mailbox, uids)
    for message in messages:
        rows = transaction.execute("SELECT id FROM submission WHERE account = ? AND email = ? AND NOT destroyed", (account, message))
        for (number,) in rows.fetchall():
            transaction.execute("UPDATE submission SET modseq = ? WHERE id = ?", (changed(transaction, account), number))


def statuses(connection: sqlite3.Connection, row: SubmissionRow) -> dict[str, RecipientStatus]:
    """What is known of each recipient now, by address."""
    waiting: dict[str, str] = {}
    for (text,) in connection.execute("SELECT recipients FROM queue WHERE message = ?", (row.message,)).fetchall():
        waiting |= {str(parse_address(address)): last[4] if last else "" for address, _, _, last in json.loads(text) if address}
    ended: dict[str, RecipientStatus] = {}
    rows = connection.execute(
        "SELECT event, details FROM history WHERE message = ? AND event IN ('sent', 'bounced', 'expired') ORDER BY id", (row.message,)
    )
    for event, details in rows.fetchall():
        facts = json.loads(details)
        ended[facts.get("to", "")] = _ended(event, facts)
    return {one.address: _status(one, row.undo, waiting, ended) for one in row.recipients}


def _ended(event: str, facts: dict[str, Any]) -> RecipientStatus:
    status, text = facts.get("status", "2.0.0"), facts.get("text", "")
    if event == "sent":
        return RecipientStatus(facts.get("reply") or f"250 {status} {text}", "unknown" if facts.get("host") else "yes")
    return RecipientStatus(facts.get("reply") or f"550 {status} {text}", "no")


def _status(one: SubmissionRecipient, undo: str, waiting: dict[str, str], ended: dict[str, RecipientStatus]) -> RecipientStatus:
    """A recipient that stands for several is queued while one is, and failed when one failed."""
    if undo == CANCELED:
        return RecipientStatus("550 5.7.0 The message was canceled before it was sent.", "no")
    for address in one.queued:
        if address in waiting:
            return RecipientStatus(waiting[address] or "250 2.0.0 The message is queued.", "queued")
    known = [ended[address] for address in one.queued if address in ended]
    for status in known:
        if status.delivered == "no":
            return status
    if known:
        return known[0]
    if one.stored:
        return RecipientStatus("250 2.1.5 It was delivered to the mailbox.", "yes")
    return RecipientStatus("250 2.0.0 The message left the queue.", "unknown")


def _destroy_oldest(transaction: Transaction, account: AccountId, now: int) -> None:
    limit = transaction.execute(
        "SELECT id FROM submission WHERE account = ? AND NOT destroyed ORDER BY id DESC LIMIT 1 OFFSET ?", (account, KEPT - 1)
    ).fetchone()
    old = transaction.execute(
        "SELECT id FROM submission WHERE account = ? AND NOT destroyed AND undo <> 'pending' AND (send_at < ? OR id <= ?)",
        (account, now - KEPT_S, limit[0] if limit else 0),
    ).fetchall()
    for (number,) in old:
        destroy_submission(transaction, account, number)


def _encoded(value: "dict[str, Any] | Sequence[Any]") -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _parsed(row: Any) -> SubmissionRow:
    number, message, identity, email, thread, envelope, recipients, send_at, undo = row
    return SubmissionRow(
        number, message, identity, MessageId(email), MessageId(thread), json.loads(envelope),
        tuple(SubmissionRecipient(address, stored, tuple(queued)) for address, stored, queued in json.loads(recipients)),
        send_at, undo,
    )  # fmt: skip
