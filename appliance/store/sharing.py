"""Mailboxes that accounts share: who sees which, with which rights, and under which name (RFC 4314, RFC 2342 §5).

The owner's `Family/Tours` is `Shared/Family/Tours` for everybody else. Invariants:

    1. The owner has every right; no row of `mailbox_right` is about an owner, and none has no rights. Who else asks has the rights of the
       own row and of that of `ANYONE` together.
    2. Rows go with their mailbox and with their account.
    3. No account sees two mailboxes of one name. The first level below `Shared/` belongs to one owner: to the account itself, if it has
       mailboxes there, else to whoever shared first; for others it is `Family (mary)`, so all below it stays together.
    4. An account that lacks a right gets NO_RIGHT where it may see the mailbox (`l`), else NO_MAILBOX, as if nothing were there.
    5. Rights are read in the transaction that needs them. A change of them is a change of the mailbox with a MODSEQ, so sessions hear.
    6. Subscriptions follow names: what comes into sight is subscribed, what is out of sight is not, a new name takes the old one's place.
    7. A new mailbox has the rights of the one above it.

Everything runs inside one transaction or one reading. A removed account shares nothing while it can be restored; then
names and subscriptions are as they were.
"""

# ruff: noqa: S608 - columns are words of ours, values are always parameters

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from appliance.database.writer import Transaction
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import INBOX
from appliance.mail.ids import AccountId, MailboxId
from appliance.mail.limits import MAILBOXES
from appliance.mail.rights import ALL, ANYONE, NONE, Rights, encode_rights, parse_rights

from . import mailboxes, shared_members, shared_sight
from .mailboxes import MailboxRow, RecentFrom, row_named
from .modseq import next_modseq
from .names import SEPARATOR, below, known_as, proper, superiors
from .observers import Effects
from .scope import READ, Scope
from .shared_sight import Sight
from .values import OUTBOX, MailboxInfo, Mode

ROOT = "Shared"
PREFIX = ROOT + SEPARATOR
ACCOUNTS_OF_ONE = 100
"""Accounts that have rights on one mailbox."""
UNNAMEABLE = re.compile(r"[/*%\x00-\x1f\x7f]")
"""In a local part, what no mailbox name may have."""

Source = sqlite3.Connection | Transaction


class Seen(NamedTuple):
    """A mailbox as one account sees it."""

    row: MailboxRow
    name: str
    rights: Rights


def expect(seen: Seen, needed: str) -> None:
    """Raises NO_RIGHT, or NO_MAILBOX for who may not even see it, unless all these rights are there."""
    if not seen.rights.issuperset(needed):
        raise StoreError(Trouble.NO_RIGHT if "l" in seen.rights else Trouble.NO_MAILBOX)


# --- names ---------------------------------------------------------------------------------------------


def shared_with(source: Source, account: AccountId, *, removed: bool = False) -> list[Seen]:
    """Every mailbox of others on which the account has some right, with its name; with `removed` those of removed accounts as well."""
    found = source.execute(
        f"SELECT {', '.join('m.' + column for column in MailboxRow._fields)}, group_concat(r.rights, ''), coalesce(a.address, ''),"
        " a.removed_at IS NULL FROM mailbox_right AS r JOIN mailbox AS m ON m.id = r.mailbox LEFT JOIN account AS a ON a.id = m.account"
        f" WHERE r.account IN (?1, {ANYONE}) AND m.account <> ?1 GROUP BY m.id ORDER BY min(r.number), m.id",
        (account,),
    ).fetchall()
    if not found:
        return []
    taken = {name.split(SEPARATOR)[1]: AccountId(0) for name in _own_below(source, account, ROOT)}
    given: dict[tuple[AccountId, str], str] = {}
    seen = []
    for *columns, written, address, there in found:
        row = MailboxRow._make(columns)
        first, slash, rest = row.name.partition(SEPARATOR)
        shown = given.get((row.account, first))
        if shown is None:
            shown = given[row.account, first] = next(one for one in _first_levels(first, address) if one not in taken)
            taken[shown] = row.account
        if there or removed:
            seen.append(Seen(row, PREFIX + shown + slash + rest, parse_rights(written)))
    return seen


