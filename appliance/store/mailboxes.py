"""The mailbox tree: create, delete, rename, subscribe, list (RFC 9051 §6.3).

Every function runs inside one transaction or one reading. A mailbox that is made, or made again, takes its id and
UIDVALIDITY from durable counters; a name never goes back to a lower UIDVALIDITY than it had (RFC 9051 §2.3.1.1):
`used_uid_validity` keeps the highest one of a name that was deleted or renamed. A deleted mailbox with children becomes a row that
cannot be selected.
"""

# ruff: noqa: S608 - conditions and columns are words of ours, values are always parameters

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import FURTHER_USES, INBOX, SPECIAL_USE
from appliance.mail.ids import AccountId, MailboxId, ModSeq, Uid, UidValidity
from appliance.mail.limits import MAILBOXES

from . import metadata
from .modseq import account_modseq, counter_of, next_modseq
from .names import SEPARATOR, below, known_as, proper, superiors
from .values import MailboxChanges, MailboxInfo

DELETED = ModSeq(2**63 - 1)
"""Announced as a mailbox's MODSEQ when it is gone; no mailbox lives to reach it."""
SUBSCRIPTIONS = 2 * MAILBOXES
"""Names outlive their mailboxes (RFC 9051 §6.3.8), so there may be more; still bounded."""
DELETED_MAILBOXES = 1000
"""Deletions of an account that are kept, the newest: 20 octets each."""
USED_UID_VALIDITIES = 1000
"""Names of an account that were deleted or renamed of which the UIDVALIDITY is kept, the newest."""


class MailboxRow(NamedTuple):
    """One row of `mailbox`."""

    id: MailboxId
    account: AccountId
    name: str
    special_use: str
    selectable: int
    uid_validity: UidValidity
    uid_next: Uid
    modseq: ModSeq
    messages: int
    unseen: int
    deleted: int
    octets: int
    recent_from: int


COLUMNS = ", ".join(MailboxRow._fields)
RecentFrom = Mapping[MailboxId, int]
"""From which UID on messages are \\Recent, where memory is newer than storage. None in its place: nobody asks for \\Recent, it is 0."""


# --- reading -------------------------------------------------------------------------------------------


def row_named(source: sqlite3.Connection | Transaction, account: AccountId, name: str) -> MailboxRow | None:
    row = source.execute(f"SELECT {COLUMNS} FROM mailbox WHERE account = ? AND name = ?", (account, known_as(name))).fetchone()
    return MailboxRow._make(row) if row is not None else None


def info_of(connection: sqlite3.Connection, row: MailboxRow, recent_from: RecentFrom | None) -> MailboxInfo:
    """The row and what other tables add."""
    account, name = row.account, row.name
    subscribed = _is_subscribed(connection, account, name)
    return info_from(row, subscribed, _has_children(connection, account, name), _recent(connection, row, recent_from))


def info_from(row: MailboxRow, subscribed: bool, children: bool, recent: int) -> MailboxInfo:
    return MailboxInfo(
        row.id, row.account, row.name, row.special_use, bool(row.selectable), subscribed, row.uid_validity, row.uid_next, row.modseq,
        row.messages, row.unseen, row.deleted, row.octets, recent, children,
    )  # fmt: skip


def _recent(connection: sqlite3.Connection, row: MailboxRow, recent_from: RecentFrom | None) -> int:
    """Counted only where something is new, over the new alone."""
    if recent_from is None:
        return 0
    since = max(row.recent_from, recent_from.get(row.id, 0))
    if since >= row.uid_next or not row.messages:
        return 0
    count: int = connection.execute("SELECT count(*) FROM message WHERE mailbox = ? AND uid >= ?", (row.id, since)).fetchone()[0]
    return count


def listed(connection: sqlite3.Connection, account: AccountId, recent_from: RecentFrom | None) -> list[MailboxInfo]:
    """All mailboxes by name, INBOX first."""
    subscribed = {name for (name,) in connection.execute("SELECT name FROM subscription WHERE account = ?", (account,))}
    found = connection.execute(f"SELECT {COLUMNS} FROM mailbox WHERE account = ? ORDER BY name", (account,)).fetchall()
    rows = list(map(MailboxRow._make, found))
    parents = {parent for row in rows for parent in superiors(row.name)}
    infos = [info_from(row, row.name in subscribed, row.name in parents, _recent(connection, row, recent_from)) for row in rows]
    infos.sort(key=lambda info: info.name != INBOX)
    return infos


def subscribed_names(connection: sqlite3.Connection, account: AccountId) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM subscription WHERE account = ? ORDER BY name", (account,))]


