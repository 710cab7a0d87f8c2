"""The directory: every account, domain and alias of the server in memory, and address resolution.

Invariant: resolving an address costs a dict look-up or two and never waits; the answer is of one commit's snapshot, whole.
A change swaps in a new snapshot after its commit (`Accounts` does it); the old one is never edited.
The order of resolution: an account or alias of exactly that name, the name without its +tag, the domain's
catch-all, and for postmaster and abuse the first account (RFC 5321 §4.5.1, RFC 2142 §4).
Addresses are compared without regard to case: RFC 5321 §2.4 lets the receiving server decide, and this one never
has two accounts that differ in case only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from appliance.mail.address import Address, parse_domain
from appliance.mail.errors import MisuseError
from appliance.mail.ids import AccountId

from .aliases import expand

TAG = "+"
SERVER_NAMES = frozenset({"postmaster", "abuse"})


class Executes(Protocol):
    """What is needed of a database connection or a Transaction to read the tables."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterable[Any]: ...


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `address` as written when added; `quota_octets` None means no limit; `added_at` UTC seconds."""

    id: AccountId
    address: str
    quota_octets: int | None
    added_at: int
    name: str = ""
    disabled: bool = False
    """Receives messages and cannot sign in."""
    removed_at: int | None = None
    """UTC seconds; such an account is in `DirectoryTables.removed` only."""
    is_admin: bool = False
    """Has the role of an administrator."""
    language: str = ""
    """The owner's choice, as a tag; "" for none."""

    @property
    def administrates(self) -> bool:
        """Has the role, and can sign in to use it."""
        return self.is_admin and not self.disabled and self.removed_at is None


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where an address leads: `accounts` of the server and addresses `outside`. Not `known`: the reply is 550 5.1.1."""

    accounts: tuple[AccountId, ...] = ()
    outside: tuple[Address, ...] = ()
    known: bool = False


UNKNOWN = Resolution()


@dataclass(frozen=True, slots=True)
class Forward:
    """Where an account's messages go; `keep`: a copy stays."""

    target: Address
    keep: bool


def fold(text: str) -> str:
    """The form of a local part that is compared: NFC, case folded."""
    if text.isascii():
        return text.lower()
    import unicodedata  # 1 MB that an ASCII server never needs

    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def key_of(address: Address) -> str:
    """The form of an address that is compared."""
    return f"{fold(address.local)}@{address.domain}"


def split_address(text: str) -> Address:
    """Back from the form the tables hold, `str(Address)`: the domain is after the last "@"."""
    local, _, domain = text.rpartition("@")
    return Address(local, domain)


def untagged(key: str) -> str:
    """The key without its +tag; the same key when there is none (`+x@` has no name before the tag)."""
    local, at, domain = key.rpartition("@")
    name, plus, _ = local.partition(TAG)
    return f"{name}{at}{domain}" if plus and name else key


@dataclass(frozen=True, slots=True)
class DirectoryTables:
    """One commit's snapshot. Keys of addresses are folded; `domains` holds the catch-all address or ""."""

    version: int = 0
    domains: dict[str, str] = field(default_factory=dict)
    accounts: dict[AccountId, Account] = field(default_factory=dict)
    by_address: dict[str, AccountId] = field(default_factory=dict)
    by_local: dict[str, AccountId | None] = field(default_factory=dict)
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    resolved: dict[str, Resolution] = field(default_factory=dict)
    removed: dict[str, Account] = field(default_factory=dict)
    """Removed accounts whose mail is still kept: nothing is delivered there and sign-in is refused."""
    forwards: dict[AccountId, Forward] = field(default_factory=dict)


def read_tables(reads: Executes, version: int = 0) -> DirectoryTables:
    """Read everything (as many as a household has) and resolve every name once."""
    domains = {name: catch_all or "" for name, catch_all in reads.execute("SELECT name, catch_all FROM domain ORDER BY rowid")}
    columns = "id, address, quota_octets, added_at, name, disabled, removed_at, is_admin, language"
    rows = reads.execute(f"SELECT {columns} FROM account ORDER BY id")  # noqa: S608 - a constant
    aliases: dict[str, tuple[str, ...]] = {}
    for alias, target in reads.execute("SELECT address, target FROM alias ORDER BY address, target"):
        key = key_of(split_address(alias))
        aliases[key] = (*aliases.get(key, ()), target)
    tables = tables_of_accounts(rows, domains, aliases, version)
    for number, target, keep in reads.execute("SELECT account, target, keep FROM forwarding WHERE confirmed = 1"):
        tables.forwards[AccountId(number)] = Forward(split_address(target), bool(keep))
    return tables