def _first_levels(first: str, address: str) -> Iterator[str]:
    """What a first level may be called, in order."""
    local = address.rpartition("@")[0]
    yield first
    for owner in (local, address):
        yield f"{first} ({UNNAMEABLE.sub('_', owner)})"
    for number in range(2, 10**6):
        yield f"{first} ({UNNAMEABLE.sub('_', address)}) {number}"


def _own_below(source: Source, account: AccountId, name: str) -> list[str]:
    found = source.execute("SELECT name FROM mailbox WHERE account = ? AND name > ? AND name < ?", (account, *below(name)))
    return [one for (one,) in found.fetchall()]


def resolve(source: Source, account: AccountId, name: str) -> Seen | None:
    """The mailbox an account means by a name, its own before any other."""
    row = row_named(source, account, name)
    if row is not None:
        return Seen(row, row.name, ALL)
    name = known_as(name)
    return next((one for one in shared_with(source, account) if one.name == name), None) if name.startswith(PREFIX) else None


def found(source: Source, account: AccountId, name: str, needed: str) -> Seen:
    """`resolve` with these rights. Raises NO_MAILBOX, NO_RIGHT."""
    seen = resolve(source, account, name)
    if seen is None:
        raise StoreError(Trouble.NO_MAILBOX)
    expect(seen, needed)
    return seen


def place_for(source: Source, account: AccountId, name: str) -> tuple[AccountId, str]:
    """Whose a new mailbox of that name is, and its name there: that of the nearest mailbox above, of which `k` is needed.

    Raises NO_RIGHT, BAD_NAME. Below `Shared/` an account makes mailboxes of its own only where it has one of that name.
    """
    name = proper(name)
    if not name.startswith(PREFIX) or row_named(source, account, ROOT) is not None:
        return account, name
    shown = {one.name: one for one in shared_with(source, account)}
    for above in reversed(superiors(name)):
        if row_named(source, account, above) is not None:
            return account, name
        if above in shown:
            expect(shown[above], "k")
            return shown[above].row.account, shown[above].row.name + name[len(above) :]
    raise StoreError(Trouble.NO_RIGHT, f"below {PREFIX} are mailboxes of others; make one of your own and give them rights on it")


# --- reading -------------------------------------------------------------------------------------------


def visible(connection: sqlite3.Connection, account: AccountId, recent_from: RecentFrom) -> list[MailboxInfo]:
    """All mailboxes an account sees: its own by name, INBOX first, then those of others with right `l` by name."""
    infos = mailboxes.listed(connection, account, recent_from)
    seen = sorted((one for one in shared_with(connection, account) if "l" in one.rights), key=lambda one: one.name)
    if not seen:
        return infos
    parents = {parent for one in seen for parent in superiors(one.name)}
    for info in infos:
        info.has_children = info.has_children or info.name in parents
    subscribed = set(mailboxes.subscribed_names(connection, account))
    return infos + [info_of(connection, one, subscribed, parents, recent_from) for one in seen]


def listed(connection: sqlite3.Connection, scope: Scope) -> list[MailboxInfo]:
    """The mailboxes of one owner that the viewer sees, by the owner's names, INBOX first; with the owner's special uses, no \\Recent."""
    if scope.is_own:
        return mailboxes.listed(connection, scope.account, None)
    seen = [one for one in shared_with(connection, scope.viewer) if one.row.account == scope.account and "l" in one.rights]
    seen.sort(key=lambda one: (one.row.name != INBOX, one.row.name))
    parents = {parent for one in seen for parent in superiors(one.name)}
    subscribed = set(mailboxes.subscribed_names(connection, scope.viewer))
    infos = [info_of(connection, one, subscribed, parents, None) for one in seen]
    for one, info in zip(seen, infos, strict=True):
        info.special_use = one.row.special_use
    return infos


def info_of(
    connection: sqlite3.Connection, seen: Seen, subscribed: Iterable[str], parents: Iterable[str], recent_from: RecentFrom | None
) -> MailboxInfo:
    """The info of another's mailbox under the name it is seen by; its special use is its owner's alone."""
    info = mailboxes.info_of(connection, seen.row, recent_from)
    info.own_name, info.name, info.special_use, info.rights = info.name, seen.name, "", seen.rights
    info.subscribed, info.has_children = seen.name in subscribed, seen.name in parents
    return info