def changed_since(connection: sqlite3.Connection, account: AccountId, since: ModSeq) -> MailboxChanges | None:
    """Which mailboxes were created, changed in themselves, or deleted after `since`; None when deletions are kept back to a later one."""
    dropped = connection.execute(
        "SELECT modseq FROM deleted_mailbox WHERE account = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?", (account, DELETED_MAILBOXES - 1)
    ).fetchone()
    if dropped is not None and since < dropped[0]:
        return None
    rows = connection.execute(
        "SELECT id, created_modseq > ?2 FROM mailbox WHERE account = ?1 AND changed_modseq > ?2 ORDER BY changed_modseq, id",
        (account, since),
    ).fetchall()
    deleted = connection.execute("SELECT mailbox FROM deleted_mailbox WHERE account = ? AND modseq > ? ORDER BY modseq", (account, since))
    return MailboxChanges(
        account_modseq(connection, account),
        tuple(MailboxId(number) for number, created in rows if created),
        tuple(MailboxId(number) for number, created in rows if not created),
        tuple(MailboxId(number) for (number,) in deleted),
    )


# --- create --------------------------------------------------------------------------------------------


def make_row(
    transaction: Transaction, account: AccountId, name: str, special_use: str = "", *, selectable: bool = True, modseq: ModSeq | None = None
) -> MailboxId:
    """`modseq`: of a change that makes several mailboxes; else each takes its own."""
    number, modseq = MailboxId(transaction.next_id("mailbox")), modseq or next_modseq(transaction, account)
    transaction.execute(
        """INSERT INTO mailbox(id, account, name, special_use, selectable, uid_validity, modseq, created_modseq, changed_modseq)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7)""",
        (number, account, name, special_use, int(selectable), transaction.next_id("uid_validity"), modseq),
    )
    return number


def make_first(transaction: Transaction, account: AccountId) -> None:
    """INBOX and the special-use mailboxes, subscribed (Thunderbird shows only subscribed ones): one change, the account's first."""
    modseq = next_modseq(transaction, account)
    for name, special_use in ((INBOX, ""), *SPECIAL_USE):
        make_row(transaction, account, name, special_use, modseq=modseq)
        transaction.execute("INSERT INTO subscription(account, name) VALUES (?, ?)", (account, name))


def create(transaction: Transaction, account: AccountId, name: str, special_use: str = "") -> MailboxId:
    """Makes missing superiors as well (RFC 9051 §6.3.4). Raises EXISTS, BAD_NAME, TOO_MANY, NOT_ALLOWED (that special use)."""
    name = proper(name)
    there = row_named(transaction, account, name)
    if there is not None and there.selectable:
        raise StoreError(Trouble.EXISTS)
    if special_use:
        _check_special_use(transaction, account, special_use)
    if there is not None:
        replace(transaction, account, there.id)
    _make_superiors(transaction, account, name)
    return make_row(transaction, account, name, special_use)


def _check_special_use(transaction: Transaction, account: AccountId, special_use: str) -> None:
    """One mailbox a use (RFC 6154 §3 lets a server refuse)."""
    if special_use not in {*FURTHER_USES, *(use for _, use in SPECIAL_USE)}:
        raise StoreError(Trouble.NOT_ALLOWED, f"{special_use} is not a use this server knows")
    if transaction.execute("SELECT 1 FROM mailbox WHERE account = ? AND special_use = ?", (account, special_use)).fetchone():
        raise StoreError(Trouble.NOT_ALLOWED, f"another mailbox is {special_use} already")


def _make_superiors(transaction: Transaction, account: AccountId, name: str) -> None:
    missing = [above for above in superiors(name) if row_named(transaction, account, above) is None]
    count = transaction.execute("SELECT count(*) FROM mailbox WHERE account = ?", (account,)).fetchone()[0]
    if count + len(missing) + 1 > MAILBOXES:
        raise StoreError(Trouble.TOO_MANY, f"an account has at most {MAILBOXES} mailboxes")
    for above in missing:
        make_row(transaction, account, above)


# --- delete ---------------------------------------------------------------------------------------


def deletable(transaction: Transaction, account: AccountId, name: str) -> MailboxRow:
    """The row of a mailbox that may be deleted. Raises NO_MAILBOX, NOT_ALLOWED, HAS_CHILDREN."""
    row = row_named(transaction, account, name)
    if row is None:
        raise StoreError(Trouble.NO_MAILBOX)
    if row.name == INBOX:
        raise StoreError(Trouble.NOT_ALLOWED, "INBOX cannot be deleted")
    if not row.selectable and _has_children(transaction, account, row.name):
        raise StoreError(Trouble.HAS_CHILDREN)
    return row