def tables_of_accounts(
    rows: Iterable[tuple[Any, ...]],
    domains: dict[str, str] | None = None,
    aliases: dict[str, tuple[str, ...]] | None = None,
    version: int = 0,
) -> DirectoryTables:
    """From rows of `account`, domains and aliases."""
    aliases = aliases or {}
    accounts: dict[AccountId, Account] = {}
    by_address: dict[str, AccountId] = {}
    by_local: dict[str, AccountId | None] = {}
    removed: dict[str, Account] = {}
    for number, text, quota_octets, added_at, name, disabled, removed_at, is_admin, language in rows:
        account = AccountId(number)
        found = Account(account, text, quota_octets, added_at, name, bool(disabled), removed_at, bool(is_admin), language)
        address = split_address(text)
        if removed_at is not None:
            removed[key_of(address)] = found
            continue
        accounts[account] = found
        by_address[key_of(address)] = account
        local = fold(address.local)
        by_local[local] = None if local in by_local else account
    tables = DirectoryTables(version, domains or {}, accounts, by_address, by_local, aliases, {}, removed)
    for key, account in by_address.items():
        tables.resolved[key] = Resolution((account,), (), True)
    for key in aliases:
        if key not in by_address:
            tables.resolved[key] = _follow(tables, key)
    return tables


def targets_of(tables: DirectoryTables, key: str) -> tuple[str, ...]:
    """The keys an alias leads to, its +tag aside; () for what is no alias."""
    if key in tables.by_address:
        return ()
    targets = tables.aliases.get(key) or tables.aliases.get(untagged(key), ())
    return tuple(key_of(split_address(target)) for target in targets)


def _follow(tables: DirectoryTables, alias: str) -> Resolution:
    """Where an alias leads in the end; targets that no longer exist are left out."""
    written = {key_of(split_address(target)): target for targets in tables.aliases.values() for target in targets}
    accounts: dict[AccountId, None] = {}
    outside: list[Address] = []
    for key in expand(alias, lambda key: targets_of(tables, key)):
        address = split_address(written.get(key, key))
        if address.domain not in tables.domains:
            outside.append(address)
            continue
        account = tables.by_address.get(key, tables.by_address.get(untagged(key)))
        if account is not None:
            accounts[account] = None
    return Resolution(tuple(accounts), tuple(outside), bool(accounts or outside))


