"""The states of an account, each change as work inside one transaction; `accounts.Accounts` commits it.

    state      receives   signs in   how it gets there            where to
    active     yes        yes        account add, enable, restore  disabled, removed
    disabled   yes        no         account disable               active, removed
    removed    no         no         account remove                active (restore, as it was), gone
    gone       -          -          purge, or KEPT_S later       nothing is left

Removing keeps every row: mail, passwords, aliases that lead there. So restoring is one column, and the address is not
given to another account meanwhile. Days are counted by the caller, and only while the clock is trusted.
The role of an administrator is a column of its own. Invariant: as long as there are accounts, one of them has the role, is not disabled
and not removed (`Account.administrates`): whatever would take that from the last such account is refused, by the rows that the
transaction itself reads, so of two changes at once that each take one of the last two the second is refused.
How it fails: SetupError, and then nothing has changed.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from appliance.mail.address import Address
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

from .directory import Account, DirectoryTables, key_of, split_address
from .domains import expect_account, expect_domain, expect_free, read_address

KEPT_DAYS = 30
"""How long the mail of a removed account is kept."""
KEPT_S = KEPT_DAYS * 86_400
NAME_CHARACTERS = 100

Transaction = Any


def expect_removed(tables: DirectoryTables, text: str) -> Account:
    """The removed account of that address. Raises SetupError."""
    found = tables.removed.get(key_of(read_address(text)))
    if found is None:
        raise SetupError(
            Sentence("No removed account has the address %(text)s.", text=text), "See which can be restored: pillarbox account list"
        )
    return found


def expect_other_admin(tables: DirectoryTables, account: Account) -> None:
    """Raises SetupError when nobody but this account administrates the server."""
    if account.administrates and not any(one.administrates for one in tables.accounts.values() if one.id != account.id):
        fault = Sentence("%(address)s is the only administrator, and the server needs one.", address=account.address)
        raise SetupError(fault, "Make another account an administrator first: pillarbox account admin ADDRESS --on")


def set_admin(transaction: Transaction, tables: DirectoryTables, address: str, is_admin: bool) -> Account:
    account = expect_account(tables, address)
    if account.is_admin == is_admin:
        done = Sentence("%(address)s is an administrator already.", address=account.address)
        problem = done if is_admin else Sentence("%(address)s is no administrator already.", address=account.address)
        raise SetupError(problem, "There is nothing to do.")
    if not is_admin:
        expect_other_admin(tables, account)
    transaction.execute("UPDATE account SET is_admin = ? WHERE id = ?", (is_admin, account.id))
    return replace(account, is_admin=is_admin)


def set_language(transaction: Transaction, tables: DirectoryTables, address: str, language: str) -> Account:
    account = expect_account(tables, address)
    transaction.execute("UPDATE account SET language = ? WHERE id = ?", (language, account.id))
    return replace(account, language=language)


def retire(transaction: Transaction, tables: DirectoryTables, address: str, at: int) -> Account:
    account = expect_account(tables, address)
    expect_other_admin(tables, account)
    transaction.execute("UPDATE account SET removed_at = ? WHERE id = ?", (at, account.id))
    return replace(account, removed_at=at)


def restore(transaction: Transaction, tables: DirectoryTables, address: str) -> Account:
    account = expect_removed(tables, address)
    expect_domain(tables, split_address(account.address).domain)
    if key_of(split_address(account.address)) in tables.aliases:
        fault = Sentence("%(address)s is an alias now.", address=account.address)
        raise SetupError(fault, Sentence("Remove it first: pillarbox alias remove %(address)s", address=account.address))
    transaction.execute("UPDATE account SET removed_at = NULL WHERE id = ?", (account.id,))
    return replace(account, removed_at=None)


def erase(transaction: Transaction, tables: DirectoryTables, account: Account) -> None:
    """Delete every row of an account but its mail: what signs in, and where it is the target of aliases and catch-alls."""
    expect_other_admin(tables, account)
    key = key_of(split_address(account.address))
    for alias, target in transaction.execute("SELECT address, target FROM alias").fetchall():
        if key_of(split_address(target)) == key:
            transaction.execute("DELETE FROM alias WHERE address = ? AND target = ?", (alias, target))
    for domain, catch_all in tables.domains.items():
        if catch_all and key_of(split_address(catch_all)) == key:
            transaction.execute("UPDATE domain SET catch_all = NULL WHERE name = ?", (domain,))
    transaction.execute("DELETE FROM password WHERE account = ?", (account.id,))
    transaction.execute("DELETE FROM forwarding WHERE account = ?", (account.id,))
    transaction.execute("DELETE FROM second_factor WHERE account = ?", (account.id,))
    transaction.execute("DELETE FROM recovery_code WHERE account = ?", (account.id,))
    transaction.execute("DELETE FROM passkey WHERE account = ?", (account.id,))
    transaction.execute("DELETE FROM account WHERE id = ?", (account.id,))


def rename(transaction: Transaction, tables: DirectoryTables, old: str, new: Address) -> Account:
    """Another address; the old one becomes an alias that leads to it, and what led to the old one leads to the new."""
    account = expect_account(tables, old)
    was, key = split_address(account.address), key_of(new)
    expect_domain(tables, new.domain)
    same = key == key_of(was)
    if not same:
        if key in tables.aliases and all(key_of(split_address(one)) == key_of(was) for one in tables.aliases[key]):
            _drop_alias(transaction, key)  # a former address of the same account
        else:
            expect_free(tables, new)
    transaction.execute("UPDATE account SET address = ? WHERE id = ?", (str(new), account.id))
    _redirect(transaction, tables, key_of(was), new)
    if not same:
        transaction.execute("INSERT INTO alias(address, target) VALUES (?, ?)", (str(was), str(new)))
    return replace(account, address=str(new))


def _drop_alias(transaction: Transaction, key: str) -> None:
    for alias, target in transaction.execute("SELECT address, target FROM alias").fetchall():
        if key_of(split_address(alias)) == key:
            transaction.execute("DELETE FROM alias WHERE address = ? AND target = ?", (alias, target))


def _redirect(transaction: Transaction, tables: DirectoryTables, key: str, new: Address) -> None:
    """Aliases and catch-alls that lead to `key` lead to `new`."""
    for alias, target in transaction.execute("SELECT address, target FROM alias").fetchall():
        if key_of(split_address(target)) == key:
            transaction.execute("UPDATE OR REPLACE alias SET target = ? WHERE address = ? AND target = ?", (str(new), alias, target))
    for domain, catch_all in tables.domains.items():
        if catch_all and key_of(split_address(catch_all)) == key:
            transaction.execute("UPDATE domain SET catch_all = ? WHERE name = ?", (str(new), domain))


def set_disabled(transaction: Transaction, tables: DirectoryTables, address: str, disabled: bool) -> Account:
    account = expect_account(tables, address)
    if account.disabled == disabled:
        done = Sentence("%(address)s is disabled already.", address=account.address)
        problem = done if disabled else Sentence("%(address)s is enabled already.", address=account.address)
        raise SetupError(problem, "There is nothing to do.")
    if disabled:
        expect_other_admin(tables, account)
    transaction.execute("UPDATE account SET disabled = ? WHERE id = ?", (disabled, account.id))
    return replace(account, disabled=disabled)


def read_name(text: str) -> str:
    """A display name. Raises SetupError."""
    name = text.strip()
    if len(name) > NAME_CHARACTERS or not name.isprintable():
        raise SetupError(
            "This name cannot be used.",
            Sentence("Write at most %(most)s characters on one line.", most=NAME_CHARACTERS),
        )
    return name


def expired(removed: Sequence[Account], now: int) -> list[Account]:
    """Those whose KEPT_S are over."""
    return [one for one in removed if one.removed_at is not None and now - one.removed_at >= KEPT_S]