def forget(transaction: Transaction, row: MailboxRow) -> None:
    """Drop an emptied mailbox's own rows; with children below, the name stays as one that cannot be selected (RFC 9051 §6.3.5)."""
    number, account, name = row.id, row.account, row.name
    keep_uid_validity(transaction, account, name, row.uid_validity)
    drop_row(transaction, number)
    keep_deletion(transaction, account, number)
    if _has_children(transaction, account, name):
        make_row(transaction, account, name, selectable=False)


def drop_row(transaction: Transaction, number: MailboxId) -> None:
    for table in ("keyword", "changed", "expunged", "mailbox_right", "shared_change"):
        transaction.execute(f"DELETE FROM {table} WHERE mailbox = ?", (number,))
    metadata.forget(transaction, number)
    transaction.execute("DELETE FROM mailbox WHERE id = ?", (number,))
    transaction.touched(number, DELETED)


def replace(transaction: Transaction, account: AccountId, number: MailboxId) -> None:
    """Delete the row of a name that cannot be selected; a mailbox of that name follows."""
    transaction.execute("DELETE FROM mailbox WHERE id = ?", (number,))
    keep_deletion(transaction, account, number)


def keep_deletion(transaction: Transaction, account: AccountId, number: MailboxId) -> None:
    """Note that the mailbox is deleted, with a MODSEQ of its own; the newest DELETED_MAILBOXES of an account are kept."""
    transaction.execute("INSERT INTO deleted_mailbox VALUES (?, ?, ?)", (account, next_modseq(transaction, account), number))
    transaction.execute(
        "DELETE FROM deleted_mailbox WHERE account = ?1 AND modseq <="
        " (SELECT modseq FROM deleted_mailbox WHERE account = ?1 ORDER BY modseq DESC LIMIT 1 OFFSET ?2)",
        (account, DELETED_MAILBOXES),
    )


def keep_uid_validity(transaction: Transaction, account: AccountId, name: str, uid_validity: int) -> None:
    transaction.execute(
        "INSERT INTO used_uid_validity(account, name, uid_validity) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET uid_validity = max(uid_validity, excluded.uid_validity)",
        (account, name, uid_validity),
    )
    transaction.execute(
        "DELETE FROM used_uid_validity WHERE account = ?1 AND uid_validity <="
        " (SELECT uid_validity FROM used_uid_validity WHERE account = ?1 ORDER BY uid_validity DESC LIMIT 1 OFFSET ?2)",
        (account, USED_UID_VALIDITIES),
    )


def _has_children(source: sqlite3.Connection | Transaction, account: AccountId, name: str) -> bool:
    found = source.execute("SELECT 1 FROM mailbox WHERE account = ? AND name > ? AND name < ? LIMIT 1", (account, *below(name)))
    return found.fetchone() is not None


def ids_of(transaction: Transaction, account: AccountId) -> list[MailboxId]:
    return [MailboxId(number) for (number,) in transaction.execute("SELECT id FROM mailbox WHERE account = ?", (account,)).fetchall()]


def forget_account(transaction: Transaction, account: AccountId) -> None:
    """What an account has beside mailboxes."""
    for table in (
        "subscription", "used_uid_validity", "deleted_mailbox", "departure", "import_progress", "metadata", "identity", "submission",
        "forgotten_change", "push_subscription", "mailbox_right",
    ):  # fmt: skip
        transaction.execute(f"DELETE FROM {table} WHERE account = ?", (account,))
    transaction.execute("DELETE FROM counter WHERE name = ?", (counter_of(account),))


# --- rename ------------------------------------------------------------------------------------------


def renamable(transaction: Transaction, account: AccountId, old: str, new: str) -> tuple[MailboxRow, str]:
    """The row to rename and its new name, with superiors made. Raises NO_MAILBOX, EXISTS, BAD_NAME, NOT_ALLOWED, TOO_MANY."""
    row = row_named(transaction, account, old)
    if row is None:
        raise StoreError(Trouble.NO_MAILBOX)
    new = proper(new)
    if row_named(transaction, account, new) is not None:
        raise StoreError(Trouble.EXISTS)
    if row.name != INBOX and new.startswith(row.name + SEPARATOR):
        raise StoreError(Trouble.NOT_ALLOWED, "a mailbox cannot move below itself")
    return row, new


