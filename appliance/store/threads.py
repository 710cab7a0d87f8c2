"""Threads: which thread a message joins when it is stored (RFC 8621 §3).

Two messages are in one thread when they share an id (Message-ID, References, In-Reply-To) and have the same base subject. The
thread's id is the MessageId of its first message; it is set when the message is stored and never changes: a message that comes
late joins a thread, and two threads are not merged by it.

Ids are looked up by hash. Indexed are a message's own Message-ID and, of a message that begins a thread although it refers to
others, the first id it refers to (the root, which is not here): so two replies to a message that never comes share a thread.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from appliance.database.writer import Transaction
from appliance.mail.ids import AccountId
from appliance.mail.threads import ThreadKeys

from .messages import listed

LOOKED_UP = 8
"""References looked up: the root and the last ones; the parent is nearly always among them. Each may cost a page read."""
FIND = """SELECT min(thread) FROM (
    SELECT thread FROM message_data WHERE message_id_hash IN (SELECT value FROM json_each(?1)) AND account = ?2 AND subject_hash = ?3
    UNION ALL
    SELECT thread FROM message_data WHERE root_hash IN (SELECT value FROM json_each(?1)) AND account = ?2 AND subject_hash = ?3)"""


class ThreadColumns(NamedTuple):
    """The columns of `message_data` that threading needs, in their order; NULL for ids that are not there."""

    thread: int
    message_id_hash: int | None
    root_hash: int | None
    subject_hash: int
    reference_ids: str
    own_references: int
    is_reply: bool


def hash_of(octets: bytes) -> int:
    """64 bits, signed as SQLite's integers are. Never change it: hashes are stored."""
    return int.from_bytes(blake2b(octets, digest_size=8).digest(), "big", signed=True)


def own_columns(keys: ThreadKeys) -> tuple[int | None, int, str, int, bool]:
    """`message_id_hash`, `subject_hash` and those behind it: what a message says, whatever thread it is in."""
    own = hash_of(keys.message_id) if keys.message_id else None
    references = b" ".join(keys.references).decode("utf-8", "replace")
    return own, hash_of(keys.base_subject.encode("utf-8", "replace")), references, keys.own_references, keys.is_reply


def thread_columns(transaction: Transaction, account: AccountId, message: int, keys: ThreadKeys) -> ThreadColumns:
    """The thread that a message about to be stored as `message` joins or begins."""
    own, subject, references, own_references, is_reply = own_columns(keys)
    thread, root = joined_thread(transaction, account, message, own, subject, keys.references)
    return ThreadColumns(thread, own, root, subject, references, own_references, is_reply)


def joined_thread(
    transaction: Transaction, account: AccountId, message: int, own: int | None, subject: int, references: Sequence[bytes]
) -> tuple[int, int | None]:
    """`thread` and `root_hash` of a message of these hashes, which refers to these ids."""
    looked_up = references if len(references) <= LOOKED_UP else (references[0], *references[1 - LOOKED_UP :])
    hashes = [hash_of(one) for one in looked_up]
    found = None
    if hashes or own is not None:
        ids = listed([*hashes, own] if own is not None else hashes)
        found = transaction.execute(FIND, (ids, account, subject)).fetchone()[0]
    return (message if found is None else found), (hashes[0] if found is None and hashes else None)
