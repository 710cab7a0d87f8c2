"""Passwords: their stored verifiers, checking one, and generating one.

Rules:
  - An account's own password is kept as argon2id (scrypt where argon2 cannot be loaded; the stored form says which) and,
    unless the setting keeps it for app passwords only, as SCRAM-SHA-256 keys (RFC 5802 §3, RFC 7677).
  - A generated app password is kept as SCRAM keys alone: 99 random bits need no slow hash, and one PBKDF2 then finds
    which of many app passwords was typed, however many there are.
  - So every check costs one slow hash and one PBKDF2, for unknown names (a decoy), for one app password and for thirty.
  - SCRAM salts come from a secret of the server and the name's local part, for unknown and known names alike: a
    salt reveals nothing, today or after a change of password (RFC 5802 §9 asks for the same from both).
  - ASCII is taken as typed. Other text goes through SASLprep (RFC 4013), as SCRAM's clients do it (RFC 5802 §5.1), but
    code points newer than its Unicode 3.2 are allowed; text it forbids is taken in NFC (RFC 8265 §4.2.2).
  - Generated passwords are accepted without their dashes, with blanks and in upper case, in SCRAM too (`forms`).
  - Verifiers and passwords never show in a repr, a log or an error; all comparisons are in constant time.
How it fails: SetupError for a password that cannot be used; AuthError when a stored form needs a library that is missing.
"""

import hmac
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass, field
from hashlib import blake2b, pbkdf2_hmac, scrypt, sha256
from typing import Protocol, TypeVar

from appliance.mail.errors import AuthError, SetupError
from appliance.mail.ids import AccountId
from appliance.mail.limits import PASSWORD_OCTETS
from appliance.mail.sentence import Sentence

from .directory import Executes, fold
from .passkey_record import Passkey, read_passkeys
from .totp import SecondFactor, read_second_factors

T = TypeVar("T")

ARGON2_PASSES = 5
ARGON2_KIB = 7 * 1024
"""The least memory OWASP's table gives, with the passes it asks for then: a check must fit beside the server on 512 MB."""
SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P = 13, 8, 10
"""8 MiB; OWASP's row for that memory."""
SCRYPT_MAX_OCTETS = 64 * 2**20
HASH_OCTETS = 32
SALT_OCTETS = 16
SCRAM_ITERATIONS = 15_000
"""RFC 7677 §4 asks for at least 4096 and names 15,000 as what a desktop then did in 0.1 s; the client pays it at each
sign-in (some 5 ms on a PC, 20 ms on a small board)."""
KEY_OCTETS = 32
"""A StoredKey or ServerKey of SCRAM-SHA-256."""
LEAST_CHARACTERS = 8
"""NIST SP 800-63B §5.1.1.2 asks for as many; no rule about kinds of characters, which it advises against."""
REMEMBERED = 512
"""Verified passwords remembered; a household has fewer than fifty."""
ALPHABET = b"abcdefghjkmnpqrstuvwxyz23456789"
"""No i l 1, no o 0: nothing to confuse when it is read from one screen and typed on another."""
GROUPS, GROUP_CHARACTERS = 5, 4
"""20 characters of 31: 99 bits."""
SALT_ROW = "scram-salt"
"""The key of the salt secret in the table `meta`."""


class InThread(Protocol):
    """Runs work in one of the few threads the server has for it."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What SCRAM-SHA-256 keeps of a password (RFC 5802 §3)."""

    salt: bytes = field(repr=False)
    iterations: int
    stored: bytes = field(repr=False)
    """One key of KEY_OCTETS for each form in which the password may be typed (`forms`), the usual one first."""
    server: bytes = field(repr=False)
    """The same, in the same order."""

    def pairs(self) -> tuple[tuple[bytes, bytes], ...]:
        """(StoredKey, ServerKey) of each form."""
        starts = range(0, len(self.stored), KEY_OCTETS)
        return tuple([(self.stored[at : at + KEY_OCTETS], self.server[at : at + KEY_OCTETS]) for at in starts])


@dataclass(frozen=True, slots=True)
class Verifiers:
    """The stored form of one password; `slow` is argon2id or scrypt in PHC form, or None."""

    slow: str | None = field(repr=False)
    scram: ScramKeys | None = field(repr=False)


