"""Accounts: every change to accounts, domains, aliases and passwords.

Invariants: one change is one commit; every refusal is a SetupError with a sentence and a remedy, and changes nothing.
The snapshots in memory (`directory`, `secrets`) are swapped right after the commit, before the caller resumes; a change once
begun is completed up to the swap, also when the caller is cancelled. Each change is checked against the tables inside its own
transaction: two at the same time cannot both take a name.
How it fails: SetupError; StoreError from the writer (full or failing storage).
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import TypeVar

import trio

from appliance.database.writer import Transaction, Writes
from appliance.mail.address import Address
from appliance.mail.clock import Clock
from appliance.mail.errors import SetupError
from appliance.mail.ids import AccountId
from appliance.mail.sentence import Sentence

from . import states
from .aliases import leads_back
from .directory import Account, Directory, DirectoryTables, Executes, key_of, read_tables, split_address, tables_of_accounts, targets_of
from .domains import expect_account, expect_domain, expect_empty, expect_free, read_address, read_domain
from .passwords import SALT_ROW, PasswordRow, Passwords, Remembered, Secrets, Verifiers, generate, read_secrets, salt_for

APP_PASSWORDS = 32
"""App passwords of one account: more than a user has devices; SCRAM compares with each of them."""
LABEL_CHARACTERS = 60
USED_EVERY_S = 3600
"""The last use of a password is written at most hourly; memory has each one."""

NO_PASSWORD = 0
"""In place of a password's row number, for a session that signed in by another credential."""
UNCHANGED = -1
"""A quota that stays as it is."""
TARGET_FIELD = "target"
"""What a refusal of an alias is about that leads to the wrong place."""

T = TypeVar("T")
Also = Callable[[Transaction, AccountId], object]
"""Work that joins the commit: `store.make_mailboxes`, `store.remove_mailboxes`."""