class Directory:
    """All accounts, domains and aliases (as many as a household has), in memory."""

    def __init__(self, tables: DirectoryTables | None = None) -> None:
        self._tables = tables or DirectoryTables()

    @property
    def tables(self) -> DirectoryTables:
        return self._tables

    def swap(self, tables: DirectoryTables) -> None:
        """Take another commit's snapshot; `Accounts` sees to their order."""
        self._tables = tables

    def is_local(self, domain: str) -> bool:
        """Is this one of the server's domains? `domain` as in Address: lower case, U-labels."""
        return domain in self._tables.domains

    def resolve(self, address: Address) -> Resolution:
        """Where a message to `address` goes. Check `is_local` first: an address outside is not `known` here."""
        tables = self._tables
        key = key_of(address)
        found = tables.resolved.get(key)
        if found is not None:
            return found
        catch_all = tables.domains.get(address.domain)
        if catch_all is None:
            return UNKNOWN
        if TAG in address.local:
            key = untagged(key)
            found = tables.resolved.get(key)
            if found is not None:
                return found
        if catch_all:
            return tables.resolved.get(key_of(split_address(catch_all)), UNKNOWN)
        if key.partition("@")[0] in SERVER_NAMES:
            return self.postmaster()
        return UNKNOWN

    def forwarded(self, found: Resolution) -> Resolution:
        """Where messages go that lead there, each account's forwarding applied once: to what another account forwards, never.

        An account whose messages would go nowhere keeps them.
        """
        forwards = self._tables.forwards
        if forwards.keys().isdisjoint(found.accounts):
            return found
        accounts: dict[AccountId, None] = {}
        outside = dict.fromkeys(found.outside)
        for account in found.accounts:
            forward = forwards.get(account)
            here = self.resolve(forward.target) if forward and self.is_local(forward.target.domain) else None
            if forward is None or forward.keep or (here is not None and not here.known):
                accounts[account] = None
            if here is not None:
                accounts |= dict.fromkeys(here.accounts)
                outside |= dict.fromkeys(here.outside)
            elif forward is not None:
                outside[forward.target] = None
        return Resolution(tuple(accounts), tuple(outside), found.known)

    def resolve_here(self, local: str) -> Resolution:
        """A local part at the server itself, without a domain: the first domain where it is an account or alias; no catch-all."""
        for domain in self._tables.domains:
            key = key_of(Address(local, domain))
            found = self._tables.resolved.get(key) or self._tables.resolved.get(untagged(key))
            if found is not None:
                return found
        return self.resolve_server_name(local)

    def resolve_server_name(self, local: str) -> Resolution:
        """A name every mail host has: postmaster, abuse (RFC 5321 §4.5.1, RFC 2142 §4); UNKNOWN for any other."""
        return self.postmaster() if fold(local) in SERVER_NAMES else UNKNOWN

    def postmaster(self) -> Resolution:
        """Where the bare `postmaster` leads (RFC 5321 §4.5.1): the primary domain's postmaster, else the first account."""
        tables = self._tables
        for domain in tables.domains:
            found = tables.resolved.get(f"postmaster@{domain}")
            if found is not None:
                return found
            break
        for account in tables.accounts:
            return Resolution((account,), (), True)
        return UNKNOWN

    def account(self, account: AccountId) -> Account | None:
        return self._tables.accounts.get(account)

    def is_admin(self, account: AccountId) -> bool:
        """May this account administrate the server now?"""
        found = self._tables.accounts.get(account)
        return found is not None and found.administrates

    def language_of(self, account: AccountId | None = None) -> str:
        """The tag of the language that an account is written to in: its owner's choice, else the server's ("" for English).

        The server's is that of the first administrator who chose one.
        """
        found = self._tables.accounts.get(account) if account is not None else None
        if found is not None and found.language:
            return found.language
        return next((one.language for one in self._tables.accounts.values() if one.administrates and one.language), "")

    def own_address(self, account: AccountId) -> Address | None:
        """The account's own address; None when there is no such account."""
        found = self._tables.accounts.get(account)
        return split_address(found.address) if found else None

    def quota_of(self, account: AccountId) -> int | None:
        """The account's own limit in octets; None for no limit or no such account."""
        found = self._tables.accounts.get(account)
        return found.quota_octets if found else None

    def accounts(self) -> tuple[Account, ...]:
        """All accounts, the first one first."""
        return tuple(self._tables.accounts.values())

    def domains(self) -> tuple[str, ...]:
        """The server's domains, the first (primary) one first."""
        return tuple(self._tables.domains)

    def catch_all(self, domain: str) -> str:
        """The address that gets what matches no other address at `domain`, or ""."""
        return self._tables.domains.get(domain, "")

    def aliases(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(alias, targets) by name."""
        return tuple(self._tables.aliases.items())

    def may_send_as(self, account: AccountId, address: Address) -> bool:
        """May this account use this From or MAIL FROM? Yes for every address whose messages are delivered to it."""
        return account in self.resolve(address).accounts

    def find_login(self, name: str) -> Account | None:
        """The account that signs in as `name`: the full address, or the local part alone where only one account has it.

        An alias that leads to one account alone serves too: after a rename, clients go on with the old address.
        """
        tables = self._tables
        local, at, domain = name.rpartition("@")
        if at:
            try:
                keys = [f"{fold(local)}@{parse_domain(domain)}"]
            except MisuseError:
                return None
            account = tables.by_address.get(keys[0])
        else:
            account = tables.by_local.get(fold(name))
            keys = [f"{fold(name)}@{one}" for one in tables.domains] if fold(name) not in tables.by_local else []
        if account is None:
            found = [tables.resolved[key] for key in keys if key in tables.aliases]
            led = {one.accounts for one in found if len(one.accounts) == 1 and not one.outside}
            if len(led) != 1 or len(found) != 1:
                return None
            ((account,),) = led
        return tables.accounts[account]

    def removed(self) -> tuple[Account, ...]:
        """Removed accounts whose mail is still kept."""
        return tuple(self._tables.removed.values())
