"""Columns of a mailbox's messages in bulk: what SORT orders by and what THREAD makes threads of.

A column is read with few statements, each of which returns one row: stepping row by row would pass the interpreter lock back and forth.
What a column holds never changes for a UID unless the message is described anew, so columns are cached (`column_cache`): new messages
are read and added, expunged ones left out.
Fails with the database's StoreError.
"""

# ruff: noqa: S608 - conditions and columns are words of ours, values are always parameters

from array import array
from collections.abc import Sequence
from typing import Any

from appliance.mail.ids import MailboxId
from appliance.mail.threads import REFERENCES

from .base import StoreBase
from .messages import listed, numbers
from .threads import hash_of
from .values import MISSING, Column, ThreadRows

ROWS = 4000
"""Messages read by one statement: about 10 ms on a reader's thread."""
THREAD_ROWS = 1000
"""The same for threads: references are up to 8 kB of a message."""
JOIN = "message JOIN message_data ON message_data.id = message_data"


async def read_column(store: StoreBase, mailbox: MailboxId, column: Column, uids: "array[int]") -> "array[int]":
    """The numbers of these messages, in the order of their ascending UIDs; MISSING for one that is not there any more."""
    cache, name = store.columns, column.name
    generation = cache.generation
    found = cache.values(mailbox, name, uids)
    if found is not None:
        return found
    cached = cache.get(mailbox, name)
    known: dict[int, int] = dict(zip(*cached, strict=True)) if cached is not None else {}
    wanted = [uid for uid in uids if uid not in known] if known else uids
    for start in range(0, len(wanted), ROWS):
        known.update(await _read(store, mailbox, column, wanted[start : start + ROWS]))
    values = array("q", [known.get(uid, MISSING) for uid in uids])
    if MISSING not in values:
        cache.put(mailbox, name, (uids, values), generation)
    return values


async def _read(store: StoreBase, mailbox: MailboxId, column: Column, uids: Sequence[int]) -> "zip[tuple[int, int]]":
    tables = JOIN if column is Column.SENT else "message"
    condition, parameters = _among(mailbox, uids)
    statement = f"SELECT group_concat(uid), group_concat({column.value}) FROM {tables} WHERE {condition}"
    found, values = await store.database.read(lambda connection: connection.execute(statement, parameters).fetchone())
    return zip(numbers(found), numbers(values), strict=True)


def _among(mailbox: MailboxId, uids: Sequence[int]) -> tuple[str, tuple[int | str, ...]]:
    """A condition for ascending UIDs: their range, where it has few others."""
    if uids[-1] - uids[0] < 2 * len(uids):
        return "mailbox = ? AND uid BETWEEN ? AND ?", (mailbox, uids[0], uids[-1])
    return "mailbox = ? AND uid IN (SELECT value FROM json_each(?))", (mailbox, listed(uids))


THREAD_COLUMNS = (
    "uid",
    Column.SENT.value,
    "subject_hash",
    "ifnull(message_id_hash, 0)",
    "ifnull(is_reply, 0)",
    f"ifnull(own_references, {REFERENCES})",
)
"""Of a message that an older scanner described, all references count as its own until it is described anew."""
NO_SUBJECT = hash_of(b"")


async def read_threads(store: StoreBase, mailbox: MailboxId, uids: "array[int]") -> ThreadRows:
    """What THREAD needs of these messages, as far as they are there."""
    rows = ThreadRows()
    for start in range(0, len(uids), THREAD_ROWS):
        await _read_threads(store, mailbox, uids[start : start + THREAD_ROWS], rows)
    return rows


async def _read_threads(store: StoreBase, mailbox: MailboxId, uids: "array[int]", rows: ThreadRows) -> None:
    condition, parameters = _among(mailbox, uids)
    columns = ", ".join([f"group_concat({column})" for column in THREAD_COLUMNS])
    statement = f"SELECT {columns}, group_concat(reference_ids, char(10)) FROM {JOIN} WHERE {condition}"

    def work(connection: Any) -> tuple[list[int], list[list[int]], list[tuple[int, ...]]]:
        *texts, references = connection.execute(statement, parameters).fetchone()
        there, *found, own = map(numbers, texts)
        return there, found, _hashed(references.split("\n"), own) if own else []

    there, found, references = await store.database.read(work)
    if there != uids.tolist():
        places = {uid: place for place, uid in enumerate(there)}
        keep = [places[uid] for uid in uids if uid in places]
        there = [there[place] for place in keep]
        found = [[column[place] for place in keep] for column in found]
        references = [references[place] for place in keep]
    sent, subjects, message_ids, is_reply = found
    rows.uids.extend(there)
    rows.sent.extend(sent)
    rows.subjects.extend([0 if subject == NO_SUBJECT else subject for subject in subjects])
    rows.message_ids.extend(message_ids)
    rows.is_reply.extend(is_reply)
    rows.references += references


def _hashed(all_references: Sequence[str], all_own: Sequence[int]) -> list[tuple[int, ...]]:
    """Of each message those of References, else the first of In-Reply-To (RFC 5256 §3); the messages of a thread repeat them.

    The id of a returned message, which no field has, is cut off: RETURNED is -1.
    """
    known: dict[str, int] = {}
    hashed = []
    for references, own in zip(all_references, all_own, strict=True):
        one: list[int] = []
        for text in references.split(" ")[: own or 1] if references else ():
            number = known.get(text)
            if number is None:
                number = known[text] = hash_of(text.encode())
            one.append(number)
        hashed.append(tuple(one))
    return hashed
