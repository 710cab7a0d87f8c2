"""The step contract of SASL mechanisms (RFC 4422 §3): octets in, a step out; no I/O, no accounts, no clock.

A mechanism never learns whether a person exists: it asks by its step and is told what to go on with.

| step            | what the caller does                                                                |
|-----------------|-------------------------------------------------------------------------------------|
| Challenge       | send `octets`, call `step` with the client's response                               |
| CheckPassword   | check name and password with the server; the exchange is over                        |
| WantSecret      | look the name up (a stranger gets a decoy) and call `secret`                        |
| CheckProof      | when this try is due, call `verify`, then go on with the step `verdict` returns     |
| Proved          | the client holds key number `key` of the secret; the exchange is over               |
| Failed          | the exchange is over; `reason` is for the log, never for the client                 |

Every mechanism refuses NUL where a name or password stands, octets that are not UTF-8, and responses over its limits.
"""

from dataclasses import dataclass, field
from typing import Protocol

from appliance.mail.limits import LOGIN_NAME_OCTETS, PASSWORD_OCTETS


@dataclass(frozen=True, slots=True)
class Challenge:
    octets: bytes


@dataclass(frozen=True, slots=True)
class CheckPassword:
    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ScramSecret:
    """What SCRAM knows of one name (RFC 5802 §3): one salt, and a (StoredKey, ServerKey) pair for each password.

    A stranger's is a decoy of the same shape whose keys nobody holds."""

    salt: bytes
    iterations: int
    keys: tuple[tuple[bytes, bytes], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class WantSecret:
    name: str


@dataclass(frozen=True, slots=True)
class CheckProof:
    pass


@dataclass(frozen=True, slots=True)
class Proved:
    key: int


@dataclass(frozen=True, slots=True)
class Failed:
    reason: str


Step = Challenge | CheckPassword | WantSecret | CheckProof | Proved | Failed


class Mechanism(Protocol):
    client_first: bool
    """The client speaks first, so an initial response makes sense (RFC 4422 §5, item 2a)."""

    def step(self, response: bytes | None) -> Step:
        """The client's response; None when it gave no initial response."""
        ...

    def secret(self, secret: ScramSecret) -> Step:
        """The answer to WantSecret."""
        ...

    def verify(self) -> int | None:
        """Which key of the secret the proof fits, if any."""
        ...

    def verdict(self) -> Step:
        """What follows after `verify`."""
        ...


class PasswordMechanism:
    """The half of the contract that mechanisms without a secret to look up never use."""

    client_first = True

    def secret(self, secret: ScramSecret) -> Step:
        return Failed("this mechanism asks for no secret")

    def verify(self) -> int | None:
        return None

    def verdict(self) -> Step:
        return Failed("this mechanism has no proof")


def read_name(octets: bytes) -> str | None:
    """A login name, or None when no person can have it: empty, too long, NUL, not UTF-8."""
    return _read(octets, LOGIN_NAME_OCTETS)


def read_password(octets: bytes) -> str | None:
    """A password as typed, or None: empty, too long, NUL, not UTF-8."""
    return _read(octets, PASSWORD_OCTETS)


def _read(octets: bytes, limit_octets: int) -> str | None:
    if not octets or len(octets) > limit_octets or b"\0" in octets:
        return None
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None
