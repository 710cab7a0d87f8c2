"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS as a server (RFC 5802, RFC 7677, RFC 5929).

States: FIRST -> SECRET -> FINAL -> PROOF -> VERDICT -> OUTCOME -> OVER; `_STEPS` is the table. A message in another state fails.
Invariants: the proof is compared in constant time against every key of the name; channel binding data is compared
octet for octet; a client that could bind but saw no -PLUS offered ("y", RFC 5802 §6) is refused where it was, for somebody in
between removed it; `tls-unique` is never taken (RFC 9266 §1: broken without the extended master secret).
A failed exchange ends at once: RFC 5802 §5.1 lets a server leave the server-final-message (`e=...`) out, which saves one
round trip, and many clients that get it send nothing more, so that both sides wait. Why it failed is in `Failed.reason`.
Names and passwords are prepared by `accounts`; here they are UTF-8 as the client sent them.
"""

import hmac
import os
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from enum import Enum, auto
from hashlib import sha256

from .mechanism import Challenge, CheckProof, Failed, Proved, ScramSecret, Step, StepsUnused, WantSecret, read_name

MESSAGE_OCTETS = 4096
"""A client's message: a name of 320 octets, a nonce, channel binding data; real ones stay under 600."""
NONCE_OCTETS = 18
BINDINGS = ("tls-exporter", "tls-server-end-point")
"""Channel bindings taken (RFC 9266, RFC 5929 §4), each only where the connection has it."""


class ScramState(Enum):
    FIRST = auto()
    SECRET = auto()
    FINAL = auto()
    PROOF = auto()
    VERDICT = auto()
    OUTCOME = auto()
    OVER = auto()


def fresh_nonce() -> bytes:
    """Printable, no comma (RFC 5802 §5.1), 144 bits."""
    return b2a_base64(os.urandom(NONCE_OCTETS), newline=False)