@dataclass(slots=True)
class PasswordRow:
    """One password of an account. `label` "" is its own, others are app passwords. `used_at`: UTC seconds of its last use,
    from the address `used_from`, by `used_protocol`; `noted_at` is what the database has of it."""

    id: int
    account: AccountId
    label: str
    verifiers: Verifiers = field(repr=False)
    set_at: int
    used_at: int | None
    used_from: str = ""
    used_protocol: str = ""
    noted_at: int | None = None
    must_change: bool = False
    """An administrator set it: the owner has to choose another at the next sign-in in a browser."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """One commit's snapshot of all passwords, in memory."""

    version: int = 0
    rows: dict[AccountId, tuple[PasswordRow, ...]] = field(default_factory=dict, repr=False)
    salt_secret: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    """Stored with the first account; until then this process's own serves unknown names."""
    second_factors: dict[AccountId, SecondFactor] = field(default_factory=dict, repr=False)
    passkeys: dict[bytes, Passkey] = field(default_factory=dict, repr=False)
    """By credential identifier."""


def read_secrets(reads: Executes, version: int = 0, passing_secret: bytes = b"") -> Secrets:
    """All passwords; `passing_secret` is used as long as none was stored."""
    rows: dict[AccountId, tuple[PasswordRow, ...]] = {}
    for number, owner, label, slow, salt, iterations, stored, server, set_at, used_at, used_from, protocol, must_change in reads.execute(
        "SELECT id, account, label, argon2, scram_salt, scram_iterations, scram_stored, scram_server, set_at,"
        " used_at, used_from, used_protocol, must_change FROM password"
        " WHERE account NOT IN (SELECT id FROM account WHERE disabled OR removed_at IS NOT NULL) ORDER BY id"
    ):
        verifiers = Verifiers(slow, ScramKeys(salt, iterations, stored, server) if stored is not None else None)
        used = (used_at, used_from, protocol, used_at)
        row = PasswordRow(number, AccountId(owner), label, verifiers, set_at, *used, must_change=bool(must_change))
        rows[row.account] = (*rows.get(row.account, ()), row)
    stored_secret = next((bytes(value) for (value,) in reads.execute("SELECT value FROM meta WHERE key = ?", (SALT_ROW,))), b"")
    salt_secret = stored_secret or passing_secret or os.urandom(32)
    return Secrets(version, rows, salt_secret, read_second_factors(reads), read_passkeys(reads))


# --- text ------------------------------------------------------------------------------------


def prepare(password: str) -> bytes:
    """The octets that are hashed; see the rules above."""
    password = _generated_form(password) or password
    if password.isascii():
        return password.encode()
    import stringprep as tables  # 1 MB with its database, which an ASCII server never needs
    import unicodedata

    mapped = "".join(" " if tables.in_table_c12(character) else character for character in password if not tables.in_table_b1(character))
    prepared = unicodedata.normalize("NFKC", mapped)
    forbidden = (
        tables.in_table_c12, tables.in_table_c21_c22, tables.in_table_c3, tables.in_table_c4, tables.in_table_c5,
        tables.in_table_c6, tables.in_table_c7, tables.in_table_c8, tables.in_table_c9,
    )  # fmt: skip
    allowed = bool(prepared) and not any(test(character) for character in prepared for test in forbidden)
    if allowed and any(map(tables.in_table_d1, prepared)):  # RFC 3454 §6
        ends_well = tables.in_table_d1(prepared[0]) and tables.in_table_d1(prepared[-1])
        allowed = ends_well and not any(map(tables.in_table_d2, prepared))
    if not allowed:
        prepared = unicodedata.normalize("NFC", password)
    return prepared.encode("utf-8", "surrogatepass")


def _generated_form(typed: str) -> str:
    """The form `generate` returns: lower case in groups with dashes; "" when it is not a generated password."""
    bare = typed.replace("-", "").replace(" ", "").lower()
    if len(bare) != GROUPS * GROUP_CHARACTERS or not bare.isascii() or not set(bare.encode()).issubset(ALPHABET):
        return ""
    return "-".join([bare[at : at + GROUP_CHARACTERS] for at in range(0, len(bare), GROUP_CHARACTERS)])


def forms(password: str) -> tuple[bytes, ...]:
    """What a SCRAM client may hash of the password, the octets of `prepare` first.

    The server never sees what is typed, so it cannot normalise it: of a generated password it keeps a key for each form in which
    it is typed, without dashes, in upper case, or with the one capital that phones put in front.
    """
    first = prepare(password)
    written = _generated_form(password)
    if not written:
        return (first,)
    bare = written.replace("-", "")
    return tuple([form.encode() for one in (written, bare) for form in (one, one.upper(), one[:1].upper() + one[1:])])


PASSWORD_FIELD = "password"  # noqa: S105 - the name of a field
"""What a refusal of a password is about."""