def rename(transaction: Transaction, row: MailboxRow, new: str) -> None:
    """Give a mailbox and all below it their new names; ids, messages and MODSEQs stay, subscriptions follow (RFC 9051 §6.3.6)."""
    account, old = row.account, row.name
    _make_superiors(transaction, account, new)
    modseq = next_modseq(transaction, account)
    family = transaction.execute(
        "SELECT id, name, uid_validity FROM mailbox WHERE account = ? AND (name = ? OR name > ? AND name < ?)", (account, old, *below(old))
    ).fetchall()
    for number, name, uid_validity in family:
        target = proper(new + name[len(old) :])
        if row_named(transaction, account, target) is not None:
            raise StoreError(Trouble.EXISTS)
        keep_uid_validity(transaction, account, name, uid_validity)
        transaction.execute("UPDATE mailbox SET name = ?, changed_modseq = ? WHERE id = ?", (target, modseq, number))
        _rise(transaction, number, account, target, uid_validity)
    move_subscriptions(transaction, account, old, new)


def _rise(transaction: Transaction, number: MailboxId, account: AccountId, name: str, uid_validity: int) -> None:
    """A name that once had a higher UIDVALIDITY must not see a lower one: then the mailbox takes a new one."""
    used_uid_validity = transaction.execute(
        "SELECT uid_validity FROM used_uid_validity WHERE account = ? AND name = ?", (account, name)
    ).fetchone()
    if used_uid_validity is not None and used_uid_validity[0] > uid_validity:
        transaction.execute("UPDATE mailbox SET uid_validity = ? WHERE id = ?", (transaction.next_id("uid_validity"), number))
        transaction.touched(number, DELETED)


# --- subscribe ---------------------------------------------------------------------------------------


def subscribe(transaction: Transaction, account: AccountId, name: str, subscribed: bool, *, when_room: bool = False) -> bool:
    """Whether that changed something. Names need no mailbox (RFC 9051 §6.3.7), and unsubscribing what is not subscribed is fine.

    Raises BAD_NAME and, unless only `when_room`, TOO_MANY.
    """
    if not subscribed:
        known = known_as(name.removesuffix(SEPARATOR))
        found = transaction.execute("DELETE FROM subscription WHERE account = ? AND name = ?", (account, known)).rowcount
        if found:
            _changed(transaction, account, known)
        return bool(found)
    name = proper(name)
    if _is_subscribed(transaction, account, name):
        return False
    if transaction.execute("SELECT count(*) FROM subscription WHERE account = ?", (account,)).fetchone()[0] >= SUBSCRIPTIONS:
        if when_room:
            return False
        raise StoreError(Trouble.TOO_MANY, f"an account has at most {SUBSCRIPTIONS} subscriptions")
    transaction.execute("INSERT INTO subscription(account, name) VALUES (?, ?)", (account, name))
    _changed(transaction, account, name)
    return True


def _changed(transaction: Transaction, account: AccountId, name: str) -> None:
    """The mailbox of that name, where there is one, was subscribed or unsubscribed: a change of the mailbox with a MODSEQ."""
    modseq = next_modseq(transaction, account)
    transaction.execute("UPDATE mailbox SET changed_modseq = ? WHERE account = ? AND name = ?", (modseq, account, name))


def _is_subscribed(source: sqlite3.Connection | Transaction, account: AccountId, name: str) -> bool:
    return source.execute("SELECT 1 FROM subscription WHERE account = ? AND name = ?", (account, name)).fetchone() is not None


def subscribe_alike(transaction: Transaction, account: AccountId, model: str, name: str) -> None:
    """Subscribe `name` if `model` is subscribed and there is room."""
    if _is_subscribed(transaction, account, model):
        subscribe(transaction, account, name, True, when_room=True)


def move_subscriptions(transaction: Transaction, account: AccountId, old: str, new: str) -> None:
    """Those of a renamed mailbox and of all names below it take the new name, also below it where there is no mailbox.

    RFC 9051 §6.3.6 leaves it open; clients that show subscribed mailboxes only would lose sight of what they renamed.
    A name that grew too long, or that is subscribed already, leaves one subscription or none.
    """
    named = "account = ? AND (name = ? OR name > ? AND name < ?)"
    arguments = (account, old, *below(old))
    names = [name for (name,) in transaction.execute(f"SELECT name FROM subscription WHERE {named}", arguments).fetchall()]
    transaction.execute(f"DELETE FROM subscription WHERE {named}", arguments)
    for name in names:
        try:
            target = proper(new + name[len(old) :])
        except StoreError:
            continue
        transaction.execute("INSERT OR IGNORE INTO subscription(account, name) VALUES (?, ?)", (account, target))