class Accounts:
    """All accounts and their addresses. `directory` answers from memory; the methods change it.

    `changed` is called on the event loop after each change that was waited for.
    """

    def __init__(self, writes: Writes, passwords: Passwords, clock: Clock, *, changed: Callable[[], None] | None = None) -> None:
        self._writes = writes
        self._clock = clock
        self._changed = changed
        self._versions = count(1)
        self.passwords = passwords
        self.directory = Directory()
        self.secrets = Secrets()
        self.remembered = Remembered()
        """Passwords verified lately; a changed or removed one is dropped with the commit."""

    def read(self, reads: Executes) -> None:
        """Fill the memory at start, from any connection."""
        self._publish(read_tables(reads), read_secrets(reads))

    def read_names(self, reads: Executes) -> None:
        """`read` without passwords, aliases and domains: the less is read, the less a damaged database matters. For read-only commands.

        Addresses come from their index, which works where the table itself cannot be read.
        """
        rows = reads.execute("SELECT id, address FROM account INDEXED BY sqlite_autoindex_account_1 ORDER BY address")
        self._publish(tables_of_accounts((number, address, None, 0, "", 0, None, 0, "") for number, address in rows), Secrets())

    # --- accounts --------------------------------------------------------------------------------

    async def add_account(self, address: str, password: str, *, quota_octets: int | None = None, also: Also | None = None) -> Account:
        """A new account; the very first one adds its domain as well, and is an administrator.

        `also(transaction, account)` joins the commit: `store.make_mailboxes`. `quota_octets` None: no limit.
        """
        wanted = read_address(address)
        _check_quota(quota_octets)
        self._expect_room(self.directory.tables, wanted)  # checked before the slow hashing, and again inside the transaction
        from .setup_code import end  # seldom used: not in the memory of a server that runs

        verifiers = await self._make(password, wanted)

        def add(transaction: Transaction, tables: DirectoryTables) -> Account:
            self._expect_room(tables, wanted)
            if not tables.domains:
                transaction.execute("INSERT INTO domain(name) VALUES (?)", (wanted.domain,))
            account = AccountId(transaction.next_id("account"))
            added = Account(account, str(wanted), quota_octets, int(self._clock.wall_s()), is_admin=not tables.accounts)
            transaction.execute(
                "INSERT INTO account(id, address, quota_octets, added_at, is_admin) VALUES (?, ?, ?, ?, ?)",
                (account, added.address, quota_octets, added.added_at, added.is_admin),
            )
            self._insert_password(transaction, account, "", verifiers)
            if also is not None:
                also(transaction, account)
            end(transaction)
            return added

        return await self.change(add)

    async def retire_account(self, address: str) -> Account:
        """Nothing is delivered and sign-in is refused from now on; everything is kept, and `restore_account` takes it back."""
        now = int(self._clock.wall_s())
        return await self.change(lambda transaction, tables: states.retire(transaction, tables, address, now))

    async def restore_account(self, address: str) -> Account:
        return await self.change(lambda transaction, tables: states.restore(transaction, tables, address))

    async def remove_account(self, address: str, *, also: Also | None = None) -> Account:
        """Erase an account, removed before or not, for good. `also`: `store.remove_mailboxes`."""

        def remove(transaction: Transaction, tables: DirectoryTables) -> Account:
            removed = tables.removed.get(key_of(read_address(address))) if "@" in address else None
            account = removed or expect_account(tables, address)
            states.erase(transaction, tables, account)
            if also is not None:
                also(transaction, account.id)
            return account

        return await self.change(remove)

    async def purge_expired(self, also: Also) -> list[Account]:
        """Erase the accounts that were removed KEPT_DAYS ago; nothing while the clock is not trusted."""
        now = int(self._clock.wall_s())
        if not self._clock.trusted() or not states.expired(self.directory.removed(), now):
            return []

        def purge(transaction: Transaction, tables: DirectoryTables) -> list[Account]:
            gone = states.expired(tuple(tables.removed.values()), now)
            for account in gone:
                states.erase(transaction, tables, account)
                also(transaction, account.id)
            return gone

        return await self.change(purge)

    async def rename_account(self, old: str, new: str) -> Account:
        """Another address for the same account; the old one stays as an alias, with which programs sign in as before."""
        wanted = read_address(new)
        return await self.change(lambda transaction, tables: states.rename(transaction, tables, old, wanted))

    async def set_disabled(self, address: str, disabled: bool) -> Account:
        """A disabled account receives and cannot sign in."""
        return await self.change(lambda transaction, tables: states.set_disabled(transaction, tables, address, disabled))

    async def set_admin(self, address: str, is_admin: bool) -> Account:
        """Give an account the role of an administrator, or take it away; the last one keeps it."""
        return await self.change(lambda transaction, tables: states.set_admin(transaction, tables, address, is_admin))

    async def set_account(self, address: str, *, quota_octets: int | None = UNCHANGED, name: str | None = None) -> Account:
        """A new limit (None for none; mail already there stays, whatever the limit) and a new display name ("" for none)."""
        if quota_octets != UNCHANGED:
            _check_quota(quota_octets)
        wanted = None if name is None else states.read_name(name)

        def change(transaction: Transaction, tables: DirectoryTables) -> Account:
            account = expect_account(tables, address)
            quota = account.quota_octets if quota_octets == UNCHANGED else quota_octets
            shown = account.name if wanted is None else wanted
            transaction.execute("UPDATE account SET quota_octets = ?, name = ? WHERE id = ?", (quota, shown, account.id))
            return replace(account, quota_octets=quota, name=shown)

        return await self.change(change)

    # --- passwords -------------------------------------------------------------------------------

    async def set_language(self, address: str, language: str) -> Account:
        """The language of the account's owner, as a tag. Raises SetupError."""
        return await self.change(lambda transaction, tables: states.set_language(transaction, tables, address, language))

    async def set_password(self, address: str, password: str, *, must_change: bool = False) -> Account:
        """Replace the account's own password; app passwords stay.

        `must_change`: an administrator does it. The owner has to choose another in a browser, and passkeys go: whoever had got into the
        account could have made one, and with it would get past the new password to everything the pages can do.
        """
        known = expect_account(self.directory.tables, address)
        verifiers = await self._make(password, split_address(known.address))

        def change(transaction: Transaction, tables: DirectoryTables) -> Account:
            account = expect_account(tables, known.address)
            transaction.execute("DELETE FROM password WHERE account = ? AND label = ''", (account.id,))
            self._insert_password(transaction, account.id, "", verifiers)
            if must_change:
                transaction.execute("UPDATE password SET must_change = 1 WHERE account = ? AND label = ''", (account.id,))
                transaction.execute("DELETE FROM passkey WHERE account = ?", (account.id,))
            return account

        return await self.change(change)

    def main_password(self, account: AccountId) -> PasswordRow | None:
        """The row of the account's own password; None when it cannot sign in."""
        return next((row for row in self.secrets.rows.get(account, ()) if not row.label), None)

    def must_change(self, account: AccountId, password: int) -> bool:
        """Has this password (its row's number) to be changed before anything else in a browser?"""
        row = self.main_password(account)
        return row is not None and row.id == password and row.must_change

    async def is_own_password(self, account: Account, password: str) -> bool:
        """Is it the account's own password as it is now? Not throttled: for who is signed in already. Raises AuthError."""
        row, salt = self.main_password(account.id), salt_for(self.secrets.salt_secret, account.address)
        return row is not None and await self.passwords.find((row,), password, salt) is not None

    async def add_app_password(self, address: str, label: str) -> str:
        """A generated password for one device or program; returned once, here, and never again."""
        known = expect_account(self.directory.tables, address)
        label = _read_label(label)
        password = generate()
        verifiers = await self._make(password, split_address(known.address), generated=True)

        def add(transaction: Transaction, tables: DirectoryTables) -> None:
            account = expect_account(tables, known.address)
            labels = [kept for _, kept in _app_passwords(transaction, account.id)]
            if label.casefold() in map(str.casefold, labels):
                raise SetupError(
                    Sentence("%(address)s has an app password called “%(label)s”.", address=account.address, label=label),
                    "Choose another name, or remove that one.",
                )
            if len(labels) >= APP_PASSWORDS:
                raise SetupError(
                    Sentence(
                        "%(address)s has %(most)s app passwords; no more are kept.",
                        address=account.address,
                        most=APP_PASSWORDS,
                    ),
                    "Remove one that is not used.",
                )
            self._insert_password(transaction, account.id, label, verifiers)

        await self.change(add)
        return password

    async def remove_app_password(self, address: str, label: str) -> None:
        wanted = _read_label(label)

        def remove(transaction: Transaction, tables: DirectoryTables) -> None:
            account = expect_account(tables, address)
            for number, kept in _app_passwords(transaction, account.id):
                if kept.casefold() == wanted.casefold():
                    transaction.execute("DELETE FROM password WHERE id = ?", (number,))
                    return
            remedy = Sentence("See them: pillarbox app-password list %(address)s", address=account.address)
            raise SetupError(Sentence("%(address)s has no app password called “%(label)s”.", address=account.address, label=label), remedy)

        await self.change(remove)

    def app_passwords(self, address: str) -> tuple[PasswordRow, ...]:
        """An account's app passwords, oldest first: label, set_at, used_at. Raises SetupError for an unknown address."""
        account = expect_account(self.directory.tables, address)
        return tuple(row for row in self.secrets.rows.get(account.id, ()) if row.label)

    def mark_used(self, row: PasswordRow, peer: str = "", protocol: str = "") -> None:
        """Record that a password was used: written lazily and at most hourly; not while the clock is not trusted."""
        now = int(self._clock.wall_s())
        if not self._clock.trusted():
            return
        row.used_at, row.used_from, row.used_protocol = now, peer, protocol
        if row.noted_at is None or not 0 <= now - row.noted_at <= USED_EVERY_S:
            row.noted_at = now
            update = "UPDATE password SET used_at = ?, used_from = ?, used_protocol = ? WHERE id = ?"
            self._writes.write_lazily(lambda transaction: transaction.execute(update, (now, peer, protocol, row.id)))

    def is_current(self, account: AccountId, password: int) -> bool:
        """May a session go on that signed in to this account with this password or passkey (its row's number)? No once either is gone.

        With NO_PASSWORD: while the account can sign in.
        """
        found = self.directory.account(account)
        if found is None or found.disabled:
            return False
        secrets = self.secrets
        return (
            password == NO_PASSWORD
            or any(row.id == password for row in secrets.rows.get(account, ()))
            or any(passkey.id == password for passkey in secrets.passkeys.values())
        )

    async def renew_verifiers(self, row: PasswordRow, password: str) -> None:
        """The password was just verified and its stored form is of an older kind or setting: write it anew, lazily."""
        account = self.directory.account(row.account)
        if account is None:
            return
        made = row.verifiers = await self._make(password, split_address(account.address))
        self._writes.write_lazily(lambda transaction: _update_verifiers(transaction, row.id, made))

    # --- domains ---------------------------------------------------------------------------------

    async def add_domain(self, domain: str) -> str:
        """Returns the domain as the server writes it. Refused when the server has it already."""
        name = read_domain(domain)

        def add(transaction: Transaction, tables: DirectoryTables) -> str:
            if name in tables.domains:
                raise SetupError(Sentence("%(name)s is a domain of this server already.", name=name), "There is nothing to do.")
            transaction.execute("INSERT INTO domain(name) VALUES (?)", (name,))
            return name

        return await self.change(add)

    async def ensure_domain(self, domain: str) -> str:
        """`add_domain` for starting up: nothing is written when the server has it."""
        name = read_domain(domain)
        return name if self.directory.is_local(name) else await self.add_domain(name)

    async def remove_domain(self, domain: str) -> None:
        """Refused while accounts or aliases have addresses there."""
        name = read_domain(domain)

        def remove(transaction: Transaction, tables: DirectoryTables) -> None:
            expect_domain(tables, name)
            expect_empty(tables, name)
            transaction.execute("DELETE FROM domain WHERE name = ?", (name,))

        await self.change(remove)

    async def set_catch_all(self, domain: str, address: str | None) -> None:
        """The catch-all of `domain`: an account or alias of the server that gets what matches no other address; None for none."""
        name = read_domain(domain)
        target = None if address is None else read_address(address)

        def change(transaction: Transaction, tables: DirectoryTables) -> None:
            expect_domain(tables, name)
            if target is not None and key_of(target) not in tables.resolved:
                raise SetupError(
                    Sentence("%(target)s is neither an account nor an alias of this server.", target=target),
                    "Add the account or the alias first.",
                )
            transaction.execute("UPDATE domain SET catch_all = ? WHERE name = ?", (None if target is None else str(target), name))

        await self.change(change)

    # --- aliases ---------------------------------------------------------------------------------

    async def add_alias(self, alias: str, *targets: str) -> None:
        """Messages to `alias` also go to `targets`, in the server or outside; several make a group. All of them are added, or none."""
        name, ends = read_address(alias), [read_address(target, TARGET_FIELD) for target in targets]

        def add(transaction: Transaction, tables: DirectoryTables) -> None:
            expect_domain(tables, name.domain)
            key = key_of(name)
            if key in tables.by_address:
                raise SetupError(Sentence("%(name)s is the address of an account.", name=name), "Choose another name for the alias.")
            there = {*map(key_of, map(split_address, tables.aliases.get(key, ())))}
            for end in ends:
                target_key = key_of(end)
                if target_key in there:
                    problem = Sentence("%(name)s leads to %(end)s already.", name=name, end=end)
                    raise SetupError(problem, "Leave that target out.", TARGET_FIELD)
                there.add(target_key)
                if end.domain in tables.domains and not Directory(tables).resolve(end).known and target_key != key:
                    problem = Sentence("There is no address %(end)s here.", end=end)
                    raise SetupError(problem, "Add the account first, or check the spelling.", TARGET_FIELD)
                if leads_back(key, target_key, lambda key: targets_of(tables, key)):
                    problem = Sentence("%(end)s leads back to %(name)s, so messages would loop.", end=end, name=name)
                    raise SetupError(problem, "Choose another target.", TARGET_FIELD)
                transaction.execute("INSERT INTO alias(address, target) VALUES (?, ?)", (_written(transaction, key, name), str(end)))

        await self.change(add)

    async def remove_alias(self, alias: str, target: str | None = None) -> tuple[str, ...]:
        """Remove one target of an alias, or the alias altogether; the targets that are left."""
        key = key_of(read_address(alias))
        target_key = None if target is None else key_of(read_address(target))

        def remove(transaction: Transaction, tables: DirectoryTables) -> tuple[str, ...]:
            if key not in tables.aliases:
                raise SetupError(Sentence("There is no alias %(alias)s.", alias=alias), "See what there is: pillarbox alias list")
            gone = 0
            for written, leads_to in transaction.execute("SELECT address, target FROM alias").fetchall():
                if key_of(split_address(written)) == key and target_key in (None, key_of(split_address(leads_to))):
                    transaction.execute("DELETE FROM alias WHERE address = ? AND target = ?", (written, leads_to))
                    gone += 1
            if not gone:
                raise SetupError(
                    Sentence("%(alias)s does not lead to %(target)s.", alias=alias, target=target),
                    "See where it leads: pillarbox alias list",
                )
            if gone == len(tables.aliases[key]):
                for domain, catch_all in tables.domains.items():
                    if catch_all and key_of(split_address(catch_all)) == key:
                        transaction.execute("UPDATE domain SET catch_all = NULL WHERE name = ?", (domain,))
            return tuple(one for one in tables.aliases[key] if target_key is not None and key_of(split_address(one)) != target_key)

        return await self.change(remove)

    # --- one change ------------------------------------------------------------------------------

    async def change(self, work: Callable[[Transaction, DirectoryTables], T]) -> T:
        """`work(transaction, tables)` as one commit; the new snapshot is published when it is durable."""

        def run(transaction: Transaction) -> tuple[T, DirectoryTables, Secrets]:
            result = work(transaction, read_tables(transaction))
            version = next(self._versions)
            return result, read_tables(transaction, version), read_secrets(transaction, version, self.secrets.salt_secret)

        with trio.CancelScope(shield=True):  # a commit without the swap would leave the memory behind the database
            result, tables, secrets = await self._writes.write(run)
        self._publish(tables, secrets)
        if self._changed is not None:
            self._changed()
        return result

    def _publish(self, tables: DirectoryTables, secrets: Secrets) -> None:
        """Swap in a newer snapshot; waiters of one group commit resume in any order."""
        if secrets.version >= self.secrets.version:
            known = {row.id: row for rows in self.secrets.rows.values() for row in rows}
            for row in (row for rows in secrets.rows.values() for row in rows):
                before = known.get(row.id)
                if before is not None and before.used_at is not None:  # newer than what is written
                    row.used_at, row.used_from, row.used_protocol = before.used_at, before.used_from, before.used_protocol
                    row.noted_at = before.noted_at
            self.secrets = secrets
            self.remembered.keep_only({row.id for rows in secrets.rows.values() for row in rows})
            self.directory.swap(tables)

    def _expect_room(self, tables: DirectoryTables, wanted: Address) -> None:
        if tables.domains:
            expect_domain(tables, wanted.domain)
        else:
            read_domain(wanted.domain)
        expect_free(tables, wanted)

    async def _make(self, password: str, address: Address, *, generated: bool = False) -> Verifiers:
        return await self.passwords.make(password, salt_for(self.secrets.salt_secret, str(address)), generated=generated)

    def _insert_password(self, transaction: Transaction, account: AccountId, label: str, verifiers: Verifiers) -> None:
        """Always a new row id: what is remembered of an older password names the older row."""
        transaction.execute("INSERT OR IGNORE INTO meta(key, value) VALUES (?, ?)", (SALT_ROW, self.secrets.salt_secret))
        number = transaction.next_id("password")
        transaction.execute(
            "INSERT INTO password(id, account, label, set_at) VALUES (?, ?, ?, ?)", (number, account, label, int(self._clock.wall_s()))
        )
        _update_verifiers(transaction, number, verifiers)


