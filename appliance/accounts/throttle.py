"""The login throttle: when the next try is due, so that guessing is slow and no user is ever locked out.

Pure: no clock of its own (every call is given `now`, monotonic seconds), no waiting (`auth.login` waits), RAM only.

A try is in one of these states:

| state    | how it gets there                              | what it costs the bucket                            |
|----------|------------------------------------------------|-----------------------------------------------------|
| repeated | the same name and password failed before       | nothing; it fails again, unchecked                  |
| waiting  | its bucket is empty, or the account is slowed  | nothing                                             |
| admitted | its bucket had a try left                      | one try                                             |
| right    | admitted, and the password fits                | the try is given back; the pair becomes familiar    |
| wrong    | admitted, and it does not                      | the try is gone; it comes back after 60/10 s        |

A token bucket holds ten tries and refills evenly in a minute (TRIES):
  - a familiar pair, a name that signed in from this very source before, has its own bucket and skips the account's delay;
  - a familiar source, from which any account signed in before, has BUCKETS buckets, chosen by a keyed hash of the name;
  - any other source has one bucket. What one source is (an IPv4 address, an IPv6 /64) the caller says.

Invariants:
  - about TRIES different guesses a minute from one source, over any number of connections;
  - guesses from other sources never hold up a user at a source that signed in before;
  - a program that repeats one old password never uses up a try, nor processor time;
  - delays grow up to a cap, ACCOUNT_CAP_S for an account guessed at from everywhere, and end by themselves: no lockout;
  - names the server does not know are counted exactly like those it does;
  - every table is bounded (the entry used longest ago goes first) and holds keyed hashes, no names, no passwords.

Known gap: a SCRAM proof is different every time, so a repeated old password counts each time there.
"""

import os
from collections import OrderedDict
from hashlib import blake2b
from typing import Generic, TypeVar

from appliance.mail.limits import GUESSES_PER_MINUTE

TRIES = GUESSES_PER_MINUTE
REFILL_S = 60.0 / TRIES
CLOCK_S = 0.001
"""Less is no wait: floating point must not make one of nothing."""
BUCKETS = 8
"""Buckets of a familiar source: one user's forgotten password must not hold up the others behind the same address."""
ACCOUNT_FREE = 10.0
"""Failures of one account from unfamiliar sources before they are slowed."""
ACCOUNT_DOUBLES = 2.0
"""The delay of half a second doubles with so many further failures."""
ACCOUNT_CAP_S = 20.0
"""A user at an unfamiliar source waits at most this long while the account is guessed at from everywhere."""
ACCOUNT_FORGET_S = 30.0
"""One failure is forgotten each."""
BUCKETS_KEPT = 2048
ACCOUNTS_KEPT = 512
FAMILIAR_KEPT = 1024
WRONG_KEPT = 1024

V = TypeVar("V")


class BoundedMap(Generic[V]):
    """A dict of at most `most` entries; the one used longest ago goes first."""

    __slots__ = ("_entries", "_most")

    def __init__(self, most: int) -> None:
        self._entries: OrderedDict[int, V] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: int) -> V | None:
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: int, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)


class Try:
    """One try at one account from one source, as the throttle knows it; hashes only."""

    __slots__ = ("account", "bucket", "familiar", "pair", "source")

    def __init__(self, account: int, source: int, pair: int, bucket: int, familiar: bool) -> None:
        self.account = account
        self.source = source
        self.pair = pair
        self.bucket = bucket
        self.familiar = familiar


class Throttle:
    """See the table above. `account` is the folded login name, known or not."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or os.urandom(32)
        self._buckets: BoundedMap[float] = BoundedMap(BUCKETS_KEPT)
        self._accounts: BoundedMap[tuple[float, float]] = BoundedMap(ACCOUNTS_KEPT)
        self._familiar: BoundedMap[bool] = BoundedMap(FAMILIAR_KEPT)
        self._wrong: BoundedMap[bool] = BoundedMap(WRONG_KEPT)

    def start(self, account: str, whence: bytes) -> Try:
        """Find the bucket of a try from the source `whence`; nothing is counted yet."""
        named, source = self._hash("account", account), self._hash("source", whence)
        pair = self._hash("pair", account, whence)
        if self._familiar.get(pair):
            return Try(named, source, pair, pair, True)
        if self._familiar.get(source):
            return Try(named, source, pair, source + 1 + named % BUCKETS, False)
        return Try(named, source, pair, source, False)

    def wait_s(self, trying: Try, now: float) -> float:
        """0 when the bucket has a try left, else how long until it may have one."""
        due = self._buckets.get(trying.bucket)
        wait_s = 0.0 if due is None else due - now - (TRIES - 1) * REFILL_S
        return wait_s if wait_s > CLOCK_S else 0.0

    def admit(self, trying: Try, now: float) -> float:
        """Take one try from the bucket (check `wait_s` first); how long this one is slowed for the account."""
        self._buckets.put(trying.bucket, max(self._buckets.get(trying.bucket) or now, now) + REFILL_S)
        if trying.familiar:
            return 0.0
        level = self._level(trying.account, now)
        if level < ACCOUNT_FREE:
            return 0.0
        return min(ACCOUNT_CAP_S, 0.5 * float(2.0 ** min(16.0, (level - ACCOUNT_FREE) / ACCOUNT_DOUBLES)))

    def right(self, trying: Try) -> None:
        """The password fitted: the try is given back and the pair is familiar from now on."""
        self.withdrawn(trying)
        self._familiar.put(trying.pair, True)
        self._familiar.put(trying.source, True)

    def wrong(self, trying: Try, now: float) -> None:
        """It did not fit."""
        if not trying.familiar:
            self._accounts.put(trying.account, (self._level(trying.account, now) + 1.0, now))

    def withdrawn(self, trying: Try) -> None:
        """The try was never judged (the client left, passwords cannot be checked): the bucket gets it back."""
        due = self._buckets.get(trying.bucket)
        if due is not None:
            self._buckets.put(trying.bucket, due - REFILL_S)

    def digest(self, account: str, password: str, version: int) -> int:
        """A keyed hash of one name, one password and the state of the account's passwords."""
        return self._hash("password", account, password, str(version))

    def known_wrong(self, digest: int) -> bool:
        return self._wrong.get(digest) is not None

    def remember_wrong(self, digest: int) -> None:
        self._wrong.put(digest, True)

    def sizes(self) -> tuple[int, int, int, int]:
        """Entries of the four tables: buckets, accounts, familiar, wrong."""
        return len(self._buckets), len(self._accounts), len(self._familiar), len(self._wrong)

    def _level(self, account: int, now: float) -> float:
        level, at = self._accounts.get(account) or (0.0, now)
        return max(0.0, level - (now - at) / ACCOUNT_FORGET_S)

    def _hash(self, *chunks: str | bytes) -> int:
        hashed = blake2b(key=self._key, digest_size=8)
        for chunk in chunks:
            octets = chunk if isinstance(chunk, bytes) else chunk.encode("utf-8", "surrogatepass")
            hashed.update(len(octets).to_bytes(4, "big"))
            hashed.update(octets)
        return int.from_bytes(hashed.digest(), "big")
