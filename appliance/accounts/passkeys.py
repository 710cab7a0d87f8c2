"""Passkeys (Web Authentication): credentials of a phone, computer or security key that sign in to the web pages.

| a passkey | how it gets there                                               | what it opens                                             |
|-----------|-----------------------------------------------------------------|-----------------------------------------------------------|
| valid     | `add`, by the owner, who typed the password within five minutes | a session of a browser, in place of password and code:    |
|           |                                                                 | the authenticator verified the user (PIN, finger or face) |
| suspended | its account is disabled or removed                              | nothing; it is valid again with the account               |
| gone      | `remove`; a password reset by an administrator; account purge   | nothing, and the sessions it opened end                   |

Invariants: a credential identifier belongs to one account. A signature counter that does not rise is refused by the transaction that keeps
it; where an authenticator does not count, as those do that share passkeys by a cloud, it is the challenge that is good once only
(`web/challenges`). A passkey is bound to the server's name in the address bar (RP ID): one made at mail.home.example works there only, and
none can be made at a bare address. The owner's own change of password leaves passkeys, as it leaves app passwords.

No library: fido2 costs 10.5 MB resident and `cryptography` 8.0 MB, `protocol/webauthn` and the libcrypto that `ssl` has loaded nothing.
How it fails: SetupError; StoreError from the writer.
"""

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError, SetupError
from appliance.mail.sentence import Sentence
from appliance.mailauth.crypto import is_signed
from appliance.protocol import webauthn

from .accounts import Accounts
from .domains import expect_account
from .passkey_record import Passkey

if TYPE_CHECKING:
    from appliance.database.writer import Transaction
    from appliance.mail.clock import Clock
    from appliance.mail.ids import AccountId

    from .directory import DirectoryTables

PASSKEYS = 16
"""Of one account: a user has fewer devices, and most share theirs by the maker's cloud."""
NAME_CHARACTERS = 60
HANDLE_OCTETS = 16
SIGNED_IN = "SELECT 1 FROM password WHERE id = ?1 AND account = ?2 UNION SELECT 1 FROM passkey WHERE id = ?1 AND account = ?2"
REFUSED = Sentence("This passkey opens nothing here. Sign in with your password.")
COPIED = Sentence("This passkey may have been copied. Sign in with your password, remove it, and make a new one.")


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What a browser was asked: the challenge, and by which page. `host`, the name in `origin`, is the RP ID."""

    challenge: bytes = field(repr=False)
    origin: str
    host: str


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What a browser says of a passkey it has made."""

    client_data: bytes
    authenticator_data: bytes
    public_key: bytes
    algorithm: int


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a browser says when a passkey is used. `handle`: the user's, as the authenticator kept it."""

    credential: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes
    handle: bytes


@dataclass(frozen=True, slots=True)
class PasskeyFacts:
    """A new credential that was checked, to be stored."""

    host: str
    credential: bytes = field(repr=False)
    algorithm: int
    public_key: bytes = field(repr=False)
    sign_count: int


def checked(made: NewCredential, ceremony: Ceremony) -> PasskeyFacts:
    """Web Authentication Level 2 §7.1, for attestation "none". Raises MisuseError."""
    webauthn.check_client_data(made.client_data, webauthn.CREATE, ceremony.challenge, ceremony.origin)
    found = webauthn.parse_authenticator_data(made.authenticator_data)
    webauthn.check_authenticator_data(found, ceremony.host)
    webauthn.check_public_key(made.algorithm, made.public_key)
    if not found.credential:
        raise MisuseError("the authenticator data has no credential")
    return PasskeyFacts(ceremony.host, found.credential, made.algorithm, made.public_key, found.sign_count)