class Scram(StepsUnused):
    """One exchange. `channel_binding` maps types to data of the connection; `plus` is the -PLUS form;
    `plus_offered` says whether the client was offered it."""

    def __init__(
        self, *, plus: bool, plus_offered: bool, channel_binding: dict[str, bytes], nonce: Callable[[], bytes] = fresh_nonce
    ) -> None:
        self._plus = plus
        self._plus_offered = plus_offered
        self._channel_binding = channel_binding
        self._make_nonce = nonce
        self._state = ScramState.FIRST
        self._gs2_header = b""
        self._binding_data = b""
        self._first_bare = b""
        self._server_first = b""
        self._nonce = b""
        self._without_proof = b""
        self._proof = b""
        self._secret: ScramSecret | None = None
        self._key = -1
        self._signature = b""

    def step(self, response: bytes | None) -> Step:
        if self._state is ScramState.FIRST and response is None:
            return Challenge(b"")
        read = _STEPS.get(self._state)
        if read is None or response is None or len(response) > MESSAGE_OCTETS:
            return self._fail("SCRAM message out of turn or too long")
        return read(self, response)

    def secret(self, secret: ScramSecret) -> Step:
        """server-first-message (RFC 5802 §7)."""
        if self._state is not ScramState.SECRET:
            return self._fail("SCRAM secret out of turn")
        self._secret = secret
        self._nonce += self._make_nonce()
        self._server_first = b"r=%s,s=%s,i=%d" % (self._nonce, b2a_base64(secret.salt, newline=False), secret.iterations)
        self._state = ScramState.FINAL
        return Challenge(self._server_first)

    def verify(self) -> int | None:
        """Compare the proof with every key (RFC 5802 §3); which one it fits."""
        if self._state is not ScramState.PROOF or self._secret is None:
            return None
        self._state = ScramState.VERDICT
        auth_message = b",".join((self._first_bare, self._server_first, self._without_proof))
        for number, (stored_key, server_key) in enumerate(self._secret.keys):
            client_key = _xor(self._proof, hmac.digest(stored_key, auth_message, "sha256"))
            if hmac.compare_digest(sha256(client_key).digest(), stored_key):
                self._key, self._signature = number, hmac.digest(server_key, auth_message, "sha256")
        return self._key if self._signature else None

    def verdict(self) -> Step:
        """server-final-message (RFC 5802 §7)."""
        if self._state is not ScramState.VERDICT:
            return self._fail("SCRAM verdict out of turn")
        if not self._signature:
            return self._refuse("invalid-proof")
        self._state = ScramState.OUTCOME
        return Challenge(b"v=" + b2a_base64(self._signature, newline=False))

    # --- client messages -----------------------------------------------------------------------------------

    def _first(self, message: bytes) -> Step:
        """client-first-message: gs2-header, name, nonce (RFC 5802 §7)."""
        fields = message.split(b",", 2)
        if len(fields) < 3:
            return self._fail("SCRAM message has no GS2 header")
        flag, authzid, bare = fields
        refusal = self._check_binding(flag)
        if refusal:
            return self._refuse(refusal)
        if bare.startswith(b"m="):
            return self._refuse("extensions-not-supported")
        attributes = bare.split(b",")
        if len(attributes) < 2 or not attributes[0].startswith(b"n=") or not attributes[1].startswith(b"r="):
            return self._refuse("other-error")
        name = _read_saslname(attributes[0][2:])
        nonce = attributes[1][2:]
        if name is None:
            return self._refuse("invalid-username-encoding")
        if not nonce or not _printable(nonce):
            return self._refuse("other-error")
        if authzid and authzid != b"a=" + attributes[0][2:]:
            return self._refuse("other-error")
        self._gs2_header = message[: len(message) - len(bare)]
        self._first_bare = bare
        self._nonce = nonce
        self._state = ScramState.SECRET
        return WantSecret(name)

    def _check_binding(self, flag: bytes) -> str:
        """The gs2-cbind-flag (RFC 5802 §6); "" when it may go on, else the server-error-value."""
        if flag.startswith(b"p="):
            kind = flag[2:].decode("latin-1")
            if not self._plus:
                return "channel-binding-not-supported"
            if kind not in BINDINGS or kind not in self._channel_binding:
                return "unsupported-channel-binding-type"
            self._binding_data = self._channel_binding[kind]
            return ""
        if flag not in (b"n", b"y"):
            return "other-error"
        if self._plus:
            return "channel-bindings-dont-match"
        return "server-does-support-channel-binding" if flag == b"y" and self._plus_offered else ""

    def _final(self, message: bytes) -> Step:
        """client-final-message: channel binding, nonce, proof at the end (RFC 5802 §7)."""
        without_proof, separator, proof = message.rpartition(b",p=")
        attributes = without_proof.split(b",")
        if not separator or len(attributes) < 2 or not attributes[0].startswith(b"c=") or not attributes[1].startswith(b"r="):
            return self._refuse("other-error")
        bound, proved = _read_base64(attributes[0][2:]), _read_base64(proof)
        if bound is None or proved is None or len(proved) != sha256().digest_size:
            return self._refuse("invalid-encoding")
        if not hmac.compare_digest(bound, self._gs2_header + self._binding_data):
            return self._refuse("channel-bindings-dont-match")
        if not hmac.compare_digest(attributes[1][2:], self._nonce):
            return self._refuse("other-error")
        self._without_proof, self._proof = without_proof, proved
        self._state = ScramState.PROOF
        return CheckProof()

    def _outcome(self, message: bytes) -> Step:
        """The client has seen the server-final-message and its response is empty (RFC 4422 §3.6)."""
        self._state = ScramState.OVER
        return Failed("SCRAM client went on after the end") if message else Proved(self._key)

    def _refuse(self, word: str) -> Step:
        """`word` is a server-error-value of RFC 5802 §7."""
        return self._fail(f"SCRAM {word}")

    def _fail(self, reason: str) -> Step:
        self._state = ScramState.OVER
        return Failed(reason)


_STEPS: dict[ScramState, Callable[[Scram, bytes], Step]] = {
    ScramState.FIRST: Scram._first,
    ScramState.FINAL: Scram._final,
    ScramState.OUTCOME: Scram._outcome,
}


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(right), "big")


def _printable(nonce: bytes) -> bool:
    return all(0x21 <= octet <= 0x7E for octet in nonce)


def _read_base64(octets: bytes) -> bytes | None:
    try:
        return a2b_base64(octets, strict_mode=True)
    except Base64Error:
        return None


def _read_saslname(octets: bytes) -> str | None:
    """`=2C` is a comma and `=3D` an equals sign; any other "=" is wrong (RFC 5802 §5.1)."""
    if octets.replace(b"=2C", b"").replace(b"=3D", b"").count(b"="):
        return None
    return read_name(octets.replace(b"=2C", b",").replace(b"=3D", b"="))