def check_strength(password: str, name: str = "") -> None:
    """The rule for chosen passwords. Raises SetupError with the reason. `name`: the address it is for."""
    from .common_passwords import COMMON

    remedy = Sentence(
        "Take %(least)s characters or more that nobody would guess; four words in a row are easy to keep in mind.",
        least=LEAST_CHARACTERS,
    )
    plain = password.casefold()
    if len(password) < LEAST_CHARACTERS:
        raise SetupError(Sentence("The password has fewer than %(least)s characters.", least=LEAST_CHARACTERS), remedy, PASSWORD_FIELD)
    if plain in COMMON or plain.rstrip("0123456789!.?") in COMMON:
        raise SetupError("Many people use this password, so it is tried first.", remedy, PASSWORD_FIELD)
    if len(set(plain)) < 4 or plain in _ROWS:
        raise SetupError("The password is one character or row of keys again and again.", remedy, PASSWORD_FIELD)
    if name and plain in (fold(name), *fold(name).split("@")):
        raise SetupError("The password is the address it belongs to, or a part of it.", remedy, PASSWORD_FIELD)


def check_new(password: str) -> None:
    """Raises SetupError when it could not be used to sign in."""
    remedy = Sentence("Choose another password.")
    if not password:
        raise SetupError("The password is empty.", remedy, PASSWORD_FIELD)
    if len(password.encode("utf-8", "surrogatepass")) > PASSWORD_OCTETS:
        raise SetupError(Sentence("The password is longer than %(most)s octets.", most=PASSWORD_OCTETS), remedy, PASSWORD_FIELD)
    if any(character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff" for character in password):
        raise SetupError("The password has a control character in it, such as a line end.", remedy, PASSWORD_FIELD)


_ROWS = "01234567890123456789 98765432109876543210 abcdefghijklmnopqrstuvwxyz qwertyuiopasdfghjklzxcvbnm qwertzuiopasdfghjklyxcvbnm"
"""Sequences of neighbouring keys or digits."""


def generate() -> str:
    """A password for typing once: groups of letters and digits that are not confused with each other, 99 bits."""
    return random_groups(GROUPS, GROUP_CHARACTERS)


def random_groups(groups: int, group_characters: int) -> str:
    """Random characters of ALPHABET, in groups with dashes between them."""
    characters: list[str] = []
    while len(characters) < groups * group_characters:
        octet = os.urandom(1)[0]
        if octet < 256 - 256 % len(ALPHABET):  # else some characters would come more often
            characters.append(chr(ALPHABET[octet % len(ALPHABET)]))
    return "-".join("".join(characters[at : at + group_characters]) for at in range(0, len(characters), group_characters))


# --- hashing (in a thread) -------------------------------------------------------------------


def hash_slowly(prepared: bytes) -> str:
    """argon2id, or scrypt where argon2 is not installed, in PHC form."""
    salt = os.urandom(SALT_OCTETS)
    try:
        from argon2.low_level import Type, hash_secret
    except ImportError:
        key = scrypt(prepared, salt=salt, n=1 << SCRYPT_LOG_N, r=SCRYPT_R, p=SCRYPT_P, maxmem=SCRYPT_MAX_OCTETS, dklen=HASH_OCTETS)
        return f"$scrypt$ln={SCRYPT_LOG_N},r={SCRYPT_R},p={SCRYPT_P}${salt.hex()}${key.hex()}"
    return hash_secret(
        prepared, salt, time_cost=ARGON2_PASSES, memory_cost=ARGON2_KIB, parallelism=1, hash_len=HASH_OCTETS, type=Type.ID
    ).decode("ascii")


def fits_slowly(stored: str, prepared: bytes) -> bool:
    """Is it the password of the stored form? Raises AuthError when it cannot be checked."""
    if stored.startswith("$scrypt$"):
        _, _, cost, salt, key = stored.split("$")
        log_n, r, p = (int(chunk.partition("=")[2]) for chunk in cost.split(","))
        tried = scrypt(prepared, salt=bytes.fromhex(salt), n=1 << log_n, r=r, p=p, maxmem=SCRYPT_MAX_OCTETS, dklen=len(key) // 2)
        return hmac.compare_digest(tried, bytes.fromhex(key))
    try:
        from argon2.exceptions import VerificationError, VerifyMismatchError
        from argon2.low_level import Type, verify_secret
    except ImportError:
        raise AuthError("passwords were stored with argon2, which is not installed now") from None
    try:
        return verify_secret(stored.encode("ascii"), prepared, Type.ID)
    except VerifyMismatchError:
        return False
    except VerificationError as e:
        raise AuthError(f"a stored password could not be checked: {e}") from None


def make_scram(prepared: bytes, salt: bytes, iterations: int = SCRAM_ITERATIONS) -> ScramKeys:
    """StoredKey and ServerKey (RFC 5802 §3)."""
    salted = pbkdf2_hmac("sha256", prepared, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return ScramKeys(salt, iterations, sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256"))


class Passwords:
    """Makes and checks verifiers, one or two at a time in a thread. Holds the decoy that unknown names are checked against."""

    def __init__(self, in_thread: InThread, *, scram_for_all: bool = True) -> None:
        self.in_thread = in_thread
        self.scram_for_all = scram_for_all
        self._decoy = ""
        self.scram_iterations = SCRAM_ITERATIONS

    async def make(self, password: str, salt: bytes, *, generated: bool = False) -> Verifiers:
        """The verifiers of a new password. Raises SetupError when it cannot be one."""
        check_new(password)
        return await self.in_thread(lambda: self._make(forms(password), salt, generated))

    def _make(self, typed_forms: Sequence[bytes], salt: bytes, generated: bool) -> Verifiers:
        scram = None
        if generated or self.scram_for_all:
            made = [make_scram(one, salt, self.scram_iterations) for one in typed_forms]
            stored, server = b"".join([one.stored for one in made]), b"".join([one.server for one in made])
            scram = ScramKeys(salt, self.scram_iterations, stored, server)
        return Verifiers(None if generated else hash_slowly(typed_forms[0]), scram)

    def outdated(self, row: PasswordRow) -> bool:
        """Is the stored form another than `make` would give today? Call it after a check, which has loaded what it needs."""
        slow = row.verifiers.slow
        return slow is not None and (not slow.startswith(_kind(self._decoy)) or (row.verifiers.scram is not None) != self.scram_for_all)

    async def find(self, rows: Sequence[PasswordRow], password: str, salt: bytes) -> PasswordRow | None:
        """Which of an account's passwords it is; `rows` () for an unknown name. Costs the same whatever the answer. Raises AuthError."""
        return await self.in_thread(lambda: self._find(rows, prepare(password), salt))

    def _find(self, rows: Sequence[PasswordRow], prepared: bytes, salt: bytes) -> PasswordRow | None:
        if not self._decoy:
            self._decoy = hash_slowly(os.urandom(SALT_OCTETS))
        found: PasswordRow | None = None
        slow = next((row for row in rows if row.verifiers.slow is not None), None)
        if fits_slowly((slow and slow.verifiers.slow) or self._decoy, prepared):
            found = slow
        made: dict[tuple[bytes, int], ScramKeys] = {}
        for row in rows:
            scram = row.verifiers.scram
            if scram is None or row.verifiers.slow is not None:
                continue
            kind = (scram.salt, scram.iterations)
            if kind not in made:
                made[kind] = make_scram(prepared, *kind)
            if hmac.compare_digest(made[kind].stored, scram.stored[:KEY_OCTETS]):
                found = row
        if not made:
            make_scram(prepared, salt, self.scram_iterations)
        return found


def _kind(slow: str) -> str:
    """The part of a PHC form that names the hash and its costs."""
    return slow.rsplit("$", 2)[0] + "$"


def salt_for(secret: bytes, name: str) -> bytes:
    """The SCRAM salt of a login name, known or not: by its local part alone, so that the short and the full form,
    whose domain a client might be probing for, give the same."""
    local = name.rpartition("@")[0] or name
    return hmac.digest(secret, b"scram-salt " + fold(local).encode("utf-8", "surrogatepass"), "sha256")[:SALT_OCTETS]


class Remembered:
    """Passwords that were verified, as keyed hashes under a key of this process: the next sign-in costs microseconds.

    An entry names the password's row; a changed or removed password has another row or none, so its entry no longer matches.
    """

    def __init__(self, most: int = REMEMBERED) -> None:
        self._key = os.urandom(32)
        self._rows: OrderedDict[bytes, int] = OrderedDict()
        self._most = most

    def find(self, rows: Sequence[PasswordRow], password: str) -> PasswordRow | None:
        if not rows:
            return None
        number = self._rows.get(self._hash(rows[0].account, password))
        for row in rows:
            if row.id == number:
                return row
        return None

    def keep(self, row: PasswordRow, password: str) -> None:
        hashed = self._hash(row.account, password)
        self._rows[hashed] = row.id
        self._rows.move_to_end(hashed)
        if len(self._rows) > self._most:
            self._rows.popitem(last=False)

    def keep_only(self, numbers: Set[int]) -> None:
        """Forget all whose password is none of these rows: it was changed or removed."""
        for hashed in [hashed for hashed, number in self._rows.items() if number not in numbers]:
            del self._rows[hashed]

    def __len__(self) -> int:
        return len(self._rows)

    def _hash(self, account: AccountId, password: str) -> bytes:
        hashed = blake2b(password.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16)
        hashed.update(b"\0%d" % account)
        return hashed.digest()