def rights_of(source: Source, mailbox: MailboxId, account: AccountId) -> Rights:
    """What an account may do with a mailbox that is not its own; nothing once the mailbox is gone."""
    row = source.execute(
        "SELECT group_concat(r.rights, '') FROM mailbox_right AS r JOIN mailbox AS m ON m.id = r.mailbox"
        f" LEFT JOIN account AS a ON a.id = m.account WHERE r.mailbox = ? AND r.account IN (?, {ANYONE}) AND a.removed_at IS NULL",
        (mailbox, account),
    ).fetchone()
    return parse_rights(row[0] or "")


def expect_rights(source: Source, mailbox: MailboxId, account: AccountId, needed: str) -> Rights:
    """The rights, all of `needed` among them. Raises NO_RIGHT, NO_MAILBOX as `expect`."""
    rights = rights_of(source, mailbox, account)
    if not rights.issuperset(needed):
        raise StoreError(Trouble.NO_RIGHT if "l" in rights else Trouble.NO_MAILBOX)
    return rights


def expect_allowed(source: Source, mailbox: MailboxId, account: AccountId | None, needed: str) -> None:
    """`expect_rights`, unless the mailbox is the account's own (or whoever asks is no account). Raises NO_RIGHT, NO_MAILBOX."""
    if account is not None and not source.execute("SELECT 1 FROM mailbox WHERE id = ? AND account = ?", (mailbox, account)).fetchone():
        expect_rights(source, mailbox, account, needed)


def given(source: Source, mailbox: MailboxId) -> dict[AccountId, Rights]:
    """Who else has rights on a mailbox, `ANYONE` perhaps among them, in the order they were given."""
    rows = source.execute("SELECT account, rights FROM mailbox_right WHERE mailbox = ? ORDER BY number, account", (mailbox,))
    return {AccountId(account): parse_rights(written) for account, written in rows.fetchall()}


def accounts_with_rights(source: Source, owner: AccountId) -> list[AccountId]:
    """Other accounts that have rights on some mailbox of this one."""
    statement = "SELECT DISTINCT r.account FROM mailbox_right AS r JOIN mailbox AS m ON m.id = r.mailbox WHERE m.account = ?"
    rows = source.execute(statement, (owner,))
    return meant(source, owner, [AccountId(account) for (account,) in rows.fetchall()])


def meant(source: Source, owner: AccountId, accounts: list[AccountId]) -> list[AccountId]:
    """The accounts themselves where `ANYONE` stands for all but the owner."""
    if ANYONE not in accounts:
        return accounts
    return [AccountId(account) for (account,) in source.execute("SELECT id FROM account WHERE id <> ? ORDER BY id", (owner,)).fetchall()]


# --- changing ------------------------------------------------------------------------------------------


def change_rights(transaction: Transaction, row: MailboxRow, account: AccountId, mode: Mode, rights: Rights, effects: Effects) -> Rights:
    """Give or take rights on a mailbox; what the account has then. Raises NOT_ALLOWED (the owner, an Outbox), NO_MAILBOX, TOO_MANY."""
    if account == row.account:
        raise StoreError(Trouble.NOT_ALLOWED, "the owner of a mailbox has all rights on it, for good")
    if not row.selectable:
        raise StoreError(Trouble.NO_MAILBOX)
    if row.special_use == OUTBOX:
        raise StoreError(Trouble.NOT_ALLOWED, "the Outbox is not shared")
    before = given(transaction, row.id)
    had = before.get(account, NONE)
    after = {Mode.ADD: had | rights, Mode.REMOVE: had - rights, Mode.REPLACE: rights}[mode]
    if after == had:
        return had
    if account not in before and len(before) >= ACCOUNTS_OF_ONE:
        raise StoreError(Trouble.TOO_MANY, f"at most {ACCOUNTS_OF_ONE} accounts have rights on one mailbox")
    with following_sight(transaction, meant(transaction, row.account, [account]), effects):
        if after:
            transaction.execute(
                "INSERT INTO mailbox_right VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET rights = excluded.rights",
                (row.id, account, encode_rights(after), transaction.next_id("mailbox_right")),
            )
        else:
            transaction.execute("DELETE FROM mailbox_right WHERE mailbox = ? AND account = ?", (row.id, account))
            shared_members.forget_unshared(transaction)
        if transaction.execute("SELECT count(*) FROM mailbox_right WHERE account = ?", (account,)).fetchone()[0] > MAILBOXES:
            raise StoreError(Trouble.TOO_MANY, f"an account sees at most {MAILBOXES} mailboxes of others")
    mark_changed(transaction, row.account, row.id)
    effects.mailbox_changed(transaction, row.account)
    return after