def _app_passwords(transaction: Transaction, account: AccountId) -> list[tuple[int, str]]:
    return transaction.execute("SELECT id, label FROM password WHERE account = ? AND label != ''", (account,)).fetchall()


def _update_verifiers(transaction: Transaction, number: int, verifiers: Verifiers) -> None:
    scram = verifiers.scram
    transaction.execute(
        "UPDATE password SET argon2 = ?, scram_salt = ?, scram_iterations = ?, scram_stored = ?, scram_server = ? WHERE id = ?",
        (verifiers.slow, *((scram.salt, scram.iterations, scram.stored, scram.server) if scram else (None,) * 4), number),
    )


def _written(transaction: Transaction, key: str, name: Address) -> str:
    """An alias with several targets is spelled as it was first added."""
    for (written,) in transaction.execute("SELECT DISTINCT address FROM alias"):
        if key_of(split_address(written)) == key:
            return str(written)
    return str(name)


def _read_label(label: str) -> str:
    label = label.strip()
    if not label or len(label) > LABEL_CHARACTERS or not label.isprintable():
        raise SetupError(
            "An app password needs a name.",
            Sentence("Give 1 to %(most)s characters, such as “Anna's phone”.", most=LABEL_CHARACTERS),
        )
    return label


def _check_quota(quota_octets: int | None) -> None:
    if quota_octets is not None and not 0 < quota_octets < 2**62:
        raise SetupError("A quota is above 0.", "Leave it out for no limit.")
