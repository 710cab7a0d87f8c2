"""SASL as a client, for relays: PLAIN, LOGIN, SCRAM-SHA-256 and XOAUTH2 (RFC 4616, RFC 5802, RFC 7677).

`best` chooses: a token goes by XOAUTH2; a password by SCRAM first, which never sends it and makes the server prove that it knows it
too, then PLAIN, then LOGIN. An exchange gives the first response (None where the server speaks first) and answers challenges;
a malformed challenge raises MisuseError. Pure; the caller makes sure that TLS is on.
Known gap: no channel binding (SCRAM-SHA-256-PLUS); names and passwords are sent as the settings have them.
"""

import hmac
import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from hashlib import pbkdf2_hmac, sha256
from typing import Protocol

from appliance.mail.errors import MisuseError

MOST_ITERATIONS = 1_000_000
"""A server that asks for more would only cost processor time."""


class ClientExchange(Protocol):
    """One sign-in."""

    mechanism: str

    def first(self) -> bytes | None: ...
    def answer(self, challenge: bytes) -> bytes: ...
    def satisfied(self) -> bool:
        """Once the server reports success: has it proved itself, where the mechanism asks for that?"""
        ...


class ClientPlain:
    """RFC 4616 §2."""

    mechanism = "PLAIN"

    def __init__(self, user: str, password: str) -> None:
        self._message = b"\0" + user.encode() + b"\0" + password.encode()

    def first(self) -> bytes | None:
        return self._message

    def answer(self, challenge: bytes) -> bytes:
        if challenge:
            raise MisuseError("the server sent a challenge that PLAIN does not have")
        return self._message

    def satisfied(self) -> bool:
        return True


class ClientLogin:
    """LOGIN, never standardised: name, then password, whatever the challenges are."""

    mechanism = "LOGIN"

    def __init__(self, user: str, password: str) -> None:
        self._left = [password.encode(), user.encode()]

    def first(self) -> bytes | None:
        return None

    def answer(self, challenge: bytes) -> bytes:
        if not self._left:
            raise MisuseError("the server sent a challenge that LOGIN does not have")
        return self._left.pop()

    def satisfied(self) -> bool:
        return True


class XOAuth2:
    """A token of the provider in place of a password; a challenge is the provider's refusal, and expects an empty response."""

    mechanism = "XOAUTH2"

    def __init__(self, user: str, token: str) -> None:
        self._message = f"user={user}\1auth=Bearer {token}\1\1".encode()

    def first(self) -> bytes | None:
        return self._message

    def answer(self, challenge: bytes) -> bytes:
        return b""

    def satisfied(self) -> bool:
        return True


class ClientScram:
    """SCRAM-SHA-256 without channel binding (RFC 5802 §3 and §7)."""

    mechanism = "SCRAM-SHA-256"

    def __init__(self, user: str, password: str, nonce: Callable[[], bytes] = lambda: b64encode(os.urandom(18))) -> None:
        self._password = password.encode()
        self._nonce = nonce()
        name = user.encode().replace(b"=", b"=3D").replace(b",", b"=2C")
        self._bare = b"n=" + name + b",r=" + self._nonce
        self._signature = b""
        self._proved = False

    def first(self) -> bytes | None:
        return b"n,," + self._bare

    def answer(self, challenge: bytes) -> bytes:
        return self._verdict(challenge) if self._signature else self._proof(challenge)

    def _proof(self, challenge: bytes) -> bytes:
        fields = dict(part.split(b"=", 1) for part in challenge.split(b",") if b"=" in part)
        nonce = fields.get(b"r", b"")
        try:
            salt, iterations = b64decode(fields[b"s"], validate=True), int(fields[b"i"])
        except (KeyError, ValueError, Base64Error):
            raise MisuseError("the server's SCRAM message is malformed") from None
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce) or not 1 <= iterations <= MOST_ITERATIONS:
            raise MisuseError("the server's SCRAM message does not match ours")
        salted = pbkdf2_hmac("sha256", self._password, salt, iterations)
        key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = b"c=biws,r=" + nonce
        auth_message = b",".join((self._bare, challenge, without_proof))
        proof = bytes(a ^ b for a, b in zip(key, hmac.digest(sha256(key).digest(), auth_message, "sha256"), strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth_message, "sha256")
        return without_proof + b",p=" + b64encode(proof)

    def _verdict(self, challenge: bytes) -> bytes:
        if challenge.startswith(b"e="):  # RFC 5802 §7
            raise MisuseError("the server does not accept the name and password")
        given = next((part[2:] for part in challenge.split(b",") if part.startswith(b"v=")), b"")
        self._proved = hmac.compare_digest(given, b64encode(self._signature))
        if not self._proved:
            raise MisuseError("the server does not know the password itself")
        return b""

    def satisfied(self) -> bool:
        return self._proved


def best(offered: Sequence[str], user: str, secret: str, *, token: bool) -> ClientExchange | None:
    """The strongest exchange both sides support; None when there is none. `offered` in upper case."""
    if token:
        return XOAuth2(user, secret) if "XOAUTH2" in offered else None
    kinds: tuple[type[ClientScram] | type[ClientPlain] | type[ClientLogin], ...] = (ClientScram, ClientPlain, ClientLogin)
    return next((kind(user, secret) for kind in kinds if kind.mechanism in offered), None)