def mark_changed(transaction: Transaction, owner: AccountId, mailbox: MailboxId) -> None:
    """The mailbox itself has changed, for somebody: sessions that have it open read their rights again."""
    modseq = next_modseq(transaction, owner)
    transaction.execute("UPDATE mailbox SET modseq = ?1, changed_modseq = ?1 WHERE id = ?2", (modseq, mailbox))
    transaction.touched(mailbox, modseq)


def announce(transaction: Transaction, owner: AccountId, effects: Effects) -> None:
    """The account was removed, or is back: sessions of those it shares with hear of it."""
    statement = "SELECT DISTINCT r.mailbox FROM mailbox_right AS r JOIN mailbox AS m ON m.id = r.mailbox WHERE m.account = ?"
    for (mailbox,) in transaction.execute(statement, (owner,)).fetchall():
        mark_changed(transaction, owner, MailboxId(mailbox))
    for account in accounts_with_rights(transaction, owner):
        effects.mailbox_changed(transaction, account)


def inherit_rights(transaction: Transaction, owner: AccountId, heirs: Iterable[str], above: MailboxId) -> None:
    """Give mailboxes just made the rights of the one above them."""
    for name in heirs:
        transaction.execute(
            "INSERT OR IGNORE INTO mailbox_right(mailbox, account, rights, number) SELECT b.id, r.account, r.rights, r.number"
            " FROM mailbox_right AS r, mailbox AS b WHERE r.mailbox = ? AND b.account = ? AND b.name = ?",
            (above, owner, name),
        )


@contextmanager
def following_sight(transaction: Transaction, accounts: Iterable[AccountId], effects: Effects) -> Iterator[None]:
    """Around a change of shared mailboxes or of rights: what these accounts see is noted, their subscriptions follow, and their sessions
    hear of it."""
    before = {account: _in_sight(transaction, account) for account in accounts}
    yield
    for account, seen in before.items():
        after = _in_sight(transaction, account)
        moved = shared_sight.note(transaction, account, _sights(seen), _sights(after))
        _mark_children(transaction, [seen.get(one) or after[one] for one in moved], after.values())
        for mailbox, one in seen.items():
            if mailbox not in after or after[mailbox].name != one.name:
                was = transaction.execute("DELETE FROM subscription WHERE account = ? AND name = ?", (account, one.name)).rowcount
                if was and mailbox in after:
                    _subscribe(transaction, account, after[mailbox].name)
        for mailbox in after.keys() - seen.keys():
            _subscribe(transaction, account, after[mailbox].name)
        effects.mailbox_changed(transaction, account)


def subscribe_first(transaction: Transaction, account: AccountId) -> None:
    """For an account just made: what all accounts see."""
    for one in _in_sight(transaction, account).values():
        _subscribe(transaction, account, one.name)


def _sights(seen: Mapping[MailboxId, Seen]) -> dict[MailboxId, Sight]:
    return {mailbox: Sight(one.row.account, one.rights >= READ) for mailbox, one in seen.items()}


def _mark_children(transaction: Transaction, moved: Sequence[Seen], seen: Iterable[Seen]) -> None:
    """Mailboxes below one that came into sight or went out of it have another parent now, or none (RFC 8621 §2)."""
    for one in seen:
        if any(one.row.account == above.row.account and one.row.name.startswith(above.row.name + SEPARATOR) for above in moved):
            mark_changed(transaction, one.row.account, one.row.id)


def _subscribe(transaction: Transaction, account: AccountId, name: str) -> None:
    """Where there is room and the name, which is longer than its owner's, can be subscribed."""
    with suppress(StoreError):
        mailboxes.subscribe(transaction, account, name, True, when_room=True)


def _in_sight(transaction: Transaction, account: AccountId) -> dict[MailboxId, Seen]:
    return {one.row.id: one for one in shared_with(transaction, account, removed=True) if "l" in one.rights}
