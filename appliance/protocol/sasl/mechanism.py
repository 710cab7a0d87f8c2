"""The step contract of SASL mechanisms (RFC 4422 §3): octets in, a step out; no I/O, no accounts, no clock.

A mechanism never learns whether an account exists: it asks by its step and is given what to go on with.

| step            | what the caller does                                                                |
|-----------------|-------------------------------------------------------------------------------------|
| Challenge       | send `octets`, call `step` with the client's response                               |
| CheckPassword   | check name and password with the server; the exchange is over                        |
| WantSecret      | look the name up (an unknown one gets a decoy) and call `secret`                    |
| CheckProof      | when this try is admitted, call `verify`, then go on with the step of `verdict`     |
| CheckCredential | when this try is admitted, have the verifier of `kind` check it (a bearer token, a  |
|                 | client certificate), then go on with the step of `checked`                          |
| Proved          | the client has key number `key` of the secret; the exchange is over                 |
| Accepted        | the credential was accepted; the exchange is over                                   |
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

    An unknown name's is a decoy of the same shape with random keys."""

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
class CheckCredential:
    """`kind` names the verifier; `name` is the account the client claims, "" when the credential alone names it."""

    kind: str
    name: str
    credential: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    pass


@dataclass(frozen=True, slots=True)
class Proved:
    key: int


@dataclass(frozen=True, slots=True)
class Failed:
    reason: str


Step = Challenge | CheckPassword | WantSecret | CheckProof | CheckCredential | Proved | Accepted | Failed


class Mechanism(Protocol):
    def step(self, response: bytes | None) -> Step:
        """The client's response; None when there was no initial response: a mechanism where the client begins then sends an empty
        challenge (RFC 4422 §5, item 2a)."""
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

    def checked(self, accepted: bool) -> Step:
        """The answer to CheckCredential; Accepted to succeed, which counts only when `accepted`."""
        ...


class StepsUnused:
    """Base of a mechanism: the answers to steps it never takes."""

    def secret(self, secret: ScramSecret) -> Step:
        return Failed("this mechanism asks for no secret")

    def verify(self) -> int | None:
        return None

    def verdict(self) -> Step:
        return Failed("this mechanism has no proof")

    def checked(self, accepted: bool) -> Step:
        return Failed("this mechanism has no credential")


def read_name(octets: bytes) -> str | None:
    """A login name, or None for what cannot be one: empty, too long, NUL, not UTF-8."""
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