class Passkeys:
    """The passkeys of one server's accounts; they are in the snapshot `accounts.secrets`."""

    def __init__(self, accounts: Accounts, clock: "Clock") -> None:
        self._accounts = accounts
        self._clock = clock

    def of(self, account: "AccountId") -> tuple[Passkey, ...]:
        """Of an account that may sign in, the oldest first."""
        return tuple(one for one in self._accounts.secrets.passkeys.values() if one.account == account)

    def find(self, credential: bytes) -> Passkey | None:
        return self._accounts.secrets.passkeys.get(credential)

    def expect_room(self, account: "AccountId", name: str) -> None:
        """Raises SetupError when `add` would refuse the name."""
        _expect_room(_read_name(name), [one.name for one in self.of(account)])

    def handle(self, account: "AccountId") -> bytes:
        """What authenticators know the user by: the same for all passkeys of an account, and nothing to learn from it (§14.6.1)."""
        return hmac.digest(self._accounts.secrets.salt_secret, b"passkey %d" % account, sha256)[:HANDLE_OCTETS]

    async def add(self, address: str, name: str, facts: PasskeyFacts, by: int) -> Passkey:
        """Store a new passkey. `by`: the number of the password or passkey that its session signed in with, which has to be there still:
        of a reset and a passkey at the same time, none is left."""
        wanted, made_at = _read_name(name), int(self._clock.wall_s())
        row = (facts.host, facts.credential, facts.algorithm, facts.public_key, facts.sign_count, made_at)

        def add(transaction: "Transaction", tables: "DirectoryTables") -> Passkey:
            account = expect_account(tables, address)
            if not transaction.execute(SIGNED_IN, (by, account.id)).fetchone():
                raise SetupError(Sentence("Sign in first."))
            _expect_room(wanted, [kept for _, kept in _named(transaction, account.id)])
            if transaction.execute("SELECT 1 FROM passkey WHERE credential = ?", (facts.credential,)).fetchone():
                raise SetupError(Sentence("This passkey is here already."))
            number = transaction.next_id("password")
            columns = "id, account, name, host, credential, algorithm, public_key, sign_count, made_at"
            insert = f"INSERT INTO passkey({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - a constant
            transaction.execute(insert, (number, account.id, wanted, *row))
            return Passkey(number, account.id, wanted, *row)

        return await self._accounts.change(add)

    async def remove(self, address: str, name: str) -> None:
        """By its name; the sessions it opened end with it."""

        def remove(transaction: "Transaction", tables: "DirectoryTables") -> None:
            account = expect_account(tables, address)
            for number, kept in _named(transaction, account.id):
                if kept.casefold() == name.strip().casefold():
                    transaction.execute("DELETE FROM passkey WHERE id = ?", (number,))
                    return
            remedy = Sentence("See them: pillarbox account passkeys %(address)s", address=account.address)
            raise SetupError(Sentence("%(address)s has no passkey called “%(name)s”.", address=account.address, name=name), remedy)

        await self._accounts.change(remove)

    async def use(self, passkey: Passkey, shown: Assertion, ceremony: Ceremony) -> str:
        """Sign in with a passkey (§7.2). "" when it is accepted, else why not, in a sentence."""
        try:
            webauthn.check_client_data(shown.client_data, webauthn.GET, ceremony.challenge, ceremony.origin)
            found = webauthn.parse_authenticator_data(shown.authenticator_data)
            webauthn.check_authenticator_data(found, ceremony.host)
        except MisuseError:
            return REFUSED
        octets = shown.authenticator_data + sha256(shown.client_data).digest()
        if (
            passkey.host != ceremony.host
            or not hmac.compare_digest(shown.handle, self.handle(passkey.account))
            or not is_signed(passkey.public_key, shown.signature, octets, hashed=passkey.algorithm != webauthn.EDDSA)
        ):
            return REFUSED
        return await self._count(passkey, found.sign_count)

    async def _count(self, passkey: Passkey, sign_count: int) -> str:
        """Keep the counter and the time of use; a counter that does not rise may be that of a copy (§7.2 step 21)."""
        used_at = int(self._clock.wall_s()) if self._clock.trusted() else passkey.used_at
        update = (
            "UPDATE passkey SET sign_count = ?1, used_at = ?2 WHERE id = ?3 AND account = ?4"
            " AND (sign_count < ?1 OR sign_count = 0 AND ?1 = 0) RETURNING 1"
        )
        values = (sign_count, used_at, passkey.id, passkey.account)
        counted = await self._accounts.change(lambda transaction, tables: transaction.execute(update, values).fetchone() is not None)
        return "" if counted else COPIED


def _named(transaction: "Transaction", account: "AccountId") -> list[tuple[int, str]]:
    return transaction.execute("SELECT id, name FROM passkey WHERE account = ?", (account,)).fetchall()


def _expect_room(name: str, kept: list[str]) -> None:
    if name.casefold() in map(str.casefold, kept):
        raise SetupError(Sentence("There is a passkey called “%(name)s”.", name=name), Sentence("Choose another name."))
    if len(kept) >= PASSKEYS:
        problem = Sentence("There are %(most)s passkeys; no more are kept.", most=PASSKEYS)
        raise SetupError(problem, Sentence("Remove one that is not used."))


def _read_name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > NAME_CHARACTERS or not name.isprintable():
        problem = Sentence("A passkey needs a name.")
        raise SetupError(problem, Sentence("Give 1 to %(most)s characters, such as “Anna's phone”.", most=NAME_CHARACTERS))
    return name
